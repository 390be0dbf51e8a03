# SPDX-License-Identifier: Apache-2.0
"""Section "Link": bytes and wall time on the wire, and the faults that were survived."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from hil.report.blocks import Section, Table, section
from hil.report.text import UNKNOWN, count, noun
from hil.runs.cells import Cell
from hil.runs.load import StoredRun
from hil.runs.schema import Faults

_MOST: Final = 12  # reasons of failed requests, and restarts, that are listed per run
BITS: Final = 10  # of a byte on the line: start, eight, stop
LIMITED: Final = 0.8  # share of the line from which on it is what limits a run


def link_section(run: StoredRun, cells: Sequence[Cell]) -> Section:
    what = noun(run.manifest.dataset.name)
    tables = [traffic(cells, what), faults(cells), restarts(cells), failures(cells)]
    return section("link", "Link", tables)


def traffic(cells: Sequence[Cell], what: str) -> Table:
    """Bytes and the host's wall time, one row per run that reached its end."""
    rows: tuple[tuple[str, ...], ...] = tuple(
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
    head: tuple[str, ...] = (
        "Run",
        "To the device",
        "From the device",
        "Wall time",
        f"{what.capitalize()}s per second",
        f"Wall time per {what}",
        "Retries",
    )
    note = "The host's wall time of the whole run, link included: this does not measure the device."
    used = [_used(cell) for cell in cells if cell.end]
    if any(used):
        head = (*head, "Of the line")
        rows = tuple((*row, one or "–") for row, one in zip(rows, used, strict=True))
        note += (
            " Of the line: bytes per second in the busier direction, as a share of what its baud "
            "rate carries (ten bits per byte); the rest of the time it was idle."
        )
    return Table("Bytes and wall time on the link", head, rows, note)


def _each(n: int, seconds: float) -> str:
    if not n:
        return "–"
    return f"{1000 * seconds / n:.2f} ms" if seconds > 0 else UNKNOWN


def line_share(cell: Cell) -> float | None:
    """How much of what the line's baud rate carries was used, from 0 to 1; None for an emulator,
    for a line without a rate, and for one that was faster than its nominal rate (native USB)."""
    end = cell.end
    if end is None or cell.plan.emulated or not end.baud or end.seconds <= 0:
        return None
    share = max(end.bytes_out, end.bytes_in) / end.seconds / (end.baud / BITS)
    return share if share <= 1 else None


def _used(cell: Cell) -> str:
    share = line_share(cell)
    return (
        "" if share is None or cell.end is None else f"{share:.0%} of {count(cell.end.baud)} baud"
    )


def link_words(cells: Sequence[Cell]) -> Iterator[str]:
    """For a terminal: how much of its line each run has used, and why not more."""
    for cell in cells:
        share = line_share(cell)
        if share is None or not cell.n:
            continue
        why = (
            "the line is the limit, and a higher rate (serial.faster in the board's file) would "
            "shorten the run"
            if share >= LIMITED
            else "the rest is waiting for the device"
        )
        yield f"{cell.name}: the link reached {_used(cell)}; {why}"


def restarts(cells: Sequence[Cell]) -> Table:
    """One row per restart of a board whose moment is known."""
    rows = tuple(
        (
            cell.name,
            one.sample,
            count(one.answered),
            f"{one.seconds:.1f} s",
            one.said or "nothing",
            ", called from ".join(one.at) or "–",
        )
        for cell in cells
        for one in _faults_of(cell).restarts[:_MOST]
    )
    head = (
        "Run",
        "First sample without an answer",
        "Inferences since the boot",
        "Seconds since the boot",
        "What the board printed",
        "Where in the program",
    )
    note = (
        "Only the first restarts of a run are listed. A panic is decoded by the image's addr2line."
    )
    return Table("Restarts", head, rows, note)


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
    found = _faults_of(cell)
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


def _faults_of(cell: Cell) -> Faults:
    return cell.end.faults if cell.end and cell.end.faults else Faults()
