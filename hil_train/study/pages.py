# SPDX-License-Identifier: Apache-2.0
"""Figures of a study -> table, Markdown, one self-contained HTML page, and the drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from string import ascii_uppercase
from typing import Any, Final

import jinja2
from markupsafe import Markup
from rich.table import Table

from hil.core import files
from hil.core.records import Precision
from hil.core.text import clean
from hil.report.draw.chart import Scale, Tick, log_ticks
from hil.report.draw.layout import clear, shortened, width, wrapped
from hil.report.text import count, escape, interval, percent, plural, short
from hil_train.study.figures import (
    Axis,
    Row,
    Study,
    absent,
    accuracy,
    axes,
    choices,
    flash,
    front,
    measured,
    unexpected,
    worth,
)

WIDTH: Final = 980
PANEL: Final = 250  # width of a plotting area
HEIGHT: Final = 300
_LEFT, _STEP, _TOP, _LEGEND = 58, 312, 64, 20
_DEPTH: Final = 12  # times the wrong answers of the best: what the axis reaches down to
_LINE = 14.0  # pixels a label's line takes
_LEGEND_LEFT, _LINE_STEP = 194, 16  # where the legend's words begin; from line to line
_KEY = 480  # width of a column of the key
_LEGEND_WORDS = (
    "no network is both cheaper and more accurate; lines: 95 % Wilson intervals; "
    "up and to the left is better; ↓: below the axis"
)
_SHARES: Final = (0.999, 0.998, 0.995, 0.99, 0.98, 0.95, 0.9, 0.8, 0.5, 0.0)


@dataclass(frozen=True, slots=True)
class Mark:
    """A network in a panel; places in pixels. ``css``: hue of its method, ``soft`` or ``full``."""

    letter: str
    css: str
    x: float
    y: float
    low: float
    high: float
    text_x: float
    text_y: float
    said: str


@dataclass(frozen=True, slots=True)
class Panel:
    left: int
    axis: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    marks: tuple[Mark, ...]
    front: str  # points of a polyline


@dataclass(frozen=True, slots=True)
class Key:
    letter: str
    words: str
    css: str
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Drawing:
    title: str
    legend: tuple[str, ...]  # what the dashed line is, and how to read the rest
    width: int
    height: int
    bottom: int  # of the panels
    panels: tuple[Panel, ...]
    keys: tuple[Key, ...]


def drawing(study: Study) -> Drawing:
    """What `pareto.svg.j2` draws."""
    letters = _letters(study)
    legend = wrapped(_LEGEND_WORDS, WIDTH - _LEGEND_LEFT - 14)
    top = _TOP + _LINE_STEP * (len(legend) - 1)
    lines = -(-len(letters) // 2)
    bottom = top + HEIGHT + 64
    keys = tuple(
        Key(
            letter,
            shortened(words, _KEY - 32, 13),
            f"hue-{i % 10}",
            14 + _KEY * (i // lines),
            bottom + _LEGEND * (i % lines),
        )
        for i, (letter, words) in enumerate(letters.values())
    )
    scale, ticks = _accuracy_axis(study)
    panels = tuple(
        _panel(study, axis, _LEFT + i * _STEP, scale, ticks, letters)
        for i, axis in enumerate(axes(study))
    )
    title = shortened(
        f"{study.dataset}, {study.n:,} samples on {study.board_title}", WIDTH - 28, 15, bold=True
    )
    return Drawing(title, legend, WIDTH, bottom + _LEGEND * lines + 6, top, panels, keys)


def _letters(study: Study) -> dict[str, tuple[str, str]]:
    """Method -> its letter and its words."""
    words = {row.method: row.words for row in measured(study)}
    return {m: (ascii_uppercase[i % 26], words[m]) for i, m in enumerate(words)}


def _wrong(study: Study, share: float) -> float:
    """Share of wrong answers, at least half a sample: a logarithm needs something."""
    return max(1 - share, 0.5 / study.n)


def _accuracy_axis(study: Study) -> tuple[Scale, tuple[Tick, ...]]:
    """Share wrong -> percent of the height from the top, and ticks of accuracy."""
    shares = [accuracy(study, row) for row in measured(study)]
    worst = max(_wrong(study, each.low) for each in shares) * 1.1
    worst = min(worst, _DEPTH * min(_wrong(study, each.point) for each in shares))
    least = min(_wrong(study, each.high) for each in shares) / 1.1
    scale = Scale(least, worst, log=True)
    ticks = [s for s in _SHARES if least <= 1 - s <= worst]
    return scale, tuple(Tick(_down(scale, 1 - s), f"{100 * s:g}%") for s in ticks)


def _down(scale: Scale, wrong: float) -> float:
    return round(HEIGHT * scale.at(min(wrong, scale.high)) / 100, 1)


def _panel(
    study: Study,
    axis: Axis,
    left: int,
    y: Scale,
    y_ticks: tuple[Tick, ...],
    letters: dict[str, tuple[str, str]],
) -> Panel:
    rows = measured(study)
    costs = [max(axis.cost(row), 1.0) for row in rows]
    x = Scale(min(costs) / 1.3, max(costs) * 1.3, log=True)

    def across(value: float) -> float:
        return round(PANEL * x.at(max(value, 1.0)) / 100, 1)

    def place(row: Row) -> tuple[float, float]:
        share = accuracy(study, row).point
        return across(axis.cost(row)), _down(y, _wrong(study, share))

    taken = [place(row) for row in rows]
    labels: list[tuple[float, float, float]] = []
    marks = []
    for row, at in zip(rows, taken, strict=True):
        letter, _ = letters[row.method]
        estimate = accuracy(study, row)
        below = "↓" * (_wrong(study, estimate.point) > y.high)
        text, text_x, text_y = _label(letter + below, at, taken, labels)
        marks.append(
            Mark(
                letter=text,
                css=f"hue-{list(letters).index(row.method) % 10} "
                f"{'full' if row.precision is Precision.INT8 else 'soft'}",
                x=at[0],
                y=at[1],
                low=_down(y, _wrong(study, estimate.low)),
                high=_down(y, _wrong(study, estimate.high)),
                text_x=text_x,
                text_y=text_y,
                said=f"{row.name}: {percent(estimate.point, study.n)}, "
                f"{count(axis.cost(row))} {axis.noun}",
            )
        )
    # a staircase: between two of the front, the cheaper one is what there is
    best = [place(row) for row in front(study, axis.cost)]
    steps = [
        best[0],
        *(p for a, b in pairwise(best) for p in ((b[0], a[1]), b)),
        (PANEL, best[-1][1]),
    ]
    return Panel(
        left=left,
        axis=f"{axis.label}, log scale",
        x_ticks=_spaced([Tick(across(t), short(t)) for t in log_ticks(x.low, x.high)]),
        y_ticks=y_ticks,
        marks=tuple(marks),
        front=" ".join(f"{a},{b}" for a, b in steps),
    )


def _spaced(ticks: Sequence[Tick]) -> tuple[Tick, ...]:
    """Ticks whose labels do not touch."""
    labels = clear([(tick.at, 0.5, tick.label) for tick in ticks])
    return tuple(tick for tick, label in zip(ticks, labels, strict=True) if label)


def _label(
    letter: str,
    at: tuple[float, float],
    points: Sequence[tuple[float, float]],
    labels: list[tuple[float, float, float]],
) -> tuple[str, float, float]:
    """Where a letter stands beside its point: near, on no other point and on no other letter
    (middle, half width), to which it is added. Where every place is taken it is left out: its
    colour and its tooltip are there."""
    reaches = (12.0, 18.0, 26.0, 36.0, 48.0, 62.0)
    sides = ((1, 0), (-1, 0), (1, -1), (-1, -1), (1, 1), (-1, 1), (0, -1), (0, 1))
    half = width(letter, bold=True) / 2

    def free(x: float, y: float) -> bool:
        inside = half < x < PANEL + 18 - half and 4 < y < HEIGHT - 2
        clear_ = all(abs(x - a) > half + h + 1 or abs(y - b) > _LINE for a, b, h in labels)
        return (
            inside and clear_ and all(abs(x - a) > half + 5 or abs(y - b) > 11 for a, b in points)
        )

    for reach in reaches:
        for dx, dy in sides:
            x, y = at[0] + (reach + half - 5) * dx, at[1] + reach * dy
            if free(x, y):
                labels.append((x, y, half))
                return letter, round(x, 1), round(y, 1)
    return "", *at


SVG: Final = "pareto.svg"
_HEADS: Final = ("network", "precision", "accuracy (95 %)", "parameters")
_MORE: Final = ("arena, B", "flash, B", "training, s", "with all it needs, s")
_NONE: Final = "–"

_PAGES = jinja2.Environment(
    loader=jinja2.ChoiceLoader(
        [jinja2.PackageLoader("hil_train.study"), jinja2.PackageLoader("hil.report")]
    ),
    autoescape=jinja2.select_autoescape(enabled_extensions=("svg.j2", "html.j2")),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_PAGES.filters["md"] = escape
_PAGES.filters["clean"] = clean


def write(study: Study, folder: Path) -> None:
    """``study.md``, ``study.html`` and ``pareto.svg`` into ``folder``, each whole; the same study
    gives the same bytes. Raises StorageError."""
    drawn = svg(study)
    contents = {SVG: drawn, "study.md": markdown(study), "study.html": html(study, drawn)}
    for name, text in contents.items():
        files.replace_file(folder / name, text.encode())


def svg(study: Study) -> str:
    """The drawing, light and dark; without a script, a font or a file beside it."""
    found = drawing(study)
    size = {"width": PANEL, "height": HEIGHT}
    return _PAGES.get_template("pareto.svg.j2").render(d=found, **size)


def markdown(study: Study) -> str:
    """The page, its drawing beside it."""
    return _PAGES.get_template("study.md.j2").render(**_values(study), svg=SVG)


def html(study: Study, drawn: str) -> str:
    """The page with its drawing inside: no script, no request."""
    picture = Markup(drawn)  # noqa: S704  (our own, escaped as it was drawn)
    return _PAGES.get_template("study.html.j2").render(**_values(study), drawn=picture)


def table(study: Study) -> Table:
    """For a terminal."""
    heads, rows = cells(study)
    shown = Table(box=None, pad_edge=False)
    for number, head in enumerate(heads):
        shown.add_column(head, justify="left" if number < 2 else "right", overflow="fold")
    for row in rows:
        shown.add_row(*row)
    return shown


def cells(study: Study) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Heads and rows of the table of all figures."""
    unit = {"instructions": "instructions", "us": "µs", "none": "time"}[study.unit]
    return (*_HEADS, unit, *_MORE), [_cells(study, row) for row in study.rows]


