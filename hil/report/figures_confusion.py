"""Confusion matrices: what the device answered, by label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hil.report.cells import Cell
from hil.report.tables import Table
from hil.report.text import count, plural

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
