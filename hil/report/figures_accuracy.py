"""Accuracy on the device and on the host, with intervals: a dot plot."""

from __future__ import annotations

from collections.abc import Sequence

from hil.report.cells import Cell
from hil.report.chart import NARROW, Chart, Dot, Row, Scale, colour, round_ticks, step, ticks_in
from hil.report.text import interval, percent
from hil.stats import CONFIDENCE, Estimate


def accuracy_chart(cells: Sequence[Cell]) -> Chart | None:
    """One row a run that has an answer; None when none has."""
    cells = [cell for cell in cells if cell.n]
    if not cells:
        return None
    models = [cell.plan.model for cell in cells]
    scale, ticks = accuracy_axis(cells)
    return Chart(
        title="Device and host",
        caption=f"Share of right answers; lines are {CONFIDENCE:.0%} Wilson intervals. The axis "
        "does not start at zero. Host is LiteRT on this computer.",
        axis="accuracy",
        ticks=ticks_in(NARROW, ((scale.at(v), f"{100 * v:.4g}%") for v in ticks), inside=True),
        rows=tuple(_row(cell, colour(cell, models), scale) for cell in cells),
        legend=(("key-device", "device"), ("key-host", "host")),
    )


def accuracy_axis(cells: Sequence[Cell]) -> tuple[Scale, list[float]]:
    """Scale that holds every interval, ending on round numbers, and its ticks (shares)."""
    estimates = [e for cell in cells for e in (cell.accuracy, cell.host_accuracy)]
    lowest, highest = min(e.low for e in estimates), max(e.high for e in estimates)
    by = step(max(highest - lowest, 0.005), 4)
    low = max(0.0, by * (lowest // by))
    high = min(1.0, by * (highest // by + 1))
    return Scale(low, high), round_ticks(low, high)


def _row(cell: Cell, css: str, scale: Scale) -> Row:
    both = (("device", cell.accuracy), ("host", cell.host_accuracy))
    return Row(
        label=cell.name,
        css=css,
        values=tuple(f"{kind} {percent(e.point, e.n)} ({interval(e)})" for kind, e in both),
        dots=tuple(_dot(kind, e, scale) for kind, e in both),
    )


def _dot(kind: str, estimate: Estimate, scale: Scale) -> Dot:
    return Dot(kind, scale.at(estimate.point), scale.at(estimate.low), scale.at(estimate.high))
