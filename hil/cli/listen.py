# SPDX-License-Identifier: Apache-2.0
"""`hil listen`: for sketches that cannot be changed and need no samples."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from hil.api.text import baud_of, make_setup, name_of, open_link, read_data, tell_dropped
from hil.bench.events import Starting
from hil.bench.listen import Chunk, Listening, from_file, from_link
from hil.bench.listen import listen as listen_to
from hil.bench.source import Source
from hil.boards.config import Board
from hil.cli.data import DataOption, InputOption, ResizeOption, TargetOption
from hil.cli.report import show_report
from hil.cli.running import Bars, may_open, resumable
from hil.runs.log import run_folder
from hil.wire.patterns import READY

PATTERN_HELP: Final = (
    "How to read a line: a regular expression with groups such as (?P<label>[0-9]+), or "
    f"{', '.join(READY)}; repeatable."
)


def listen(
    port: Annotated[
        str, typer.Option("--port", help="Port that the sketch prints on, a saved log, or - .")
    ],
    pattern: Annotated[list[str], typer.Option("--pattern", help=PATTERN_HELP)] = [],
    board: Annotated[
        str | None, typer.Option("--board", help="Board, for its name and how to open the port.")
    ] = None,
    baud: Annotated[
        int | None, typer.Option("--baud", help="Baud rate; default: the board's, or 9600.")
    ] = None,
    classes: Annotated[
        str, typer.Option("--classes", help="Names of the classes in order: cat,dog,bird.")
    ] = "",
    outputs: Annotated[
        int | None,
        typer.Option("--outputs", help="Outputs of an answer; default: as in the first one."),
    ] = None,
    data: DataOption = None,
    target: TargetOption = None,
    resize: ResizeOption = None,
    input: InputOption = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Or a data set: mnist, digits, ...")
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(
            "--sample", help="The only sample in the sketch, by its position in the data set."
        ),
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", help="The .tflite file that the sketch runs.")
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            "--tolerance", help="Difference of an output that is expected; default: as printed."
        ),
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", help="Answers; default: until Ctrl-C or the log's end.")
    ] = None,
    seconds: Annotated[float | None, typer.Option("--seconds", help="How long to listen.")] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", help="Seconds without an answer, after which it fails.")
    ] = 60.0,
    name: Annotated[
        str, typer.Option("--name", help="Name and version of the sketch, for the report.")
    ] = "",
    emulated: Annotated[
        bool,
        typer.Option(
            "--emulated",
            help="The board is emulated: its times are not latencies. Implied "
            "for a pty and an emulated board.",
        ),
    ] = False,
    out_folder: Annotated[
        Path | None,
        typer.Option("--out", help="Run folder. An interrupted run in it is resumed."),
    ] = None,
    open_report: Annotated[
        bool | None, typer.Option("--open/--no-open", help="Open the report in a browser.")
    ] = None,
) -> None:
    """Collect predictions and times that a sketch prints by itself, and write a report.

    Nothing is sent to the sketch, and it need not be changed: --pattern says how to read its lines.
    With --data and --sample, or an index in the lines, predictions are compared with the labels;
    with --model also with the host's. Exit code 1 if an output is not as expected.
    """
    setup = make_setup(
        port, pattern, board, model, classes, outputs, tolerance, name, emulated=emulated
    )
    joined = _is_port(port)
    shown = Bars()
    with shown:
        given = data is not None or dataset is not None
        wanted = Source(data, dataset or "auto", target, resize, input)
        found = read_data(wanted, setup.model, shown) if given else None
    listening = Listening(found, sample, count, seconds, timeout)
    listening.check(setup)
    rate = baud_of(baud, setup.board)
    source = f"listening on {port} at {rate:,} baud" if joined else f"reading {port}"
    with (
        run_folder(out_folder, name_of(setup.board), "listen") as folder,
        resumable(shown),
        shown,
        _chunks(port, setup.board, rate) as chunks,
    ):
        shown(Starting(source, folder))
        at = rate if joined else 0
        outcome = listen_to(setup, listening, folder, shown, chunks, joined=joined, baud=at)
        tell_dropped(outcome, shown)
    browse = may_open() if open_report is None else open_report
    show_report(folder, browse=browse, not_counted=shown.not_counted)


def _is_port(port: str) -> bool:
    return port != "-" and not Path(port).is_file()


@contextmanager
def _chunks(port: str, board: Board | None, baud: int) -> Iterator[Iterator[Chunk]]:
    if port == "-":
        yield from_file(sys.stdin.buffer)
    elif not _is_port(port):
        with Path(port).open("rb") as file:
            yield from_file(file)
    else:
        link = open_link(port, board, baud)
        try:
            yield from_link(link)
        finally:
            link.close()
