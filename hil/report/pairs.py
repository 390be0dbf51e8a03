# SPDX-License-Identifier: Apache-2.0
"""Paired comparisons over the same samples: teacher with student, device with host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hil import stats
from hil.core.errors import MixedUnits
from hil.runs.cells import Cell
from hil.stats.series import ratio_if_alike


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
    i, j = both(first, second)
    if not i.size:
        return None
    one, two = first.right[i], second.right[j]
    return Pair(first.name, second.name, stats.mcnemar(one, two), stats.paired_difference(two, one))


def both(first: Cell, second: Cell) -> npt.NDArray[np.int64]:
    """(2, m): where in ``first`` and in ``second`` each sample lies that both answered."""
    at = {key: i for i, key in enumerate(first.ids)}
    found = [(at[key], j) for j, key in enumerate(second.ids) if key in at]
    return np.array(found, dtype=np.int64).reshape(-1, 2).T


def speed_up(first: Cell, second: Cell) -> stats.Estimate | None:
    """Median time of ``first`` over ``second``'s, paired by the samples that both answered.

    None where not all of them have a time, or a clock is too coarse to have seen one pass.
    MixedUnits when the boards' clocks are of two kinds.
    """
    if first.series and second.series and type(first.series) is not type(second.series):
        raise MixedUnits(
            f"{first.name} and {second.name} have clocks of two kinds",
            "a speed-up is of one kind of time",
        )
    _, j = both(first, second)
    ids = [second.ids[k] for k in j]
    slow, fast = first.timed(ids), second.timed(ids)
    if slow is None or fast is None or slow.values.min() <= 0 or fast.values.min() <= 0:
        return None
    return ratio_if_alike(slow, fast)
