"""The four figures a manager looks for, in ten seconds: right answers, equal answers, time and
memory. Of the student in int8 where one took part, else of the first run that answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hil.report.blocks import Figure
from hil.report.cells import Cell
from hil.report.figures_cost import time_words
from hil.report.pairs import teacher_and_student
from hil.report.text import count, interval, percent, short
from hil.report.verdict import noun
from hil.runlog.schema import Manifest


def glance(manifest: Manifest, cells: Sequence[Cell]) -> tuple[Figure, ...]:
    """Figures of one run, beside its teacher's where both took part; none without an answer."""
    answered = [cell for cell in cells if cell.n]
    if not answered:
        return ()
    pairs = teacher_and_student(answered)
    teacher, cell = pairs[0] if pairs else (None, answered[0])
    return tuple(_figures(manifest, teacher, cell))


def _figures(manifest: Manifest, teacher: Cell | None, cell: Cell) -> Iterator[Figure]:
    estimate = cell.accuracy
    beside = f"teacher {percent(teacher.accuracy.point, teacher.n)}; " if teacher else ""
    yield Figure(
        f"Right answers, {cell.name}",
        percent(estimate.point, estimate.n),
        f"{beside}95% interval {interval(estimate)}",
    )
    yield Figure(
        "Device and host answer alike",
        percent(cell.same_answer / cell.n, cell.n),
        f"{count(cell.same_answer)} of {count(cell.n)} {noun(manifest)}s",
    )
    if cell.time:
        unit = time_words(cell)[1]
        beside = f"; teacher {short(teacher.time.point)}" if teacher and teacher.time else ""
        emulated = ", emulated" if cell.plan.emulated else ""
        yield Figure("One inference", short(cell.time.point), f"{unit}{emulated}, median{beside}")
    if cell.end:
        memory = cell.end.memory
        beside = f"; teacher {short(teacher.end.memory.arena)}B" if teacher and teacher.end else ""
        model = f"; weights {short(memory.flash_model)}B of flash" if memory.flash_model else ""
        yield Figure("RAM of an inference", f"{short(memory.arena)}B", f"arena{beside}{model}")
