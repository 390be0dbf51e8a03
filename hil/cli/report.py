# SPDX-License-Identifier: Apache-2.0
"""`hil report` and `hil verify`: report a stored run, or check that its files are intact."""

from __future__ import annotations

import webbrowser
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer
from msgspec import UNSET
from rich.markup import escape
from rich.table import Table

from hil.api.records import NotCountedLines, ReportOutput, VerifiedRun, VerifyOutput
from hil.bench.events import NotCounted
from hil.cli.console import out, say, show_error
from hil.cli.output import error_of, for_people, result, shown
from hil.core.errors import HilError
from hil.core.text import printable
from hil.runs.agreement import must_equal, unexpected
from hil.runs.load import verify as verify_run
from hil.runs.schema import Manifest
from hil.runs.schema_checks import CheckFinding
from hil.runs.summary import SummaryRow

UNEXPECTED = 1
_NONE, _UNKNOWN = "-", "?"  # there is no such figure; there is one


def report(
    folder: Annotated[Path, typer.Argument(help="A run folder, such as results/example.")],
    browse: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the report in a browser.")
    ] = False,
) -> None:
    """Regenerate summary.json, report.md, report.html and figures/ of FOLDER."""
    show_report(folder, browse=browse)


def show_report(
    folder: Path, *, browse: bool, not_counted: Sequence[NotCounted] = (), partial: bool = False
) -> None:
    """Write the report, print the table, and exit with 1 if a result is not as expected.

    ``not_counted``: lines of a sketch, for the record. ``partial``: an error follows, which is the
    command's record.
    """
    from hil.report import write  # scipy takes half a second to load
    from hil.report.quant import headline

    written = write(folder)
    steps = {end.key: end.clock_step or 0 for end in written.manifest.ends}
    for table in _tables(written.summary.runs, steps):
        out.print(table)
    for times in written.boards:
        out.print(printed(times.title, times.head, times.rows))
    out.print("* output elements that differ from the byte oracle (TFLM) / from LiteRT")
    for found in written.manifest.left_out:
        out.print(f"not run: {escape(found.reason)}", soft_wrap=True)
    problems = [*unexpected(written.manifest, written.summary), *written.energy_faults]
    if not partial:
        result(
            ReportOutput(
                folder=shown(folder),
                report=shown(written.html),
                state=written.manifest.state,
                as_expected=not problems,
                problems=tuple(problems),
                not_run=tuple(found.reason for found in written.manifest.left_out),
                not_counted=tuple(
                    NotCountedLines(why=one.why, times=one.times, example=one.example)
                    for one in not_counted
                ),
                checks=written.checks,
                quant=written.quant,
                summary=written.summary,
            )
        )
    for one in written.checks:
        out.print(f"[bold yellow]check:[/] {escape(one.line)}", soft_wrap=True)
    for pair in written.quant:
        out.print(f"int8 of {escape(pair.model)}: {escape(headline(pair))}", soft_wrap=True)
        for finding in pair.findings:
            line = f"{pair.model}: {finding.line}"
            out.print(f"[bold yellow]check:[/] {escape(line)}", soft_wrap=True)
    for line in problems:
        out.print(f"[bold red]not as expected:[/] {escape(line)}", soft_wrap=True)
    if written.host and written.host.rows:
        out.print(printed(written.host.title, written.host.head, written.host.rows))
    if written.estimates and written.estimates.rows:
        out.print(printed(written.estimates.title, written.estimates.head, written.estimates.rows))
        out.print(escape(written.estimates.note), soft_wrap=True)
    for layers in written.cycle_layers:
        out.print(printed(layers.title, layers.head, layers.rows))
    if written.energy and written.energy.rows:
        out.print(printed(written.energy.title, written.energy.head, written.energy.rows))
        out.print(escape(written.energy.note), soft_wrap=True)
    for profile in written.profiles:
        out.print(printed(profile.title, profile.head, profile.rows))
        out.print(escape(profile.note), soft_wrap=True)
    for line in (
        *written.layer_findings,
        *written.unprofiled,
        *written.unestimated,
        *written.unmeasured,
        *written.links,
    ):
        out.print(escape(line), soft_wrap=True)
    if not problems:
        out.print(_as_expected(written.manifest, written.checks))
    say(f"report: {written.html}")
    if browse:
        webbrowser.open(written.html.resolve().as_uri())
    if problems:
        raise typer.Exit(UNEXPECTED)


def _as_expected(manifest: Manifest, checks: Sequence[CheckFinding]) -> str:
    """What a bench without a fault has shown: equal bytes can still be wrong answers."""
    if not any(map(must_equal, manifest.runs)):
        named = all(plan.litert for plan in manifest.runs)
        hint = "" if named else ": name the network with --model"
        return f"no output was compared with the host's{hint}"
    by_class = any(plan.answers == "class" for plan in manifest.runs)
    what = "answer" if by_class else "output"
    if any(one.severity == "warning" for one in checks):
        return (
            f"[yellow]every {what} equals the host's, but see the checks: data and network do "
            "not fit[/]"
        )
    return f"[green]every {what} is as expected[/]"


