"""A report, section after section. A figure of one's own is one line in the list of its section:
a `Table`, a `Chart` or another of hil.report.blocks; empty ones and None are left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from hil.report import tables
from hil.report.blocks import (
    Block,
    Bullets,
    Confusions,
    Digits,
    Facts,
    Figures,
    Scatters,
    Section,
    Words,
    section,
)
from hil.report.cells import Cell
from hil.report.explain import explanations
from hil.report.figures_accuracy import accuracy_chart
from hil.report.figures_confusion import confusions, mistakes
from hil.report.figures_cost import time_charts
from hil.report.figures_digits import gallery
from hil.report.figures_memory import memory_charts
from hil.report.figures_scatter import scatters
from hil.report.glance import glance
from hil.report.memory import marks_table, owner_tables, prediction_table
from hil.report.partings import layer_table, parting_sentences, parting_table
from hil.report.profile import profile_sentences, profile_tables
from hil.report.provenance import METHODS, cell_tables, run_table
from hil.report.students import distillations, lost_table, student_table
from hil.report.timing import timing_table, wall_table
from hil.report.validation import other_confusions, validation_table, validations
from hil.report.verdict import noun
from hil.runlog.load import StoredRun

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
        parting_table(run.partings, cells),
        Bullets("", parting_sentences(run.partings, cells)),
        layer_table(run.partings, cells),
        *profile_tables(run, cells),
        Bullets("", profile_sentences(run, cells)),
        Words("" if run.partings else _no_layers(cells)),
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
