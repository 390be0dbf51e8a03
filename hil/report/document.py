# SPDX-License-Identifier: Apache-2.0
"""A stored run -> everything that its report says and draws, once, for every format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hil.report import tables
from hil.report.accuracy import (
    accuracy_chart,
    confusions,
    mistakes,
    other_confusions,
    validation_table,
    validations,
)
from hil.report.blocks import (
    Block,
    Bullets,
    Confusions,
    Digits,
    Facts,
    Figure,
    Figures,
    Scatters,
    Section,
    Words,
    section,
)
from hil.report.cost import time_charts, time_words, timing_table, wall_table
from hil.report.layers import (
    layer_table,
    parting_sentences,
    parting_table,
    profile_sentences,
    profile_tables,
)
from hil.report.memory import marks_table, memory_charts, owner_tables, prediction_table
from hil.report.pairs import teacher_and_student
from hil.report.provenance import METHODS, cell_tables, run_table
from hil.report.samples import gallery
from hil.report.scatter import scatters
from hil.report.students import distillations, lost_table, student_table
from hil.report.text import Table, count, interval, percent, short
from hil.report.verdict import Verdict, explanations, noun, verdict
from hil.report.warnings import warnings
from hil.runs.cells import Cell, cells
from hil.runs.load import StoredRun
from hil.runs.schema import Manifest


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


Blocks: TypeAlias = list[Block | None]


def sections(run: StoredRun, cells: Sequence[Cell]) -> tuple[Section, ...]:
    """All of a report's sections that have anything to show, in their order."""
    found = (
        summary(run, cells),
        accuracy(run, cells),
        time(run, cells),
        memory(run, cells),
        link(run, cells),
        digits(run, cells),
        layers(run, cells),
        provenance(run, cells),
    )
    return tuple(one for one in found if one.blocks)


def summary(run: StoredRun, cells: Sequence[Cell]) -> Section:
    blocks: Blocks = [
        Figures(glance(run.manifest, cells)),
        tables.results(run.manifest, cells),
        student_table(distillations(cells)),
        tables.no_place(run.manifest),
    ]
    return section("summary", "Summary", blocks)


def accuracy(run: StoredRun, cells: Sequence[Cell]) -> Section:
    checked = validations(cells)
    matrices = (*confusions(cells), *other_confusions(checked))
    blocks: Blocks = [
        accuracy_chart(cells),
        tables.comparisons(cells),
        validation_table(checked),
        tables.differences(cells),
        Bullets("", explanations(cells)),
        Confusions("Confusion", matrices, mistakes(cells)),
        tables.published(run.manifest, cells),
    ]
    return section("accuracy", "Accuracy", blocks)


def time(_run: StoredRun, cells: Sequence[Cell]) -> Section:
    blocks: Blocks = [
        *time_charts(cells),
        timing_table(cells),
        wall_table(cells),
        Scatters("What accuracy costs", scatters(cells)),
    ]
    return section("time", "Time", blocks)


def memory(_run: StoredRun, cells: Sequence[Cell]) -> Section:
    blocks: Blocks = [
        *memory_charts(cells),
        marks_table(cells),
        prediction_table(cells),
        *owner_tables(cells),
    ]
    return section("memory", "Memory", blocks)


def link(run: StoredRun, cells: Sequence[Cell]) -> Section:
    blocks: Blocks = [
        tables.link(cells, noun(run.manifest)),
        tables.faults(cells),
    ]
    return section("link", "Link", blocks)


def digits(run: StoredRun, cells: Sequence[Cell]) -> Section:
    name = noun(run.manifest)
    drawn = gallery(cells, run.pictures)
    blocks: Blocks = [
        Digits(name, drawn, tables.disagreements(drawn, name)),
        lost_table(distillations(cells), name),
    ]
    return section("digits", f"{name.capitalize()}s", blocks)


def layers(run: StoredRun, cells: Sequence[Cell]) -> Section:
    blocks: Blocks = [
        parting_table(run.layer_checks, cells),
        Bullets("", parting_sentences(run.layer_checks, cells)),
        layer_table(run.layer_checks, cells),
        *profile_tables(run, cells),
        Bullets("", profile_sentences(run, cells)),
        Words("" if run.layer_checks else _no_layers(cells)),
    ]
    return section("layers", "Layers", blocks)


def _no_layers(cells: Sequence[Cell]) -> str:
    """Why this run holds no layers."""
    checked = [cell for cell in cells if cell.n and cell.unexpected is not None]
    if checked and not any(cell.unexpected for cell in checked):
        return "Every output checked is as expected, so no layer was asked for."
    return ""


def provenance(run: StoredRun, cells: Sequence[Cell]) -> Section:
    blocks: Blocks = [
        Bullets("How the figures are made", METHODS),
        Facts(run_table(run.manifest), open=True),
        *(Facts(table) for table in cell_tables(cells)),
    ]
    return section("provenance", "Provenance", blocks)


@dataclass(frozen=True)
class Document:
    """A report without a format. Strings are as stored: each format escapes them."""

    run_id: str
    created: str
    verdict: Verdict
    warnings: tuple[str, ...]
    sections: tuple[Section, ...]
    data: tuple[Cell, ...]
    parted: tuple[str, ...]  # where device and reference part, for a terminal too
    profiles: tuple[Table, ...] = ()  # what each layer takes, the same
    unprofiled: tuple[str, ...] = ()  # why that is not known

    def table(self, title: str) -> Table:
        """The table of that title; one without rows where the report has none."""
        blocks = (block for section in self.sections for block in section.blocks)
        found = (block for block in blocks if isinstance(block, Table) and block.title == title)
        return next(found, Table(title, (), ()))


def document(run: StoredRun) -> Document:
    found = cells(run.manifest, run.samples)
    return Document(
        run_id=run.manifest.run_id,
        created=run.manifest.created,
        verdict=verdict(run.manifest, found),
        warnings=warnings(run, found),
        sections=sections(run, found),
        data=found,
        parted=parting_sentences(run.layer_checks, found),
        profiles=profile_tables(run, found),
        unprofiled=profile_sentences(run, found),
    )
