# SPDX-License-Identifier: Apache-2.0
"""The one sentence at the top of a report, and the grade beside it. It claims what was checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hil.report.pairs import compare, teacher_and_student
from hil.report.text import count, interval, listed, magnitude, percent, plural, points
from hil.runs.agreement import differing
from hil.runs.cells import Cell
from hil.runs.schema import Manifest

NOUNS = {"mnist": "digit", "digits": "digit", "cifar10": "picture", "cifar10-made": "picture"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """``grade`` is exact, within, differs, unchecked or partial; ``word`` says it."""

    grade: str
    word: str
    sentence: str


_WORDS = {
    "exact": "Exact",
    "within": "Within tolerance",
    "differs": "Differs",
    "unchecked": "Not checked by an oracle",
    "partial": "Partial",
}


def noun(manifest: Manifest) -> str:
    """What a sample is called: digit, picture, or sample for whatever else."""
    return NOUNS.get(manifest.dataset.name, "sample")


def verdict(manifest: Manifest, cells: Sequence[Cell]) -> Verdict:
    """Scope, exactness, answers, and what the student costs against the teacher."""
    answered = [cell for cell in cells if cell.n]
    grade = _grade(manifest, cells)
    if not answered:
        return Verdict(grade, _WORDS[grade], _stopped(manifest, cells) + ": nothing to judge.")
    whole = _whole(manifest, cells)
    head = _scope(manifest, cells) if whole else _stopped(manifest, cells) + "; so far"
    said = [_exactness(answered), _answers(manifest, answered), _cost(answered)]
    return Verdict(grade, _WORDS[grade], f"{head}: " + "; ".join(s for s in said if s) + ".")


def _grade(manifest: Manifest, cells: Sequence[Cell]) -> str:
    # a difference is worth more attention than a run cut short
    if any(cell.unexpected for cell in cells if cell.n):
        return "differs"
    if not _whole(manifest, cells):
        return "partial"
    if any(cell.unexpected is None for cell in cells):
        return "unchecked"
    return "exact" if all(_same_bytes(cell) for cell in cells) else "within"


def _same_bytes(cell: Cell) -> bool:
    """Are all bytes those of the reference that counts: int8's oracle, float32's LiteRT?"""
    if cell.plan.precision == "int8":
        return cell.unexpected == 0
    return cell.to_litert.elements == 0


def _whole(manifest: Manifest, cells: Sequence[Cell]) -> bool:
    return manifest.state == "complete" and bool(cells) and all(cell.complete for cell in cells)


def _scope(manifest: Manifest, cells: Sequence[Cell]) -> str:
    boards = listed(list(dict.fromkeys(cell.plan.board for cell in cells)))
    models = {(cell.plan.model, cell.plan.precision) for cell in cells}
    what = plural(len(cells), "model" if len(models) == len(cells) else "run")
    sizes = {cell.n for cell in cells}
    each = plural(max(sizes), noun(manifest))
    return f"{what} × {each if len(sizes) == 1 else 'up to ' + each} on {boards}"


def _stopped(manifest: Manifest, cells: Sequence[Cell]) -> str:
    state = {"interrupted": "Interrupted", "failed": "Failed", "running": "Not finished"}
    word = state.get(manifest.state, "Incomplete")
    got, asked = sum(cell.n for cell in cells), sum(cell.asked for cell in cells)
    done = sum(cell.complete for cell in cells)
    boards = listed(list(dict.fromkeys(cell.plan.board for cell in cells)))
    on = f" on {boards}" if boards else ""
    return (
        f"{word} after {count(got)} of {plural(asked, 'answer')}{on}, "
        f"{count(done)} of {plural(len(cells), 'run')} finished"
    )


def _exactness(cells: Sequence[Cell]) -> str:
    checked = [cell for cell in cells if cell.unexpected is not None]
    if not checked:
        return "no byte oracle was run"
    wrong = [cell for cell in checked if cell.unexpected]
    if wrong:
        values = sum(cell.unexpected or 0 for cell in wrong)
        of = {"the oracle" if cell.plan.precision == "int8" else "LiteRT" for cell in wrong}
        total = count(sum(cell.device.size for cell in checked))
        verb = "differs" if values == 1 else "differ"
        return f"{count(values)} of {total} output values {verb} from {' or '.join(sorted(of))}"
    said = _equal([cell for cell in checked if _same_bytes(cell)])
    near = [cell for cell in checked if not _same_bytes(cell)]
    if near:
        names = listed([cell.name for cell in near])
        largest = magnitude(max(cell.to_litert.max_abs for cell in near))
        said.append(f"{names} within {largest} of LiteRT, as expected")
    if len(checked) < len(cells):
        names = listed([cell.name for cell in cells if cell.unexpected is None])
        said.append(f"{names} not checked, for want of an oracle")
    return ", ".join(said)


def _equal(cells: Sequence[Cell]) -> list[str]:
    """Which bytes equal what, of runs whose bytes do."""
    if all(cell.to_oracle and not cell.to_oracle.elements for cell in cells):
        return ["every output byte equals the oracle"] if cells else []
    small = any(cell.plan.precision == "int8" for cell in cells)
    said = ["every int8 output byte equals the oracle"] if small else []
    return [*said, "every float32 output equals LiteRT bit for bit"]


def _answers(manifest: Manifest, cells: Sequence[Cell]) -> str:
    changed = sum(cell.n - cell.same_answer for cell in cells)
    if not changed:
        return f"device and host give the same answer to every {noun(manifest)}"
    return f"device and host answer {plural(changed, noun(manifest))} differently"


def _cost(cells: Sequence[Cell]) -> str:
    pairs = teacher_and_student(cells)
    if not pairs:
        best = max(cells, key=lambda cell: cell.accuracy.point)
        value = best.accuracy
        prefix = "" if len(cells) == 1 else "at best "
        return (
            f"{prefix}{best.name} is right on {percent(value.point, value.n)} ({interval(value)})"
        )
    teacher, student = pairs[0]
    pair = compare(teacher, student)
    if pair is None:
        return ""
    gap = pair.difference
    loses = gap.point < 0
    # the interval of the loss, or of the gain: in the direction of the sentence
    low, high = (-gap.high, -gap.low) if loses else (gap.low, gap.high)
    reach = f"{points(low, gap.n).lstrip('+')} to {points(high, gap.n).lstrip('+')}"
    if not gap.point:
        said = f"{student.name} is as accurate as the teacher (within {reach} points)"
    else:
        amount = points(abs(gap.point), gap.n).lstrip("+")
        verb, whom = ("loses", "to") if loses else ("gains", "on")
        said = f"{student.name} {verb} {amount} points {whom} the teacher (95% interval {reach})"
    if gap.n < max(teacher.n, student.n):
        said += f" over the {count(gap.n)} that both answered"
    return said + _ratio(teacher, student)


def _ratio(teacher: Cell, student: Cell) -> str:
    slow, fast = teacher.time, student.time
    alike = type(teacher.series) is type(student.series)
    if not (alike and slow and fast and slow.point and fast.point):
        return ""
    what = "instructions" if student.plan.clock.unit == "instructions" else "time"
    ratio = slow.point / fast.point
    if ratio >= 2:
        return f" and takes 1/{ratio:.0f} of the {what}"
    return f" and takes {1 / ratio:.2g} times the {what}"


_TWICE = (
    "That is expected: LiteRT rounds once where TFLM, and this device, round twice, so a value "
    "now and then lands one step away. The oracle rounds as the device does."
)

_DEFAULTS = {
    "int8": "That is expected: XNNPACK rescales its sums in float32 and rounds once, halves to "
    "even, where TFLM, and this device, round twice in integers.",
    "float32": "That is expected: XNNPACK sums in another order and multiplies and adds in one "
    "rounding (FMA) where the processor has it, so the last bits differ between computers.",
}


def explanations(cells: Sequence[Cell]) -> tuple[str, ...]:
    """What differs and why, in the order of the runs; what is equal is said together."""
    answered = [cell for cell in cells if cell.n]
    equal = [
        cell.name
        for cell in answered
        if not cell.to_litert.elements and not (cell.to_oracle and cell.to_oracle.elements)
    ]
    said = [line for cell in answered for line in (*_oracle(cell), *_litert(cell))]
    said += _xnnpack(answered)
    if equal:
        said.append(f"{listed(equal)}: every output equals LiteRT's, bit for bit.")
    return tuple(said)


def _oracle(cell: Cell) -> Iterator[str]:
    found = cell.to_oracle
    if cell.oracle is None or found is None or not found.elements:
        return
    head = (
        f"{cell.name}: {_amount(cell, found.elements)} from the oracle ({cell.plan.oracle}), "
        f"by up to {magnitude(found.max_abs)}."
    )
    if cell.plan.precision == "int8":
        yield f"{head} This is not expected. First: {_first(cell, cell.oracle)}."
    else:
        yield f"{head} In float32 it is LiteRT that counts."


def _litert(cell: Cell) -> Iterator[str]:
    found, plan = cell.to_litert, cell.plan
    if not found.elements:
        return
    changed = cell.n - cell.same_answer
    answers = "no answer changes" if not changed else f"{plural(changed, 'answer')} changed"
    head = f"{cell.name}: {_amount(cell, found.elements)} from LiteRT"
    first = f"First: {_first(cell, cell.litert)}."
    if plan.precision == "int8":
        if found.max_abs == 1:
            yield f"{head}, each by one step; {answers}. {_TWICE}"
        else:
            yield (
                f"{head}, by up to {magnitude(found.max_abs)} steps; {answers}. Rounding twice "
                f"explains one step, not this. {first}"
            )
        return
    head = f"{head}, by up to {magnitude(found.max_abs)}; {answers}."
    why = f": {plan.tolerance_why}" if plan.tolerance_why else ""
    if not cell.unexpected:
        yield f"{head} Up to {plan.tolerance:g} is expected{why}."
    elif plan.tolerance:
        yield f"{head} Only {plan.tolerance:g} is expected{why}. {first}"
    else:
        yield f"{head} This is not expected: float32 must be equal bit for bit. {first}"


def _xnnpack(cells: Sequence[Cell]) -> list[str]:
    """One sentence a precision on LiteRT's default kernels, with what came of it."""
    said = []
    for precision, why in _DEFAULTS.items():
        differ = [
            cell
            for cell in cells
            if cell.plan.precision == precision and cell.to_xnnpack and cell.to_xnnpack.elements
        ]
        if not differ:
            continue
        flips = sum(
            int((cell.answers != cell.xnnpack.argmax(axis=1)).sum())
            for cell in differ
            if cell.xnnpack is not None
        )
        most = max(cell.to_xnnpack.max_abs for cell in differ if cell.to_xnnpack)
        reach = (
            f"{magnitude(most)} step{'s' * (most != 1)}" if precision == "int8" else f"{most:.2g}"
        )
        answers = "no answer changes" if not flips else f"{plural(flips, 'answer')} changed"
        said.append(
            f"{listed([cell.name for cell in differ])}: LiteRT's default kernels (XNNPACK) give "
            f"other values, by up to {reach}; {answers}. {why}"
        )
    return said


def _amount(cell: Cell, elements: int) -> str:
    verb = "differs" if elements == 1 else "differ"
    return f"{count(elements)} of {count(cell.device.size)} output values {verb}"


def _first(cell: Cell, reference: npt.NDArray[np.generic]) -> str:
    i, j = np.argwhere(differing(cell.device, reference))[0]
    return (
        f"sample {cell.ids[i]}, output {j}: device {cell.device[i, j]}, reference {reference[i, j]}"
    )
