"""Accuracy against what it costs: instructions (or microseconds) and memory, as scatter plots."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from hil.report.cells import Cell
from hil.report.chart import Point, Scale, Scatter, Tick, colour, log_ticks
from hil.report.figures_accuracy import accuracy_axis
from hil.report.figures_cost import AXES
from hil.report.text import count, percent, short

HEIGHT = 230  # pixels of the plotting area
_NARROW = 255.0  # pixels a phone gives the plotting area: labels must not meet there
_LETTER, _LINE = 7.2, 15.0  # pixels of a label's letter and line, at the widest
_GAP = 10.0  # pixels between a point and its label

Box: TypeAlias = tuple[float, float, float, float]  # left, right, top, bottom


def scatters(cells: Sequence[Cell]) -> tuple[Scatter, ...]:
    """For each board: accuracy over its time, over arena and over flash, where two runs have it."""
    boards = list(dict.fromkeys(cell.plan.board for cell in cells))
    models = [cell.plan.model for cell in cells]
    drawn = []
    for board in boards:
        here = [cell for cell in cells if cell.plan.board == board and cell.n]
        on = f" on {board}" if len(boards) > 1 else ""
        for title, axis, value in _kinds(here):
            drawn.append(_scatter(f"Accuracy against {title}{on}", axis, here, value, models))
    return tuple(scatter for scatter in drawn if scatter)


def _kinds(cells: Sequence[Cell]) -> Iterator[tuple[str, str, Callable[[Cell], float]]]:
    """Title, axis and value of a board's plots; a board has one clock."""
    units = {cell.plan.clock.unit for cell in cells}
    unit = units.pop() if len(units) == 1 else "none"  # two kinds of time share no axis
    if unit in AXES:
        title = "latency" if unit == "us" else unit
        yield title, AXES[unit], lambda cell: cell.time.point if cell.time else 0.0
    yield "RAM", "arena, bytes", _arena
    yield "flash", "flash, model and code, bytes", _flash


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

    heights = [(down(e.point), down(e.low), down(e.high)) for e in (c.accuracy for c, _ in placed)]
    boxes = [
        (at - 7, at + 7, min(top, point - 7), max(bottom, point + 7))
        for at, (point, bottom, top) in zip(
            (x.at(v) / 100 * _NARROW for v in values), heights, strict=True
        )
    ]
    points: list[Point] = []
    labels: list[Box] = []
    for (cell, v), (point, low, high) in zip(placed, heights, strict=True):
        anchor, dx, text_y = _label(cell.board_name, x.at(v), point, boxes, labels)
        css = colour(cell, models)
        points.append(Point(cell.board_name, css, x.at(v), point, low, high, anchor, dx, text_y))
    said = "; ".join(
        f"{cell.board_name}: {percent(cell.accuracy.point, cell.n)} at {count(v)}"
        for cell, v in placed
    )
    return Scatter(
        title=title,
        caption="Device accuracy with its 95% interval. Up and to the left is better.",
        alt=f"{title} ({axis}, log scale). {said}.",
        x_axis=f"{axis}, log scale",
        y_axis="accuracy",
        x_ticks=tuple(Tick(x.at(t), short(t)) for t in log_ticks(x.low, x.high)),
        y_ticks=tuple(Tick(down(t), f"{100 * t:.4g}%") for t in y_ticks),
        points=tuple(points),
    )


def _label(
    name: str, at: float, y: float, points: list[Box], labels: list[Box]
) -> tuple[str, float, float]:
    """Alignment, side step and height of a label beside its point.

    It meets no point, interval or earlier label on the narrowest screen; on a wider one they
    only move apart.
    """
    width, x = _LETTER * len(name), at / 100 * _NARROW
    sides = [("start", x + _GAP), ("end", x - _GAP - width)]
    if at > 50:
        sides.reverse()
    steps = sorted(range(-160, 161, 16), key=abs)
    places = [(anchor, left, y + step) for step in steps for anchor, left in sides]

    def free(left: float, middle: float, others: Sequence[Box]) -> bool:
        inside = left > -30 and left + width < _NARROW + 12 and 6 < middle < HEIGHT - 6
        return inside and all(
            left + width < a or left > b or middle + _LINE / 2 < top or middle - _LINE / 2 > bottom
            for a, b, top, bottom in others
        )

    near = [place for place in places if free(place[1], place[2], points + labels)][:1]
    # where points crowd, a label may cross an interval but never another label
    anywhere = [place for place in places if free(place[1], place[2], labels)][:1]
    anchor, left, middle = (near or anywhere or places)[0]
    labels.append((left, left + width, middle - _LINE / 2, middle + _LINE / 2))
    return anchor, _GAP if anchor == "start" else -_GAP, round(middle + 4.5, 1)
