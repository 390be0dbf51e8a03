# SPDX-License-Identifier: Apache-2.0
"""What an inference costs: section "Time", and accuracy against cost.

Instructions and microseconds never share an axis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from hil import stats
from hil.report.blocks import Section, Table, section
from hil.report.draw.chart import Chart, Row, Scatter, Segment, colour, from_zero
from hil.report.draw.scatter import Axis, Mark, scatter
from hil.report.text import count, plural
from hil.report.times import (
    SIGNIFICANT,
    amount,
    drift_words,
    interval_words,
    latency_words,
    method_words,
    step_us,
    step_words,
    time_words,
)
from hil.runs.cells import Cell
from hil.runs.load import StoredRun
from hil.stats.series import Counts, CycleCounts, EmulatorTimes, Kind, Latencies, Series, axis

_AXES: Final = {  # by unit of the clock
    "instructions": "instructions (emulated, not latency)",
    "cycles": "cycles (emulated core, timing of its data sheet)",
    "us": "microseconds",
}


def time_section(_run: StoredRun, cells: Sequence[Cell]) -> Section:
    return section(
        "time",
        "Time",
        [
            *time_charts(cells),
            timing_table(cells),
            wall_table(cells),
        ],
    )


# --- time per inference ---

TITLES = {
    "instructions": "Instructions per inference",
    "cycles": "Cycles per inference",
    "us": "Latency per inference",
}
_CAPTIONS = {
    "instructions": "Retired instructions of the engine's invoke alone, counted by the emulator: "
    "the same in every repeat, but neither cycles nor time.",
    "cycles": "Clock cycles of the engine's invoke alone, including interrupts during it, counted "
    "by the emulator of a core whose timing the data sheet fixes. Not measured on a chip.",
    "us": "Wall time of the engine's invoke alone, on the board.",
}


def time_charts(cells: Sequence[Cell]) -> tuple[Chart, ...]:
    """A bar chart for each unit that the run's clocks count in."""
    models = [cell.plan.model for cell in cells]
    counts = [(cell, cell.series) for cell in cells if isinstance(cell.series, Counts)]
    latencies = [(cell, cell.series) for cell in cells if isinstance(cell.series, Latencies)]
    cycles = [(cell, cell.series) for cell in cells if isinstance(cell.series, CycleCounts)]
    charts = []
    if cycles:
        charts.append(time_chart(cycles, models))
    if counts:
        charts.append(time_chart(counts, models))
    if latencies:
        charts.append(time_chart(latencies, models))
    return tuple(charts)


def time_chart(timed: Sequence[tuple[Cell, Series[Kind]]], models: Sequence[str]) -> Chart:
    """One bar per run, all in one unit; MixedUnits if they are not."""
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
                css=colour(cell.plan.model, cell.plan.precision, models),
                values=(f"{median} {unit_words}", spread),
                segments=(Segment("bar", 0.0, scale.at(cell.time.point)),),
                whisker=whisker,
            )
        )
    caption = _CAPTIONS[unit]
    if any(cell.plan.protocol == "text" for cell in cells):
        caption += " Where the board prints lines of text, it is the time that they state."
    if any(row.whisker for row in rows):
        caption += " Whiskers: 5th to 95th percentile."
    return Chart(TITLES[unit], caption, _AXES[unit], ticks, tuple(rows))


def timing_table(cells: Sequence[Cell]) -> Table:
    """One row per run whose board has a clock."""
    head = (
        "Run",
        "First inference",
        "Median",
        "95% interval",
        "Method",
        "Answers",
        "Outliers, mild + severe",
        "Drift over the run",
        "Clock step",
    )
    note = (
        "First inference: the first that the bench requested, on most boards right after their "
        "start. It is in no other figure, nor are two more that warm up. Outliers: beyond 1.5 and "
        "3 interquartile ranges from the quartiles; counted, not removed. Drift: Mann-Kendall "
        f"test of the times in their order; with p below {SIGNIFICANT:g} it is reported, and its "
        "size is the last quarter's median over the first's. Clock step: the smallest step that "
        "the device saw its own clock make, or that its times show; nothing finer is shown."
    )
    return Table(
        "Time in detail", head, tuple(_row(c) for c in cells if c.series), note, folded=True
    )


def wall_table(cells: Sequence[Cell]) -> Table:
    """The wall time of emulators, in its own table because it is comparable with nothing else."""
    rows = []
    for cell in cells:
        if cell.wall is not None and cell.wall.values.size:
            rows.append(_wall(cell, cell.wall))
    note = (
        "Wall time on this computer of a request's whole round trip, including the wait for others "
        "in flight. It shows how fast the emulator is, and nothing about a board's time."
    )
    head = ("Run", "Round trip, ms", "95% interval", "Method", "Answers")
    return Table("Wall time of the emulators", head, tuple(rows), note, folded=True)


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
        step_words(cell),
    )


# --- accuracy against cost ---


