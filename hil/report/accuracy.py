# SPDX-License-Identifier: Apache-2.0
"""Section "Accuracy": device and host with intervals, validation metrics, confusion matrices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hil import stats
from hil.core.records import Task
from hil.report import pairs, references
from hil.report.blocks import Bullets, Confusions, Section, Table, section
from hil.report.draw.chart import (
    NARROW,
    Chart,
    Confusion,
    Dot,
    Row,
    Scale,
    Square,
    colour,
    ticks_in,
)
from hil.report.draw.scatter import share_axis
from hil.report.errors import binary_table
from hil.report.text import count, interval, percent, plural
from hil.runs.cells import Cell
from hil.runs.load import StoredRun
from hil.stats import CONFIDENCE, Estimate, metrics
from hil.stats.metrics import Metrics

LARGEST: Final = 20  # classes; a larger matrix is not readable
_MOST: Final = 12  # kinds of mistake listed per run


def accuracy_section(run: StoredRun, cells: Sequence[Cell]) -> Section:
    checked = validations(cells)
    matrices = (*confusions(cells), *other_confusions(checked))
    judged = not cells or any(cell.right is not None for cell in cells)
    title = "Accuracy" if run.manifest.dataset.labelled and judged else "Agreement"
    return section(
        title.lower(),
        title,
        [
            accuracy_chart(cells),
            binary_table(cells),
            pairs.comparisons(cells),
            validation_table(checked),
            references.differences(cells),
            Bullets("", references.explanations(cells)),
            Confusions("Confusion", matrices, mistakes(cells)),
            class_names(cells),
            references.published(run.manifest, cells),
        ],
    )


# --- the chart ---


def accuracy_chart(cells: Sequence[Cell]) -> Chart | None:
    """One row per run that has an answer and labels; None if there is none."""
    cells = [cell for cell in cells if cell.accuracy]
    if not cells:
        return None
    models = [cell.plan.model for cell in cells]
    scale, ticks = accuracy_axis(cells)
    host = any(cell.host_accuracy for cell in cells)
    return Chart(
        title="Device and host" if host else "Device",
        caption=f"Share of right answers; lines are {CONFIDENCE:.0%} Wilson intervals."
        + " The axis does not start at zero." * (scale.low > 0)
        + (" Host is LiteRT on this computer." if host else ""),
        axis="accuracy",
        ticks=ticks_in(NARROW, ((scale.at(v), f"{100 * v:.4g}%") for v in ticks), inside=True),
        rows=tuple(_row(cell, models, scale) for cell in cells),
        legend=(("key-device", "device"), *([("key-host", "host")] if host else [])),
    )


def accuracy_axis(cells: Sequence[Cell]) -> tuple[Scale, list[float]]:
    """The axis of the accuracies of device and host; at least one is known."""
    return share_axis(e for cell in cells for e in (cell.accuracy, cell.host_accuracy) if e)


def _row(cell: Cell, models: Sequence[str], scale: Scale) -> Row:
    both = [(kind, e) for kind, e in (("device", cell.accuracy), ("host", cell.host_accuracy)) if e]
    return Row(
        label=cell.name,
        css=colour(cell.plan.model, cell.plan.precision, models),
        values=tuple(f"{kind} {percent(e.point, e.n)} ({interval(e)})" for kind, e in both),
        dots=tuple(_dot(kind, e, scale) for kind, e in both),
    )


def _dot(kind: str, estimate: Estimate, scale: Scale) -> Dot:
    return Dot(kind, scale.at(estimate.point), scale.at(estimate.low), scale.at(estimate.high))


# --- validation metrics ---

ROWS: Final = ("device / label", "host / label", "device / host")
_DEVICE, _HOST, _BOTH = ROWS
_BY_TARGET: Final = {_DEVICE: "device / target", _HOST: "host / target"}


@dataclass(frozen=True)
class Validation:
    """One run's rows, by name in the order of ROWS; those that cannot be formed are left out.

    Values are dequantised outputs, labels are one-hot vectors (see
    `hil.stats.metrics.against_labels` for networks that end in logits).
    """

    cell: Cell
    rows: dict[str, Metrics]


def validations(cells: Sequence[Cell]) -> tuple[Validation, ...]:
    """For every run with an answer; the host is LiteRT's reference kernels."""
    return tuple(_validation(cell) for cell in cells if cell.n)


def _validation(cell: Cell) -> Validation:
    device, host = (
        None if outputs is None else cell.reals(outputs) for outputs in (cell.device, cell.litert)
    )
    rows: dict[str, Metrics] = {}
    for name, outputs, given in (
        (_DEVICE, device, cell.answers),
        (_HOST, host, cell.host_answers),
    ):
        if outputs is None:
            continue
        if cell.targets is not None:
            rows[name] = metrics.metrics(outputs, cell.targets)
        elif cell.right is None or cell.labels is None or given is None:
            continue
        elif cell.task is Task.BINARY:
            wanted = cell.labels[:, None].astype(np.float64)
            rows[name] = metrics.of_one(outputs, wanted, given, cell.labels)
        else:
            rows[name] = metrics.against_labels(outputs, cell.labels)
    if device is not None and host is not None:
        if cell.task is Task.BINARY and cell.host_answers is not None:
            rows[_BOTH] = metrics.of_one(device, host, cell.answers, cell.host_answers)
        else:
            rows[_BOTH] = metrics.metrics(device, host)
    return Validation(cell, rows)