def printed(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table of the report, with numbers aligned right."""
    table = Table(title=escape(title), title_justify="left", box=None, pad_edge=False)
    for i, name in enumerate(head):
        table.add_column(escape(name), justify="left" if i < 2 else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    return table


def _tables(rows: tuple[SummaryRow, ...], steps: Mapping[str, float]) -> Iterator[Table]:
    """One table per board, engine and kind of figure, narrow enough for 80 columns."""
    for (board, engine, n, _), group in groupby(
        rows, key=lambda r: (r.board, r.engine, r.n, _figure(r)[0])
    ):
        yield _table(f"{board}/{engine}: {n:,} samples of {rows[0].dataset}", list(group), steps)


def _figure(row: SummaryRow) -> tuple[str, float | None, float | None]:
    """The figure that a run is read by, of device and host: its accuracy, without a name; the
    error or area of other tasks; an empty one without a task."""
    if row.accuracy:
        return "", row.accuracy.device, row.accuracy.host
    for name, found in (("auc", row.auc), ("mse", row.mse), ("rmse", row.rmse)):
        if found is not UNSET:
            return f"{name} ", found.device, found.host
    return "", None, None


def _table(title: str, rows: list[SummaryRow], steps: Mapping[str, float]) -> Table:
    table = Table(title=escape(title), title_justify="left", box=None, pad_edge=False)
    table.add_column("model", overflow="fold")
    clock = "time" if rows[0].time.unit == "none" else rows[0].time.unit
    what = _figure(rows[0])[0]
    error = what not in ("", "auc ")  # in the unit of the targets, not a share
    for name in (
        f"{what}device",
        f"{what}host",
        "differing*",
        clock,
        "arena B",
        "flash B",
        "stack B",
    ):
        table.add_column(name, justify="right")
    for row in rows:
        memory = row.memory
        table.add_row(
            escape(f"{row.model} {row.precision}"),
            *(
                _NONE if value is None else f"{value:.4g}" if error else f"{value:.4f}"
                for value in _figure(row)[1:]
            ),
            _differing(row),
            _time(row, steps.get(row.key, 0)),
            *(
                _UNKNOWN if size is None else f"{size:,}"
                for size in (
                    (memory.arena, memory.flash, memory.stack or None) if memory else [None] * 3
                )
            ),
        )
    return table


def _time(row: SummaryRow, step: float) -> str:
    """The median; in milliseconds if the clock's ``step`` in microseconds is not finer."""
    time = row.time.median
    if time is None:
        return "none"
    if row.time.unit == "us" and step >= 1000:
        return f"{time / 1000:,.0f} ms"
    return f"{time:,.0f}"


def _differing(row: SummaryRow) -> str:
    """Output values that differ from the oracle's and from LiteRT's; answers if only they are
    known."""
    found = row.agreement
    if found is None:
        return _NONE
    if found.outputs is None and found.argmax is not None:
        return f"{round((1 - found.argmax) * row.n)} answers"
    oracle, litert = (
        _UNKNOWN if elements is None else str(elements)
        for elements in (found.differing_oracle, found.differing_litert)
    )
    return f"{oracle} / {litert}"


DAMAGED = 1


def verify(
    folders: Annotated[
        list[Path], typer.Argument(help="Run folders, such as results/example.", metavar="RUN...")
    ],
) -> None:
    """Verify every file of each RUN by its hash in the manifest, and the manifest by its seal.

    Exit code 1 if a file was changed, is missing or does not belong to the run; each is listed.
    """
    codes = set()
    records = []
    for folder in folders:
        try:
            found = verify_run(folder)
        except HilError as problem:  # still check the others
            if for_people():
                show_error(problem)
            codes.add(problem.exit_code)
            records.append(VerifiedRun(folder=shown(folder), intact=False, error=error_of(problem)))
            continue
        records.append(
            VerifiedRun(
                folder=shown(folder),
                intact=not found.faults,
                faults=found.faults,
                state=found.state,
                files=found.files,
                size=found.size,
            )
        )
        for fault in found.faults:
            words = printable(f"{folder}/{fault}")
            out.print(f"[bold red]damaged:[/] {escape(words)}", soft_wrap=True)
        if not found.faults:
            state = "" if found.state == "complete" else f", {found.state}"
            words = f"{folder}: intact ({found.files} files, {found.size:,} bytes{state})"
            out.print(f"[green]{escape(printable(words))}[/]", soft_wrap=True)
        codes.add(DAMAGED if found.faults else 0)
    result(VerifyOutput(runs=tuple(records)))
    if code := min(codes - {0}, default=0):
        raise typer.Exit(code)
