"""Paired comparisons over the same samples: teacher with student, device with host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hil import stats
from hil.report.cells import Cell


@dataclass(frozen=True, slots=True)
class Pair:
    """``difference``: accuracy of ``second`` minus ``first``, over the samples both answered."""

    first: str
    second: str
    test: stats.McNemar
    difference: stats.Estimate


def with_host(cells: Sequence[Cell]) -> tuple[Pair, ...]:
    """Host, then device, of every run that has an answer."""
    return tuple(
        Pair(
            f"{cell.name}, host",
            "device",
            stats.mcnemar(cell.host_right, cell.right),
            stats.paired_difference(cell.right, cell.host_right),
        )
        for cell in cells
        if cell.n
    )


def teacher_and_student(cells: Sequence[Cell]) -> tuple[tuple[Cell, Cell], ...]:
    """(teacher, student) of equal board, engine and precision; int8 first."""

    def place(cell: Cell) -> tuple[str, str, str]:
        return cell.plan.board, cell.plan.engine, cell.plan.precision

    teachers = {place(cell): cell for cell in cells if cell.plan.model == "teacher" and cell.n}
    found = [
        (teachers[place(cell)], cell)
        for cell in cells
        if cell.plan.model == "student" and cell.n and place(cell) in teachers
    ]
    return tuple(sorted(found, key=lambda pair: pair[1].plan.precision != "int8"))


def compare(first: Cell, second: Cell) -> Pair | None:
    """Two runs over the samples both answered; None when there is none."""
    at = {key: i for i, key in enumerate(first.ids)}
    both = [(at[key], j) for j, key in enumerate(second.ids) if key in at]
    if not both:
        return None
    i, j = np.array(both, dtype=np.int64).T
    one, two = first.right[i], second.right[j]
    return Pair(first.name, second.name, stats.mcnemar(one, two), stats.paired_difference(two, one))