def scatters(cells: Sequence[Cell]) -> tuple[Scatter, ...]:
    """For each board: accuracy over time, arena and flash, if at least two runs have both. A
    latency beside which LiteRT was timed is drawn with the host's (`hil.report.host`)."""
    boards = list(dict.fromkeys(cell.plan.board for cell in cells))
    models = [cell.plan.model for cell in cells]
    drawn = []
    for board in boards:
        here = [cell for cell in cells if cell.plan.board == board and cell.accuracy]
        on = f" on {board}" if len(boards) > 1 else ""
        real = any(isinstance(cell.series, Latencies) for cell in here)
        if here and not (real and any(cell.host_times for cell in here)):
            drawn.append(time_scatter(here, models, on=len(boards) > 1))
        for title, label, value in _SIZES:
            cost = Axis(label)
            drawn.append(_scatter(f"Accuracy against {title}{on}", cost, here, value, models))
    return tuple(scatter for scatter in drawn if scatter)


def time_scatter(cells: Sequence[Cell], models: Sequence[str], *, on: bool) -> Scatter | None:
    """Accuracy over the time of one board; ``on``: name it. None if it has no clock, or if fewer
    than two runs have a time."""
    units = {cell.plan.clock.unit for cell in cells}
    unit = units.pop() if len(units) == 1 else "none"  # two kinds of time never share an axis
    if unit not in _AXES:
        return None
    title = f"Accuracy against {'latency' if unit == 'us' else unit}"
    title += f" on {cells[0].plan.board}" if on else ""
    cost = Axis(_AXES[unit])
    if unit == "us":
        step = max(step_us(cell) for cell in cells)
        cost = replace(cost, words=lambda us: " ".join(latency_words(us, step)))
    return _scatter(title, cost, cells, _time, models)


def _time(cell: Cell) -> float:
    return cell.time.point if cell.time else 0.0


def _arena(cell: Cell) -> float:
    return float(cell.memory.arena or 0)


def _flash(cell: Cell) -> float:
    return float(cell.memory.flash or 0)


_SIZES: Final = (("RAM", "arena, bytes", _arena), ("flash", "flash, model and code, bytes", _flash))


def _scatter(
    title: str,
    cost: Axis,
    cells: Sequence[Cell],
    value: Callable[[Cell], float],
    models: Sequence[str],
) -> Scatter | None:
    placed = [(cell, cell.accuracy) for cell in cells if cell.accuracy and value(cell) > 0]
    if len(placed) < 2:
        return None
    marks = [
        Mark(
            cell.board_name,
            colour(cell.plan.model, cell.plan.precision, models),
            value(cell),
            accuracy,
        )
        for cell, accuracy in placed
    ]
    caption = "Device accuracy with its 95% interval. Up and to the left is better."
    return scatter(title, caption, cost, marks)


# --- clocks that cannot be right ---

_TOLERANCE = 0.01  # of two clocks: twice that of a ceramic resonator
_LATE_US = 20_000  # how long a USB serial converter may delay an answer


def contradictions(cells: Sequence[Cell]) -> Iterator[str]:
    """One line for each board's time that is impossible. Only latencies can be compared with the
    host's clock; an emulator's counts are unrelated to it."""
    for cell in cells:
        if isinstance(cell.series, Latencies):
            yield from _contradictions(cell, cell.series)


def _contradictions(cell: Cell, series: Latencies) -> Iterator[str]:
    allowed = step_us(cell)
    if cell.round_trips is not None and cell.clocked is not None:
        trips = cell.round_trips[cell.clocked]
        above = series.values > trips * (1 + _TOLERANCE) + allowed
        if above.any():
            i = int(np.argmax(series.values / np.maximum(trips, 1)))
            yield (
                f"{cell.name}: {plural(int(above.sum()), 'answer')} took longer by the device's "
                f"clock than this computer waited (at worst {count(series.values[i])} µs in "
                f"{count(trips[i])} µs): the device's clock is wrong."
            )
    end = cell.end
    if end is None:
        return
    if end.answered and end.seconds and cell.clocked is not None:
        timed = int(cell.clocked[-end.answered :].sum())
        total = float(series.values[series.values.size - timed :].sum())
        if total > end.seconds * 1e6 * (1 + _TOLERANCE) + allowed * timed:
            yield (
                f"{cell.name}: its answers took {total / 1e6:.3g} s in total by the device's "
                f"clock, {end.seconds:.3g} s by this computer's: the device's clock is wrong."
            )
    if end.answered and end.baud and end.alone_us is not None and end.idle_us is not None:
        # 10 bits per byte, for the request and the answer of one sample
        line = 1e7 * (end.bytes_out + end.bytes_in) / end.answered / end.baud
        unexplained = end.alone_us - end.idle_us - line
        if unexplained > 1.5 * float(series.values.max()) + _LATE_US:
            yield (
                f"{cell.name}: answering an inference takes {count(round(unexplained))} µs longer "
                f"than answering an empty request, but the device reports at most "
                f"{count(series.values.max())} µs: its clock may be slow."
            )
