"""`hil report`: pages and verdict from a stored run alone."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from hil.cli.console import out, say
from hil.compare import unexpected
from hil.runlog.log import read_manifest
from hil.runlog.schema import SummaryRow

UNEXPECTED = 1


def report(
    folder: Annotated[Path, typer.Argument(help="A run folder, such as results/example.")],
    browse: Annotated[bool, typer.Option("--open/--no-open", help="Show it in a browser.")] = False,
) -> None:
    """Write summary.json, report.md and report.html anew from what FOLDER has stored."""
    show_report(folder, browse=browse)


def show_report(folder: Path, *, browse: bool) -> None:
    """Write the pages, print the table, and exit with 1 when a result is not as expected."""
    from hil.report import write  # scipy takes half a second to load

    written = write(folder)
    manifest = read_manifest(folder)
    out.print(_table(written.summary.runs))
    problems = unexpected(manifest, written.summary)
    for line in problems:
        out.print(f"[bold red]not as expected:[/] {escape(line)}", soft_wrap=True)
    if not problems:
        out.print("[green]every output is what it must be[/]")
    say(f"report: {written.html}")
    if browse:
        webbrowser.open(written.html.resolve().as_uri())
    if problems:
        raise typer.Exit(UNEXPECTED)


def _table(rows: tuple[SummaryRow, ...]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("board/engine model", overflow="fold")
    for name in ("n", "device", "host", "differing*", "time", "arena B", "flash B", "stack B"):
        table.add_column(name, justify="right")
    for row in rows:
        agreement, memory = row.agreement, row.memory
        differing = "?" if agreement.differing_oracle is None else agreement.differing_oracle
        table.add_row(
            escape(f"{row.board}/{row.engine} {row.model} {row.precision}"),
            f"{row.n:,}",
            f"{row.accuracy.device:.4f}",
            f"{row.accuracy.host:.4f}",
            f"{differing} / {agreement.differing_litert}",
            _time(row),
            f"{memory.arena:,}" if memory else "?",
            f"{memory.flash_model + memory.flash_code:,}" if memory else "?",
            f"{memory.stack:,}" if memory else "?",
        )
    table.caption = "* output elements that differ from the byte oracle (TFLM) / from LiteRT"
    table.caption_justify = "left"
    return table


def _time(row: SummaryRow) -> str:
    if row.time.median is None:
        return "none"
    unit = {"instructions": "instr.", "us": "us"}[row.time.unit]
    return f"{row.time.median:,.0f} {unit}"