def validation_table(found: Sequence[Validation]) -> Table:
    """Up to three rows per run; none for a run of which only answers are known."""
    labelled = any(one.cell.right is not None for one in found)
    shared = any(one.cell.chooses for one in found)
    same = "acc" if labelled else "same"
    figures = ("rmse", "mae", "l2r", "mean", "std", "nse", "cos")
    head = ("Run", "Compared", *((same,) if shared else ()), *figures)
    rows = tuple(
        (one.cell.name, _compared(one.cell, name), *_figures(one.cell, row, shared=shared))
        for one in found
        if one.cell.device is not None
        for name, row in one.rows.items()
    )
    binary = any(one.cell.task is Task.BINARY for one in found)
    answer = "answer" if binary else "largest output"
    note = (
        f"{same}: share of samples with the same {answer}, with its 95% Wilson interval. The others"
        if shared
        else "All figures"
    )
    note += (
        f" are over all output values, dequantised{', with labels as 0 and 1' * labelled}. "
        "rmse, mae: root mean squared error and mean absolute error; l2r: ‖error‖ / ‖reference‖; "
        "mean, std: of the error, reference − device (or host); nse: Nash-Sutcliffe, 1 is best; "
        "cos: cosine, 1 is best."
    )
    if labelled:
        note += " Against labels, only acc is meaningful if a network ends in logits."
    for one in found:
        if most := max((row.left_out for row in one.rows.values()), default=0):
            note += f" {one.cell.name}: {plural(most, 'sample')} with NaN or infinity excluded."
    return Table("Validation", head, rows, note, folded=True)


def _compared(cell: Cell, name: str) -> str:
    return _BY_TARGET.get(name, name) if cell.targets is not None else name


def _figures(cell: Cell, row: Metrics, *, shared: bool) -> Iterator[str]:
    if shared:
        share = stats.proportion(row.matches, row.n)
        yield f"{percent(share.point, row.n)}\n({interval(share)})" if cell.chooses else "–"
    for value in (row.rmse, row.mae, row.l2r, row.mean, row.std, row.nse, row.cos):
        yield "–" if value is None else figure(value)


def figure(value: float) -> str:
    """Four digits. A value near 1 is shown by its distance from 1, which rounding would hide;
    a distance below 1e-12 is rounding in the sums, so it is shown as 1."""
    if 1e-12 < abs(1 - value) < 5e-4:
        return f"1 {'−' if value < 1 else '+'} {abs(1 - value):.1e}"
    return f"{value:.4g}".replace("-", "−")


# --- confusion matrices ---


def confusions(cells: Sequence[Cell]) -> tuple[Confusion, ...]:
    """A matrix for every run that has an answer, labels and 2 to 20 classes."""
    return tuple(
        _matrix(cell, cell.labels)
        for cell in cells
        if cell.n
        and cell.labels is not None
        and cell.right is not None
        and 2 <= cell.classes <= LARGEST
    )


def other_confusions(found: Sequence[Validation]) -> tuple[Confusion, ...]:
    """For labelled runs in which device and host answer differently: the host's answers by label,
    and the device's answers by the host's. Otherwise these would be the device's own and a
    diagonal."""
    drawn = []
    for one in found:
        host, both = one.rows.get(_HOST), one.rows.get(_BOTH)
        if not host or not both or not one.cell.chooses:
            continue
        if both.matches == both.n or not 2 <= len(both.confusion) <= LARGEST:
            continue
        mistaken = plural(host.n - host.matches, "mistake")
        drawn.append(matrix(f"{one.cell.name}: host by label", mistaken, host.confusion))
        changed = f"{count(both.n - both.matches)} of {count(both.n)} answers differ"
        drawn.append(matrix(f"{one.cell.name}: device by host", changed, both.confusion, "host"))
    return tuple(drawn)


def confused(cell: Cell) -> list[tuple[int, int, int]]:
    """(label, answer, times) for every kind of mistake, the most common first; none if nothing is
    labelled."""
    if cell.labels is None or cell.right is None:
        return []
    wrong = ~cell.right
    mistaken = np.stack([cell.labels[wrong], cell.answers[wrong]], axis=1)
    kinds, times = np.unique(mistaken, axis=0, return_counts=True)
    found = [(int(a), int(b), int(t)) for (a, b), t in zip(kinds, times, strict=True)]
    return sorted(found, key=lambda kind: (-kind[2], kind[:2]))


def mistakes(cells: Sequence[Cell]) -> Table:
    """The most common kinds of mistake of every run."""
    rows = tuple(
        (cell.name, cell.class_name(label), cell.class_name(answer), count(times))
        for cell in cells
        if cell.n
        for label, answer, times in confused(cell)[:_MOST]
    )
    title = f"Most common mistakes on the device, at most {_MOST} per run"
    return Table(title, ("Run", "Label", "Answer", "Times"), rows)


def class_names(cells: Sequence[Cell]) -> Table | None:
    """What the numbers of a drawn matrix stand for; None if the classes have no names."""
    names = next((cell.names for cell in cells if cell.names and cell.right is not None), ())
    if not names or len(names) > LARGEST:
        return None
    rows = tuple((str(number), name) for number, name in enumerate(names))
    return Table("Names of the classes", ("Class", "Name"), rows)


def _matrix(cell: Cell, labels: npt.NDArray[np.int64]) -> Confusion:
    found = confused(cell)
    caption = plural(sum(times for *_, times in found), "mistake")
    if found and found[0][2] > 1:
        label, answer, times = found[0]
        one, other = cell.class_name(label), cell.class_name(answer)
        caption += f"; most common: {one} taken for {other}, {plural(times, 'time')}"
    table = metrics.confusion(labels, cell.answers, cell.classes)
    return matrix(cell.name, caption, table)


def matrix(
    name: str, caption: str, table: npt.NDArray[np.int64], row_name: str = "label"
) -> Confusion:
    """(k, k) counts, rows the expected answers and columns the given ones, as a drawing."""
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
    return Confusion(name, caption, tuple(range(k)), squares, row_name)
