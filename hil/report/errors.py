# SPDX-License-Identifier: Apache-2.0
"""Section "Errors": outputs compared with targets (a regression) or with inputs (a reconstruction),
and the area under the ROC curve of two classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec import UNSET

from hil import stats
from hil.core.records import Task
from hil.report.blocks import Clouds, Section, Table, section
from hil.report.draw.chart import (
    NARROW,
    Chart,
    Cloud,
    Dot,
    Row,
    Scale,
    colour,
    log_ticks,
    ticks_in,
)
from hil.report.draw.cloud import cloud
from hil.report.text import count, plural, real, real_interval, short
from hil.runs.cells import Cell
from hil.runs.load import StoredRun
from hil.runs.scores import AUC, TITLES, Score, anomaly_scores
from hil.stats import Estimate
from hil.stats.errors import errors, finite_rows

KINDS: Final = {0: "normal", 1: "anomalous"}  # what labels of a reconstruction mean
_FEW: Final = 8  # outputs; more are not listed one by one
_WORST: Final = 10  # samples listed per run
_DIGITS: Final = 3  # decimals of an area

Reals = npt.NDArray[np.float64]


def errors_section(_run: StoredRun, cells: Sequence[Cell]) -> Section:
    judged = [cell for cell in cells if cell.n and cell.targets is not None and known(cell)]
    return section(
        "errors",
        "Errors",
        [
            *(error_table(judged, task) for task in (Task.REGRESSION, Task.RECONSTRUCTION)),
            outputs_table(judged),
            Clouds("", tuple(clouds(judged))),
            spread_chart(judged),
            spread_table(judged),
            worst_table(judged),
        ],
    )


def known(cell: Cell) -> bool:
    """Whether the device's outputs are known, so that they have errors."""
    return cell.device is not None


def score_words(name: str, found: Estimate) -> str:
    """A figure without its interval."""
    return f"{found.point:.{_DIGITS}f}" if name == AUC else real(found.point)


def score_interval(name: str, found: Estimate) -> str:
    if name == AUC:
        return f"{found.low:.{_DIGITS}f}–{found.high:.{_DIGITS}f}"
    return real_interval(found)


def score_cell(name: str, found: Estimate | None) -> str:
    """A figure of a table, with its interval on a second line."""
    if found is None:
        return "–"
    if found.low == found.high and found.confidence:
        return score_words(name, found)
    return f"{score_words(name, found)}\n({score_interval(name, found)})"


# --- all outputs together ---


def error_table(cells: Sequence[Cell], task: Task) -> Table:
    """Device and host of every run with this task, one row each."""
    found = [cell for cell in cells if cell.task is task]
    names = list(dict.fromkeys(name for cell in found for name in cell.scores))
    rows = tuple(row for cell in found for row in _sides(cell, names))
    what = "targets" if task is Task.REGRESSION else "inputs"
    head = ("Run", "Compared", *(TITLES[name] for name in names), "Samples")
    return Table(f"Errors against the {what}", head, rows, _note(found, names))


