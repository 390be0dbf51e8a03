# SPDX-License-Identifier: Apache-2.0
"""A study -> ``study.md``, a self-contained HTML page, ``pareto.svg`` and a table for terminals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from rich.table import Table

from hil.core import files
from hil.core.records import Precision
from hil.core.text import clean
from hil.report.draw.chart import log_ticks
from hil.report.draw.layout import shortened
from hil.report.draw.templates import environment
from hil.report.text import count, interval, per_inference, percent, plural, short
from hil_train.drawing import QUIET, inline, settings, svg
from hil_train.figures import (
    CompressionStudy,
    Cost,
    Variant,
    absent,
    accuracy,
    choices,
    costs,
    flash,
    front,
    measured,
    unexpected,
    worth,
)

_Looks: TypeAlias = dict[str, tuple[str, str, str]]  # method -> colour, marker, words

_SVG: Final = "pareto.svg"
_HEADS: Final = ("network", "precision", "accuracy (95 %)", "parameters")
_MORE: Final = ("arena, B", "flash, B", "training, s", "with all it needs, s")
_NONE: Final = "–"

_WIDTH, _HEIGHT, _LINE = 980, 360, 18  # pixels of the drawing, and of a line of its legend
_DEPTH: Final = 12  # times the wrong answers of the best: the lower end of the accuracy axis
_SHARES: Final = (0.999, 0.998, 0.995, 0.99, 0.98, 0.95, 0.9, 0.8, 0.5, 0.0)  # its ticks
_MARKERS: Final = "osD^v<>Pph"
_COLOURS: Final = (
    *("#0b62b0", "#4aa3df", "#8a6d00", "#c77d00", "#c4480a"),
    *("#6b7780", "#1b7a4b", "#2fa36b", "#7440a8", "#b3261e"),
)


def write(study: CompressionStudy, folder: Path) -> None:
    """Write ``study.md``, ``study.html`` and ``pareto.svg``; the same study gives the same bytes.

    Raises:
        StorageError: ``folder`` cannot be written.
    """
    drawn = pareto_svg(study)
    contents = {_SVG: drawn, "study.md": markdown(study), "study.html": html(study, drawn)}
    for name, text in contents.items():
        files.replace_file(folder / name, text.encode())


def markdown(study: CompressionStudy) -> str:
    """The Markdown page, which links to the drawing."""
    template = environment("hil_train").get_template("study.md.j2")
    return template.render(**_values(study), svg=_SVG)


def html(study: CompressionStudy, drawn: str) -> str:
    """The HTML page with its drawing inside: no script, no request."""
    picture = Markup(inline(drawn))  # noqa: S704  (matplotlib's own, with text as paths)
    template = environment("hil_train", "hil.report").get_template("study.html.j2")
    return template.render(**_values(study), drawn=picture)


def table(study: CompressionStudy) -> Table:
    """The measured figures, for a terminal."""
    heads, rows = _table(study)
    shown = Table(box=None, pad_edge=False)
    for number, head in enumerate(heads):
        shown.add_column(head, justify="left" if number < 2 else "right", overflow="fold")
    for row in rows:
        shown.add_row(*row)
    return shown


def _table(study: CompressionStudy) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Heads and rows of the table of all figures."""
    unit = "time" if study.unit == "none" else per_inference(study.unit)
    return (*_HEADS, unit, *_MORE), [_cells(study, row) for row in study.rows]


def _cells(study: CompressionStudy, row: Variant) -> tuple[str, ...]:
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


def _notes_on_figures(study: CompressionStudy) -> tuple[str, ...]:
    """How the figures were measured, in sentences."""
    lines = [
        f"{study.dataset}: {count(study.n)} of the test split's {count(study.test)} samples on "
        f"{study.board_title}. Only the board read them, after every choice had been made on the "
        "validation split.",
        f"The student has {count(study.budget_parameters)} parameters and "
        f"{count(study.budget_macs)} multiplications. All networks of its size were trained on its "
        "schedule with one seed: the intervals are over samples and do not include the variation "
        "between trainings.",
    ]
    if study.epochs:
        lines.append(f"No training took more than {study.epochs} epochs.")
    lines.append(
        f"Training is processor time over all cores ({study.versions['processor']}), without "
        "export; the last column adds that of the networks it was made from or learned from."
    )
    if any(row.total is None for row in study.rows):
        lines.append(f"{_NONE}: a network was trained elsewhere, and its time is not known.")
    unchecked = sum(r.device is not None and r.device.unexpected is None for r in study.rows)
    if unchecked:
        lines.append(f"For {plural(unchecked, 'network')}, no oracle was available.")
    elif not unexpected(study):
        lines.append("Every output value of the board is as expected.")
    return tuple(lines)


