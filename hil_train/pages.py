# SPDX-License-Identifier: Apache-2.0
"""Templates -> text: the one place that knows where they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import jinja2

from hil.report.draw.layout import clear, shortened
from hil_train.provenance import Provenance, StageRecord

_PAGES = jinja2.Environment(
    loader=jinja2.PackageLoader("hil_train"),
    autoescape=jinja2.select_autoescape(enabled_extensions=("svg.j2", "html.j2")),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def plain(text: str) -> str:
    """Someone's words on one line of Markdown, without a table's border or HTML."""
    return " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


_PAGES.filters["plain"] = plain


def render(template: str, **values: Any) -> str:
    """A template of ``hil_train/templates`` with its values."""
    return _PAGES.get_template(template).render(**values)


WIDTH: Final = 860
ROW: Final = 176  # height of a stage's row
PLOT: Final = 96  # height of a drawing in it
_LEFTS: Final = (60, 480)
_SPAN: Final = 340  # width of a drawing


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Line:
    """``css`` is train or validation; ``points`` as SVG wants them."""

    css: str
    points: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One drawing; places in pixels from its corner."""

    title: str
    left: int
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    top: int
    panels: tuple[Panel, ...]


def svg(provenance: Provenance) -> str:
    """The drawing, light and dark; without a script, a font or a file beside it."""
    first = {key: r for key, r in provenance.stages.items() if key == r.inputs.plan.stage}
    accuracies = [v for r in first.values() for n in _ACCURACY for v in r.history[n]]
    axis = axis_of(min(accuracies), max(accuracies))
    rows = tuple(
        _row(key, record, 60 + i * ROW, axis) for i, (key, record) in enumerate(first.items())
    )
    return render(
        "history.svg.j2",
        title=shortened(
            f"{provenance.name}: accuracy and loss, epoch by epoch", WIDTH - 28, 15, bold=True
        ),
        rows=rows,
        width=WIDTH,
        height=60 + len(rows) * ROW,
        plot=PLOT,
        span=_SPAN,
    )


_ACCURACY = ("accuracy", "val_accuracy")
_LOSS = ("loss", "val_loss")


def _row(key: str, record: StageRecord, top: int, axis: tuple[float, float]) -> Row:
    history, plan = record.history, record.inputs.plan
    losses = [v for name in _LOSS for v in history[name]]
    scales = (axis, axis_of(0.0, max(losses)))
    kind = f"loss, {plan.loss.kind}" if plan.loss else "loss, cross-entropy"
    panels = tuple(
        _panel(title, left, [history[name] for name in names], scale)
        for title, left, names, scale in zip(
            ("accuracy", kind), _LEFTS, (_ACCURACY, _LOSS), scales, strict=True
        )
    )
    epochs, best = len(history["loss"]), record.validation_accuracy
    words = f"{key}: {epochs} epochs, {record.seconds:.0f} s, {best:.4f} on validation"
    return Row(shortened(words, WIDTH - 28, 13), top, panels)


def _panel(
    title: str, left: int, series: Sequence[Sequence[float]], axis: tuple[float, float]
) -> Panel:
    epochs = len(series[0])
    low, high = axis

    def x(epoch: float) -> float:
        return round(_SPAN * (epoch - 1) / max(epochs - 1, 1), 1)

    def y(value: float) -> float:
        return round(PLOT * (high - min(max(value, low), high)) / (high - low), 1)

    lines = tuple(
        Line(css, " ".join(f"{x(i + 1)},{y(v)}" for i, v in enumerate(values)))
        for css, values in zip(("train", "validation"), series, strict=True)
    )
    # the first epoch and round ones: an axis of epochs has no epoch 0
    by = max(1, round(_step(epochs)))
    marks = sorted({1, *range(by, epochs + 1, by)})
    numbers = clear([(x(mark), 0.5, str(mark)) for mark in marks])
    return Panel(
        title=shortened(title, _SPAN),
        left=left,
        lines=lines,
        x_ticks=tuple(Tick(x(m), words) for m, words in zip(marks, numbers, strict=True) if words),
        y_ticks=tuple(Tick(y(v), f"{v:.6g}") for v in ticks_of(low, high)),
    )


def _step(span: float, wanted: int = 4) -> float:
    """The 1-2-5 step that cuts ``span`` into about ``wanted`` pieces."""
    rough = span / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * k for k in (1, 2, 5, 10) if power * k >= rough * 0.999)


def axis_of(low: float, high: float) -> tuple[float, float]:
    """The range widened to round numbers."""
    if high - low < 1e-9:
        low, high = low - 0.01, high + 0.01
    by = _step(high - low)
    return math.floor(low / by + 1e-9) * by, math.ceil(high / by - 1e-9) * by


def ticks_of(low: float, high: float) -> list[float]:
    """The round numbers within a range that `axis_of` gave."""
    by = _step(high - low)
    return [i * by for i in range(math.ceil(low / by - 1e-9), math.floor(high / by + 1e-9) + 1)]
