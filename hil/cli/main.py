"""The commands of `hil`, and how every one of them ends."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Annotated

import typer

import hil
from hil.cli.console import say, show_error
from hil.cli.lazy import LazyGroup
from hil.errors import HilError

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
