# SPDX-License-Identifier: Apache-2.0
"""`hil bench`: the main job."""

from __future__ import annotations

import os
import shlex
import sys
import webbrowser
from contextlib import suppress
from copy import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TaskID

from hil.bench import BenchPlan, Request, make_plan, run
from hil.bench.events import (
    Building,
    Event,
    Finished,
    LeftOut,
    Observing,
    Profiling,
    Referencing,
    Restarted,
    Returned,
    Streaming,
    Waiting,
)
from hil.bench.lab import Lab, RealLab
from hil.boards.station import Station, choose_board, stations
from hil.cli.console import Downloads, err, progress, say
from hil.cli.report import show_report
from hil.core.errors import DeviceError, HilError, UsageError
from hil.core.processes import cores
from hil.firmware import find_project
from hil.link.chaos import Chaos, parse_chaos
from hil.runs.load import read_manifest, read_samples

Names = list[str]


def bench(
    board: Annotated[
        Names,
        typer.Option(
            "--board",
            help="Board; repeatable. auto: mps2, or native without it. NAME@PORT or NAME@SERIAL "
            "says which; labgrid:PLACE takes it from a lab.",
        ),
    ] = ["auto"],
    model: Annotated[
        Names, typer.Option("--model", help="teacher, student, or a .tflite file; repeatable.")
    ] = [],
    precision: Annotated[
        Names, typer.Option("--precision", help="float32 or int8; repeatable.")
    ] = [],
    engine: Annotated[Names, typer.Option("--engine", help="Inference engine; repeatable.")] = [
        "aot"
    ],
    dataset: Annotated[
        str,
        typer.Option(
            "--dataset",
            help="mnist, digits, tabular, noise, cifar10. auto: MNIST if it can be had.",
        ),
    ] = "auto",
    data: Annotated[
        Path | None, typer.Option("--data", help="Data of your own: .npz with arrays x and y.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", help="Samples a run; default: the whole test set.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Run folder; an interrupted run in it is continued."),
    ] = None,
    port: Annotated[
        str | None, typer.Option("--port", help="A port that is there already (any pyserial URL).")
    ] = None,
    flash: Annotated[
        bool, typer.Option("--flash", help="Flash boards on ports with what they are to run.")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option("--jobs", help="Emulators at once; default: one a core.")
    ] = None,
    layers: Annotated[
        bool,
        typer.Option("--layers", help="Compare the first sample layer by layer, come what may."),
    ] = False,
    chaos: Annotated[
        str | None,
        typer.Option(
            "--chaos",
            help="Inject faults into every line: SEED, or SEED:flip=1e-4,reset=1e-3 (rates).",
        ),
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Also measure what each layer takes.")
    ] = False,
    open_report: Annotated[
        bool | None, typer.Option("--open/--no-open", help="Show the report in a browser.")
    ] = None,
) -> None:
    """Build, start, stream, compare with the host, and report.

    Without arguments: teacher and student, float32 and int8, on the emulated Cortex-M7,
    over the whole test set. Exit code 1 when an output is not what it must be.
    """
    project = find_project()
    faults = None if chaos is None else parse_chaos(chaos)
    if jobs is not None and jobs < 1:
        raise UsageError("--jobs must be at least 1", "leave it out for one emulator a core")
    with stations([_resolve(name) for name in board], project, port) as boards:
        request = Request(
            project=project,
            boards=boards,
            models=tuple(model),
            precisions=tuple(precision),
            engines=tuple(engine),
            dataset=dataset,
            data=data,
            limit=limit,
        )
        with Downloads() as downloads:
            plan = make_plan(request, downloads)
        folder = out or _new_folder(project, boards)
        if plan.note:
            say(f"note: {plan.note}")
        if fault := os.environ.get("HIL_FAULT"):
            say(f"note: the firmware is broken on purpose: HIL_FAULT={fault}")
        say(f"{len(plan.cases)} runs x {len(plan.data):,} samples of {plan.data.name} -> {folder}")
        if faults:
            say(f"note: faults are injected on purpose: --chaos {faults}")
        at_once = jobs or cores()
        lab = RealLab(project, flash)
        _show(plan, folder, lab, at_once, layers=layers, profiles=profile, chaos=faults)
    show_report(folder, browse=_may_open() if open_report is None else open_report)