def _cells(study: Study, row: Row) -> tuple[str, ...]:
    device = row.device
    share = time = arena = size = _NONE
    if device is not None:
        found = accuracy(study, row)
        share = f"{percent(found.point, found.n)} ({interval(found)})"
        time = _NONE if device.time is None else count(device.time)
        arena, size = count(device.arena), count(flash(row))
    return (
        row.words,
        str(row.precision),
        share,
        count(row.parameters),
        time,
        arena,
        size,
        _seconds(row.seconds),
        _seconds(row.total),
    )


def _seconds(value: float | None) -> str:
    return _NONE if value is None else f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def how(study: Study) -> tuple[str, ...]:
    """How the figures came about, in sentences."""
    lines = [
        f"{study.dataset}: {count(study.n)} of the test split's {count(study.test)} samples on "
        f"{study.board_title}; the board alone read them, after every choice was made on the "
        "validation split.",
        f"The student has {count(study.budget_parameters)} parameters and "
        f"{count(study.budget_macs)} multiplications. All of its size trained on its schedule, "
        "with one seed: intervals are over samples, and the chance of a training is not in them.",
    ]
    if study.epochs:
        lines.append(f"No training took more than {study.epochs} epochs.")
    lines.append(
        f"Training is processor time over all cores ({study.versions['processor']}), export left "
        "out; the last column adds that of the networks it was made from or learnt from."
    )
    if any(row.total is None for row in study.rows):
        lines.append(f"{_NONE}: a network was trained elsewhere, and its time is not known.")
    unchecked = sum(r.device is not None and r.device.unexpected is None for r in study.rows)
    if unchecked:
        lines.append(f"{plural(unchecked, 'network')} had no oracle to check outputs against.")
    elif not unexpected(study):
        lines.append("Every output value of the board is what it must be.")
    return tuple(lines)


def _values(study: Study) -> dict[str, Any]:
    heads, rows = cells(study)
    notes = {row.words: row.note for row in study.rows if row.note}
    return {
        "s": study,
        "heads": heads,
        "rows": rows,
        "choices": choices(study),
        "worth": worth(study),
        "absent": absent(study),
        "unexpected": unexpected(study),
        "how": how(study),
        "notes": notes,
    }
