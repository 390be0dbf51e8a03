# SPDX-License-Identifier: Apache-2.0
"""The bench from first build to last sample: events out, a run folder behind."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from msgspec import UNSET

import hil
from hil.bench.events import BenchStored, Emit, Referencing, Sink
from hil.bench.expected import computed_ahead, expect
from hil.bench.lab import ChaosLab, Lab, RealLab
from hil.bench.lanes import carry_out, lanes
from hil.bench.layers import part, profile
from hil.bench.plan import BenchPlan
from hil.bench.prepare import Prepared, git_state, host, prepare
from hil.bench.recovery import Patience
from hil.bench.stream import stream
from hil.core.errors import HilError, StorageError
from hil.core.records import Dataset, DType
from hil.datasets import made
from hil.datasets.sampling import SALT
from hil.link import clock_of
from hil.link.chaos import Chaos
from hil.runs.agreement import differences
from hil.runs.load import load_run, read_manifest, read_samples
from hil.runs.log import RunLog
from hil.runs.schema import MANIFEST, SCHEMA, DatasetUsed, Manifest, Picture, Sample, TooLarge
from hil.runs.seal import check_data

MOST: Final = 256


def pictures(
    data: Dataset, samples: Iterable[Sample], dtypes: dict[str, DType]
) -> dict[str, Picture]:
    """Sample id -> picture, at most `MOST`, the most disputed first. Empty for data that
    is no picture; ``dtypes`` gives each run's output type."""
    if data.x.dtype != np.uint8 or data.x.ndim != 4 or data.x.shape[3] not in (1, 3):
        return {}
    answers: dict[str, set[int]] = defaultdict(set)
    index = {}
    for sample in samples:
        kind = dtypes[sample.run].numpy
        for raw in (sample.device, sample.litert):
            if raw is not None:
                answers[sample.id].add(int(np.frombuffer(raw, kind).argmax()))
        answers[sample.id].add(sample.label)
        index[sample.id] = sample.i
    disputed = [key for key, given in answers.items() if len(given) > 1]
    disputed.sort(key=lambda key: (-len(answers[key]), index[key]))
    return {key: _picture(data, index[key]) for key in disputed[:MOST]}


def _picture(data: Dataset, i: int) -> Picture:
    rows, columns, channels = data.x.shape[1:]
    return Picture(
        shape=(rows, columns), pixels=data.x[i].tobytes(), channels=3 if channels == 3 else 1
    )


def run(
    plan: BenchPlan,
    folder: Path,
    emit: Emit,
    lab: Lab | None = None,
    jobs: int = 1,
    *,
    layers: bool = False,
    profiles: bool = False,
    patience: Patience | None = None,
    chaos: Chaos | None = None,
) -> None:
    """Carry out ``plan`` and store it in ``folder``, going on where an earlier try was cut off.

    With ``jobs`` > 1 boards run side by side, that many emulators at most. Any error, Ctrl-C
    included, leaves a readable run that the same call resumes; a board that fails does not keep
    the others from finishing. Where an output is not what it must be, the board is asked for the
    layers of that sample; with ``layers`` it is asked for those of the first one anyway, and with
    ``profiles`` for what each takes. ``patience`` is how a port that vanished is waited for.
    ``chaos`` is done to every line.
    """
    lab = lab or RealLab(plan.project)
    if chaos:
        lab = ChaosLab(lab, chaos, clock_of(lab))
    carry = _Carrier(plan.data, lab, patience or Patience())
    with computed_ahead([case.network for case in plan.cases], plan.data):
        _carry_through(plan, folder, emit, carry, jobs, layers, profiles, chaos)
    emit(BenchStored(folder))