def _resolve(name: str) -> str:
    if name != "auto":
        return name
    chosen, note = choose_board()
    if note:
        say(f"note: {note}")
    return chosen


def _new_folder(project: Path, boards: tuple[Station, ...]) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    kinds = dict.fromkeys(station.board.name for station in boards)
    return project / "results" / f"{stamp}-{'-'.join(kinds)}"


def _show(
    plan: BenchPlan,
    folder: Path,
    lab: Lab,
    jobs: int,
    *,
    layers: bool,
    profiles: bool,
    chaos: Chaos | None,
) -> None:
    """Carry the plan out, with a bar for every run. What a bench has that fails is reported."""
    try:
        with progress() as bars:
            shown = _Bars(bars)
            run(plan, folder, shown, lab, jobs, layers=layers, profiles=profiles, chaos=chaos)
    except KeyboardInterrupt:
        say(f"interrupted; to go on: hil {_again(folder)}")
        raise
    except DeviceError as problem:
        if _answered(folder):
            with suppress(HilError, typer.Exit):
                show_report(folder, browse=False)
            raise _with_hint(problem, folder) from problem
        raise
    for end in read_manifest(folder).ends if chaos else ():
        injected = end.faults.injected if end.faults else {}
        words = ", ".join(f"{name} {count:,}" for name, count in sorted(injected.items()))
        say(f"{end.key}: injected {words or 'nothing'}; {end.retries:,} requests sent again")


def _answered(folder: Path) -> bool:
    """Whether any answer is stored there."""
    try:
        return any(True for _ in read_samples(folder))
    except HilError:
        return False


def _with_hint(problem: DeviceError, folder: Path) -> DeviceError:
    """The same error, saying how to go on."""
    found = copy(problem)
    found.hint = f"{problem.hint}; what was answered is stored, to go on: hil {_again(folder)}"
    return found


class _Bars:
    """Draws what a bench says."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case Building(board, precision, engine):
                say(f"building {precision} firmware for {board}, engine {engine}")
            case LeftOut(found):
                say(f"left out: {found.reason}")
            case Referencing(key, reference, done, total):
                self._update(f"{key} on the host ({reference})", done, total)
            case Streaming(key, done, total, _):
                self._update(key, done, total)
            case Observing(key, samples):
                say(f"{key}: asking for the layers of {', '.join(samples)}")
            case Profiling(key, sample):
                say(f"{key}: asking what each layer takes on {sample}")
            case Restarted(key, said):
                why = f" ({said})" if said else ""
                say(f"{key}: the board restarted{why}; the run goes on")
            case Waiting(key, port, seconds, why):
                say(f"{key}: {why}; waiting for the board on {port}, {seconds:g} s at most")
            case Returned(key, port, seconds):
                say(f"{key}: the board on {port} is back after {seconds:.1f} s and goes on")
            case Finished(key, seconds):
                if not err.is_terminal:
                    say(f"{key}: done in {seconds:.1f} s")

    def _update(self, name: str, done: int, total: int) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total)
        self._bars.update(self._tasks[name], completed=done, total=total)


def _again(folder: Path) -> str:
    """The same command line, naming the folder."""
    words = sys.argv[1:]
    return shlex.join(words if "--out" in words else [*words, "--out", str(folder)])


def _may_open() -> bool:
    """Somebody is at a terminal with a screen."""
    screen = sys.platform == "darwin" or "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    return sys.stdout.isatty() and screen and bool(webbrowser)
