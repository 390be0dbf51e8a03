# SPDX-License-Identifier: Apache-2.0
"""Paired comparisons over the same samples: teacher with student, device with host.

What a student costs and saves compared with its teacher, on one board, engine and precision.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hil import stats
from hil.core.errors import MixedUnits
from hil.core.records import DType
from hil.report.blocks import Table
from hil.report.text import UNKNOWN, count, decimals, interval, percent, points
from hil.runs.cells import Cell
from hil.runs.task import class_name
from hil.stats.metrics import probabilities
from hil.stats.series import ratio_if_alike

_LISTED = 12  # lost samples per student


@dataclass(frozen=True, slots=True)
class Pair:
    """``difference``: accuracy of ``second`` minus ``first``, over the samples both answered."""

    first: str
    second: str
    test: stats.McNemar
    difference: stats.Estimate


def with_host(cells: Sequence[Cell]) -> tuple[Pair, ...]:
    """Host, then device, of every run that has an answer, labels and the host's answers."""
    return tuple(
        Pair(
            f"{cell.name}, host",
            "device",
            stats.mcnemar(cell.host_right, cell.right),
            stats.paired_difference(cell.right, cell.host_right),
        )
        for cell in cells
        if cell.n and cell.right is not None and cell.host_right is not None
    )


def teacher_and_student(cells: Sequence[Cell]) -> tuple[tuple[Cell, Cell], ...]:
    """(teacher, student) with the same board, engine and precision; int8 first."""

    def place(cell: Cell) -> tuple[str, str, str]:
        return cell.plan.board, cell.plan.engine, cell.plan.precision

    teachers = {place(cell): cell for cell in cells if cell.plan.part == "teacher" and cell.n}
    found = [
        (teachers[place(cell)], cell)
        for cell in cells
        if cell.plan.part == "student" and cell.n and place(cell) in teachers
    ]
    return tuple(sorted(found, key=lambda pair: pair[1].plan.precision != "int8"))


def precision_losses(cells: Sequence[Cell]) -> Iterator[str]:
    """A sentence for each model whose integers are right less often than its float32 on one board,
    with the calibration, or the range, of its input."""

    def place(cell: Cell) -> tuple[str, str, str]:
        return cell.plan.board, cell.plan.engine, cell.plan.model

    plain = {place(cell): cell for cell in cells if cell.plan.precision == "float32" and cell.n}
    for cell in cells:
        real = plain.get(place(cell))
        if real is None or real is cell or not cell.n or real.right is None or cell.right is None:
            continue
        i, j = both(real, cell)
        if not i.size or not (test := stats.lost(real.right[i], cell.right[j])):
            continue
        share = (test.only_first - test.only_second) / test.n
        yield (
            f"{cell.name} loses {100 * share:.1f} points to float32 on the same {count(test.n)} "
            f"samples (McNemar's p = {test.p:.2g}). {_input_range(cell)}"
        )


def _input_range(cell: Cell) -> str:
    plan = cell.plan
    if plan.converted and plan.converted.n:
        return f"It was calibrated on {plan.converted.calibration}."
    if not (DType(plan.input.dtype).quantised and plan.input.scale):
        return "Check the data that it was calibrated on."
    codes = np.iinfo(DType(plan.input.dtype).numpy.name)
    low, high = (plan.input.scale * (one - plan.input.zero_point) for one in (codes.min, codes.max))
    return f"Its input covers {low:.4g} to {high:.4g}: check the data that it was calibrated on."


def compare(first: Cell, second: Cell) -> Pair | None:
    """Two runs over the samples that both answered; None without any, or without labels."""
    i, j = both(first, second)
    if not i.size or first.right is None or second.right is None:
        return None
    one, two = first.right[i], second.right[j]
    return Pair(first.name, second.name, stats.mcnemar(one, two), stats.paired_difference(two, one))


def both(first: Cell, second: Cell) -> npt.NDArray[np.int64]:
    """(2, m) positions in ``first`` and in ``second`` of the m samples that both answered."""
    at = {key: i for i, key in enumerate(first.ids)}
    found = [(at[key], j) for j, key in enumerate(second.ids) if key in at]
    return np.array(found, dtype=np.int64).reshape(-1, 2).T


