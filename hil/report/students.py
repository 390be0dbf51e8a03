# SPDX-License-Identifier: Apache-2.0
"""Teacher against student on one board, engine and precision: what the student costs and saves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hil import stats
from hil.report.pairs import Pair, both, compare, speed_up, teacher_and_student
from hil.report.samples import probabilities
from hil.report.text import Table, count, decimals, interval, percent, points
from hil.runs.cells import Cell

_LISTED = 12


@dataclass(frozen=True, slots=True)
class Lost:
    """A sample that the teacher gets right and the student wrong, with the probabilities that
    each gives to every class: what its outputs are where they sum to 1, else their softmax."""

    id: str
    label: int
    teacher: int
    student: int
    teacher_probabilities: tuple[float, ...]
    student_probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Distillation:
    """``pair``: accuracies and McNemar's test over the ``n`` samples that both devices answered.

    ``agreement``: share of them with the same answer. ``speed_up``: median time of the teacher
    over the student's, paired by sample, and its ``unit``; None where a board has no clock or
    a clock is too coarse. ``arena`` and ``flash`` (model alone): the teacher's bytes over the
    student's, exact; None where a run has not ended. ``lost`` are in the order they were sent.
    """

    teacher: str
    student: str
    n: int
    pair: Pair
    agreement: stats.Estimate
    speed_up: stats.Estimate | None
    unit: str
    arena: float | None
    flash: float | None
    lost: tuple[Lost, ...]


def distillations(cells: Sequence[Cell]) -> tuple[Distillation, ...]:
    """Each student with its teacher. Answers are the devices' alone, never a host's."""
    found = (_distillation(*pair) for pair in teacher_and_student(cells))
    return tuple(one for one in found if one)


def _distillation(teacher: Cell, student: Cell) -> Distillation | None:
    pair = compare(teacher, student)
    if pair is None:
        return None
    i, j = both(teacher, student)
    same = int((teacher.answers[i] == student.answers[j]).sum())
    return Distillation(
        teacher=teacher.name,
        student=student.name,
        n=i.size,
        pair=pair,
        agreement=stats.proportion(same, i.size),
        speed_up=speed_up(teacher, student),
        unit=student.series.unit if student.series else "",
        arena=_ratio(_arena(teacher), _arena(student)),
        flash=_ratio(_flash(teacher), _flash(student)),
        lost=_lost(teacher, student, i, j),
    )


def _lost(
    teacher: Cell, student: Cell, i: npt.NDArray[np.int64], j: npt.NDArray[np.int64]
) -> tuple[Lost, ...]:
    missed = teacher.right[i] & ~student.right[j]
    i, j = i[missed], j[missed]
    if not i.size:
        return ()
    sure = probabilities(teacher.reals(teacher.device[i]))
    unsure = probabilities(student.reals(student.device[j]))
    return tuple(
        Lost(
            student.ids[b],
            int(student.labels[b]),
            int(teacher.answers[a]),
            int(student.answers[b]),
            tuple(sure[k].tolist()),
            tuple(unsure[k].tolist()),
        )
        for k, (a, b) in enumerate(zip(i, j, strict=True))
    )


def _arena(cell: Cell) -> int | None:
    return cell.end.memory.arena if cell.end else None


def _flash(cell: Cell) -> int | None:
    return cell.end.memory.flash_model if cell.end else None


def _ratio(large: int | None, small: int | None) -> float | None:
    return large / small if large and small else None


def student_table(found: Sequence[Distillation]) -> Table:
    """A row a student."""
    head = (
        "Student",
        "Teacher",
        "Pairs",
        "Accuracy, points",
        "p (McNemar)",
        "Same answer",
        "Teacher alone right",
        "Speed-up",
        "Arena",
        "Model in flash",
    )
    note = (
        "All of the devices' own answers. Accuracy: student − teacher with its 95% interval "
        "(Newcombe, paired). Speed-up: median of the teacher over the student's on the same "
        "samples, with its 95% interval; of instructions or of latency, as the board's clock "
        "counts. Memory: how many times the student's the teacher takes."
    )
    return Table("Teacher and student", head, tuple(_row(one) for one in found), note)


def _row(one: Distillation) -> tuple[str, ...]:
    gap, test = one.pair.difference, one.pair.test
    return (
        one.student,
        one.teacher,
        count(one.n),
        f"{points(gap.point, gap.n)}\n({points(gap.low, gap.n)} to {points(gap.high, gap.n)})",
        "<0.001" if test.p < 0.001 else f"{test.p:.2g}",
        f"{percent(one.agreement.point, one.n)}\n({interval(one.agreement)})",
        count(len(one.lost)),
        _speed(one),
        "–" if one.arena is None else f"{one.arena:.3g}×",
        "–" if one.flash is None else f"{one.flash:.3g}×",
    )


def _speed(one: Distillation) -> str:
    found = one.speed_up
    if found is None:
        return "–"
    kind = {"instructions": "instructions", "us": "latency"}[one.unit]
    if found.low == found.high:
        return f"{found.point:.3g}×\n{kind}, constant"
    # as many digits as tell the ends apart, six at most
    text = next(
        t
        for d in range(3, 7)
        if (t := (f"{found.point:.{d}g}×", f"({found.low:.{d}g}–{found.high:.{d}g})"))
        and (d == 6 or f"{found.low:.{d}g}" != f"{found.high:.{d}g}")
    )
    return f"{text[0]} {text[1]}\n{kind}"


def lost_table(found: Sequence[Distillation], noun: str) -> Table:
    """The first of what the teacher gets right and the student wrong, in words."""
    rows = []
    for one in found:
        for lost in one.lost[:_LISTED]:
            sure, unsure = lost.teacher_probabilities, lost.student_probabilities
            at = (lost.label, lost.student)
            rows.append(
                (
                    lost.id,
                    one.student,
                    str(lost.label),
                    str(lost.student),
                    *(_shares(values, at) for values in (sure, unsure)),
                )
            )
    more = sum(max(len(one.lost) - _LISTED, 0) for one in found)
    head = (noun.capitalize(), "Student", "Label", "Student says", "Teacher gives", "Student gives")
    note = "Shares that each gives to the label and to the student's answer."
    if more:
        note += f" And {count(more)} more in samples.jsonl."
    title = f"{noun.capitalize()}s that the teacher gets right and the student wrong"
    return Table(title, head, tuple(rows), note)


def _shares(values: Sequence[float], at: Sequence[int]) -> str:
    if not all(np.isfinite(values)):
        return "not finite"
    return ", ".join(f"{k}: {100 * values[k]:.{decimals(1)}f}%" for k in at)
