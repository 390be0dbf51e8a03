# SPDX-License-Identifier: Apache-2.0
"""Accuracy against what it costs: instructions (or microseconds) and memory, as scatter plots."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from hil.core.text import clean
from hil.report.accuracy import accuracy_axis
from hil.report.cost import AXES
from hil.report.draw.chart import Point, Scale, Scatter, Tick, colour, log_ticks, ticks_in
from hil.report.draw.layout import shortened, width
from hil.report.text import count, percent, short
from hil.runs.cells import Cell

HEIGHT = 230  # pixels of the plotting area
_NARROW = 255.0  # pixels a phone gives the plotting area: labels must not meet there
_SIZE, _LINE = 13.0, 16.0  # pixels of a label's letters and of its line
_ROOMS = (190.0, 90.0)  # pixels for a label; the second where the first has no free place
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
        css = colour(cell, models)
        points.append(_point(cell.board_name, css, x.at(v), (point, low, high), boxes, labels))
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
        x_ticks=ticks_in(_NARROW, ((x.at(t), short(t)) for t in log_ticks(x.low, x.high))),
        y_ticks=tuple(Tick(down(t), f"{100 * t:.4g}%") for t in y_ticks),
        points=tuple(points),
    )


def _point(
    name: str,
    css: str,
    at: float,
    heights: tuple[float, float, float],
    points: list[Box],
    labels: list[Box],
) -> Point:
    """A point and its label, whose box is added to ``labels``. The label meets no point, interval
    or earlier label on the narrowest screen, where it can; on a wider one they only move apart.
    Where every place is taken, it has none: the drawing's description names all points."""
    y, x = heights[0], at / 100 * _NARROW
    for room in _ROOMS:
        text = shortened(clean(name), room, _SIZE, bold=True)
        for others in (points + labels, labels):  # it may cross an interval, never another label
            wide = width(text, _SIZE, bold=True)
            for anchor, left, middle in _places(x, y, wide):
                box = (left, left + wide, middle - _LINE / 2, middle + _LINE / 2)
                if _free(box, others):
                    labels.append(box)
                    dx = _GAP if anchor == "start" else -_GAP
                    return Point(text, css, at, *heights, anchor, dx, round(middle + 4.5, 1))
    return Point("", css, at, *heights, "start", _GAP, y)


def _places(x: float, y: float, wide: float) -> Iterator[tuple[str, float, float]]:
    """Alignment, left end and middle of a label beside a point, the nearest first."""
    sides = [("start", x + _GAP), ("end", x - _GAP - wide)]
    if x > _NARROW / 2:
        sides.reverse()
    for step in sorted(range(-224, 225, 16), key=abs):
        for anchor, left in sides:
            yield anchor, left, y + step


def _free(box: Box, others: Sequence[Box]) -> bool:
    left, right, top, bottom = box
    inside = left > -6 and right < _NARROW + 12 and top > -2 and bottom < HEIGHT + 2
    return inside and all(
        right < a or left > b or bottom < upper or top > lower for a, b, upper, lower in others
    )
