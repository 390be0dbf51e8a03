# SPDX-License-Identifier: Apache-2.0
"""What a chart is made of, before it is drawn: scales, ticks, rows and points.

Horizontal places are percentages of the drawing's width, so that one chart fits a phone and a
wide screen at the same letter size; the templates draw them as SVG.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from hil.report.draw.layout import clear
from hil.report.text import short
from hil.runs.cells import Cell

NARROW: Final = 290.0  # pixels a phone gives the axis of a bar chart
_HUES = ("teacher", "student", "third", "fourth", "fifth")


@dataclass(frozen=True, slots=True)
class Scale:
    """Values -> percent of the width."""

    low: float
    high: float
    log: bool = False

    def at(self, value: float) -> float:
        low, high, place = self.low, self.high, value
        if self.log:
            low, high, place = math.log(low), math.log(high), math.log(value)
        return round(100 * (place - low) / (high - low), 2)


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark of an axis; ``label`` is empty where it would touch the one before."""

    at: float
    label: str

    @property
    def anchor(self) -> str:
        """Alignment of a label that may not stick out at either end of the axis."""
        return "start" if self.at < 2 else "end" if self.at > 98 else "middle"


@dataclass(frozen=True, slots=True)
class Dot:
    """A point with its interval, all in percent; ``kind`` is device or host."""

    kind: str
    at: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a bar; ``css`` names its colour."""

    css: str
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a chart: its name, what is drawn, and the same in words."""

    label: str
    css: str
    values: tuple[str, ...]
    dots: tuple[Dot, ...] = ()
    segments: tuple[Segment, ...] = ()
    whisker: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """Rows over one horizontal axis. ``legend`` is (css, words) a swatch."""

    title: str
    caption: str
    axis: str
    ticks: tuple[Tick, ...]
    rows: tuple[Row, ...]
    legend: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Point:
    """``x`` in percent; heights in pixels from the top; the label starts or ends ``dx`` pixels
    beside the point, as ``anchor`` says."""

    label: str
    css: str
    x: float
    y: float
    low: float
    high: float
    anchor: str
    dx: float
    text_y: float


@dataclass(frozen=True, slots=True)
class Scatter:
    title: str
    caption: str
    alt: str
    x_axis: str
    y_axis: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    points: tuple[Point, ...]


def step(span: float, wanted: int) -> float:
    """The 1-2-5 step that cuts ``span`` into about ``wanted`` pieces."""
    rough = span / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * k for k in (1, 2, 5, 10) if power * k >= rough * 0.999)


def round_ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers from ``low`` to ``high``, both included when they are round."""
    by = step(high - low, wanted)
    first, last = math.ceil(low / by - 1e-9), math.floor(high / by + 1e-9)
    return [i * by for i in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Decades, or 1-2-5 of them where there are fewer than three."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for parts in ((1,), (1, 2, 5)):
        ticks = [k * 10.0**d for d in decades for k in parts if low <= k * 10.0**d <= high]
        if len(ticks) >= 3:
            break
    return ticks if len(ticks) >= 2 else [low, high]


def ticks_in(
    width: float, found: Iterable[tuple[float, str]], *, inside: bool = False
) -> tuple[Tick, ...]:
    """Ticks of (percent, label) on an axis of ``width`` pixels; ``inside``: aligned as `anchor`
    says, otherwise centred."""
    ticks = [Tick(at, label) for at, label in found]
    left = {"start": 0.0, "middle": 0.5, "end": 1.0}
    labels = clear(
        [
            (width * tick.at / 100, left[tick.anchor] if inside else 0.5, tick.label)
            for tick in ticks
        ]
    )
    return tuple(Tick(tick.at, label) for tick, label in zip(ticks, labels, strict=True))


def from_zero(values: Sequence[float]) -> tuple[Scale, tuple[Tick, ...]]:
    """Axis of bars: it starts at zero and ends at a round number or just past the longest."""
    top = max(*values, 0.0) or 1.0
    scale = Scale(0.0, top * 1.02)
    found = ((scale.at(v), short(v)) for v in round_ticks(0.0, top, 5))
    return scale, ticks_in(NARROW, found, inside=True)


def colour(cell: Cell, models: Sequence[str]) -> str:
    """Class names of a run's colour: its model's hue, its precision's shade."""
    model = cell.plan.model
    if model in ("teacher", "student"):
        hue = model
    else:
        others = [m for m in dict.fromkeys(models) if m not in ("teacher", "student")]
        free = [h for h in _HUES if h not in models]
        hue = free[others.index(model) % len(free)]
    return f"hue-{hue} {'soft' if cell.plan.precision == 'float32' else 'full'}"
