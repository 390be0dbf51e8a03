"""The one sentence at the top of a report, and the grade beside it. It claims what was checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hil.report.cells import Cell
from hil.report.pairs import compare, teacher_and_student
from hil.report.text import count, interval, listed, percent, plural, points
from hil.runlog.schema import Manifest

DIGITS = {"mnist", "digits"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """``grade`` is exact, differs, unchecked or partial; ``word`` says it."""

    grade: str
    word: str
    sentence: str


_WORDS = {
    "exact": "Exact",
    "differs": "Differs",
    "unchecked": "Not checked by an oracle",
    "partial": "Partial",
}


def noun(manifest: Manifest) -> str:
    """What a sample is called: digit, or sample for data of the user's own."""
    return "digit" if manifest.dataset.name in DIGITS else "sample"


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
    if any(cell.to_oracle and cell.to_oracle.elements for cell in cells if cell.n):
        return "differs"
    if not _whole(manifest, cells):
        return "partial"
    return "exact" if all(cell.plan.oracle for cell in cells) else "unchecked"


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
    checked = [cell for cell in cells if cell.plan.oracle]
    if not checked:
        return "no byte oracle was run"
    wrong = sum(cell.to_oracle.elements for cell in checked if cell.to_oracle)
    if wrong:
        total = sum(cell.device.size for cell in checked)
        return f"{count(wrong)} of {count(total)} output values differ from the oracle"
    if len(checked) < len(cells):
        names = listed([cell.name for cell in cells if not cell.plan.oracle])
        return f"every output byte that was checked equals the oracle ({names} had none)"
    return "every output byte equals the oracle"


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
    if not (teacher.time and student.time and student.time.point and teacher.time.point):
        return ""
    # one board, so one unit
    what = "instructions" if student.plan.clock.unit == "instructions" else "time"
    ratio = teacher.time.point / student.time.point
    if ratio >= 2:
        return f" and takes 1/{ratio:.0f} of the {what}"
    return f" and takes {1 / ratio:.2g} times the {what}"
