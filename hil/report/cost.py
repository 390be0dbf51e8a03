# SPDX-License-Identifier: Apache-2.0
"""What an answer costs: instructions or microseconds, never on one axis."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from hil import stats
from hil.report.draw.chart import Chart, Row, Segment, colour, from_zero
from hil.report.text import Table, count, per_inference, plural, short
from hil.runs.cells import Cell
from hil.stats import Estimate
from hil.stats.series import Counts, EmulatorTimes, Kind, Latencies, Series, axis

_SLOPPY = 0.01  # how far two clocks may part: a ceramic resonator's tolerance, twice over
_LATE_US = 20_000  # what a USB serial converter may hold an answer back
_MANY = 8  # different times; from so many the step of their clock can be told


def step_us(cell: Cell) -> float:
    """The smallest step of a latency in microseconds, at least 1: what the device measured, or
    what divides all its times, whichever is less.

    Both can only be too large: the device cannot see a step smaller than its loop, and times may
    share a divisor by chance. Of fewer than eight different times, and with nothing measured, the
    power of ten that divides them all.
    """
    measured = cell.end.clock_step if cell.end else None
    divisor = int(np.gcd.reduce(cell.times)) if cell.times.size else 0
    if np.unique(cell.times).size < _MANY:
        divisor = 0 if measured else _power_of_ten(divisor)
    found = [step for step in (measured, float(divisor)) if step]
    return max(min(found, default=1.0), 1.0)


def _power_of_ten(value: int) -> int:
    power = 1
    while value and value % (10 * power) == 0:
        power *= 10
    return power


def latency_words(value: float, step: float) -> tuple[str, str]:
    """Number and unit of a time in microseconds, with no digit finer than ``step`` allows.

    ("52", "ms ± 1 ms") where the clock has milliseconds, ("52,104", "µs") where it has
    microseconds.
    """
    if step >= 1000:
        return _rounded(value / 1000, step / 1000), f"ms ± {step / 1000:.4g} ms"
    return _rounded(value, step), "µs" + (f" ± {step:.4g} µs" if step > 1 else "")


def _rounded(value: float, step: float) -> str:
    """To the decimal place of ``step``, and never finer than a whole."""
    place = 10 ** max(math.floor(math.log10(step)), 0)
    return f"{round(value / place) * place:,}"


def amount(cell: Cell, value: float) -> str:
    """A value of the cell's clock with its unit, and no digit that the clock cannot give."""
    if isinstance(cell.series, Latencies):
        return " ".join(latency_words(value, step_us(cell)))
    return f"{count(value)} {per_inference(cell.plan.clock.unit)}"


def interval_words(cell: Cell, found: Estimate) -> str:
    """Low to high; one value for both where nothing varies."""
    if found.low == found.high:
        return "no width"
    if isinstance(cell.series, Latencies):
        step = step_us(cell)
        low, high = latency_words(found.low, step)[0], latency_words(found.high, step)[0]
    else:
        low, high = count(found.low), count(found.high)
    return low if low == high else f"{low}–{high}"


def contradictions(cells: Sequence[Cell]) -> Iterator[str]:
    """Where a board's own times cannot be: one line each. Latencies alone can be held against the
    host's clock; an emulator's counts have nothing to do with it."""
    for cell in cells:
        if isinstance(cell.series, Latencies):
            yield from _contradictions(cell, cell.series)


