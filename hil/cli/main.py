# SPDX-License-Identifier: Apache-2.0
"""`hil`: the table of its commands, and the entry point. A command's module is imported when the
command is used; `hil --help` imports none of them."""

from __future__ import annotations

import importlib
import inspect
import re
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Annotated, Any, ClassVar, Final

import typer
from typer.core import TyperCommand, TyperGroup

import hil
from hil.cli.completion import with_completion
from hil.cli.console import say
from hil.cli.examples import epilog
from hil.cli.output import RECORDS, ended, failed, interrupted, start, with_output
from hil.core.errors import HilError
from hil.core.plugins import COMMANDS as ADDED
from hil.core.plugins import plugin


@dataclass(frozen=True, slots=True)
class Command:
    """Where a command is defined. ``summary`` is the first paragraph of its docstring."""

    module: str  # in hil.cli; empty: an entry point of group hil.commands
    summary: str
    function: str = ""  # empty: the command's name
    hidden: bool = False
    settings: bool = False  # its options default to `[bench]` of the project's hil.toml


COMMANDS: Final[Mapping[str, Command]] = {
    "bench": Command(
        "bench",
        "Run models on boards, compare every answer with the host's, and write a report.",
        settings=True,
    ),
    "listen": Command(
        "listen",
        "Collect predictions and times that a sketch prints by itself, and write a report.",
    ),
    "conform": Command(
        "conform",
        "Compare the kernels of an engine on a board with the reference, over shapes that break "
        "them.",
    ),
    "report": Command(
        "report",
        "Regenerate summary.json, report.md, report.html and figures/ of FOLDER.",
    ),
    "verify": Command(
        "report",
        "Verify every file of each RUN by its hash in the manifest, and the manifest by its seal.",
    ),
    "compare": Command(
        "compare",
        "Show whether each figure is better, worse, the same or undecided, with its interval.",
    ),
    "history": Command(
        "compare", "Plot every figure over the runs in FOLDER and mark where it changed."
    ),
    "init": Command(
        "init",
        "Write a project of your own into FOLDER: a sketch, its network, settings and tests.",
    ),
    "clean": Command(
        "clean",
        "Remove builds, and copies of the firmware of other versions, from the user's cache.",
    ),
    "fit": Command(
        "fit",
        "Say which boards hold each MODEL in flash and RAM, and by how much, without running it.",
    ),
    "boards": Command(
        "boards", "List the known boards, and which of them are attached or running."
    ),
    "flash": Command(
        "boards",
        "Build firmware, upload it, and check that the board runs it. An emulator is left running.",
        settings=True,
    ),
    "doctor": Command(
        "doctor",
        "Check which tools are installed. Exit code 2 if a required one is missing.",
    ),
    "train": Command(
        "", "Train a recipe's teacher, student alone and distilled student, and export them."
    ),
    "export": Command(
        "models",
        "Convert models of Keras to .tflite (float32 and int8), and .tflite to C headers for a "
        "sketch.",
    ),
    "quantcheck": Command(
        "quantcheck",
        "Show where an int8 network loses accuracy to the float32 network that it was made from.",
    ),
    "sweep": Command(
        "",
        "Search T, alpha, learning rate and width of a recipe's student for the best on "
        "validation.",
    ),
    "headers": Command(
        "models", "Write hil_image.h, hil_image.c and one C header per model.", hidden=True
    ),
    "emulate": Command(
        "boards",
        "Start an emulated board and print its port.",
    ),
    "energy": Command(
        "energy",
        "Compute the energy per inference from what an instrument recorded.",
    ),
    "league": Command(
        "league",
        "Show MLPerf Tiny's published results in cycles per MAC, and own runs among them.",
    ),
    "mlperf": Command(
        "mlperf",
        "Run MLPerf Tiny on any device that speaks its protocol, and write a submission's files.",
    ),
    "mlperf-data": Command(
        "mlperf",
        "Write a data set and test scripts for MLCommons' runner.",
        "mlperf_data",
    ),
    "study": Command("", "Compare methods by measuring their networks on a board."),
}


class LazyGroup(TyperGroup):
    """The group of `COMMANDS`; it lists them without importing one."""

    _listing: ClassVar[bool] = False

    def list_commands(self, _ctx: Any) -> list[str]:
        return list(COMMANDS)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """click's, whose error suggests the command that was probably meant."""
        self.commands = dict.fromkeys(COMMANDS, TyperCommand(""))
        return super().resolve_command(ctx, args)

    def get_command(self, _ctx: Any, cmd_name: str) -> Any:
        found = COMMANDS.get(cmd_name)
        if found is None:
            return None
        if self._listing:
            return TyperCommand(cmd_name, help=found.summary, hidden=found.hidden)
        return load_command(cmd_name, found)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        with self._as_list():
            super().format_help(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """typer's, without importing the commands that it names."""
        with self._as_list():
            return super().shell_complete(ctx, incomplete)

    @contextmanager
    def _as_list(self) -> Iterator[None]:
        """`get_command` gives only names and summaries meanwhile."""
        type(self)._listing = True
        try:
            yield
        finally:
            type(self)._listing = False


def load_command(name: str, command: Command) -> Any:
    """Import the command and make a click command of it."""
    if command.module:
        module = importlib.import_module(f"hil.cli.{command.module}")
        found = getattr(module, command.function or name)
    else:
        found = plugin(ADDED, name, f"`hil {name}`")
    if isinstance(found, typer.Typer):
        group = typer.main.get_group(found)
        group.name, group.epilog = name, epilog(name)
        return group
    if name in RECORDS:
        found = with_output(found)
    single = typer.Typer(add_completion=False)
    single.command(
        name=name,
        cls=_settings_command() if command.settings else None,
        help=_help(found.__doc__),
        epilog=epilog(name),
        hidden=command.hidden,
    )(with_completion(name, found))
    return typer.main.get_command(single)


def _settings_command() -> type[TyperCommand]:
    from hil.cli.settings import SettingsCommand  # imports what `hil --help` does not need

    return SettingsCommand


def _help(docstring: str) -> str:
    """The docstring with one line per paragraph: typer would keep its line breaks."""
    return re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(docstring))


INTERRUPTED = 130
TERMINATED = 143

app = typer.Typer(
    name="hil",
    cls=LazyGroup,
    help="Hardware-in-the-loop benchmark for TinyML: what does the board say, how long does it "
    "take, how much memory, and is it the same answer?",
    no_args_is_help=True,
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
    """Run one command. Exit codes: 0 success, 1 results not as expected, 2 usage or environment."""
    signal.signal(signal.SIGTERM, _end)  # the default would not release boards and lab places
    start(sys.argv[1:])
    try:
        app()
    except HilError as problem:
        failed(problem)
        sys.exit(problem.exit_code)
    except KeyboardInterrupt:
        say("interrupted")
        interrupted(INTERRUPTED)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.exit(INTERRUPTED)
    except SystemExit as end:
        ended(end.code)
        raise
