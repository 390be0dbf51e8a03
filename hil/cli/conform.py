# SPDX-License-Identifier: Apache-2.0
"""`hil conform`: whether a board's kernels compute what the reference computes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.markup import escape
from rich.table import Table

from hil.api.conform import ConformOptions, run_conform
from hil.api.records import ConformOutput
from hil.cli.console import out, progress, say
from hil.cli.output import result, shown
from hil.conform.catalogue import KERNELS
from hil.conform.report import HEAD, REPORT, planted_words, rows, sentence
from hil.conform.run import COUNT
from hil.conform.shrink import ROUNDS

Names = list[str]
NOT_AS_EXPECTED: Final = 1


def conform(
    board: Annotated[
        str,
        typer.Option(
            "--board", help="Board; NAME@PORT or NAME@SERIAL selects one of several. auto: as bench"
        ),
    ] = "auto",
    engine: Annotated[str, typer.Option("--engine", help="Inference engine.")] = "aot",
    kernel: Annotated[
        Names,
        typer.Option(
            "--kernel",
            help=f"Kernels, separated by commas; repeatable. Default: all of {', '.join(KERNELS)}.",
        ),
    ] = [],
    precision: Annotated[
        Names,
        typer.Option(
            "--precision", help="int8, int16 or float32, separated by commas; repeatable."
        ),
    ] = [],
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same networks.")] = 1,
    count: Annotated[
        int, typer.Option("--count", help="Networks of each kernel and precision.")
    ] = COUNT,
    rounds: Annotated[
        int,
        typer.Option(
            "--rounds", help="Images that may be used to shrink failures; 0: shrink none."
        ),
    ] = ROUNDS,
    port: Annotated[str | None, typer.Option("--port", help="The board's port.")] = None,
    out_folder: Annotated[
        Path | None, typer.Option("--out", help="A new folder; default: one in results/.")
    ] = None,
) -> None:
    """Compare the kernels of an engine on a board with the reference, over shapes that break them.

    Generates networks of one layer, packs many of them into one image, flashes it, and compares
    the answers byte for byte. A failing network is shrunk to the smallest one that still fails,
    and stored with a bug report. Exit code 1 if an answer is wrong.
    """
    options = ConformOptions(
        board=board,
        engine=engine,
        kernels=_split(kernel),
        precisions=_split(precision),
        seed=seed,
        count=count,
        rounds=rounds,
        port=port,
        out=out_folder,
    )
    with _Watching() as watching:
        done = run_conform(options, watching, tuple(sys.argv[1:]))
    folder, record = done.folder, done.record
    place = folder / REPORT
    result(ConformOutput(folder=shown(folder), report=shown(place), result=record))
    table = Table(*HEAD)
    for row in rows(record):
        table.add_row(*map(escape, row))
    out.print(table)
    for failure in record.failures:
        if failure.smallest:
            out.print(
                f"[bold red]wrong:[/] {escape(f'{failure.kernel} {failure.dtype}')}: "
                f"{escape(failure.smallest_what)} ({escape(failure.smallest_shape)}): "
                f"{escape(str(folder / 'failures' / failure.smallest))}.md",
                soft_wrap=True,
            )
    if words := planted_words(record):
        out.print(escape(words), soft_wrap=True)
    out.print(escape(sentence(record)), soft_wrap=True)
    out.print(escape(f"report: {place}"), soft_wrap=True)
    if record.failures:
        raise typer.Exit(NOT_AS_EXPECTED)


def _split(given: Names) -> tuple[str, ...]:
    return tuple(name.strip() for word in given for name in word.split(",") if name.strip())


class _Watching:
    """Shows the progress of a run."""

    def __init__(self) -> None:
        self._bars = progress()
        self._task = self._bars.add_task("networks", total=None)
        self._last = ""

    def __enter__(self) -> _Watching:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def doing(self, what: str) -> None:
        """What is going on; also as a line where no terminal shows it, once for each image."""
        self._bars.doing(what)

    def done(self, count: int, total: int, failures: int) -> None:
        """``count`` of ``total`` networks were asked."""
        words = f"networks, {failures:,} wrong" if failures else "networks"
        self._bars.update(self._task, completed=count, total=total, description=words)

    def note(self, text: str) -> None:
        """Something that is worth a line."""
        say(text)
