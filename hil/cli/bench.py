# SPDX-License-Identifier: Apache-2.0
"""`hil bench`: build, run, compare and report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from hil.api import BenchOptions, run_bench
from hil.api.options import DEFAULTS
from hil.cli.console import say
from hil.cli.data import DataOption, InputOption, ResizeOption, TargetOption
from hil.cli.report import show_report
from hil.cli.running import Bars, may_open, resumable
from hil.runs.load import read_manifest

Names = list[str]

_SKETCH: Final = "Your own sketch: --engine user"
_TEXT: Final = "Lines of text: --protocol text"
_ENERGY: Final = "Energy"
_HOST: Final = "This computer"


def bench(
    board: Annotated[
        Names,
        typer.Option(
            "--board",
            help="Board; repeatable, or several with commas. auto: mps2 if its tools are "
            "installed, else native. all: every emulated board whose tools are installed. "
            "NAME@PORT or NAME@SERIAL selects one of several; labgrid:PLACE acquires one from a "
            "lab.",
        ),
    ] = ["auto"],
    model: Annotated[
        Names,
        typer.Option(
            "--model",
            help="teacher, student, a .tflite file, or a model to convert: a .keras or .h5 file, "
            "or a SavedModel folder; repeatable.",
        ),
    ] = [],
    teacher: Annotated[
        Names,
        typer.Option("--teacher", help="A --model that --student is compared with; repeatable."),
    ] = [],
    student: Annotated[
        Names, typer.Option("--student", help="A --model, compared with --teacher; repeatable.")
    ] = [],
    precision: Annotated[
        Names, typer.Option("--precision", help="float32, int8 or int16; repeatable.")
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
            help="mnist, digits, tabular, noise or cifar10, as for --data. auto: MNIST if "
            "available, else digits.",
        ),
    ] = "auto",
    data: DataOption = None,
    target: TargetOption = None,
    resize: ResizeOption = None,
    input: InputOption = None,
    calibrate: Annotated[
        str | None,
        typer.Option(
            "--calibrate",
            help="Data whose range int8 gets when --model is converted; default: --data, or the "
            "training data of --dataset.",
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
    cycles: Annotated[
        bool,
        typer.Option(
            "--cycles", help="Also estimate the cycles of an emulated core (docs/cycles.md)."
        ),
    ] = False,
    clock: Annotated[
        str,
        typer.Option(
            "--clock",
            help="With --cycles: the clock of the core, such as 480MHz, to estimate milliseconds.",
        ),
    ] = "",
    power: Annotated[
        str | None,
        typer.Option(
            "--power",
            help="Also measure energy with this instrument, as ppk2:PORT (docs/energy.md).",
            rich_help_panel=_ENERGY,
        ),
    ] = None,
    voltage: Annotated[
        float | None,
        typer.Option(
            "--voltage",
            help="Volts of the board's supply, for an instrument that does not measure them.",
            rich_help_panel=_ENERGY,
        ),
    ] = None,
    supply: Annotated[
        float | None,
        typer.Option(
            "--supply",
            help="Volts that the instrument is to supply; default: the power stays as it is.",
            rich_help_panel=_ENERGY,
        ),
    ] = None,
    gate: Annotated[
        str,
        typer.Option(
            "--gate",
            help="Digital input of the marker pin; default: the instrument's first.",
            rich_help_panel=_ENERGY,
        ),
    ] = "",
    idle_mode: Annotated[
        str | None,
        typer.Option(
            "--idle-mode",
            help="What the board does between inferences, as 'light sleep'. Energy of different "
            "idle modes is not compared.",
            rich_help_panel=_ENERGY,
        ),
    ] = None,
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
    ] = DEFAULTS.send,
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
    ] = DEFAULTS.end,
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
    ] = DEFAULTS.timeout,
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
    ] = DEFAULTS.host_samples,
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
    options = BenchOptions(
        board=tuple(board),
        model=tuple(model),
        teacher=tuple(teacher),
        student=tuple(student),
        precision=tuple(precision),
        engine=tuple(engine),
        dataset=dataset,
        data=data,
        target=target,
        resize=resize,
        input=input,
        calibrate=calibrate,
        limit=limit,
        out=out,
        port=port,
        flash=flash,
        sketch=sketch,
        firmware=firmware,
        tolerance=tolerance,
        jobs=jobs,
        layers=layers,
        chaos=chaos,
        profile=profile,
        cycles=cycles,
        clock=clock,
        power=power,
        voltage=voltage,
        supply=supply,
        gate=gate,
        idle_mode=idle_mode,
        protocol=protocol,
        pattern=tuple(pattern),
        send=send,
        send_type=send_type,
        end=end,
        repeat=repeat,
        timeout=timeout,
        baud=baud,
        classes=classes,
        outputs=outputs,
        name=name,
        host_samples=host_samples,
        host_threads=host_threads,
    )
    shown = Bars()
    with resumable(shown), shown:
        folder = run_bench(options, shown)
    if chaos is not None:
        _show_injected(folder)
    browse = may_open() if open_report is None else open_report
    show_report(folder, browse=browse, not_counted=shown.not_counted)
    if any(found.failed for found in read_manifest(folder).refused):
        raise typer.Exit(NOT_BUILT)


NOT_BUILT = 2  # a part of the bench is missing, for a reason that is not the network's


def _show_injected(folder: Path) -> None:
    """Say which faults ``--chaos`` injected into each run."""
    for end in read_manifest(folder).ends:
        injected = end.faults.injected if end.faults else {}
        words = ", ".join(f"{name} {count:,}" for name, count in sorted(injected.items()))
        say(f"{end.key}: injected {words or 'nothing'}; {end.retries:,} requests resent")
