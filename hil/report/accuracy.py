# SPDX-License-Identifier: Apache-2.0
"""Accuracy on the device and on the host, with intervals: a dot plot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hil import stats
from hil.report.draw.chart import (
    NARROW,
    Chart,
    Dot,
    Row,
    Scale,
    colour,
    round_ticks,
    step,
    ticks_in,
)
from hil.report.text import Table, count, interval, percent, plural
from hil.runs.cells import Cell
from hil.stats import CONFIDENCE, Estimate, metrics
from hil.stats.metrics import Metrics


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


LARGEST = 20  # classes; more is no readable matrix
_MOST = 12  # kinds of mistake listed a run


@dataclass(frozen=True, slots=True)
class Square:
    """``kind`` is right, wrong or none; ``shade`` 0..1."""

    text: str
    kind: str
    shade: float


@dataclass(frozen=True, slots=True)
class Confusion:
    """Rows are labels, columns the device's answers."""

    name: str
    caption: str
    classes: tuple[int, ...]
    rows: tuple[tuple[Square, ...], ...]


def confusions(cells: Sequence[Cell]) -> tuple[Confusion, ...]:
    """A matrix for every run that has an answer and 2 to 20 classes."""
    return tuple(_matrix(cell) for cell in cells if cell.n and 2 <= _classes(cell) <= LARGEST)


def confused(cell: Cell) -> list[tuple[int, int, int]]:
    """(label, answer, times) of every kind of mistake, the commonest first."""
    wrong = ~cell.right
    pairs = np.stack([cell.labels[wrong], cell.answers[wrong]], axis=1)
    kinds, times = np.unique(pairs, axis=0, return_counts=True)
    found = [(int(a), int(b), int(t)) for (a, b), t in zip(kinds, times, strict=True)]
    return sorted(found, key=lambda kind: (-kind[2], kind[:2]))


def mistakes(cells: Sequence[Cell]) -> Table:
    """The commonest kinds of mistake of every run."""
    rows = tuple(
        (cell.name, str(label), str(answer), count(times))
        for cell in cells
        if cell.n
        for label, answer, times in confused(cell)[:_MOST]
    )
    title = f"Commonest mistakes on the device, {_MOST} a run at most"
    return Table(title, ("Run", "Label", "Answer", "Times"), rows)


def _classes(cell: Cell) -> int:
    return int(cell.device.shape[1])


def _matrix(cell: Cell) -> Confusion:
    k = _classes(cell)
    # a label that no output stands for has no row: it is named in the warnings
    rows = cell.labels[(cell.labels >= 0) & (cell.labels < k)]
    columns = cell.answers[(cell.labels >= 0) & (cell.labels < k)]
    table = np.zeros((k, k), dtype=np.int64)
    np.add.at(table, (rows, columns), 1)
    mistakes = confused(cell)
    said = plural(cell.n - int(cell.right.sum()), "mistake")
    if mistakes and mistakes[0][2] > 1:
        label, answer, times = mistakes[0]
        said += f"; the commonest: {label} taken for {answer}, {plural(times, 'time')}"
    return matrix(cell.name, said, table)


def matrix(name: str, caption: str, table: npt.NDArray[np.int64]) -> Confusion:
    """(k, k) numbers, rows what was to be answered and columns what was, as a drawing."""
    k = len(table)
    totals = table.sum(axis=1)

    def square(i: int, j: int) -> Square:
        value = int(table[i, j])
        if not value:
            return Square("", "none", 0.0)
        if i == j:
            return Square(count(value), "right", round(0.3 * value / int(totals[i]), 3))
        return Square(count(value), "wrong", round(0.2 + min(5 * value / int(totals[i]), 0.5), 3))

    squares = tuple(tuple(square(i, j) for j in range(k)) for i in range(k))
    return Confusion(name, caption, tuple(range(k)), squares)


ROWS = ("device / label", "host / label", "device / host")


@dataclass(frozen=True)
class Validation:
    """One run's three rows, in the order of ROWS. Real values: dequantised outputs, labels as
    one-hot vectors (`hil.stats.metrics.against_labels` says what that means for logits)."""

    cell: Cell
    rows: tuple[Metrics, Metrics, Metrics]


def validations(cells: Sequence[Cell]) -> tuple[Validation, ...]:
    """Of every run whose device answered; host is LiteRT's reference kernels."""
    return tuple(_validation(cell) for cell in cells if cell.n)


def _validation(cell: Cell) -> Validation:
    device, host = cell.reals(cell.device), cell.reals(cell.litert)
    return Validation(
        cell,
        (
            metrics.against_labels(device, cell.labels),
            metrics.against_labels(host, cell.labels),
            metrics.metrics(device, host),
        ),
    )


def validation_table(found: Sequence[Validation]) -> Table:
    """Three rows a run."""
    head = ("Run", "Compared", "acc", "rmse", "mae", "l2r", "mean", "std", "nse", "cos")
    rows = tuple(
        (one.cell.name, name, *_figures(row))
        for one in found
        for name, row in zip(ROWS, one.rows, strict=True)
    )
    note = (
        "acc: share of samples with the same largest output, with its 95% Wilson interval; the "
        "rest over all output values, dequantised, labels as 0 and 1. rmse, mae: root of the mean "
        "squared, and mean absolute error; l2r: ‖error‖ / ‖reference‖; mean, std: of the error, "
        "reference − device (or host); nse: Nash-Sutcliffe, 1 is best; cos: cosine, 1 is best. "
        "Against labels all but acc mean little where a network ends in logits."
    )
    out = [one for one in found if any(row.left_out for row in one.rows)]
    for one in out:
        most = max(row.left_out for row in one.rows)
        note += f" {one.cell.name}: {plural(most, 'sample')} with NaN or infinite values left out."
    return Table("Validation", head, rows, note)


def _figures(row: Metrics) -> Iterator[str]:
    share = stats.proportion(row.matches, row.n)
    yield f"{percent(share.point, row.n)}\n({interval(share)})"
    for value in (row.rmse, row.mae, row.l2r, row.mean, row.std, row.nse, row.cos):
        yield "–" if value is None else figure(value)


def figure(value: float) -> str:
    """Four digits; what is near 1 by its distance to it, which rounding would hide.

    Below 1e-12 that is the rounding of the sums themselves: 1.
    """
    if 1e-12 < abs(1 - value) < 5e-4:
        return f"1 {'−' if value < 1 else '+'} {abs(1 - value):.1e}"
    return f"{value:.4g}".replace("-", "−")


def other_confusions(found: Sequence[Validation]) -> tuple[Confusion, ...]:
    """The matrices beside the device's own: of the host's answers, and of the device's by the
    host's. Only of runs in which an answer differs: else the one is the device's own and the
    other a diagonal."""
    drawn = []
    for one in found:
        host, both = one.rows[1], one.rows[2]
        if both.matches == both.n or not 2 <= len(both.confusion) <= LARGEST:
            continue
        mistakes = plural(host.n - host.matches, "mistake")
        drawn.append(matrix(f"{one.cell.name}: host by label", mistakes, host.confusion))
        changed = f"{count(both.n - both.matches)} of {count(both.n)} answers differ"
        drawn.append(matrix(f"{one.cell.name}: device by host", changed, both.confusion))
    return tuple(drawn)
