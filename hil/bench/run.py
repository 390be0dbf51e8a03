# SPDX-License-Identifier: Apache-2.0
"""The bench from first build to last sample: events out, a run folder behind."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from hil.bench.events import BenchStored, Emit, Referencing, Sink
from hil.bench.expected import computed_ahead, expect
from hil.bench.lab import ChaosLab, Lab, RealLab
from hil.bench.lanes import carry_out, lanes
from hil.bench.layers import part, profile
from hil.bench.plan import BenchPlan
from hil.bench.prepare import Prepared, prepare
from hil.bench.recovery import Patience
from hil.bench.store import new_manifest, pictures, resumed
from hil.bench.stream import stream
from hil.core.errors import HilError, StorageError
from hil.core.records import Dataset
from hil.link import clock_of
from hil.link.faults import Chaos
from hil.runs.load import load_run, read_manifest, read_samples
from hil.runs.log import RunLog
from hil.runs.schema import MANIFEST


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
    manifest = new_manifest(plan, prepared, no_place, folder.name, chaos)
    if (folder / MANIFEST).exists():
        manifest = resumed(read_manifest(folder), manifest, folder)
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