def _sides(cell: Cell, names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    what = "target" if cell.task is Task.REGRESSION else "input"
    for side in ("device", "host"):
        if side == "host" and cell.litert is None:
            continue
        found = [getattr(cell.scores.get(name, Score(None, None)), side) for name in names]
        n = next((one.n for one in found if one), 0)
        each = (score_cell(name, one) for name, one in zip(names, found, strict=True))
        yield (cell.name, f"{side} / {what}", *each, count(n))


def _note(cells: Sequence[Cell], names: Sequence[str]) -> str:
    methods = sorted(
        {
            one.method
            for cell in cells
            for name, score in cell.scores.items()
            for one in (score.device, score.host)
            if one and name != AUC
        }
    )
    said = [
        "Real numbers, without a unit. rmse: root mean squared error; mae: mean absolute error; "
        "mse: mean squared error.",
        "R²: 1 − squared errors / squared deviations of the targets from their mean, 1 is best; "
        "bias: mean of output − target." * ("r2" in names),
        f"95% intervals over samples, in brackets: {', '.join(methods)}.",
        "AUC: the chance that an anomalous sample has the larger mse, with Newcombe's interval; "
        "0.5 is chance, 1 is best." * (AUC in names),
    ]
    for cell in cells:
        if left_out := cell.n - int(_rows(cell).sum()):
            said.append(f"{cell.name}: {plural(left_out, 'sample')} with NaN or infinity excluded.")
    return " ".join(filter(None, said))


# --- a few outputs, one by one ---


def outputs_table(cells: Sequence[Cell]) -> Table:
    """One row per output of every regression with 2 to 8 of them."""
    rows = tuple(
        row
        for cell in cells
        if cell.task is Task.REGRESSION and 2 <= cell.classes <= _FEW
        for row in _outputs(cell)
    )
    head = ("Run", "Output", "rmse, device", "rmse, host", "mae", "R²", "bias")
    note = "mae, R² and bias are the device's. Intervals as above."
    return Table("Errors of each output", head, rows, note)


def _outputs(cell: Cell) -> Iterator[tuple[str, ...]]:
    predicted, targets, rows = _device(cell), _targets(cell), _rows(cell)
    host = None if cell.litert is None else cell.reals(cell.litert)
    for i in range(cell.classes):
        mine = errors(predicted[rows][:, i : i + 1], targets[rows][:, i : i + 1])
        theirs = None
        if host is not None and np.isfinite(host[rows]).all():
            theirs = errors(host[rows][:, i : i + 1], targets[rows][:, i : i + 1])["rmse"]
        yield (
            cell.name,
            cell.class_name(i),
            score_cell("rmse", mine["rmse"]),
            score_cell("rmse", theirs),
            *(score_cell(name, mine[name]) for name in ("mae", "r2", "bias")),
        )


# --- drawings ---


def clouds(cells: Sequence[Cell]) -> Iterator[Cloud]:
    """Predictions and residuals over the targets, of every regression."""
    models = [cell.plan.model for cell in cells]
    for cell in cells:
        rows = _rows(cell)
        if cell.task is not Task.REGRESSION or not rows.any():
            continue
        css = colour(cell.plan.model, cell.plan.precision, models)
        wanted, given = _targets(cell)[rows].ravel(), _device(cell)[rows].ravel()
        every = "All outputs. " if cell.classes > 1 else ""
        yield cloud(
            f"Predicted against target, {cell.name}",
            f"{every}The device's outputs; on the dashed line they are equal.",
            ("target", "predicted"),
            wanted,
            given,
            css,
            line="equal",
        )
        yield cloud(
            f"Residuals, {cell.name}",
            f"{every}Predicted − target: a trend shows what the network does not follow.",
            ("target", "residual"),
            wanted,
            given - wanted,
            css,
            line="zero",
        )


def spread_chart(cells: Sequence[Cell]) -> Chart | None:
    """The reconstruction errors of each kind of sample; None without a positive one."""
    models = [cell.plan.model for cell in cells]
    found = [(cell, *one) for cell in cells for one in _spreads(cell)]
    ends = [end for *_, values in found for end in np.percentile(values, (5, 95)) if end > 0]
    if not ends:
        return None
    least = min(ends)
    scale = Scale(least / 1.6, max(ends) * 1.6, log=True)

    def at(value: float) -> float:
        return scale.at(max(value, scale.low))

    return Chart(
        title="Reconstruction error per sample",
        caption="Mean squared error of the device's output and the input: median, and 5th to 95th "
        "percentile of the samples.",
        axis="mse, log scale",
        ticks=ticks_in(
            NARROW, ((scale.at(t), short(t)) for t in log_ticks(scale.low, scale.high)), inside=True
        ),
        rows=tuple(
            Row(
                label=f"{cell.name}, {kind}" if kind else cell.name,
                css=colour(cell.plan.model, cell.plan.precision, models),
                values=(f"median {real(float(np.median(values)))}", plural(values.size, "sample")),
                dots=(
                    Dot(
                        "device",
                        at(float(np.median(values))),
                        *(at(float(end)) for end in np.percentile(values, (5, 95))),
                    ),
                ),
            )
            for cell, kind, values in found
        ),
    )


def spread_table(cells: Sequence[Cell]) -> Table:
    """The same as text."""
    rows = tuple(
        (
            cell.name,
            kind or "all",
            count(values.size),
            *(real(stats.percentile(values, percent)) for percent in (5, 50, 95)),
            real(float(values.max())),
        )
        for cell in cells
        for kind, values in _spreads(cell)
    )
    head = ("Run", "Samples", "Number", "5%", "Median", "95%", "Largest")
    note = "mse of the device's output and the input, per sample."
    if any(cell.labels is not None for cell in cells):
        note += " Label 0 is normal, 1 is anomalous."
    return Table("Reconstruction error per sample", head, rows, note)


def _spreads(cell: Cell) -> Iterator[tuple[str, Reals]]:
    """(kind of sample, errors) of a reconstruction; the kind is empty without labels."""
    rows = _rows(cell)
    if cell.task is not Task.RECONSTRUCTION or not rows.any():
        return
    found = anomaly_scores(_device(cell)[rows], _targets(cell)[rows])
    if cell.labels is None:
        yield "", found
        return
    for label, kind in KINDS.items():
        if (of := found[cell.labels[rows] == label]).size:
            yield kind, of


def worst_table(cells: Sequence[Cell]) -> Table:
    """The samples with the largest errors of every run."""
    single = all(cell.classes == 1 for cell in cells)
    labelled = any(cell.labels is not None for cell in cells)
    rows = tuple(row for cell in cells for row in _worst(cell, single=single, labelled=labelled))
    head = (
        "Run",
        "Sample",
        *(("Label",) if labelled else ()),
        *(("Target", "Device", "Error") if single else ("mse",)),
    )
    return Table(f"Largest errors, at most {_WORST} per run", head, rows)


def _worst(cell: Cell, *, single: bool, labelled: bool) -> Iterator[tuple[str, ...]]:
    predicted, targets = _device(cell), _targets(cell)
    rows = np.flatnonzero(_rows(cell))
    size = anomaly_scores(predicted[rows], targets[rows])
    for at in np.argsort(-size, kind="stable")[:_WORST]:
        i = int(rows[at])
        given, wanted = float(predicted[i, 0]), float(targets[i, 0])
        yield (
            cell.name,
            cell.ids[i],
            *((_kind(cell, i),) if labelled else ()),
            *((real(wanted), real(given), real(given - wanted)) if single else (real(size[at]),)),
        )


def _kind(cell: Cell, i: int) -> str:
    if cell.labels is None:
        return "–"
    label = int(cell.labels[i])
    return KINDS.get(label, str(label))


def _device(cell: Cell) -> Reals:
    assert cell.device is not None, "errors of a device that sent only classes"
    return cell.reals(cell.device)


def _targets(cell: Cell) -> Reals:
    assert cell.targets is not None, "errors without targets"
    return cell.targets


def _rows(cell: Cell) -> npt.NDArray[np.bool_]:
    return finite_rows(_device(cell), _targets(cell))


# --- two classes, by one output ---


def binary_table(cells: Sequence[Cell]) -> Table:
    """Threshold and area under the ROC curve of every binary run; for the section on accuracy."""
    rows = []
    for cell in cells:
        if cell.task is not Task.BINARY or not cell.n:
            continue
        area = cell.scores.get(AUC, Score(None, None))
        rows.append(
            (
                cell.name,
                f"{cell.plan.threshold:g}" if cell.plan.threshold is not UNSET else "–",
                cell.plan.task_why or "",
                score_cell(AUC, area.device),
                score_cell(AUC, area.host),
            )
        )
    note = (
        "An output of at least the threshold is class 1. AUC: the chance that a sample of class 1 "
        "has a larger output than one of class 0, at any threshold, with Newcombe's 95% interval; "
        "0.5 is chance. It needs both classes."
    )
    head = ("Run", "Threshold", "Output", "AUC, device", "AUC, host")
    return Table("Two classes by one output", head, tuple(rows), note)
