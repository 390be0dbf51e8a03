# SPDX-License-Identifier: Apache-2.0
"""An outcome drawn: what mattered, T against alpha, accuracy against what it costs. SVG, by
shapes computed here and drawn by ``sweep.svg.j2``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.interpolate import griddata

from hil.report.draw.layout import clear, shortened, widest
from hil_train.pages import Tick, axis_of, render, ticks_of
from hil_train.recipe import Axis
from hil_train.sweep.outcome import Outcome, Row
from hil_train.sweep.study import UNITS

WIDTH: Final = 720
HEIGHT: Final = 400
LEFT, TOP, RIGHT, BOTTOM = 90, 58, 44, 52  # of the drawing within the picture
_CELLS: Final = (40, 26)
_BAR: Final = 34
_NAME: Final = 240  # pixels of the longest name of a bar

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle; ``shade``: 0..1 from worst to best, or -1 for a plain bar."""

    x: float
    y: float
    width: float
    height: float
    shade: float = -1.0
    label: str = ""


@dataclass(frozen=True, slots=True)
class Dot:
    x: float
    y: float
    css: str
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One picture; places in pixels from the drawing's corner."""

    title: str
    note: str = ""
    x_name: str = ""
    y_name: str = ""
    height: int = HEIGHT
    boxes: tuple[Box, ...] = ()
    dots: tuple[Dot, ...] = ()
    line: str = ""
    x_ticks: tuple[Tick, ...] = ()
    y_ticks: tuple[Tick, ...] = ()
    scale: tuple[str, str] | None = None  # of the shades: worst, best
    names: float = 0.0  # pixels for the names of bars; 0: the vertical axis has numbers

    def svg(self) -> str:
        """Light and dark; without a script, a font or a file beside it."""
        return render(
            "sweep.svg.j2",
            chart=self,
            width=WIDTH,
            left=14 + self.names if self.names else LEFT,
            top=TOP,
            span=WIDTH - LEFT - RIGHT,
            rise=self.height - TOP - BOTTOM,
        )


def importance(outcome: Outcome) -> Chart | None:
    """A bar a value; None where importances are not known."""
    if not outcome.importance:
        return None
    names = [shortened(name, _NAME) for name in outcome.importance]
    room = widest(names)
    longest = WIDTH - room - 100
    boxes = tuple(
        Box(8, i * _BAR, round(longest * share, 1), _BAR - 12, label=f"{share:.0%}")
        for i, share in enumerate(outcome.importance.values())
    )
    ticks = tuple(Tick(i * _BAR + (_BAR - 12) / 2, name) for i, name in enumerate(names))
    done = len(outcome.of("complete"))
    return Chart(
        title="What moved the validation accuracy",
        note=f"share of its variance (fANOVA), {done} complete trials",
        height=TOP + _BAR * len(boxes) + 12,
        boxes=boxes,
        y_ticks=ticks,
        names=room,
    )


