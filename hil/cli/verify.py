"""`hil verify`: is every byte of a stored run what it was?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from hil.cli.console import out, show_error
from hil.errors import HilError
from hil.runlog.verify import verify as verify_run

DAMAGED = 1


def verify(
    folders: Annotated[
        list[Path], typer.Argument(help="Run folders, such as results/example.", metavar="RUN...")
    ],
) -> None:
    """Hold every file of each RUN against the hashes in its manifest, and that against its seal.

    Exit code 1 with a line for every file that was changed, is missing, or is none of the run's.
    """
    codes = set()
    for folder in folders:
        try:
            found = verify_run(folder)
        except HilError as problem:  # the others are looked at all the same
            show_error(problem)
            codes.add(problem.exit_code)
            continue
        for fault in found.faults:
            words = _line(f"{folder}/{fault}")
            out.print(f"[bold red]not whole:[/] {escape(words)}", soft_wrap=True)
        if not found.faults:
            state = "" if found.state == "complete" else f", {found.state}"
            words = f"{folder}: whole ({found.files} files, {found.size:,} bytes{state})"
            out.print(f"[green]{escape(_line(words))}[/]", soft_wrap=True)
        codes.add(DAMAGED if found.faults else 0)
    if code := min(codes - {0}, default=0):
        raise typer.Exit(code)


def _line(text: str) -> str:
    """A stranger may have named a file: one line, and nothing that a terminal obeys."""
    return "".join(c if c.isprintable() else "?" for c in text)