def _contradictions(cell: Cell, series: Latencies) -> Iterator[str]:
    allowed = step_us(cell)
    if cell.round_trips is not None and cell.clocked is not None:
        trips = cell.round_trips[cell.clocked]
        above = series.values > trips * (1 + _SLOPPY) + allowed
        if above.any():
            i = int(np.argmax(series.values / np.maximum(trips, 1)))
            yield (
                f"{cell.name}: {plural(int(above.sum()), 'answer')} took the device longer, by its "
                f"own clock, than this computer waited for it (at worst {count(series.values[i])} "
                f"of {count(trips[i])} µs): the device's clock is wrong."
            )
    end = cell.end
    if end is None:
        return
    if end.answered and end.seconds and cell.clocked is not None:
        timed = int(cell.clocked[-end.answered :].sum())
        total = float(series.values[series.values.size - timed :].sum())
        if total > end.seconds * 1e6 * (1 + _SLOPPY) + allowed * timed:
            yield (
                f"{cell.name}: its answers took {total / 1e6:.3g} s together by the device's "
                f"clock, {end.seconds:.3g} s by this computer's: the device's clock is wrong."
            )
    if end.answered and end.baud and end.alone_us is not None and end.idle_us is not None:
        # 10 bits a byte, of the request and the answer of one sample
        line = 1e7 * (end.bytes_out + end.bytes_in) / end.answered / end.baud
        unexplained = end.alone_us - end.idle_us - line
        if unexplained > 1.5 * float(series.values.max()) + _LATE_US:
            yield (
                f"{cell.name}: an inference takes {count(round(unexplained))} µs longer to answer "
                f"than an empty request, and the device says {count(series.values.max())} µs at "
                "most: its clock may be slow."
            )


TITLES = {
    "instructions": "Instructions per inference",
    "us": "Latency per inference",
}
AXES = {
    "instructions": "instructions (emulated, not latency)",
    "us": "microseconds",
}
_CAPTIONS = {
    "instructions": "Retired instructions of the engine's invoke alone, counted by the emulator: "
    "the same in every repeat, but neither cycles nor time.",
    "us": "Wall time on the board of the engine's invoke alone.",
}


def time_charts(cells: Sequence[Cell]) -> tuple[Chart, ...]:
    """A bar chart for each unit that a clock of the run counts in."""
    models = [cell.plan.model for cell in cells]
    counts = [(cell, cell.series) for cell in cells if isinstance(cell.series, Counts)]
    latencies = [(cell, cell.series) for cell in cells if isinstance(cell.series, Latencies)]
    charts = []
    if counts:
        charts.append(time_chart(counts, models))
    if latencies:
        charts.append(time_chart(latencies, models))
    return tuple(charts)


def time_chart(timed: Sequence[tuple[Cell, Series[Kind]]], models: Sequence[str]) -> Chart:
    """A bar a run, all in one unit; MixedUnits when they are not."""
    unit = axis([series for _, series in timed])
    cells = [cell for cell, _ in timed]
    spreads = [cell.spread() for cell in cells]
    scale, ticks = from_zero([high for _, high in spreads])
    rows = []
    for cell, (low, high) in zip(cells, spreads, strict=True):
        if cell.time is None:
            continue
        median, unit_words, spread = time_words(cell)
        whisker = (scale.at(low), scale.at(high)) if low != high else None
        rows.append(
            Row(
                label=cell.name,
                css=colour(cell, models),
                values=(f"{median} {unit_words}", spread),
                segments=(Segment("bar", 0.0, scale.at(cell.time.point)),),
                whisker=whisker,
            )
        )
    whiskers = " Whiskers: 5th to 95th percentile." if any(r.whisker for r in rows) else ""
    return Chart(TITLES[unit], _CAPTIONS[unit] + whiskers, AXES[unit], ticks, tuple(rows))


def time_words(cell: Cell) -> tuple[str, ...]:
    """Median, unit, spread; a count that never varies is said to be constant."""
    if cell.time is None:
        return ("no clock", "", "")
    if isinstance(cell.series, Latencies):
        return _latency_words(cell, cell.time)
    median = round(cell.time.point) if cell.time.point >= 1000 else cell.time.point
    unit = per_inference(cell.plan.clock.unit)
    if cell.time.method == "constant":
        return count(median), unit, f"constant over {plural(cell.time.n, 'answer')}"
    low, high = cell.spread()
    return count(median), unit, f"p5 {short(low)}, p95 {short(high)}"


def _latency_words(cell: Cell, median: Estimate) -> tuple[str, ...]:
    """The same of a board's time, with the digits that its clock can give."""
    step = step_us(cell)
    value, unit = latency_words(median.point, step)
    if median.method == "constant":
        return value, unit, f"constant over {plural(median.n, 'answer')}"
    low, high = (latency_words(edge, step)[0] for edge in cell.spread())
    return value, unit, f"p5 {low}, p95 {high}"


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
