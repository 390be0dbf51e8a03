"""`hil doctor`: what is missing, and the command that installs it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from hil.cli.console import out
from hil.doctor import Check, apt_command, examine, install, missing_packages

MISSING = 2


def doctor(
    mend: Annotated[
        bool, typer.Option("--install", help="Install missing Debian packages, if permitted.")
    ] = False,
    board: Annotated[
        list[str], typer.Option("--board", help="Only what this board needs; repeatable.")
    ] = [],
    lab: Annotated[
        bool, typer.Option("--lab", help="Also what labs need: labgrid exports, a shared study.")
    ] = False,
    tests: Annotated[
        bool, typer.Option("--tests", help="Also what hil's own tests need: a browser.")
    ] = False,
) -> None:
    """Say what this machine has and lacks. Exit code 2 when nothing can be benched on it."""
    checks = list(examine(board, lab=lab, tests=tests))
    packages = missing_packages(checks)
    if mend and packages:
        out.print(f"installing {' '.join(packages)}")
        if reason := install(packages):
            out.print(f"cannot install them ({escape(reason)}); run: {apt_command(packages)}")
        checks = list(examine(board, lab=lab, tests=tests))
    for check in checks:
        _show(check)
    if any(not check.ok and check.need == "required" for check in checks):
        raise typer.Exit(MISSING)


def _show(check: Check) -> None:
    mark = "[green]ok     [/]" if check.ok else _MARKS[check.need]
    out.print(f"{mark} {check.name}: {escape(check.detail)}", soft_wrap=True)
    if not check.ok:
        out.print(f"        -> {escape(check.fix)}", soft_wrap=True)


_MARKS = {
    "required": "[bold red]missing[/]",
    "board": "[yellow]missing[/]",
    "optional": "[dim]without[/]",
}
