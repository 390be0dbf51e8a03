# SPDX-License-Identifier: Apache-2.0
"""Section "Checks": what explains answers that are wrong. There is none for good data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hil.report.blocks import Section, Table, section
from hil.report.text import listed
from hil.report.verdict import Verdict
from hil.runs.cells import Cell
from hil.runs.load import StoredRun

_NOTE = (
    "The host was given the same samples with other values, orientations and labels. A change is "
    "listed if it is significantly better by McNemar's exact test, corrected for the number of "
    "changes tried."
)


def checks_section(run: StoredRun, _: Sequence[Cell]) -> Section:
    """One row per finding, as stored."""
    title = "Is this data plausible for this network?"
    rows = tuple((one.code, one.what, one.advice, one.page) for one in run.checks)
    head = ("Check", "Finding", "What to do", "Documented in")
    return section("checks", "Checks", [Table(title, head, rows, _NOTE)])


def check_warnings(run: StoredRun) -> tuple[str, ...]:
    """One line that points to the section; none for good data."""
    codes = list(dict.fromkeys(one.code for one in run.checks if one.severity == "warning"))
    if not codes:
        return ()
    return (f"Found by the checks below: {listed(codes)}.",)


def doubted(found: Verdict, run: StoredRun) -> Verdict:
    """The verdict that points to the checks, if one found a cause: equal bytes can be wrong
    answers."""
    if not check_warnings(run) or found.grade not in {"exact", "within", "answers"}:
        return found
    return replace(found, grade="doubted", word=f"{found.word}, but see the checks")
