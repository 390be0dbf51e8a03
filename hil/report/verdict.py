# SPDX-License-Identifier: Apache-2.0
"""The sentence at the top of a report and the grade beside it. They claim only what was checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hil.report.pairs import compare, teacher_and_student
from hil.report.text import count, interval, listed, magnitude, noun, percent, plural, points
from hil.runs.agreement import must_equal
from hil.runs.cells import Cell
from hil.runs.schema import Manifest


@dataclass(frozen=True, slots=True)
class Verdict:
    """``grade`` is exact, within, differs, unchecked or partial; ``word`` is the same as text."""

    grade: str
    word: str
    sentence: str


_REFERENCES = {"oracle": "the oracle", "litert": "LiteRT"}
_WORDS = {
    "exact": "Exact",
    "within": "Within tolerance",
    "differs": "Differs",
    "unchecked": "Not checked by an oracle",
    "partial": "Partial",
}


def verdict(manifest: Manifest, cells: Sequence[Cell]) -> Verdict:
    """Scope, exactness, answers, and what the student costs compared with the teacher."""
    answered = [cell for cell in cells if cell.n]
    grade = _grade(manifest, cells)
    if not answered:
        return Verdict(grade, _WORDS[grade], _stopped(manifest, cells) + ": no answers to judge.")
    whole = _whole(manifest, cells)
    head = _scope(manifest, cells) if whole else _stopped(manifest, cells) + "; so far"
    said = [_exactness(answered), _answers(manifest, answered), _cost(answered)]
    return Verdict(grade, _WORDS[grade], f"{head}: " + "; ".join(s for s in said if s) + ".")


def _grade(manifest: Manifest, cells: Sequence[Cell]) -> str:
    # a difference matters more than an incomplete run
    if any(cell.unexpected for cell in cells if cell.n):
        return "differs"
    if not _whole(manifest, cells):
        return "partial"
    if any(cell.unexpected is None for cell in cells):
        return "unchecked"
    return "exact" if all(_same_bytes(cell) for cell in cells) else "within"


def _same_bytes(cell: Cell) -> bool:
    """Whether all bytes equal the reference that counts: int8 the oracle, float32 LiteRT."""
    found = cell.to_oracle if must_equal(cell.plan.precision) == "oracle" else cell.to_litert
    return found is not None and not found.elements


def _whole(manifest: Manifest, cells: Sequence[Cell]) -> bool:
    return manifest.state == "complete" and bool(cells) and all(cell.complete for cell in cells)


def _scope(manifest: Manifest, cells: Sequence[Cell]) -> str:
    boards = listed(list(dict.fromkeys(cell.plan.board for cell in cells)))
    models = {(cell.plan.model, cell.plan.precision) for cell in cells}
    what = plural(len(cells), "model" if len(models) == len(cells) else "run")
    sizes = {cell.n for cell in cells}
    each = plural(max(sizes), noun(manifest.dataset.name))
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
        return "no oracle was run"
    wrong = [cell for cell in checked if cell.unexpected]
    if wrong:
        values = sum(cell.unexpected or 0 for cell in wrong)
        of = {_REFERENCES[must_equal(cell.plan.precision)] for cell in wrong}
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
        said.append(f"{names} not checked: no oracle available")
    return ", ".join(said)


def _equal(cells: Sequence[Cell]) -> list[str]:
    """What equals what, for runs with `_same_bytes`."""
    if all(cell.to_oracle and not cell.to_oracle.elements for cell in cells):
        return ["every output byte equals the oracle"] if cells else []
    by_oracle = any(must_equal(cell.plan.precision) == "oracle" for cell in cells)
    said = ["every int8 output byte equals the oracle"] if by_oracle else []
    return [*said, "every float32 output equals LiteRT bit for bit"]


def _answers(manifest: Manifest, cells: Sequence[Cell]) -> str:
    changed = sum(cell.n - cell.same_answer for cell in cells)
    if not changed:
        return f"device and host give the same answer for every {noun(manifest.dataset.name)}"
    return f"device and host answer {plural(changed, noun(manifest.dataset.name))} differently"


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
    # the interval of the loss or of the gain, whichever the sentence states
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