def speed_up(first: Cell, second: Cell) -> stats.Estimate | None:
    """Median time of ``first`` over ``second``'s, paired by the samples that both answered.

    None if not all of them have a time, or a clock is too coarse to have advanced. MixedUnits if
    the boards' clocks count different things.
    """
    if first.series and second.series and type(first.series) is not type(second.series):
        raise MixedUnits(
            f"the clocks of {first.name} and {second.name} count different things",
            "a speed-up needs one kind of time",
        )
    _, j = both(first, second)
    ids = [second.ids[k] for k in j]
    slow, fast = first.timed(ids), second.timed(ids)
    if slow is None or fast is None or slow.values.min() <= 0 or fast.values.min() <= 0:
        return None
    return ratio_if_alike(slow, fast)


def comparisons(cells: Sequence[Cell]) -> Table:
    """Student with teacher and device with host, paired: the same samples, exact McNemar."""
    found = [compare(teacher, student) for teacher, student in teacher_and_student(cells)]
    pairs = [*(pair for pair in found if pair), *with_host(cells)]
    head = (
        "First",
        "Second",
        "Pairs",
        "Only first right",
        "Only second right",
        "Second − first, points",
        "p (McNemar)",
    )
    note = (
        "Difference of accuracies with its 95% interval (Newcombe, paired). "
        "p: exact McNemar test, two-sided, not corrected for the number of rows."
    )
    rows = tuple(_pair(pair) for pair in pairs)
    return Table("Paired comparisons", head, rows, note, folded=True)


def _pair(pair: Pair) -> tuple[str, ...]:
    gap, test = pair.difference, pair.test
    low, high = points(gap.low, gap.n), points(gap.high, gap.n)
    return (
        pair.first,
        pair.second,
        count(test.n),
        count(test.only_first),
        count(test.only_second),
        f"{points(gap.point, gap.n)} ({low} to {high})",
        _p(test),
    )


def _p(test: stats.McNemar) -> str:
    return "<0.001" if test.p < 0.001 else f"{test.p:.2g}"


# --- a student and its teacher ---


@dataclass(frozen=True, slots=True)
class Lost:
    """A sample that the teacher gets right and the student wrong, with both devices'
    `probabilities` of every class; none if a device sent only classes."""

    id: str
    label: int
    teacher: int
    student: int
    teacher_probabilities: tuple[float, ...]
    student_probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Distillation:
    """``pair``: accuracies and McNemar's test over the ``n`` samples that both devices answered;
    None without labels.

    ``agreement``: share of them with the same answer; None where outputs choose none.
    ``speed_up``: median time of the teacher over the student's, paired by sample, in ``unit``; None
    if a board has no clock or a clock is too coarse. ``arena`` and ``flash`` (model alone): the
    teacher's bytes over the student's, exact; None if a run has not ended. ``lost`` are in the
    order in which they were sent.
    """

    teacher: str
    student: str
    n: int
    pair: Pair | None
    agreement: stats.Estimate | None
    speed_up: stats.Estimate | None
    unit: str
    arena: float | None
    flash: float | None
    lost: tuple[Lost, ...]
    names: tuple[str, ...] = ()  # of the classes


def distillations(cells: Sequence[Cell]) -> tuple[Distillation, ...]:
    """Each student with its teacher. All answers are the devices', none the host's."""
    found = (_distillation(*pair) for pair in teacher_and_student(cells))
    return tuple(one for one in found if one)


def _distillation(teacher: Cell, student: Cell) -> Distillation | None:
    i, j = both(teacher, student)
    if not i.size:
        return None
    same = int((teacher.answers[i] == student.answers[j]).sum())
    return Distillation(
        teacher=teacher.name,
        student=student.name,
        n=i.size,
        pair=compare(teacher, student),
        agreement=stats.proportion(same, i.size) if teacher.chooses and student.chooses else None,
        speed_up=speed_up(teacher, student),
        unit=student.series.unit if student.series else "",
        arena=_ratio(teacher.memory.arena, student.memory.arena),
        flash=_ratio(teacher.memory.flash_model, student.memory.flash_model),
        lost=_lost(teacher, student, i, j),
        names=student.names,
    )


def _lost(
    teacher: Cell, student: Cell, i: npt.NDArray[np.int64], j: npt.NDArray[np.int64]
) -> tuple[Lost, ...]:
    if teacher.right is None or student.right is None or student.labels is None:
        return ()
    missed = teacher.right[i] & ~student.right[j]
    i, j = i[missed], j[missed]
    if not i.size:
        return ()
    return tuple(
        Lost(
            student.ids[b],
            int(student.labels[b]),
            int(teacher.answers[a]),
            int(student.answers[b]),
            sure,
            unsure,
        )
        for a, b, sure, unsure in zip(
            i, j, _probabilities(teacher, i), _probabilities(student, j), strict=True
        )
    )


