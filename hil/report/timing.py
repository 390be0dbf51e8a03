"""What stands behind a median: the first inference, outliers, drift, and the clock."""

from __future__ import annotations

from collections.abc import Sequence

from hil import stats
from hil.report.cells import Cell
from hil.report.clocks import amount, interval_words, step_us
from hil.report.tables import Table
from hil.report.text import count
from hil.series import EmulatorTimes, Latencies, axis
from hil.stats import Estimate

_SURE = 0.001  # p below which a drift is called one: a report tests many runs


def timing_table(cells: Sequence[Cell]) -> Table:
    """A row a run whose board has a clock."""
    head = (
        "Run",
        "First inference",
        "Median",
        "95% interval",
        "Method",
        "Answers",
        "Outliers, mild + severe",
        "Drift over the run",
        "Clock's step",
    )
    note = (
        "First inference: the first that the bench asked for, on most boards right after their "
        "start; it is in no other figure, nor are two more that warm up. Outliers: beyond 1.5 "
        "and 3 interquartile ranges from the quartiles; counted, never dropped. "
        "Drift: Mann-Kendall test of the times in their order; "
        f"with p below {_SURE:g} it is called one, and its size is the last quarter's median over "
        "the first's. Clock's step: the smallest that the device saw its own clock make, or that "
        "its times show; no digit finer than that is shown."
    )
    return Table("Time, in detail", head, tuple(_row(c) for c in cells if c.series), note)


def wall_table(cells: Sequence[Cell]) -> Table:
    """The wall time of emulators: a table of its own, for it is comparable with nothing else."""
    rows = []
    for cell in cells:
        if cell.wall is not None and cell.wall.values.size:
            rows.append(_wall(cell, cell.wall))
    note = (
        "Wall time of this computer, of a request's whole round trip, waiting behind others in "
        "flight included. It says how fast the emulator is, nothing of a board's time."
    )
    head = ("Run", "Round trip, ms", "95% interval", "Method", "Answers")
    return Table("Wall time of the emulators", head, tuple(rows), note)


def _wall(cell: Cell, wall: EmulatorTimes) -> tuple[str, ...]:
    assert axis([wall]) == EmulatorTimes.unit
    found = wall.median
    low, high = (f"{value / 1000:.2f}" for value in (found.low, found.high))
    return (cell.name, f"{found.point / 1000:.2f}", f"{low}–{high}", found.method, count(found.n))


def _row(cell: Cell) -> tuple[str, ...]:
    assert cell.time is not None
    first = cell.end.first if cell.end else None
    found = stats.outliers(cell.times)
    return (
        cell.name,
        "–" if first is None else amount(cell, first),
        amount(cell, cell.time.point),
        interval_words(cell, cell.time),
        method_words(cell.time),
        count(cell.time.n),
        f"{count(found.mild)} + {count(found.severe)}",
        drift_words(stats.drift(cell.times)),
        _step(cell),
    )


def method_words(found: Estimate) -> str:
    """The method, and what an interval of few samples really covers."""
    if found.method != "constant" and found.confidence != stats.CONFIDENCE:
        return f"{found.method}, {found.confidence:.0%}"
    return found.method


def drift_words(found: stats.Drift | None) -> str:
    if found is None:
        return "none"
    p = "p < 0.001" if found.p < 0.001 else f"p = {found.p:.2g}"
    if not drifted(found) or found.size is None:
        return f"none shown ({p})"
    low, high = (f"{100 * (value - 1):+.2g}" for value in (found.size.low, found.size.high))
    return f"{100 * (found.size.point - 1):+.2g}% ({low} to {high}; {p})".replace("-", "−")


def drifted(found: stats.Drift | None) -> bool:
    return found is not None and found.p < _SURE


def _step(cell: Cell) -> str:
    if isinstance(cell.series, Latencies):
        step = step_us(cell)
        return f"{step / 1000:.4g} ms" if step >= 1000 else f"{step:.4g} µs"
    measured = cell.end.clock_step if cell.end else None
    seen = f" (at most {measured:.4g} seen)" if measured else ""
    return f"1 instruction{seen}"
