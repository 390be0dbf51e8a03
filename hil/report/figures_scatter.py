"""Accuracy against what it costs: instructions (or microseconds) and memory, as scatter plots."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hil.report.cells import Cell
from hil.report.chart import Point, Scale, Scatter, Tick, colour, log_ticks
from hil.report.figures_accuracy import accuracy_axis
from hil.report.figures_cost import AXES
from hil.report.text import count, percent, short

HEIGHT = 230  # pixels of the plotting area
_NARROW = 300.0  # pixels a phone gives the plotting area: labels must not meet there
_LETTER, _LINE = 6.6, 15.0  # pixels of a label's letter and line


def scatters(cells: Sequence[Cell]) -> tuple[Scatter, ...]:
    """Accuracy over time for each unit, then over arena and over flash; two points at least."""
    models = [cell.plan.model for cell in cells]
    cells = [cell for cell in cells if cell.n]
    drawn = [
        _scatter(
            f"Accuracy against {'instructions' if unit == 'instructions' else 'latency'}",
            axis + ", log scale",
            [cell for cell in cells if cell.plan.clock.unit == unit],
            lambda cell: cell.time.point if cell.time else 0.0,
            models,
        )
        for unit, axis in AXES.items()
    ]
    for title, axis, value in (
        ("Accuracy against RAM", "arena, bytes, log scale", _arena),
        ("Accuracy against flash", "flash, model and code, bytes, log scale", _flash),
    ):
        drawn.append(_scatter(title, axis, cells, value, models))
    return tuple(scatter for scatter in drawn if scatter)


def _arena(cell: Cell) -> float:
    return float(cell.end.memory.arena) if cell.end else 0.0


def _flash(cell: Cell) -> float:
    return float(cell.end.memory.flash_model + cell.end.memory.flash_code) if cell.end else 0.0


def _scatter(
    title: str,
    axis: str,
    cells: Sequence[Cell],
    value: Callable[[Cell], float],
    models: Sequence[str],
) -> Scatter | None:
    placed = [(cell, value(cell)) for cell in cells if value(cell) > 0]
    if len(placed) < 2:
        return None
    values = [v for _, v in placed]
    x = Scale(min(values) / 1.6, max(values) * 1.6, log=True)
    y, y_ticks = accuracy_axis([cell for cell, _ in placed])

    def down(share: float) -> float:
        return round(HEIGHT * (1 - y.at(share) / 100), 1)

    taken: list[tuple[float, float, float, float]] = []
    points = []
    for cell, v in sorted(placed, key=lambda pair: (pair[1], pair[0].name)):
        accuracy, at = cell.accuracy, x.at(v)
        anchor, text_y = _label(cell.name, at, down(accuracy.point), taken)
        points.append(
            Point(
                cell.name,
                colour(cell, models),
                at,
                down(accuracy.point),
                down(accuracy.low),
                down(accuracy.high),
                anchor,
                text_y,
            )
        )
    said = "; ".join(
        f"{cell.name}: {percent(cell.accuracy.point, cell.n)} at {count(v)}" for cell, v in placed
    )
    return Scatter(
        title=title,
        caption="Device accuracy with its 95% interval. Up and to the left is better.",
        alt=f"{title} ({axis}). {said}.",
        x_axis=axis,
        y_axis="accuracy",
        x_ticks=tuple(Tick(x.at(t), short(t)) for t in log_ticks(x.low, x.high)),
        y_ticks=tuple(Tick(down(t), f"{100 * t:.4g}%") for t in y_ticks),
        points=tuple(points),
    )


def _label(
    name: str, at: float, y: float, taken: list[tuple[float, float, float, float]]
) -> tuple[str, float]:
    """Alignment and height of a label that meets no earlier one, even on a phone."""
    anchor = "start" if at < 35 else "end" if at > 65 else "middle"
    width, x = _LETTER * len(name), at / 100 * _NARROW
    left = {"start": x, "middle": x - width / 2, "end": x - width}[anchor]
    heights = [y - 11, y + 21, y - 27, y + 37, y - 43, y + 53]
    inside = [h for h in heights if _LINE <= h <= HEIGHT - 4] or heights

    def free(h: float) -> bool:
        return all(
            left + width < a or left > b or h < top or h - _LINE > bottom
            for a, b, top, bottom in taken
        )

    text_y = next((h for h in inside if free(h)), inside[0])
    taken.append((left, left + width, text_y - _LINE, text_y))
    return anchor, round(text_y, 1)
