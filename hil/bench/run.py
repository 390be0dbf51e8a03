# SPDX-License-Identifier: Apache-2.0
"""Run a bench from the first build to the last answer."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from hil.bench.checking import check, check_before
from hil.bench.cycles import estimate_cycles
from hil.bench.events import BenchStored, Emit, Judged, OpenBatch
from hil.bench.expected import computed_ahead
from hil.bench.host import HostTiming, time_host
from hil.bench.inputs import taken_on
from hil.bench.lab import ChaosLab, Lab, RealLab
from hil.bench.lanes import carry_out, lanes
from hil.bench.layers import check_layers, profile
from hil.bench.plan import BenchPlan
from hil.bench.power import Power, measure_power
from hil.bench.power_layers import with_layers
from hil.bench.prepare import prepare
from hil.bench.quant import compare_precisions
from hil.bench.session import Patience
from hil.bench.store import check_folder, new_manifest, opened, pictures
from hil.bench.stream import Streamer
from hil.bench.task import targets_of
from hil.bench.user import ask_sketches, draw_samples, prepare_sketches
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
    cycles: bool = False,
    hertz: float = 0.0,
    patience: Patience | None = None,
    chaos: Chaos | None = None,
    host: HostTiming | None = None,
    power: Power | None = None,
) -> None:
    """Carry out ``plan`` and store it in ``folder``, continuing where an earlier try was cut off.

    With ``jobs`` > 1 boards run in parallel, with at most that many emulators. Any error or Ctrl-C
    leaves a readable run, which the same call resumes. When a board fails, the others still finish.
    If an output is wrong, the layers of that sample are stored too; with ``layers``, those of every
    board's first sample; with ``profiles``, the time of each layer; with
    ``cycles``, estimated cycles, and their time at a clock of ``hertz`` unless that is 0.
    ``patience``: how to wait for a port that vanished. ``chaos``: faults to inject on every line.
    ``host``: how to time LiteRT on this computer, after the last answer, when nothing else of the
    bench runs; None: not at all. ``power``: how to measure the energy of an inference; None: not at
    all.
    """
    quiet = lab or RealLab(plan.project)
    lab = ChaosLab(quiet, chaos, clock_of(quiet)) if chaos else quiet
    for network in plan.networks:
        if network.graph.open_batch:
            emit(OpenBatch(network.path.name))
        one = plan.criterion(network)
        if one.why:
            emit(Judged(network.path.name, one.task, one.why, one.threshold))
    asked = ask_sketches(plan, quiet, emit) if plan.drawing else None
    if asked:
        plan = draw_samples(plan, asked, emit)
    check_folder(folder, plan, chaos)
    patience = patience or Patience()
    streamer = Streamer(plan.data, lab, patience)
    with ExitStack() as ahead:
        ahead.enter_context(computed_ahead(plan.networks, plan.data))
        judged_by = [(network, plan.criterion(network)) for network in plan.networks]
        known = check_before(judged_by, plan.data, plan.order, emit)
        prepared, missing = prepare(plan, quiet, emit)
        prepared += prepare_sketches(plan, asked or ask_sketches(plan, quiet, emit))
        manifest = new_manifest(plan, prepared, missing, folder.name, chaos)
        judged = [(item.plan.task, taken_on(item.case)) for item in prepared]
        with opened(folder, manifest, targets_of(plan.data, judged)) as log:
            ended = {end.key for end in log.manifest.ends}
            waiting = lanes([item for item in prepared if item.plan.key not in ended])
            carry_out(waiting, streamer, log, emit, jobs)
            ahead.close()
            stored = load_run(folder)
            answers = stored.samples
            if host:
                time_host(prepared, plan.data, host, stored.host, log.save_host, emit)
            if found := check_layers(plan, prepared, answers, lab, emit, always=layers):
                log.save_layer_checks(found)
            if profiles:
                log.save_profile(profile(plan, prepared, answers, lab, emit))
            if cycles:
                log.save_cycles(estimate_cycles(plan, prepared, answers, quiet, emit, hertz))
            if power:
                energies = measure_power(
                    plan,
                    prepared,
                    answers,
                    quiet,
                    power,
                    patience,
                    emit,
                    log.save_energy,
                    known=stored.energy,
                )
                if profiles:
                    log.save_energy(
                        with_layers(plan, prepared, answers, energies, quiet, power, patience, emit)
                    )
            networks = {item.plan.key: item.case.network for item in prepared}
            log.save_checks(check(networks, plan.data, stored, known))
            log.save_quant(compare_precisions(plan, emit))
            log.save_pictures(pictures(plan.data, log.manifest, answers))
    emit(BenchStored(folder))
