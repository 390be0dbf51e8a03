# SPDX-License-Identifier: Apache-2.0
"""A bench from the first build to the last answer: events out, a run folder behind."""

from __future__ import annotations

from pathlib import Path

from hil.bench.events import BenchStored, Emit
from hil.bench.expected import computed_ahead
from hil.bench.lab import ChaosLab, Lab, RealLab
from hil.bench.lanes import carry_out, lanes
from hil.bench.layers import check_layers, profile
from hil.bench.plan import BenchPlan
from hil.bench.prepare import prepare
from hil.bench.session import Patience
from hil.bench.store import new_manifest, opened, pictures
from hil.bench.stream import Streamer
from hil.link import clock_of
from hil.link.chaos import Chaos
from hil.runs.load import load_run


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
    """Carry out ``plan`` and store it in ``folder``, continuing where an earlier try was cut off.

    With ``jobs`` > 1 boards run side by side, and at most that many emulators. Any error, Ctrl-C
    included, leaves a readable run that the same call resumes; a board that fails does not keep
    the others from finishing. A board whose output is wrong is asked for the layers
    of that sample; with ``layers`` every board is asked for those of its first sample, and with
    ``profiles`` for the time of each. ``patience``: how to wait for a port that vanished.
    ``chaos``: faults to inject on every line.
    """
    lab = lab or RealLab(plan.project)
    if chaos:
        lab = ChaosLab(lab, chaos, clock_of(lab))
    streamer = Streamer(plan.data, lab, patience or Patience())
    with computed_ahead([case.network for case in plan.cases], plan.data):
        prepared, no_place = prepare(plan, lab, emit)
        with opened(folder, new_manifest(plan, prepared, no_place, folder.name, chaos)) as log:
            ended = {end.key for end in log.manifest.ends}
            waiting = lanes([item for item in prepared if item.plan.key not in ended])
            carry_out(waiting, streamer, log, emit, jobs)
            answers = load_run(folder).samples
            if found := check_layers(plan, prepared, answers, lab, emit, always=layers):
                log.save_layer_checks(found)
            if profiles:
                log.save_profile(profile(plan, prepared, answers, lab, emit))
            log.save_pictures(pictures(plan.data, log.manifest, answers))
    emit(BenchStored(folder))
