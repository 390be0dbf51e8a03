# SPDX-License-Identifier: Apache-2.0
"""`hil compare` and `hil history`: is NEW worse than BASE, and how did a figure develop?"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from hil.cli.console import out, say
from hil.cli.output import for_people, result, shown
from hil.core.errors import StorageError, UsageError, unknown
from hil.core.files import replace_file

if TYPE_CHECKING:
    from hil.api.records import HistoryOutput
    from hil.compare.history import History
    from hil.compare.records import ComparedRun, Comparison


REGRESSION = 1
SUMMARY = "GITHUB_STEP_SUMMARY"  # the file that a job's summary is appended to
_COLOURS = {"better": "green", "worse": "yellow", "missing": "red", "undecided": "cyan"}

Names = list[str]


def compare(
    base: Annotated[Path, typer.Argument(help="The run folder to compare with.")],
    new: Annotated[Path, typer.Argument(help="The run folder to check for regressions.")],
    limits: Annotated[
        Path | None,
        typer.Option("--limits", help="limits.toml: allowed regressions and absolute limits."),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format", help="md, json, junit or github; default: a table on a terminal, else md."
        ),
    ] = None,
    allow: Annotated[
        Names,
        typer.Option("--allow", help="A field that may differ (dataset, clock, ...); repeatable."),
    ] = [],
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Figures and runs of BASE may be missing.")
    ] = False,
) -> None:
    """Show whether each figure is better, worse, the same or undecided, with its interval.

    Exit code 1 if a figure is missing or worse than its limit allows, 2 if the runs cannot be
    compared.
    """
    from hil.compare.compare import compare_runs  # scipy takes half a second to load
    from hil.compare.formats import FORMATS, markdown
    from hil.compare.limits import read_limits

    if form is not None and not for_people():
        raise UsageError("--format and --json both say how to print", "give one of them")
    if form is not None and form not in FORMATS:
        raise unknown(f"--format {form} is unknown", form, FORMATS)
    if limits is not None and not limits.is_file():
        raise UsageError(f"--limits {limits}: the file does not exist", "check the path")
    held = read_limits(limits) if limits else None
    found = compare_runs(base, new, held, allow=allow, allow_missing=allow_missing)
    result(found)
    if not for_people():
        pass
    elif form is None and out.is_terminal:
        _draw(found)
    else:
        sys.stdout.write(FORMATS[form or "md"](found))
    if form == "github":
        _append(markdown(found))
    if found.regression:
        raise typer.Exit(REGRESSION)


def _append(text: str) -> None:
    """Append to the summary of the GitHub job, if one runs us."""
    path = os.environ.get(SUMMARY)
    if not path:
        say(f"note: {SUMMARY} is not set, so no summary was written")
        return
    try:
        with Path(path).open("a", encoding="utf-8", errors="replace") as file:
            file.write(text)
    except OSError as problem:
        raise StorageError(
            f"cannot write {path} ({problem.strerror})", f"check ${SUMMARY}"
        ) from problem


def _draw(found: Comparison) -> None:
    """Tables for a terminal."""
    from hil.compare.formats import facts, origin

    for run in found.runs:
        out.print(_table(run))
        for line in facts(run):
            out.print(f"  {escape(line)}", style="dim", soft_wrap=True)
    for key in found.added:
        out.print(f"{escape(key)} is only in NEW", soft_wrap=True)
    out.print(f"BASE {escape(origin(found.base))}", soft_wrap=True)
    out.print(f"NEW  {escape(origin(found.new))}", soft_wrap=True)
    for line in found.problems:
        out.print(f"[bold red]regression:[/] {escape(line)}", soft_wrap=True)
    colour = "bold red" if found.regression else "green"
    out.print(f"[{colour}]{escape(found.sentence)}[/]", soft_wrap=True)


def _table(run: ComparedRun) -> Table:
    from hil.compare.formats import HEAD, heading, row

    table = Table(title=escape(heading(run)), title_justify="left", box=None, pad_edge=False)
    for number, head in enumerate(HEAD):
        table.add_column(head, justify="right" if number in (1, 2) else "left", overflow="fold")
    for figure in run.figures:
        colour = "bold red" if figure.beyond else _COLOURS.get(figure.word, "")
        *cells, verdict = (escape(cell) for cell in row(figure))
        table.add_row(*cells, f"[{colour}]{verdict}[/]" if colour else verdict)
    return table


def history(
    folder: Annotated[Path, typer.Argument(help="A folder of run folders, such as results.")],
    target: Annotated[
        Path | None,
        typer.Option("--out", help="A .html or .md file; default: FOLDER/history.html."),
    ] = None,
    limits: Annotated[
        Path | None, typer.Option("--limits", help="limits.toml: which changes exceed a limit.")
    ] = None,
) -> None:
    """Plot every figure over the runs in FOLDER and mark where it changed.

    A run that cannot be compared with the previous ones starts a new trend.
    """
    # scipy takes half a second to load
    from hil.compare.history import markdown, page, read_history, sentence
    from hil.compare.limits import read_limits

    target = target or folder / "history.html"
    formats = {".html": page, ".md": markdown}
    if target.suffix not in formats:
        raise UsageError(f"--out {target} is not a .html or .md file", "choose one of these")
    if limits is not None and not limits.is_file():
        raise UsageError(f"--limits {limits}: the file does not exist", "check the path")
    found = read_history(folder, read_limits(limits) if limits else None)
    replace_file(target, formats[target.suffix](found).encode("utf-8", "replace"))
    result(_record(found, target))
    for trend in found.trends:
        out.print(f"{escape(trend.key)}: {escape(sentence(trend))}", soft_wrap=True)
    for reason in found.left_out:
        say(f"left out: {reason}")
    say(f"history: {target}")


def _record(found: History, target: Path) -> HistoryOutput:
    from hil.api.records import HistoryOutput, HistoryRun, HistoryTrend
    from hil.compare.history import sentence

    return HistoryOutput(
        page=shown(target),
        trends=tuple(
            HistoryTrend(
                key=trend.key,
                sentence=sentence(trend),
                why=trend.why,
                runs=tuple(
                    HistoryRun(
                        run_id=one.run_id,
                        created=one.created,
                        commit=one.commit,
                        figures=one.figures,
                        changed=tuple(sorted(one.changed)),
                    )
                    for one in trend.entries
                ),
                since=trend.since,
            )
            for trend in found.trends
        ),
        left_out=found.left_out,
    )
