# SPDX-License-Identifier: Apache-2.0
"""A bench from its options to the stored run."""

from __future__ import annotations

import os
from copy import copy
from pathlib import Path

from hil.api.options import BenchOptions
from hil.api.text import run_text
from hil.bench import Request, make_plan, run
from hil.bench.events import BuildStep, Downloading, Emit, Note, Starting
from hil.bench.lab import RealLab
from hil.boards.station import choose_board, stations
from hil.core.errors import DeviceError, HilError
from hil.core.processes import cores
from hil.firmware import find_project
from hil.link.chaos import parse_chaos
from hil.runs.load import read_samples
from hil.runs.log import run_folder


def run_bench(options: BenchOptions, emit: Emit, command: tuple[str, ...] | None = None) -> Path:
    """Plan, build, run and store a bench; returns the run's folder, which has no report yet.

    ``command`` is stored with the run; None: this process's arguments. `Starting` names the folder
    before the first build. Raises `hil.core.errors.HilError`; the answers that were stored by then
    stay, and the same options with ``out`` resume the bench.
    """
    options.check()
    host = options.host()
    if options.protocol == "text":
        return run_text(options, host, emit, command)
    project = find_project()
    faults = None if options.chaos is None else parse_chaos(options.chaos)
    boards = [_resolve(name, emit) for name in options.board]
    with stations(boards, project, options.port) as found:
        request = Request(
            project=project,
            boards=found,
            models=(*options.model, *options.teacher, *options.student),
            teachers=options.teacher,
            students=options.student,
            precisions=options.precision,
            engines=options.engine,
            dataset=options.dataset,
            data=options.data,
            target=options.target,
            resize=options.resize,
            input=options.input,
            calibrate=options.calibrate,
            limit=options.limit,
            sketch=options.sketch,
            firmware=options.firmware,
            tolerance=options.tolerance,
            flash=options.flash,
            command=command,
        )
        plan = make_plan(request, lambda *progress: emit(Downloading(*progress)), emit)
        if plan.note:
            emit(Note(plan.note))
        if plan.fed:
            emit(Note(f"input: {plan.fed}"))
        if fault := os.environ.get("HIL_FAULT"):
            emit(Note(f"the firmware contains a deliberate fault: HIL_FAULT={fault}"))
        if faults:
            emit(Note(f"faults are injected into every link: --chaos {faults}"))
        with run_folder(options.out, *(station.board.name for station in found)) as folder:
            runs = "1 run" if plan.runs == 1 else f"{plan.runs} runs"
            what = f"{runs} x {len(plan.data):,} samples of {plan.data.name}"
            emit(Starting(what, folder))
            run(
                plan,
                folder,
                emit,
                RealLab(project, options.flash, lambda step: emit(BuildStep(step))),
                options.jobs or cores(),
                layers=options.layers,
                profiles=options.profile,
                chaos=faults,
                host=host,
            )
    return folder


def _resolve(name: str, emit: Emit) -> str:
    if name != "auto":
        return name
    chosen, note = choose_board()
    if note:
        emit(Note(note))
    return chosen


def answered(folder: Path) -> bool:
    """Whether the folder has at least one answer."""
    try:
        return any(True for _ in read_samples(folder))
    except HilError:
        return False


def how_to_resume(problem: DeviceError, words: str) -> DeviceError:
    """The same error, whose hint also says how to resume the bench: with ``words``."""
    found = copy(problem)
    found.hint = f"{problem.hint}; all answers so far are stored, to resume: {words}"
    return found
