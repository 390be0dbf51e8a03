# SPDX-License-Identifier: Apache-2.0
"""`hil bench`: build, run, compare and report."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import typer

from hil.bench import BenchPlan, Request, make_plan, run
from hil.bench.host import SAMPLES, HostTiming
from hil.bench.lab import Lab, RealLab
from hil.boards.station import choose_board, stations
from hil.cli.console import Downloads, progress, say
from hil.cli.listen import TextOptions, bench_lines
from hil.cli.report import show_report
from hil.cli.running import Bars, again, answered, may_open, with_hint
from hil.core.errors import DeviceError, HilError, UsageError
from hil.core.processes import cores
from hil.firmware import find_project
from hil.link.chaos import Chaos, parse_chaos
from hil.runs.load import read_manifest
from hil.runs.log import run_folder

Names = list[str]


_SEND, _END, _TIMEOUT = "csv", "\\n", 10.0  # defaults of --protocol text
_SKETCH: Final = "Your own sketch: --engine user"
_TEXT: Final = "Lines of text: --protocol text"
_HOST: Final = "This computer"


def bench(
    board: Annotated[
        Names,
        typer.Option(
            "--board",
            help="Board; repeatable. auto: mps2 if its tools are installed, else native. "
            "NAME@PORT or NAME@SERIAL selects one of several; labgrid:PLACE acquires one from a "
            "lab.",
        ),
    ] = ["auto"],
    model: Annotated[
        Names, typer.Option("--model", help="teacher, student, or a .tflite file; repeatable.")
    ] = [],
    precision: Annotated[
        Names, typer.Option("--precision", help="float32 or int8; repeatable.")
    ] = [],
    engine: Annotated[
        Names,
        typer.Option(
            "--engine",
            help="Inference engine; repeatable. user: your own sketch, built with TinymlHil.",
        ),
    ] = ["aot"],
    dataset: Annotated[
        str,
        typer.Option(
            "--dataset",
            help="mnist, digits, tabular, noise or cifar10. auto: MNIST if available, else digits.",
        ),
    ] = "auto",
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="Your own data: an .npz file with array x, or one array for each input of the "
            "network by its name, and, if it has labels, y.",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", help="Samples per run; default: the whole test set.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Run folder. An interrupted run in it is resumed."),
    ] = None,
    port: Annotated[
        str | None, typer.Option("--port", help="Use the board on this port (any pyserial URL).")
    ] = None,
    flash: Annotated[
        bool, typer.Option("--flash", help="Flash attached boards before running them.")
    ] = False,
    sketch: Annotated[
        Path | None,
        typer.Option(
            "--sketch",
            help="The folder or .ino file to build, for an emulated board or with --flash.",
            rich_help_panel=_SKETCH,
        ),
    ] = None,
    firmware: Annotated[
        Path | None,
        typer.Option(
            "--firmware",
            help="Your ELF file. An emulated board runs it; of a board on a "
            "port it shows the memory.",
            rich_help_panel=_SKETCH,
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            "--tolerance",
            help="Also with --protocol text: how far an output may be from the "
            "host's, in its unit.",
            rich_help_panel=_SKETCH,
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", help="Emulators to run in parallel; default: one per core."),
    ] = None,
    layers: Annotated[
        bool,
        typer.Option("--layers", help="Always compare the first sample layer by layer."),
    ] = False,
    chaos: Annotated[
        str | None,
        typer.Option(
            "--chaos",
            help="Inject faults into every link: SEED, or SEED:flip=1e-4,reset=1e-3 (rates).",
        ),
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Also measure each layer on its own.")
    ] = False,
    protocol: Annotated[
        str,
        typer.Option(
            "--protocol",
            help="frames; or text: a sketch that takes plain samples and prints lines (see "
            "--pattern).",
        ),
    ] = "frames",
    pattern: Annotated[
        Names,
        typer.Option(
            "--pattern",
            help="How to read a line, as a regular expression with groups "
            "or by name; repeatable. See docs/text.md.",
            rich_help_panel=_TEXT,
        ),
    ] = [],
    send: Annotated[
        str,
        typer.Option("--send", help="Send samples as csv, json or bytes.", rich_help_panel=_TEXT),
    ] = _SEND,
    send_type: Annotated[
        str | None,
        typer.Option(
            "--send-type",
            help="Send float32, uint8 or int8; default: as in the data.",
            rich_help_panel=_TEXT,
        ),
    ] = None,
    end: Annotated[
        str, typer.Option("--end", help="What ends a sample.", rich_help_panel=_TEXT)
    ] = _END,
    repeat: Annotated[
        int,
        typer.Option(
            "--repeat",
            help="2 sends each sample twice, and accepts only equal answers.",
            rich_help_panel=_TEXT,
        ),
    ] = 1,
    timeout: Annotated[
        float,
        typer.Option("--timeout", help="Seconds until an answer.", rich_help_panel=_TEXT),
    ] = _TIMEOUT,
    baud: Annotated[
        int | None,
        typer.Option("--baud", help="Baud rate; default: the board's.", rich_help_panel=_TEXT),
    ] = None,
    classes: Annotated[
        str,
        typer.Option("--classes", help="Names of the classes: cat,dog.", rich_help_panel=_TEXT),
    ] = "",
    outputs: Annotated[
        int | None,
        typer.Option("--outputs", help="Outputs of an answer.", rich_help_panel=_TEXT),
    ] = None,
    name: Annotated[
        str, typer.Option("--name", help="The sketch's name and version.", rich_help_panel=_TEXT)
    ] = "",
    host_samples: Annotated[
        int,
        typer.Option(
            "--host-samples",
            help="Samples on which LiteRT is timed on this computer, at most; 0: none.",
            rich_help_panel=_HOST,
        ),
    ] = SAMPLES,
    host_threads: Annotated[
        int,
        typer.Option(
            "--host-threads",
            help="Threads of LiteRT's XNNPACK kernels then.",
            rich_help_panel=_HOST,
        ),
    ] = 1,
    open_report: Annotated[
        bool | None, typer.Option("--open/--no-open", help="Open the report in a browser.")
    ] = None,
) -> None:
    """Run models on boards, compare every answer with the host's, and write a report.

    Without arguments: teacher and student, float32 and int8, on the emulated Cortex-M7, over the
    whole test set. Exit code 1 if an output is not as expected.

    With --engine user: your own sketch, compared with the .tflite file of --model, or with labels
    alone. With --protocol text: a sketch that cannot be changed.
    """
    if host_samples < 0:
        raise UsageError("--host-samples must not be negative", "0 times nothing")
    if not 1 <= host_threads <= cores():  # more would wait for each other
        raise UsageError(
            f"--host-threads must be from 1 to {cores()}, the cores of this computer",
            "leave it out for one thread",
        )
    host = HostTiming(host_samples, host_threads)
    if protocol == "text":
        _refuse_with_text(
            {
                "--engine": [one for one in engine if one != "aot"],
                "--precision": precision,
                "--sketch": sketch,
                "--firmware": firmware,
                "--flash": flash,
                "--layers": layers,
                "--profile": profile,
                "--chaos": chaos,
            }
        )
        given = TextOptions(
            pattern=pattern,
            port=port,
            board=board,
            model=model,
            classes=classes,
            outputs=outputs,
            tolerance=tolerance,
            name=name,
            baud=baud,
            send=send,
            send_type=send_type,
            end=end,
            repeat=repeat,
            timeout=timeout,
            data=data,
            dataset=dataset,
            limit=limit,
            host=host,
        )
        bench_lines(given, out, open_report)
        return
    if protocol != "frames":
        raise UsageError(f"--protocol {protocol} is unknown", "frames or text")
    _refuse_without_text(
        {
            "--pattern": pattern,
            "--send": send != _SEND,
            "--send-type": send_type,
            "--end": end != _END,
            "--repeat": repeat != 1,
            "--timeout": timeout != _TIMEOUT,
            "--baud": baud,
            "--classes": classes,
            "--outputs": outputs,
            "--name": name,
        }
    )
    project = find_project()
    faults = None if chaos is None else parse_chaos(chaos)
    if jobs is not None and jobs < 1:
        raise UsageError("--jobs must be at least 1", "leave it out for one emulator per core")
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
            sketch=sketch,
            firmware=firmware,
            tolerance=tolerance,
            flash=flash,
        )
        with Downloads() as downloads:
            plan = make_plan(request, downloads)
        if plan.note:
            say(f"note: {plan.note}")
        if fault := os.environ.get("HIL_FAULT"):
            say(f"note: the firmware contains a deliberate fault: HIL_FAULT={fault}")
        if faults:
            say(f"note: faults are injected into every link: --chaos {faults}")
        at_once = jobs or cores()
        lab = RealLab(project, flash)
        with run_folder(out, *(station.board.name for station in boards)) as folder:
            say(f"{plan.runs} runs x {len(plan.data):,} samples of {plan.data.name} -> {folder}")
            _show(
                plan, folder, lab, at_once, layers=layers, profiles=profile, chaos=faults, host=host
            )
    show_report(folder, browse=may_open() if open_report is None else open_report)
    if any(found.failed for found in read_manifest(folder).refused):
        raise typer.Exit(NOT_BUILT)


NOT_BUILT = 2  # a part of the bench is missing, for a reason that is not the network's


def _refuse_with_text(given: Mapping[str, object]) -> None:
    """UsageError for an option that nothing follows when lines of text are read."""
    if refused := next((name for name, value in given.items() if value), None):
        raise UsageError(
            f"{refused} and --protocol text contradict",
            "the sketch on the port runs as it is: leave one of them out",
        )


def _refuse_without_text(given: Mapping[str, object]) -> None:
    """UsageError for an option that only --protocol text follows."""
    if refused := next((name for name, value in given.items() if value), None):
        raise UsageError(f"{refused} needs --protocol text", f"add it, or leave out {refused}")


def _resolve(name: str) -> str:
    if name != "auto":
        return name
    chosen, note = choose_board()
    if note:
        say(f"note: {note}")
    return chosen


def _show(
    plan: BenchPlan,
    folder: Path,
    lab: Lab,
    jobs: int,
    *,
    layers: bool,
    profiles: bool,
    chaos: Chaos | None,
    host: HostTiming,
) -> None:
    """Carry out the plan, with one bar per run. If a board fails, report the answers so far."""
    try:
        with progress() as bars:
            shown = Bars(bars)
            run(
                plan,
                folder,
                shown,
                lab,
                jobs,
                layers=layers,
                profiles=profiles,
                chaos=chaos,
                host=host,
            )
    except KeyboardInterrupt:
        say(f"interrupted; to resume: hil {again(folder)}")
        raise
    except DeviceError as problem:
        if answered(folder):
            with suppress(HilError, typer.Exit):
                show_report(folder, browse=False)
            raise with_hint(problem, folder) from problem
        raise
    for end in read_manifest(folder).ends if chaos else ():
        injected = end.faults.injected if end.faults else {}
        words = ", ".join(f"{name} {count:,}" for name, count in sorted(injected.items()))
        say(f"{end.key}: injected {words or 'nothing'}; {end.retries:,} requests resent")
