# SPDX-License-Identifier: Apache-2.0
"""One run of the matrix as arrays: the source of every figure, table and sentence of a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hil import stats
from hil.core.records import Task
from hil.runs.agreement import (
    LARGEST,
    Difference,
    difference,
    difference_of_all,
    is_disturbed,
    is_timed,
    wrong_answers,
    wrong_values,
)
from hil.runs.host import latencies, over_host, times_of
from hil.runs.schema import (
    CLASS,
    Manifest,
    Memory,
    RunEnd,
    RunPlan,
    Sample,
)
from hil.runs.schema_host import HostLatencies, HostTimes
from hil.runs.scores import HEADLINE, Score, anomaly_scores, scores
from hil.runs.task import (
    WITH_CLASSES,
    WITH_TARGETS,
    class_name,
    classes_of,
    gives_classes,
    reals_of,
    task_of,
)
from hil.runs.tensors import name_of, split, tensors_of
from hil.stats.series import AnySeries, Counts, CycleCounts, EmulatorTimes, Latencies
from hil.stats.series import HostLatencies as HostSeries


@dataclass(frozen=True)
class Output:
    """One of several outputs: ``device`` and references are (n, elements) in its own type."""

    name: str
    device: npt.NDArray[np.generic]
    litert: npt.NDArray[np.generic] | None
    oracle: npt.NDArray[np.generic] | None
    xnnpack: npt.NDArray[np.generic] | None

    def rows(self, rows: npt.NDArray[np.int64]) -> Output:
        """These samples of it."""

        def of(found: npt.NDArray[np.generic] | None) -> npt.NDArray[np.generic] | None:
            return None if found is None else found[rows]

        return replace(
            self,
            device=self.device[rows],
            litert=of(self.litert),
            oracle=of(self.oracle),
            xnnpack=of(self.xnnpack),
        )


@dataclass(frozen=True)
class Cell:
    """The n answers of one run that count. ``device`` and references are (n, outputs).

    They are those of the first output; ``others`` has the further ones.

    Values are as stored (int8 steps, or float32); None where a reference was not run. ``times`` are
    those that figures may use (`hil.runs.agreement.is_timed`), in order, in the clock's unit.
    A figure that needs what is None is None too, never 0.
    """

    plan: RunPlan
    end: RunEnd | None
    name: str  # the shortest that is unique in its run folder
    board_name: str  # the shortest that is unique on its board
    asked: int  # samples to answer
    ids: tuple[str, ...]
    labels: npt.NDArray[np.int64] | None  # None: not labelled, or not judged by labels
    device: npt.NDArray[np.generic] | None  # None: only the class is known, in ``answers``
    litert: npt.NDArray[np.generic] | None  # None: no model file was named
    oracle: npt.NDArray[np.generic] | None
    times: npt.NDArray[np.int64]
    repeats: int  # answers that took more than one attempt
    xnnpack: npt.NDArray[np.generic] | None = None  # LiteRT's default kernels
    clocked: npt.NDArray[np.bool_] | None = None  # (n,) which answers ``times`` has
    round_trips: npt.NDArray[np.int64] | None = None  # (n,) microseconds; None: not all known
    quiet: npt.NDArray[np.bool_] | None = None  # (n,) the answers not disturbed; None: all
    chaos: str = ""  # faults injected on purpose, so that no time is a latency
    # LiteRT on the host, by kernels ("xnnpack", "reference"); empty: not measured
    host_times: Mapping[str, HostTimes] = field(default_factory=dict)
    chosen: npt.NDArray[np.int64] | None = None  # (n,) classes, where ``device`` is None
    failed: Mapping[str, int] = field(default_factory=dict)  # requests without an answer, by reason
    others: tuple[Output, ...] = ()
    task: Task = Task.CLASSIFICATION
    chooses: bool = True  # whether the outputs choose a class (`hil.runs.task.gives_classes`)
    targets: npt.NDArray[np.float64] | None = None  # (n, outputs); None: none, or another task
    names: tuple[str, ...] = ()  # of the classes

    @property
    def n(self) -> int:
        return len(self.ids)

    @property
    def failures(self) -> int:
        """Requests that got no answer that counts."""
        return sum(self.failed.values())

    @property
    def complete(self) -> bool:
        return self.end is not None and self.n + self.failures == self.asked

    @cached_property
    def answers(self) -> npt.NDArray[np.int64]:
        """(n,) the classes that the device chose (`hil.runs.task.classes_of`), or that it sent.
        They mean nothing unless ``chooses``."""
        if self.device is None:
            return np.zeros(0, np.int64) if self.chosen is None else self.chosen
        return classes_of(self.plan, self.device)

    @cached_property
    def classes(self) -> int:
        """Number of classes: of outputs, or two; where none are known, those up to the largest that
        occurred."""
        if self.task is Task.BINARY:
            return 2
        for outputs in (self.device, self.litert):
            if outputs is not None:
                return int(outputs.shape[1])
        seen = [some for some in (self.answers, self.labels) if some is not None]
        return max((int(some.max(initial=-1)) + 1 for some in seen), default=0)

    def class_name(self, number: int) -> str:
        """What texts call a class: its name, or its number."""
        return class_name(self.names, number)

    @property
    def values(self) -> int:
        """Number of values that the device sent: outputs, or answers if it sent only those."""
        if self.device is None:
            return self.n
        return self.device.size + sum(one.device.size for one in self.others)

    @cached_property
    def host_answers(self) -> npt.NDArray[np.int64] | None:
        if self.litert is None or not self.chooses:
            return None
        return classes_of(self.plan, self.litert)

    @cached_property
    def right(self) -> npt.NDArray[np.bool_] | None:
        if self.labels is None or self.task not in WITH_CLASSES:
            return None
        return np.asarray(self.answers == self.labels)

    @cached_property
    def host_right(self) -> npt.NDArray[np.bool_] | None:
        if self.labels is None or self.host_answers is None or self.task not in WITH_CLASSES:
            return None
        return np.asarray(self.host_answers == self.labels)

    @cached_property
    def scores(self) -> dict[str, Score]:
        """Figures of device and host beside the accuracy, by name (`hil.runs.scores`)."""
        device, host = (
            None if outputs is None else self.reals(outputs)
            for outputs in (self.device, self.litert)
        )
        return scores(self.task, device, host, self.targets, self.labels)

    @cached_property
    def ranking(self) -> npt.NDArray[np.float64] | None:
        """(n,) by which the area under the ROC curve orders the samples: the device's only output,
        or its mean squared error; NaN where that is not finite. None for other tasks."""
        if self.device is None:
            return None
        if self.task is Task.BINARY:
            return self.reals(self.device)[:, 0]
        if self.task is not Task.RECONSTRUCTION or self.targets is None:
            return None
        return anomaly_scores(self.reals(self.device), self.targets)

    @property
    def headline(self) -> str:
        """The name in ``scores`` that stands for the run; empty: accuracy does, or nothing."""
        return next((name for name in HEADLINE.get(self.task, ()) if name in self.scores), "")

    @property
    def accuracy(self) -> stats.Estimate | None:
        return _share(self.right)

    @property
    def host_accuracy(self) -> stats.Estimate | None:
        return _share(self.host_right)

    @cached_property
    def same(self) -> npt.NDArray[np.bool_] | None:
        """(n,) whether device and host give the same answer; None where outputs choose none."""
        if self.host_answers is None:
            return None
        return np.asarray(self.answers == self.host_answers)

    @property
    def agreement(self) -> stats.Estimate | None:
        """The share of samples for which device and host give the same answer."""
        return _share(self.same)

    @property
    def changed(self) -> int | None:
        """Samples for which device and host give different answers."""
        return None if self.same is None else int((~self.same).sum())

    @cached_property
    def to_litert(self) -> Difference | None:
        return self._to(self.litert, [one.litert for one in self.others])

    @cached_property
    def equal(self) -> stats.Estimate | None:
        """The share of samples whose output bytes all equal the host's."""
        found = self.to_litert
        return stats.proportion(self.n - found.samples, self.n) if found and self.n else None

    @cached_property
    def reach(self) -> float | None:
        """The largest difference to the host's outputs, in real numbers."""
        if self.device is None or self.litert is None:
            return None
        pairs = [(self.device, self.litert), *((one.device, one.litert) for one in self.others)]
        found = 0.0
        for spec, (device, host) in zip(tensors_of(self.plan, "outputs"), pairs, strict=True):
            if host is not None:
                largest = difference(device, host).max_abs
                found = max(found, largest * (spec.scale or 1.0) if largest < LARGEST else largest)
        return found

    @cached_property
    def to_oracle(self) -> Difference | None:
        return self._to(self.oracle, [one.oracle for one in self.others])

    @cached_property
    def to_xnnpack(self) -> Difference | None:
        return self._to(self.xnnpack, [one.xnnpack for one in self.others])

    def _to(
        self,
        reference: npt.NDArray[np.generic] | None,
        others: Sequence[npt.NDArray[np.generic] | None],
    ) -> Difference | None:
        if self.device is None or reference is None:
            return None
        pairs = [(self.device, reference)]
        pairs += [
            (one.device, found)
            for one, found in zip(self.others, others, strict=True)
            if found is not None
        ]
        return difference_of_all(pairs)

    @cached_property
    def unexpected(self) -> int | None:
        """How many of ``values`` are wrong; None when nothing checked them."""
        if self.device is None:
            found = wrong_answers(self.plan, self.answers, self.litert, self.oracle)
        else:
            found = wrong_values(self.plan, self.device, self.litert, self.oracle)
        if found is None:
            return None
        more = (
            wrong_values(self.plan, one.device, one.litert, one.oracle, number=i)
            for i, one in enumerate(self.others, 1)
        )
        return sum(int(wrong.sum()) for wrong in (found, *more) if wrong is not None)

    @cached_property
    def memory(self) -> Memory:
        """The run's memory, in which None is every figure that is not known, stored 0s included."""
        found = self.end.memory if self.end else None
        return Memory(
            arena=found.arena if found else None,
            flash_model=(found and found.flash_model) or None,
            flash_code=(found and found.flash_code) or None,
            ram_static=(found and found.ram_static) or None,
            stack=(found and found.stack) or None,
        )

    @cached_property
    def series(self) -> Counts | CycleCounts | Latencies | None:
        """``times`` in the type of the board's clock; None without a clock or times."""
        unit = self.plan.clock.unit
        if unit == "none" or not self.times.size:
            return None
        if unit == "cycles":
            return CycleCounts(self.times)
        return (Counts if unit == "instructions" else Latencies)(self.times)

    @cached_property
    def wall(self) -> EmulatorTimes | None:
        """Round trips of an emulator; None for a real board, or where not measured."""
        if not self.plan.emulated or self.round_trips is None or self.chaos:
            return None
        return EmulatorTimes(
            self.round_trips if self.quiet is None else self.round_trips[self.quiet]
        )

    @property
    def left_out(self) -> int:
        """Answers with times that no figure uses, because a fault disturbed them."""
        return 0 if self.quiet is None else self.n - int(self.quiet.sum())

    @cached_property
    def time(self) -> stats.Estimate | None:
        """Median time of an inference; None where the board has no clock."""
        return self.series.median if self.series else None

    @cached_property
    def host_latencies(self) -> dict[str, HostSeries]:
        """``host_times`` by kernels, with their median."""
        return {kernels: latencies(times) for kernels, times in self.host_times.items()}

    def over_host(self, kernels: str) -> stats.Estimate | None:
        """Median of ``times`` over the host's with these kernels; None if there is no such ratio,
        as on an emulator."""
        host = self.host_latencies.get(kernels)
        return over_host(self.series, host) if host else None

    def timed(self, ids: Sequence[str]) -> AnySeries | None:
        """The times of these samples, in the order given; None unless each has one."""
        if self.series is None or self.clocked is None:
            return None
        of = np.array(self.ids)[self.clocked]
        at = {key: i for i, key in enumerate(of)}
        if not ids or any(key not in at for key in ids):
            return None
        return type(self.series)(self.times[[at[key] for key in ids]])

    def reals(self, outputs: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
        """Outputs of this model as real values; int8 steps where the output has no scale."""
        return reals_of(self.plan, outputs)

    def spread(self) -> tuple[float, float]:
        """5th and 95th percentile of the times."""
        return stats.percentile(self.times, 5), stats.percentile(self.times, 95)


def _share(true: npt.NDArray[np.bool_] | None) -> stats.Estimate | None:
    """The share of samples that are true; None if that is not known, or without any."""
    if true is None or not true.size:
        return None
    return stats.proportion(int(true.sum()), true.size)


def cells(
    manifest: Manifest,
    samples: Mapping[str, Sequence[Sample]],
    host: HostLatencies | None = None,
    targets: npt.NDArray[np.float32] | None = None,
) -> tuple[Cell, ...]:
    """Every planned run in the manifest's order, including those without an answer. ``targets``: as
    `hil.runs.load.StoredRun` has them."""
    ends = {end.key: end for end in manifest.ends}
    names = _names(manifest.runs)
    return tuple(
        _cell(
            plan,
            ends.get(plan.key),
            name,
            manifest,
            samples.get(plan.key, ()),
            times_of(plan, host),
            targets,
        )
        for plan, name in zip(manifest.runs, names, strict=True)
    )


def _cell(
    plan: RunPlan,
    end: RunEnd | None,
    names: tuple[str, str],
    manifest: Manifest,
    stored: Sequence[Sample],
    host_times: Mapping[str, HostTimes],
    targets: npt.NDArray[np.float32] | None,
) -> Cell:
    used, task = manifest.dataset, task_of(plan, manifest.dataset)
    judged = used.labelled and task in (*WITH_CLASSES, Task.RECONSTRUCTION)
    chaos = manifest.chaos or ""
    by_class = plan.answers == "class"
    samples = [s for s in stored if not s.failed]
    quiet = np.array([not is_disturbed(s) for s in samples], dtype=bool)
    clocked = np.array([is_timed(s, plan, chaos=chaos) for s in samples], dtype=bool)

    every = tensors_of(plan, "outputs")

    def outputs(was_run: bool, raw: list[bytes]) -> tuple[npt.NDArray[np.generic] | None, ...]:
        return split(plan, raw) if was_run else (None,) * len(every)

    raw = [s.device for s in samples]
    device = outputs(not by_class, raw)
    litert = outputs(plan.litert, [s.device if s.litert is None else s.litert for s in samples])
    oracle = outputs(
        bool(plan.oracle), [s.device if s.oracle is None else s.oracle for s in samples]
    )
    xnnpack = outputs(
        bool(plan.xnnpack), [s.device if s.xnnpack is None else s.xnnpack for s in samples]
    )
    each = zip(every, device, litert, oracle, xnnpack, strict=True)
    trips = [s.round_trip for s in samples if s.round_trip is not None]
    return Cell(
        plan=plan,
        end=end,
        name=names[0],
        board_name=names[1],
        asked=manifest.dataset.n,
        ids=tuple(s.id for s in samples),
        labels=np.array([s.label for s in samples], dtype=np.int64) if judged else None,
        device=device[0],
        litert=litert[0],
        oracle=oracle[0],
        times=np.array([s.time or 0 for s in samples], dtype=np.int64)[clocked],
        repeats=sum(s.attempts > 1 for s in samples),
        xnnpack=xnnpack[0],
        clocked=clocked,
        round_trips=np.array(trips, np.int64) if trips and len(trips) == len(samples) else None,
        quiet=quiet,
        chaos=chaos,
        host_times=host_times,
        chosen=np.frombuffer(b"".join(raw), CLASS).astype(np.int64) if by_class else None,
        failed=Counter(s.failed for s in stored if s.failed),
        others=tuple(
            Output(name_of(tensor, i), values, *references)
            for i, (tensor, values, *references) in enumerate(each)
            if i and values is not None
        ),
        task=task,
        chooses=gives_classes(plan, used),
        targets=targets[[s.i for s in samples]].astype(np.float64)
        if targets is not None and task in WITH_TARGETS
        else None,
        names=used.classes or (),
    )


def _names(plans: Sequence[RunPlan]) -> list[tuple[str, str]]:
    """(unique name, unique name on its board) of each run: model and precision, then engine and
    board where there are several."""
    engines = {plan.engine for plan in plans}
    boards = {plan.board for plan in plans}
    names = []
    for plan in plans:
        here = f"{plan.model} {plan.precision}" + (f" {plan.engine}" if len(engines) > 1 else "")
        names.append((f"{here} on {plan.board}" if len(boards) > 1 else here, here))
    return names
