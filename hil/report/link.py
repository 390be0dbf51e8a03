# SPDX-License-Identifier: Apache-2.0
"""Section "Link": bytes and wall time on the wire, and the faults that were survived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from hil.report.blocks import Section, Table, section
from hil.report.text import UNKNOWN, count, noun
from hil.runs.cells import Cell
from hil.runs.load import StoredRun
from hil.runs.schema import Faults

_MOST: Final = 12  # reasons of failed requests that are listed per run


def link_section(run: StoredRun, cells: Sequence[Cell]) -> Section:
    what = noun(run.manifest.dataset.name)
    return section("link", "Link", [traffic(cells, what), faults(cells), failures(cells)])


def traffic(cells: Sequence[Cell], what: str) -> Table:
    """Bytes and the host's wall time, one row per run that reached its end."""
    rows = tuple(
        (
            cell.name,
            f"{count(end.bytes_out)} B",
            f"{count(end.bytes_in)} B",
            f"{end.seconds:.1f} s" if end.seconds > 0 else UNKNOWN,
            f"{cell.n / end.seconds:.0f}" if end.seconds > 0 else UNKNOWN,
            _each(cell.n, end.seconds),
            count(end.retries),
        )
        for cell in cells
        if (end := cell.end)
    )
    head = (
        "Run",
        "To the device",
        "From the device",
        "Wall time",
        f"{what.capitalize()}s per second",
        f"Wall time per {what}",
        "Retries",
    )
    note = "The host's wall time of the whole run, link included: this does not measure the device."
    return Table("Bytes and wall time on the link", head, rows, note)


def _each(n: int, seconds: float) -> str:
    if not n:
        return "–"
    return f"{1000 * seconds / n:.2f} ms" if seconds > 0 else UNKNOWN


def faults(cells: Sequence[Cell]) -> Table:
    """What went wrong on each run's link and board; runs without a fault have no row."""
    every = (_faults(cell) for cell in cells if cell.n)
    rows = tuple(row for row in every if set(row[1:]) != {"0"})
    head = (
        "Run",
        "Sent again",
        "Damaged, to the device",
        "Damaged, from the device",
        "Timeouts",
        "Resets",
        "Port reopened",
        "Excluded from times",
        "Injected",
    )
    note = (
        "Damaged: frames that failed their CRC and were sent again. Resets: the board rebooted "
        "and was re-initialised. Excluded: answers that count, but whose times are in no figure. "
        "Injected: faults of --chaos."
    )
    if any(cell.plan.protocol == "text" for cell in cells):
        note += " Of lines of text: damaged are those that were not a valid answer."
    return Table("Link faults", head, rows, note)


def failures(cells: Sequence[Cell]) -> Table:
    """Requests that got no answer that counts, one row per run and reason."""
    rows = tuple(
        (cell.name, why, f"{count(n)} of {count(cell.n + cell.failures)}")
        for cell in cells
        for why, n in _reasons(cell.failed)
    )
    note = "These requests are in no other figure. samples.jsonl has the reason of each."
    return Table("Requests without an answer", ("Run", "Reason", "Requests"), rows, note)


def _reasons(failed: Mapping[str, int]) -> list[tuple[str, int]]:
    """Reasons and their number, the most common first; the rare ones together."""
    named = sorted(failed.items(), key=lambda reason: (-reason[1], reason[0]))
    rest = sum(n for _, n in named[_MOST:])
    return [*named[:_MOST], *([("other reasons", rest)] if rest else [])]


def _faults(cell: Cell) -> tuple[str, ...]:
    found = cell.end.faults if cell.end and cell.end.faults else Faults()
    counts = (
        cell.end.retries if cell.end else 0,
        found.damaged_out,
        found.damaged_in,
        found.timeouts,
        found.resets,
        found.reopenings,
        cell.left_out,
    )
    injected = ", ".join(f"{name} {count(n)}" for name, n in sorted(found.injected.items()))
    return (cell.name, *map(count, counts), injected or "0")
