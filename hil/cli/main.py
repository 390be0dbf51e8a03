# SPDX-License-Identifier: Apache-2.0
"""The commands of `hil` by name: one is imported when it is used, none for a list of them."""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Annotated, Any, ClassVar, Final

import typer
from typer.core import TyperCommand, TyperGroup

import hil
from hil.cli.console import say, show_error
from hil.cli.plugins import plugin
from hil.core.errors import HilError


@dataclass(frozen=True, slots=True)
class Command:
    """Where a command is; ``says`` is the first paragraph of its own help, for the list."""

    module: str  # of hil.cli; empty: an entry point of group hil.commands
    says: str
    function: str = ""  # empty: the same as the command's name
    hidden: bool = False


COMMANDS: Final[Mapping[str, Command]] = {
    "bench": Command("bench", "Build, start, stream, compare with the host, and report."),
    "report": Command(
        "report",
        "Write summary.json, report.md, report.html and figures/ anew from what FOLDER has stored.",
    ),
    "verify": Command(
        "report",
        "Hold every file of each RUN against the hashes in its manifest, and that against its "
        "seal.",
    ),
    "compare": Command(
        "compare",
        "Say of each figure whether it is better, worse, the same or undecided, with its interval.",
    ),
    "history": Command(
        "compare", "Draw every figure over the runs of FOLDER, and mark where it changed."
    ),
    "boards": Command(
        "boards", "List the boards that are configured, and those that are attached or running."
    ),
    "flash": Command(
        "boards",
        "Build and upload (an emulated board is started and stays), then wait for the right HELLO.",
    ),
    "doctor": Command(
        "doctor",
        "Say what this machine has and lacks. Exit code 2 when nothing can be benched on it.",
    ),
    "train": Command(
        "", "Train a recipe's teacher, student alone and distilled student, and export them."
    ),
    "export": Command(
        "models",
        ".keras -> .tflite (float32 and int8), and .tflite -> C headers for your own sketch.",
    ),
    "sweep": Command(
        "",
        "Search T, alpha, learning rate and width of a recipe's student for the best on "
        "validation.",
    ),
    "headers": Command(
        "models", "Write hil_image.h, hil_image.c and one C header a model.", hidden=True
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
    "study": Command("", "Compare several ways to one end, measured on a board."),
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
    if command.module:
        module = importlib.import_module(f"hil.cli.{command.module}")
        found = getattr(module, command.function or name)
    else:
        found = plugin("hil.commands", name, f"`hil {name}`")
    if isinstance(found, typer.Typer):
        group = typer.main.get_group(found)
        group.name = name
        return group
    alone = typer.Typer(add_completion=False)
    alone.command(name=name, hidden=command.hidden)(found)
    return typer.main.get_command(alone)


INTERRUPTED = 130
TERMINATED = 143

app = typer.Typer(
    name="hil",
    cls=LazyGroup,
    help="Hardware-in-the-loop benchmark for TinyML: what does the board say, how long does it "
    "take, how much memory, and is it the same answer?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"hil {hil.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options before the command."""


def _end(_: int, __: FrameType | None) -> None:
    raise SystemExit(TERMINATED)


def main() -> None:
    """Run one command: 0 fine, 1 results are not as expected, 2 usage or environment."""
    signal.signal(signal.SIGTERM, _end)  # by default boards and lab places would stay held
    try:
        app()
    except HilError as problem:
        show_error(problem)
        sys.exit(problem.exit_code)
    except KeyboardInterrupt:
        say("interrupted")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.exit(INTERRUPTED)
