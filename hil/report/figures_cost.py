"""What an answer costs: instructions or microseconds, never on one axis."""

from __future__ import annotations

from collections.abc import Sequence

from hil.report.cells import Cell
from hil.report.chart import Chart, Row, Segment, colour, from_zero
from hil.report.clocks import latency_words, step_us
from hil.report.text import count, per_inference, plural, short
from hil.series import Counts, Kind, Latencies, Series, axis
from hil.stats import Estimate

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
