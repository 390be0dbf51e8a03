# SPDX-License-Identifier: Apache-2.0
"""The drawings of a report as data: scales, ticks, rows, points, squares. Templates make SVG of it.

Horizontal positions are percentages of the drawing's width, so that one chart fits a phone and a
wide screen at the same font size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from hil.report.draw.layout import clear
from hil.report.text import short

NARROW: Final = 290.0  # width of a bar chart's axis on a phone, in pixels
# the light colours of pages and drawings; style.css has the dark ones
PALETTE: Final = {
    "paper": "#ffffff",
    "ink": "#1d2329",
    "quiet": "#5a6570",
    "line": "#d9dee3",
    "panel": "#f5f7f9",
    "blue": "#0b62b0",
    "blue-soft": "#6fa8dc",
    "red": "#c4480a",
    "red-soft": "#eb9a6c",
    "green": "#1b7a4b",
    "green-soft": "#72b794",
    "violet": "#7440a8",
    "violet-soft": "#b18fd6",
    "grey": "#4a5560",
    "grey-soft": "#98a3ad",
    "mem-a": "#3b4a8c",
    "mem-b": "#8fa0d8",
    "mem-c": "#d3bd7a",
    "mem-d": "#2f8f83",
    "mem-e": "#a05a8c",
    "mem-f": "#c98250",
    "mem-g": "#7d8790",
    "mem-h": "#c3cad1",
    "mem-i": "#c5cdee",
    "good": "#1b7a4b",
    "bad": "#b3261e",
    "part": "#8a5a00",
}
# hue of a model -> its colour; the lighter shade has the suffix -soft
HUES: Final = {
    "teacher": "blue",
    "student": "red",
    "third": "green",
    "fourth": "violet",
    "fifth": "grey",
}


@dataclass(frozen=True, slots=True)
class Scale:
    """Values -> percent of the width, linear or logarithmic."""

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
    """A mark on an axis; ``label`` is empty where it would touch the one before."""

    at: float
    label: str

    @property
    def anchor(self) -> str:
        """Alignment that keeps the label within both ends of the axis."""
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
    """A segment of a bar; ``css`` names its colour."""

    css: str
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a chart: its name, what is drawn, and the same as text. ``strip``: places of small
    points, in percent; ``dots`` then lie on the same line, else one below the other."""

    label: str
    css: str
    values: tuple[str, ...]
    dots: tuple[Dot, ...] = ()
    strip: tuple[float, ...] = ()
    segments: tuple[Segment, ...] = ()
    whisker: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """Rows over one horizontal axis. ``legend`` has (css, text) per swatch."""

    title: str
    caption: str
    axis: str
    ticks: tuple[Tick, ...]
    rows: tuple[Row, ...]
    legend: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Point:
    """``x`` in percent, heights in pixels from the top. The label starts or ends, as ``anchor``
    says, ``dx`` pixels beside the point. ``kind``: device is a disc, host a hollow diamond."""

    label: str
    css: str
    x: float
    y: float
    low: float
    high: float
    anchor: str
    dx: float
    text_y: float
    kind: str = "device"


@dataclass(frozen=True, slots=True)
class Link:
    """A line between two points, in the units of `Point`."""

    css: str
    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True, slots=True)
class Scatter:
    """``legend`` has (css, text) per swatch."""

    title: str
    caption: str
    alt: str
    x_axis: str
    y_axis: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    points: tuple[Point, ...]
    links: tuple[Link, ...] = ()
    legend: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Cloud:
    """Many small points without names, ``x`` in percent and ``y`` in pixels from the top, and the
    line on which they should lie."""

    title: str
    caption: str
    alt: str
    x_axis: str
    y_axis: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    points: tuple[tuple[float, float], ...]
    line: Link


@dataclass(frozen=True, slots=True)
class Square:
    """A square of a matrix. ``kind`` is right, wrong or none; ``shade`` is 0..1."""

    text: str
    kind: str
    shade: float


@dataclass(frozen=True, slots=True)
class Confusion:
    """A confusion matrix: columns are the answers, ``row_name`` says what rows are."""

    name: str
    caption: str
    classes: tuple[int, ...]
    rows: tuple[tuple[Square, ...], ...]
    row_name: str = "label"


Drawing: TypeAlias = Chart | Scatter | Cloud | Confusion


def step(span: float, wanted: int) -> float:
    """The step of the form 1, 2 or 5 times 10^k that divides ``span`` into about ``wanted``."""
    rough = span / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * k for k in (1, 2, 5, 10) if power * k >= rough * 0.999)


def round_ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers from ``low`` to ``high``, including both if they are round."""
    by = step(high - low, wanted)
    first, last = math.ceil(low / by - 1e-9), math.floor(high / by + 1e-9)
    return [i * by for i in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten, or also their 2- and 5-fold if there are fewer than three."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for parts in ((1,), (1, 2, 5)):
        ticks = [k * 10.0**d for d in decades for k in parts if low <= k * 10.0**d <= high]
        if len(ticks) >= 3:
            break
    return ticks if len(ticks) >= 2 else [low, high]


def ticks_in(
    width: float, found: Iterable[tuple[float, str]], *, inside: bool = False
) -> tuple[Tick, ...]:
    """Ticks from (percent, label) on an axis of ``width`` pixels. ``inside``: labels are aligned as
    `Tick.anchor` says, otherwise centred."""
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
    """The axis of bars: from zero to just past the longest, with round ticks."""
    top = max(*values, 0.0) or 1.0
    scale = Scale(0.0, top * 1.02)
    found = ((scale.at(v), short(v)) for v in round_ticks(0.0, top, 5))
    return scale, ticks_in(NARROW, found, inside=True)


def colour(model: str, precision: str, models: Sequence[str]) -> str:
    """CSS classes of a run's colour: hue by model, shade by precision. ``models``: of all runs."""
    if model in ("teacher", "student"):
        hue = model
    else:
        others = [m for m in dict.fromkeys(models) if m not in ("teacher", "student")]
        free = [h for h in HUES if h not in models]
        hue = free[others.index(model) % len(free)]
    return f"hue-{hue} {'soft' if precision == 'float32' else 'full'}"
