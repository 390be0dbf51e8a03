"""The commands of `hil` by name: one is imported when it is used, none for a list of them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import typer
from typer.core import TyperCommand, TyperGroup


@dataclass(frozen=True, slots=True)
class Command:
    """Where a command is; ``says`` is the first paragraph of its own help, for the list."""

    module: str
    says: str
    function: str = ""  # empty: the name is the function's too; "app": a group of commands
    hidden: bool = False


COMMANDS: Final[Mapping[str, Command]] = {
    "bench": Command("bench", "Build, start, stream, compare with the host, and report."),
    "report": Command(
        "report",
        "Write summary.json, report.md, report.html and figures/ anew from what FOLDER has stored.",
    ),
    "verify": Command(
        "verify",
        "Hold every file of each RUN against the hashes in its manifest, and that against its "
        "seal.",
    ),
    "compare": Command(
        "compare",
        "Say of each figure whether it is better, worse, the same or undecided, with its interval.",
    ),
    "history": Command(
        "history", "Draw every figure over the runs of FOLDER, and mark where it changed."
    ),
    "boards": Command(
        "boards", "List the boards that are configured, and those that are attached or running."
    ),
    "flash": Command(
        "flash",
        "Build and upload (an emulated board is started and stays), then wait for the right HELLO.",
    ),
    "doctor": Command(
        "doctor",
        "Say what this machine has and lacks. Exit code 2 when nothing can be benched on it.",
    ),
    "train": Command(
        "models", "Train a recipe's teacher, student alone and distilled student, and export them."
    ),
    "export": Command(
        "models",
        ".keras -> .tflite (float32 and int8), and .tflite -> C headers for your own sketch.",
    ),
    "sweep": Command(
        "sweep",
        "Search T, alpha, learning rate and width of a recipe's student for the best on "
        "validation.",
    ),
    "headers": Command(
        "build", "Write hil_image.h, hil_image.c and one C header a model.", hidden=True
    ),
    "emulate": Command(
        "boards",
        "Start an emulated board, as flashing starts a real one, and say where its port is.",
    ),
    "mlperf": Command(
        "mlperf",
        "Drive any device that speaks MLPerf Tiny's protocol, and write a submission's three "
        "files.",
    ),
    "mlperf-data": Command(
        "mlperf",
        "Write a data set in the layout that MLCommons' runner reads, with its test scripts.",
        "mlperf_data",
    ),
    "study": Command("study", "Compare several ways to one end, measured on a board.", "app"),
}


class LazyGroup(TyperGroup):
    """Has `COMMANDS`. A help page is written without importing one of them."""

    _listing: ClassVar[bool] = False

    def list_commands(self, _ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return list(COMMANDS)

    def get_command(self, _ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        found = COMMANDS.get(cmd_name)
        if found is None:
            return None
        if self._listing:
            return TyperCommand(cmd_name, help=found.says, hidden=found.hidden)
        return load(cmd_name, found)

    def format_help(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        type(self)._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            type(self)._listing = False


def load(name: str, command: Command) -> Any:
    """The command itself, as click has them."""
    found = getattr(importlib.import_module(f"hil.cli.{command.module}"), command.function or name)
    if isinstance(found, typer.Typer):
        group = typer.main.get_group(found)
        group.name = name
        return group
    alone = typer.Typer(add_completion=False)
    alone.command(name=name, hidden=command.hidden)(found)
    return typer.main.get_command(alone)
