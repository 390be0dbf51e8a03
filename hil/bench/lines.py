# SPDX-License-Identifier: Apache-2.0
"""Runs of sketches that print lines of text: what a run is, and how an answer is stored.

`hil.bench.text` sends samples and reads each answer; `hil.bench.listen` only listens. A run is
described after the first answer, because only that shows what the sketch prints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec import UNSET, UnsetType

from hil.bench.cases import USER, Network
from hil.bench.events import Emit, Referencing
from hil.bench.expected import Expected, Maker, host_maker, predict
from hil.bench.inputs import Taken
from hil.bench.prepare import output_of
from hil.bench.references import references
from hil.bench.store import pictures
from hil.bench.task import by_threshold, choose
from hil.bench.user import ORDER_TOLERANCE
from hil.boards.config import Board
from hil.core.errors import WrongReply
from hil.core.records import Dataset, DType, Precision, TensorSpec
from hil.core.text import storable
from hil.device.text import (
    OTHER_SAMPLE,
    SECOND,
    UNASKED,
)
from hil.reference import convert_outputs, oracle
from hil.runs.load import load_run
from hil.runs.log import RunLog
from hil.runs.schema import (
    CLASS,
    Clock,
    Faults,
    Identity,
    Manifest,
    RunEnd,
    RunPlan,
    Sample,
    run_key,
)
from hil.runs.tensors import stored_tensor
from hil.wire.lines import BAD_TIME, Reader, TextAnswer
from hil.wire.patterns import Patterns


@dataclass(frozen=True, slots=True)
class TextSetup:
    """A sketch that prints lines, and what is known about it.

    ``name``: name and version that the user gives it. ``model``: the network that it runs, if one
    was named. ``classes``: names of its classes, ``outputs``: how many outputs it prints; None:
    not known. ``tolerance``: difference of an output that is expected; None: by what is printed.
    ``emulated``: its times are not latencies. ``command``: stored with the run; None: this
    process's arguments.
    """

    project: Path
    patterns: Patterns
    port: str
    board: Board | None = None
    name: str = ""
    model: Network | None = None
    classes: tuple[str, ...] = ()
    outputs: int | None = None
    tolerance: float | None = None
    emulated: bool = False
    command: tuple[str, ...] | None = None

    def reader(self) -> Reader:
        """A reader of its lines."""
        return Reader(self.patterns, self.classes, self.outputs)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What did not count, by reason, with an example of each."""

    folder: Path
    dropped: Mapping[str, int]
    examples: Mapping[str, str] = field(default_factory=dict)


def describe(setup: TextSetup, first: TextAnswer, data: Dataset | None) -> RunPlan:
    """The run of a sketch whose first answer is ``first``; WrongReply if it cannot be that of the
    named network."""
    graph = setup.model.graph if setup.model else None
    count = len(first.outputs)
    if graph and count and count != graph.output.elements:
        raise WrongReply(
            f"the sketch prints {count} outputs, {_file(setup)} has {graph.output.elements}",
            "pass the --model that the sketch runs, or a --pattern that reads all outputs",
        )
    if count or graph is None:
        output = TensorSpec(DType.FLOAT32, (count or max(1, len(setup.classes)),))
    else:
        output = graph.output
    taken = graph.input if graph else type_of(data)
    name = setup.model.name if setup.model else "sketch"
    precision = graph.precision if graph else Precision.FLOAT32
    board = setup.board.name if setup.board else "board"
    allowed, why = _tolerance(setup, first)
    timed = bool(setup.patterns.parts & {"time", "start"})
    run = RunPlan(
        key=run_key(board, USER, name, precision),
        board=board,
        board_title=f"{setup.board.title if setup.board else 'Board'}, on {setup.port}",
        emulated=setup.emulated,
        engine=USER,
        model=name,
        precision=precision,
        model_file=_file(setup),
        model_sha256=graph.sha256 if graph else "",
        parameters=graph.parameters if graph else 0,
        macs=graph.macs if graph else 0,
        input=stored_tensor(taken),
        output=stored_tensor(output),
        firmware_sha256="",
        toolchain="",
        clock=Clock(
            unit="us" if timed else "none",
            detail="as the sketch prints it" if timed else "the sketch prints no time",
        ),
        tolerance=allowed,
        tolerance_why=why,
        litert=graph is not None,
        answers="outputs" if count else "class",
        sketch=setup.name,
        protocol="text",
    )
    if setup.model:
        whole = setup.model.graph.precision.integer
        run = references(setup.model).onto(run, default_kernels=False, oracle=whole)
    if data is None and count == 1 and first.truth is not None:  # the lines have the labels
        return by_threshold(output, graph).onto(run)
    if data is None or not count or (count > 1 and graph is None and data.targets is None):
        return run  # `hil.runs.task.task_of` says what it is judged by
    who = f"the sketch {setup.name}".rstrip()
    return choose(who, output, Taken(who, (taken,)), data, graph).onto(run)


def _file(setup: TextSetup) -> str:
    return storable(setup.model.path.name) if setup.model else ""


def type_of(data: Dataset | None) -> TensorSpec:
    if data is None:
        return TensorSpec(DType.FLOAT32, ())
    return TensorSpec(DType.of(data.x.dtype), tuple(data.x.shape[1:]))