def contour(outcome: Outcome) -> Chart | None:
    """Accuracy over T and alpha, between the complete trials; None where fewer than four
    different points span a plane."""
    axes = outcome.settings.axes
    rows = outcome.of("complete")
    if not {"temperature", "alpha"} <= set(axes):
        return None
    log = isinstance(axes["temperature"], Axis) and axes["temperature"].log
    t = np.array([_scaled(row.values["temperature"], log) for row in rows])
    a = np.array([row.values["alpha"] for row in rows])
    z = np.array([row.accuracy for row in rows], float)
    if len(np.unique(np.c_[t, a], axis=0)) < 4 or np.ptp(t) == 0 or np.ptp(a) == 0:
        return None
    u, v = (t - t.min()) / np.ptp(t), (a - a.min()) / np.ptp(a)
    if np.linalg.matrix_rank(np.c_[u - u[0], v - v[0]], tol=1e-6) < 2:
        return None
    span, rise = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    low, high = float(z.min()), float(z.max())
    best = outcome.best
    columns, lines = _CELLS
    across, up = (np.arange(columns) + 0.5) / columns, (np.arange(lines) + 0.5) / lines
    surface = griddata((u, v), z, tuple(np.meshgrid(across, up)), method="linear")
    boxes = tuple(
        Box(
            round(span * i / columns, 1),
            round(rise * (1 - (j + 1) / lines), 1),
            round(span / columns + 0.4, 1),  # no seams
            round(rise / lines + 0.4, 1),
            shade=round(_share(float(surface[j, i]), low, high), 3),
        )
        for j in range(lines)
        for i in range(columns)
        if math.isfinite(surface[j, i])
    )
    dots = tuple(
        Dot(round(span * x, 1), round(rise * (1 - y), 1), _css(row, best), _title(row))
        for x, y, row in zip(u, v, rows, strict=True)
    )
    ends = (float(t.min()), float(t.max()))
    marks = (1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100) if log else ticks_of(*axis_of(*ends))
    places = [((_scaled(m, log) - ends[0]) / (ends[1] - ends[0]), m) for m in marks]
    alphas = [((m - a.min()) / np.ptp(a), m) for m in np.arange(11) / 10]
    return Chart(
        title="Validation accuracy over T and alpha",
        note="linear between the complete trials (dots); ringed: the best",
        x_name="temperature T" + (", logarithmic" if log else ""),
        y_name="alpha",
        boxes=boxes,
        dots=dots,
        x_ticks=_ticks(places, span),
        y_ticks=tuple(Tick(round(rise * (1 - s), 1), f"{m:g}") for s, m in alphas if 0 <= s <= 1),
        scale=(f"{low:.3f}", f"{high:.3f}"),
    )


def pareto(outcome: Outcome, figure: str) -> Chart | None:
    """Accuracy against a figure, the front as steps; None without two complete trials."""
    rows = [row for row in outcome.of("complete") if figure in row.figures]
    if len(rows) < 2:
        return None
    front = outcome.front([figure])
    span, rise = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    x_axis = axis_of(0.0, max(row.figures[figure] for row in rows))
    accuracies = [row.accuracy for row in rows if row.accuracy is not None]
    y_axis = axis_of(min(accuracies), max(accuracies))

    def at(row: Row) -> tuple[float, float]:
        x, y = _share(row.figures[figure], *x_axis), _share(row.accuracy or 0.0, *y_axis)
        return round(span * x, 1), round(rise * (1 - y), 1)

    numbers = {row.number for row in front}
    corners: list[tuple[float, float]] = []
    for x, y in sorted({at(row) for row in front}):
        if corners:
            corners.append((x, corners[-1][1]))
        corners.append((x, y))
    unit = f", {UNITS[figure]}" if figure in UNITS else ""
    return Chart(
        title=f"Validation accuracy against {figure}",
        note="the line: what no other trial beats in both",
        x_name=f"{figure}{unit}",
        y_name="accuracy",
        dots=tuple(
            Dot(*at(row), "front" if row.number in numbers else "plain", _title(row))
            for row in rows
        ),
        line=" ".join(f"{x},{y}" for x, y in corners),
        x_ticks=tuple(
            Tick(round(span * _share(v, *x_axis), 1), f"{v:,.0f}") for v in ticks_of(*x_axis)
        ),
        y_ticks=tuple(
            Tick(round(rise * (1 - _share(v, *y_axis)), 1), f"{v:.6g}") for v in ticks_of(*y_axis)
        ),
    )


def _scaled(value: float, log: bool) -> float:
    return math.log(value) if log else value


def _share(value: float, low: float, high: float) -> float:
    return 0.5 if high <= low else min(max((value - low) / (high - low), 0.0), 1.0)


def _ticks(places: Sequence[tuple[float, float]], span: float) -> tuple[Tick, ...]:
    """Those within the drawing whose labels do not touch."""
    inside = [(round(span * share, 1), f"{mark:g}") for share, mark in places if 0 <= share <= 1]
    labels = clear([(at, 0.5, words) for at, words in inside])
    return tuple(Tick(at, words) for (at, _), words in zip(inside, labels, strict=True) if words)


def _css(row: Row, best: Row | None) -> str:
    return "best" if best is not None and row.number == best.number else "plain"


def _title(row: Row) -> str:
    values = ", ".join(f"{key} {value:.4g}" for key, value in row.values.items())
    return f"trial {row.number}: {row.accuracy:.4f}; {values}"