def _carry_through(
    plan: BenchPlan,
    folder: Path,
    emit: Emit,
    carry: _Carrier,
    jobs: int,
    layers: bool,
    profiles: bool,
    chaos: Chaos | None,
) -> None:
    lab = carry.lab
    prepared, no_place = prepare(plan, lab, emit)
    manifest = _manifest(plan, prepared, no_place, folder.name, chaos)
    if (folder / MANIFEST).exists():
        manifest = _resumed(read_manifest(folder), manifest, folder)
    with RunLog(folder, manifest) as log:
        log.save(manifest)
        ended = {end.key for end in manifest.ends}
        waiting = lanes([item for item in prepared if item.plan.key not in ended])
        try:
            carry_out(waiting, carry, log, emit, jobs)
            answers = load_run(folder).samples
            if layer_checks := part(plan, prepared, answers, lab, emit, always=layers):
                log.save_layer_checks(layer_checks)
            if profiles:
                log.save_profile(profile(plan, prepared, answers, lab, emit))
        except BaseException as problem:
            with suppress(StorageError):  # a full disk is no reason to hide the first problem
                if isinstance(problem, HilError):
                    log.set_state("failed", str(problem))
                else:
                    log.set_state("interrupted")
            raise
        dtypes = {item.plan.key: item.case.network.graph.output.dtype for item in prepared}
        log.save_pictures(pictures(plan.data, read_samples(folder), dtypes))
        log.set_state("complete")


@dataclass
class _Carrier:
    """Carries out one run after the other, from what the host expects to the last answer."""

    data: Dataset
    lab: Lab
    patience: Patience
    _known: set[str] = field(default_factory=set)  # stations that were there

    def __call__(self, item: Prepared, sink: Sink, emit: Emit) -> None:
        case = item.case

        def tell(reference: str, done: int, total: int) -> None:
            emit(Referencing(item.plan.key, reference, done, total))

        with_oracle, with_xnnpack = bool(item.plan.oracle), bool(item.plan.xnnpack)
        expected = expect(
            case.network, self.data, tell, with_oracle=with_oracle, with_xnnpack=with_xnnpack
        )
        opens = partial(self.lab.open, case.station, case.image, item.firmware)
        known = case.station.name in self._known
        stream(item, opens, self.data, expected, sink, emit, self.patience, known=known)
        self._known.add(case.station.name)


def _manifest(
    plan: BenchPlan,
    prepared: tuple[Prepared, ...],
    no_place: tuple[TooLarge, ...],
    run_id: str,
    chaos: Chaos | None,
) -> Manifest:
    data = plan.data
    return Manifest(
        schema=SCHEMA,
        run_id=run_id,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        state="running",
        command=tuple(sys.argv[1:]),
        hil=hil.__version__,
        git=git_state(plan.project),
        host=host(),
        dataset=DatasetUsed(
            name=data.name,
            split=data.split,
            fingerprint=data.fingerprint,
            total=plan.total,
            n=len(data),
            note=plan.note,
        ),
        runs=tuple(item.plan for item in prepared),
        no_place=no_place,
        seeds=_seeds(data.name),
        chaos=str(chaos) if chaos else UNSET,
    )


def _seeds(dataset: str) -> dict[str, str]:
    """What stands for chance in a bench: which samples a limit takes, and data that are made."""
    found = {"order of samples": f"BLAKE2b of the ids, key {SALT.decode()}"}
    found["bootstrap of intervals"] = "0, NumPy's default_rng"
    drawn = {"tabular": made.SEED, "noise": made.NOISE_SEED}
    return found | ({"data": str(drawn[dataset])} if dataset in drawn else {})


def _resumed(old: Manifest, new: Manifest, folder: Path) -> Manifest:
    """The stored manifest, set running again; refused when it is another run, or a whole one."""
    if found := differences(old, new):
        raise StorageError(
            f"{folder} holds another run, which differs in {', '.join(found)}",
            "choose another --out; nothing was changed",
        )
    if old.state == "complete":
        raise StorageError(
            f"{folder} holds this run already, complete",
            f"look at it: `hil report {folder}`, or choose another --out",
        )
    check_data(folder, old)  # what is damaged now would be sealed in the end
    return msgspec.structs.replace(old, schema=SCHEMA, state="running", error="", files={})
