"""The three rows of ST's validation: device and host against the labels, device against host."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hil import metrics, stats
from hil.metrics import Metrics
from hil.report.cells import Cell
from hil.report.figures_confusion import LARGEST, Confusion, matrix
from hil.report.tables import Table
from hil.report.text import count, interval, percent, plural

ROWS = ("device / label", "host / label", "device / host")


@dataclass(frozen=True)
class Validation:
    """One run's three rows, in the order of ROWS. Real values: dequantised outputs, labels as
    one-hot vectors (`hil.metrics.against_labels` says what that means for logits)."""

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
