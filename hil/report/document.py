"""A stored run -> everything that its report says and draws, once, for every format."""

from __future__ import annotations

from dataclasses import dataclass

from hil.report import tables
from hil.report.cells import Cell, cells
from hil.report.chart import Chart, Scatter
from hil.report.explain import explanations
from hil.report.figures_accuracy import accuracy_chart
from hil.report.figures_confusion import Confusion, confusions
from hil.report.figures_cost import time_charts
from hil.report.figures_digits import Gallery, gallery
from hil.report.figures_memory import memory_charts
from hil.report.figures_scatter import scatters
from hil.report.memory import marks_table, owner_tables, prediction_table
from hil.report.partings import layer_table, parting_sentences, parting_table
from hil.report.profile import profile_sentences, profile_tables
from hil.report.provenance import METHODS, cell_tables, run_table
from hil.report.students import Distillation, distillations, lost_table, student_table
from hil.report.tables import Table
from hil.report.timing import timing_table, wall_table
from hil.report.validation import other_confusions, validation_table, validations
from hil.report.verdict import Verdict, noun, verdict
from hil.report.warnings import warnings
from hil.runlog.load import StoredRun


@dataclass(frozen=True)
class Document:
    """A report without a format. Strings are as stored: each format escapes them."""

    run_id: str
    created: str
    noun: str
    verdict: Verdict
    warnings: tuple[str, ...]
    results: Table
    no_place: Table
    accuracy: Chart | None
    times: tuple[Chart, ...]
    memory: tuple[Chart, ...]
    memory_marks: Table
    memory_predictions: Table
    memory_owners: tuple[Table, ...]
    scatters: tuple[Scatter, ...]
    confusions: tuple[Confusion, ...]
    gallery: Gallery
    disagreements: Table
    comparisons: Table
    differences: Table
    validation: Table
    timing: Table
    walls: Table
    students: tuple[Distillation, ...]
    student_table: Table
    lost: Table
    explanations: tuple[str, ...]
    parted: tuple[str, ...]
    partings: Table
    layers: Table
    profiles: tuple[Table, ...]
    unprofiled: tuple[str, ...]
    published: Table | None
    methods: tuple[str, ...]
    run: Table
    cells: tuple[Table, ...]
    data: tuple[Cell, ...]


def document(run: StoredRun) -> Document:
    found = cells(run.manifest, run.samples)
    drawn = gallery(found, run.pictures)
    checked, students = validations(found), distillations(found)
    return Document(
        run_id=run.manifest.run_id,
        created=run.manifest.created,
        noun=noun(run.manifest),
        verdict=verdict(run.manifest, found),
        warnings=warnings(run, found),
        results=tables.results(run.manifest, found),
        no_place=tables.no_place(run.manifest),
        accuracy=accuracy_chart(found),
        times=time_charts(found),
        memory=memory_charts(found),
        memory_marks=marks_table(found),
        memory_predictions=prediction_table(found),
        memory_owners=owner_tables(found),
        scatters=scatters(found),
        confusions=(*confusions(found), *other_confusions(checked)),
        gallery=drawn,
        disagreements=tables.disagreements(drawn, noun(run.manifest)),
        comparisons=tables.comparisons(found),
        differences=tables.differences(found),
        validation=validation_table(checked),
        timing=timing_table(found),
        walls=wall_table(found),
        students=students,
        student_table=student_table(students),
        lost=lost_table(students, noun(run.manifest)),
        explanations=explanations(found),
        parted=parting_sentences(run.partings, found),
        partings=parting_table(run.partings, found),
        layers=layer_table(run.partings, found),
        profiles=profile_tables(run, found),
        unprofiled=profile_sentences(run, found),
        published=tables.published(run.manifest, found),
        methods=METHODS,
        run=run_table(run.manifest),
        cells=cell_tables(found),
        data=found,
    )