def _values(study: CompressionStudy) -> dict[str, Any]:
    heads, rows = _table(study)
    notes = {row.words: row.note for row in study.rows if row.note}
    return {
        "s": study,
        "costs": [cost.noun for cost in costs(study)],
        "heads": heads,
        "rows": rows,
        "choices": choices(study),
        "worth": worth(study),
        "absent": absent(study),
        "unexpected": unexpected(study),
        "how": _notes_on_figures(study),
        "notes": notes,
    }


def pareto_svg(study: CompressionStudy) -> str:
    """``pareto.svg``: accuracy against each cost."""
    with settings():
        return svg(pareto(study))


def pareto(study: CompressionStudy) -> Figure:
    """The same as a figure, with one panel per cost; make it within `drawing.settings`."""
    looks: _Looks = {}
    for row in measured(study):
        i = len(looks)
        look = (_COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)], row.words)
        looks.setdefault(row.method, look)
    lines = -(-(len(looks) + 4) // 3)
    height = _HEIGHT + 60 + _LINE * lines
    figure = Figure(figsize=(_WIDTH / 100, height / 100), dpi=100, layout="constrained")
    title = f"{study.dataset}, {study.n:,} samples on {study.board_title}"
    figure.suptitle(
        shortened(clean(title), _WIDTH - 40, 15, bold=True), x=0.01, ha="left", weight="bold"
    )
    all_costs = costs(study)
    panels = figure.subplots(1, len(all_costs), sharey=True, squeeze=False)[0]
    for axes, cost in zip(panels, all_costs, strict=True):
        _panel(axes, study, cost, looks)
    panels[0].set_ylabel("accuracy, log scale of wrong answers")
    figure.legend(handles=list(_legend(looks)), loc="outside lower left", ncols=3)
    return figure


def _panel(axes: Axes, study: CompressionStudy, cost: Cost, looks: _Looks) -> None:
    low, high = _wrong_range(study)

    def place(row: Variant) -> tuple[float, float]:
        wrong = _wrong(study, accuracy(study, row).point)
        return max(cost.of(row), 1.0), min(wrong, high)

    for row in measured(study):
        colour, marker, _ = looks[row.method]
        x, y = place(row)
        share = accuracy(study, row)
        span = [min(_wrong(study, each), high) for each in (share.high, share.low)]
        axes.plot([x, x], span, color=colour, alpha=0.5, linewidth=1.2)
        face = colour if row.precision is Precision.INT8 else "white"
        axes.plot(x, y, marker, color=colour, markerfacecolor=face, markersize=6, clip_on=False)
    best = [place(row) for row in front(study, cost)]
    axes.set(xscale="log", yscale="log", xlabel=f"{cost.label}, log scale", ylim=(high, low))
    prices = [x for x, _ in map(place, measured(study))]
    left, right = min(prices) / 1.3, max(prices) * 1.3
    # steps: between two points of the front, the cheaper one is available
    axes.step(
        [*(x for x, _ in best), right],
        [*(y for _, y in best), best[-1][1]],
        where="post",
        color=QUIET,
        linestyle="--",
        linewidth=1,
        zorder=1,
    )
    axes.set_xlim(left, right)
    axes.xaxis.set_major_locator(FixedLocator(log_ticks(left, right)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axes.yaxis.set_major_locator(FixedLocator([1 - s for s in _SHARES if low <= 1 - s <= high]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * (1 - value):g}%"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_locator(NullLocator())


def _legend(looks: _Looks) -> Iterator[Line2D]:
    for colour, marker, words in looks.values():
        label = shortened(clean(words), _WIDTH / 3 - 60)
        yield Line2D([], [], color=colour, marker=marker, linestyle="", label=label)
    hollow = Line2D([], [], color=QUIET, marker="o", linestyle="", markerfacecolor="white")
    hollow.set_label("hollow: float32; filled: int8")
    yield hollow
    yield Line2D([], [], color=QUIET, alpha=0.5, label="95 % Wilson interval")
    yield Line2D([], [], color=QUIET, linestyle="--", linewidth=1, label="Pareto front")
    yield Line2D([], [], linestyle="", label="on the lower edge: less accurate than that")


def _wrong(study: CompressionStudy, share: float) -> float:
    """Share of wrong answers, at least half a sample, since the axis is logarithmic."""
    return max(1 - share, 0.5 / study.n)


def _wrong_range(study: CompressionStudy) -> tuple[float, float]:
    """The ends of the accuracy axis, as shares of wrong answers: worse networks are drawn on its
    lower edge."""
    shares = [accuracy(study, each) for each in measured(study)]
    most = max(_wrong(study, each.low) for each in shares) * 1.1
    most = min(most, _DEPTH * min(_wrong(study, each.point) for each in shares))
    return min(_wrong(study, each.high) for each in shares) / 1.1, most