def _tolerance(setup: TextSetup, first: TextAnswer) -> tuple[float, str]:
    """How far an output may be from the host's: half of its last printed digit, and rounding."""
    if setup.tolerance is not None:
        return setup.tolerance, "--tolerance" if setup.tolerance else ""
    if setup.model is None:
        return 0.0, ""
    near, why = 0.0, []
    if setup.model.graph.precision is Precision.FLOAT32:
        near, why = ORDER_TOLERANCE, ["another engine may add in another order"]
    if first.digit:
        near += first.digit * 0.501  # the sketch rounds in float32
        why.insert(0, f"the sketch prints outputs to {first.digit:g}")
    return near, ", and ".join(why)


def expect(setup: TextSetup, plan: RunPlan, data: Dataset | None, emit: Emit) -> Expected | None:
    """The host's answers to ``data``, in the type of the run's output; None without a model."""
    network = setup.model
    if network is None or data is None:
        return None

    def tell(reference: str, done: int, total: int) -> None:
        emit(Referencing(plan.key, reference, done, total))

    def of(make: Maker) -> npt.NDArray[np.generic]:
        outputs = predict(make, network, data, tell)
        return convert_outputs(outputs, network.graph.output, output_of(plan))

    return Expected(of(host_maker(plan)), of(oracle) if plan.oracle else None)


def stored(
    plan: RunPlan,
    i: int,
    name: str,
    label: int,
    answer: TextAnswer,
    expected: Expected | None,
    row: int,
    *,
    us: int | None,
    attempts: int = 1,
    round_trip: int | None = None,
) -> Sample:
    """An answer that counts, as it is stored. ``row``: its sample in ``expected``."""
    by_class = plan.answers == "class"
    if by_class:
        device = np.array([answer.chosen], CLASS).tobytes()
    else:
        device = np.array(answer.outputs, output_of(plan).dtype.numpy).tobytes()

    def reference(outputs: npt.NDArray[np.generic] | None) -> bytes | None:
        raw = None if outputs is None else outputs[row].tobytes()
        return raw if by_class or raw != device else None

    return Sample(
        run=plan.key,
        i=i,
        id=name,
        label=label,
        device=device,
        litert=reference(expected.litert) if expected else None,
        oracle=reference(expected.oracle) if expected else None,
        time=us,
        attempts=attempts,
        round_trip=round_trip,
    )


def failed(plan: RunPlan, i: int, name: str, label: int, why: str) -> Sample:
    """A sample without an answer that counts."""
    return Sample(run=plan.key, i=i, id=name, label=label, device=b"", failed=why)


def fits(answer: TextAnswer, plan: RunPlan) -> str:
    """Why an answer does not count in a run; empty when it does."""
    if answer.fault:
        return answer.fault
    if plan.answers == "outputs" and len(answer.outputs) != output_of(plan).elements:
        return f"{len(answer.outputs)} outputs, expected {output_of(plan).elements}"
    return ""


def possible(answer: TextAnswer, waited: float, reader: Reader) -> int | None:
    """The answer's time; None, and counted, if it is longer than the ``waited`` seconds in which
    the sketch must have predicted. Two clocks may differ by 5 %."""
    if answer.us is None:
        return None
    if answer.us > 1e6 * (1.05 * waited + 0.02) + answer.step:
        reader.drop(BAD_TIME, f"{answer.us / 1e6:g} s, in an answer after {waited:.3f} s")
        return None
    return answer.us


def clock_step(log: RunLog, plan: RunPlan, step: int | None) -> float | None:
    """The resolution of a run's times in microseconds: ``step``, or less if a stored time shows
    that; None if the sketch printed no time."""
    times = [s.time for s in load_run(log.folder).samples[plan.key] if s.time is not None]
    if plan.clock.unit == "none" or not times:
        return None
    steps = [10**n for n in (3, 2, 1, 0) if all(t % 10**n == 0 for t in times)]
    return float(min(steps[0], step or 1000))


def ended(
    plan: RunPlan,
    setup: TextSetup,
    *,
    bytes_out: int = 0,
    bytes_in: int,
    seconds: float,
    retries: int = 0,
    answered: int,
    step: float | None,
    baud: int,
    counts: Faults | UnsetType,
) -> RunEnd:
    """How a run of lines ended; nothing is known of its memory."""
    return RunEnd(
        key=plan.key,
        memory=None,
        bytes_out=bytes_out,
        bytes_in=bytes_in,
        seconds=seconds,
        retries=retries,
        answered=answered,
        clock_step=step,
        baud=baud,
        identity=Identity(
            board=plan.board, firmware=setup.name, toolchain="", protocol=0, port=setup.port
        ),
        faults=counts,
    )


_UNEXPECTED: Final = frozenset({UNASKED, OTHER_SAMPLE, SECOND})


def faults(reader: Reader, timeouts: int) -> Faults | UnsetType:
    """The counts of a reader as they are stored; UNSET if all of them are zero."""
    dropped = reader.dropped
    unexpected = sum(count for why, count in dropped.items() if why in _UNEXPECTED)
    damaged = sum(dropped.values()) - unexpected - dropped[BAD_TIME]
    found = Faults(
        damaged_in=damaged, unexpected=unexpected, timeouts=timeouts, dropped=dict(+dropped)
    )
    return UNSET if found == Faults() else found


def save_pictures(log: RunLog, manifest: Manifest, data: Dataset) -> None:
    """Store the samples worth drawing; row i of ``data`` is that of `Sample.i`."""
    log.save_pictures(pictures(data, manifest, load_run(log.folder).samples))
