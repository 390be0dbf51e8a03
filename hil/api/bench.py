# SPDX-License-Identifier: Apache-2.0
"""A bench from its options to the stored run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Final

from hil.api.options import BenchOptions
from hil.api.text import run_text
from hil.bench import Request, make_plan, run
from hil.bench.cycles import check_calibrated
from hil.bench.events import BuildStep, Downloading, Emit, Note, Starting
from hil.bench.lab import RealLab
from hil.bench.power import Power
from hil.boards.config import Board
from hil.boards.station import Station, choose_boards, missing_tools, packages, stations
from hil.core.errors import DeviceError, HilError
from hil.core.processes import cores
from hil.cycles.calibration import hertz_of
from hil.energy import powered
from hil.firmware import find_project
from hil.link.chaos import parse_chaos
from hil.runs.load import read_samples
from hil.runs.log import run_folder
from hil.runs.schema import AbsentBoard
from hil.runs.schema_energy import IDLE_MODE

_NAMED: Final = 3  # boards in the name of a run's folder


def run_bench(options: BenchOptions, emit: Emit, command: tuple[str, ...] | None = None) -> Path:
    """Plan, build, run and store a bench; returns the run's folder, which has no report yet.

    ``command`` is stored with the run; None: this process's arguments. `Starting` names the folder
    before the first build. Raises `hil.core.errors.HilError`; the answers that were stored by then
    stay, and the same options with ``out`` resume the bench.
    """
    options.check()
    host = options.host()
    hertz = hertz_of(options.clock) if options.clock else 0.0
    if options.protocol == "text":
        return run_text(options, host, emit, command)
    project = find_project()
    faults = None if options.chaos is None else parse_chaos(options.chaos)
    chosen = choose_boards(options.board, project)
    absent = tuple(map(_absent, chosen.absent))
    for note in (*chosen.notes, *(f"left out: {one.reason}" for one in absent)):
        emit(Note(note))
    with _power(options) as power, stations(chosen.names, project, options.port) as found:
        if hertz:
            check_calibrated(found)
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
            all_boards=chosen.all,
            absent=absent,
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
        with run_folder(options.out, *_kinds(found)) as folder:
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
                cycles=options.cycles,
                hertz=hertz,
                chaos=faults,
                host=host,
                power=power,
            )
    return folder


@contextmanager
def _power(options: BenchOptions) -> Iterator[Power | None]:
    """How to measure energy, if that is asked for; the instrument is opened before any build."""
    if options.power is None:
        yield None
        return
    with powered(
        options.power, voltage=options.voltage, supply=options.supply, gate=options.gate
    ) as instrument:
        yield Power(instrument, options.supply is not None, options.idle_mode or IDLE_MODE)


def _kinds(found: Sequence[Station]) -> tuple[str, ...]:
    """What the name of a run's folder says about its boards."""
    names = tuple(station.board.name for station in found)
    return names if len(names) <= _NAMED else (f"{len(names)}-boards",)


def _absent(board: Board) -> AbsentBoard:
    return AbsentBoard(
        board=board.name,
        board_title=board.title,
        missing=tuple(missing_tools(board)),
        packages=packages(board),
    )


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