def _probabilities(cell: Cell, rows: npt.NDArray[np.int64]) -> list[tuple[float, ...]]:
    """Of every class, for these samples; empty ones if only classes are known."""
    if cell.device is None:
        return [()] * rows.size
    return [tuple(row) for row in probabilities(cell.reals(cell.device[rows])).tolist()]


def _ratio(large: int | None, small: int | None) -> float | None:
    return large / small if large and small else None


def student_table(found: Sequence[Distillation]) -> Table:
    """One row per student; without labels, no columns that need them."""
    labelled = any(one.pair for one in found)
    agreed = any(one.agreement for one in found)
    head = (
        "Student",
        "Teacher",
        "Pairs",
        *(("Accuracy, points",) if labelled else ()),
        *(("Same answer",) if agreed else ()),
        *(("Only teacher right",) if labelled else ()),
        "Speed-up",
        "Arena",
        "Model in flash",
    )
    accuracy = "Accuracy: student − teacher with its 95% interval (Newcombe, paired). "
    note = (
        f"All from the devices' own answers. {accuracy if labelled else ''}Speed-up: median of the "
        "teacher over the student's on the same samples, with its 95% interval; of instructions or "
        "of latency, whichever the board's clock counts. Memory: the teacher's bytes over the "
        "student's."
    )
    return Table(
        "Teacher and student", head, tuple(_row(one, agreed=agreed) for one in found), note
    )


def _same(found: stats.Estimate | None) -> str:
    return "–" if found is None else f"{percent(found.point, found.n)}\n({interval(found)})"


def _row(one: Distillation, *, agreed: bool) -> tuple[str, ...]:
    return (
        one.student,
        one.teacher,
        count(one.n),
        *((_gap(one.pair),) if one.pair else ()),
        *((_same(one.agreement),) if agreed else ()),
        *((count(len(one.lost)),) if one.pair else ()),
        _speed(one),
        "–" if one.arena is None else f"{one.arena:.3g}×",
        "–" if one.flash is None else f"{one.flash:.3g}×",
    )


def _gap(pair: Pair) -> str:
    gap = pair.difference
    low, high = points(gap.low, gap.n), points(gap.high, gap.n)
    return f"{points(gap.point, gap.n)}\n({low} to {high})"


def _speed(one: Distillation) -> str:
    found = one.speed_up
    if found is None:
        return "–"
    kind = {"instructions": "instructions", "cycles": "cycles", "us": "latency"}[one.unit]
    if found.low == found.high:
        return f"{found.point:.3g}×\n{kind}, constant"
    # three to six digits, enough to tell the ends of the interval apart
    digits = next(d for d in range(3, 7) if d == 6 or f"{found.low:.{d}g}" != f"{found.high:.{d}g}")
    low, point, high = (f"{value:.{digits}g}" for value in (found.low, found.point, found.high))
    return f"{point}× ({low}–{high})\n{kind}"


def lost_table(found: Sequence[Distillation], noun: str) -> Table:
    """The first samples that the teacher gets right and the student wrong."""
    listed = [(one, lost) for one in found for lost in one.lost[:_LISTED]]
    known = any(lost.teacher_probabilities or lost.student_probabilities for _, lost in listed)
    rows = tuple(_lost_row(one, lost, probabilities=known) for one, lost in listed)
    more = sum(max(len(one.lost) - _LISTED, 0) for one in found)
    head = (
        noun.capitalize(),
        "Student",
        "Label",
        "Student's answer",
        *(("Teacher's probabilities", "Student's probabilities") if known else ()),
    )
    said = ["Probabilities of the label and of the student's answer."] if known else []
    if more:
        said.append(f"{count(more)} more are in samples.jsonl.")
    title = f"{noun.capitalize()}s that the teacher gets right and the student wrong"
    return Table(title, head, rows, " ".join(said))


def _lost_row(one: Distillation, lost: Lost, *, probabilities: bool) -> tuple[str, ...]:
    at = (lost.label, lost.student)
    both = (lost.teacher_probabilities, lost.student_probabilities)
    return (
        lost.id,
        one.student,
        class_name(one.names, lost.label),
        class_name(one.names, lost.student),
        *((_shares(values, at, one.names) for values in both) if probabilities else ()),
    )


def _shares(values: Sequence[float], at: Sequence[int], names: Sequence[str]) -> str:
    if not values:
        return UNKNOWN
    if not all(np.isfinite(values)):
        return "not finite"
    return ", ".join(f"{class_name(names, k)}: {100 * values[k]:.{decimals(1)}f}%" for k in at)
