# SPDX-License-Identifier: Apache-2.0
"""`--json` and `--quiet`: which commands have them, and what becomes of stdout and stderr.

With --json, stdout has one record of `hil.api.records` and nothing else: what commands print for
people is dropped there. With --quiet, nothing but errors is on stderr. Both are options of a
command without being arguments of its function.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from hil.cli.console import err, out, show_error
from hil.core.errors import HilError, UsageError
from hil.core.text import storable

if TYPE_CHECKING:
    from hil.api.records import Error

# command -> its record in hil.api.records, records_mlperf or hil.compare.records
RECORDS: Final[Mapping[str, str]] = {
    "bench": "ReportOutput",
    "listen": "ReportOutput",
    "report": "ReportOutput",
    "conform": "ConformOutput",
    "verify": "VerifyOutput",
    "compare": "Comparison",
    "history": "HistoryOutput",
    "fit": "FitOutput",
    "boards": "BoardsOutput",
    "flash": "FlashOutput",
    "emulate": "EmulateOutput",
    "init": "InitOutput",
    "clean": "CleanOutput",
    "doctor": "DoctorOutput",
    "quantcheck": "QuantcheckOutput",
    "export": "ExportOutput",
    "headers": "ExportOutput",
    "energy": "EnergyOutput",
    "league": "LeagueOutput",
    "mlperf": "MlperfOutput",
    "mlperf-data": "MlperfDataOutput",
}
UNPARSED: Final = 2  # typer's exit code
_JSON: Final = typer.Option(
    "--json", help="Print the result as JSON (docs/json.md), and nothing else to stdout."
)
_QUIET: Final = typer.Option("--quiet", help="Print only the result and errors, no progress.")


class _Mode:
    """What the options of the command that runs have set, and whether its record is printed."""

    json = False
    printed = False


def with_output(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options `--json` and `--quiet`."""

    def run(*given: Any, json: bool, quiet: bool, **options: Any) -> None:
        _Mode.json = out.quiet = json
        err.quiet = quiet
        command(*given, **options)

    signature = inspect.signature(command, eval_str=True)
    added = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, option]
        )
        for name, option in (("json", _JSON), ("quiet", _QUIET))
    ]
    parameters = [*signature.parameters.values(), *added]
    wrapped: Any = functools.update_wrapper(run, command)
    wrapped.__signature__ = signature.replace(parameters=parameters)
    made: Callable[..., None] = wrapped
    return made


def start(words: Sequence[str]) -> None:
    """Begin the command line ``words``: errors before its options are parsed are JSON too."""
    _Mode.json = bool(words) and words[0] in RECORDS and "--json" in words
    _Mode.printed = out.quiet = err.quiet = False


def for_people() -> bool:
    """Whether stdout is for people: without --json."""
    return not _Mode.json


def result(record: object) -> None:
    """Print the command's record, if --json is set; once per command."""
    if _Mode.json:
        import msgspec  # `hil --help` needs none

        text = msgspec.json.format(msgspec.json.encode(record), indent=2).decode()
        print(text, flush=True)
        _Mode.printed = True


def shown(path: Path) -> str:
    """A path as a record has it: bytes that are not UTF-8 become "?"."""
    return storable(str(path))


def error_of(problem: HilError) -> Error:
    """The error as a part of a record."""
    from hil.api.records import Error

    return Error(
        type=type(problem).__name__,
        what=problem.what,
        hint=problem.hint,
        exit_code=problem.exit_code,
    )


def ended(exit_code: object) -> None:
    """The record of a command line that could not be parsed, for which typer ends the process."""
    if _Mode.json and exit_code == UNPARSED and not _Mode.printed:
        failed(UsageError("the command line cannot be parsed", "stderr says what is wrong"))


def interrupted(exit_code: int) -> None:
    """The record of a command that Ctrl-C ended."""
    if _Mode.json and not _Mode.printed:
        from hil.api.records import Error, ErrorOutput

        found = Error(type="KeyboardInterrupt", what="interrupted", hint="", exit_code=exit_code)
        result(ErrorOutput(error=found))


def failed(problem: HilError) -> None:
    """Print an error: as a record on stdout with --json, else as a line on stderr."""
    if _Mode.json and not _Mode.printed:
        from hil.api.records import ErrorOutput

        result(ErrorOutput(error=error_of(problem)))
    else:
        show_error(problem)
