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
from hil.report.partings import layer_table, parting_sentences, parting_table
from hil.report.provenance import METHODS, cell_tables, run_table
from hil.report.tables import Table
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
    scatters: tuple[Scatter, ...]
    confusions: tuple[Confusion, ...]
    gallery: Gallery
    disagreements: Table
    comparisons: Table
    differences: Table
    explanations: tuple[str, ...]
    parted: tuple[str, ...]
    partings: Table
    layers: Table
    published: Table | None
    methods: tuple[str, ...]
    run: Table
    cells: tuple[Table, ...]
    data: tuple[Cell, ...]


def document(run: StoredRun) -> Document:
    found = cells(run.manifest, run.samples)
    drawn = gallery(found, run.pictures)
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
        scatters=scatters(found),
        confusions=confusions(found),
        gallery=drawn,
        disagreements=tables.disagreements(drawn, noun(run.manifest)),
        comparisons=tables.comparisons(found),
        differences=tables.differences(found),
        explanations=explanations(found),
        parted=parting_sentences(run.partings, found),
        partings=parting_table(run.partings, found),
        layers=layer_table(run.partings, found),
        published=tables.published(run.manifest, found),
        methods=METHODS,
        run=run_table(run.manifest),
        cells=cell_tables(found),
        data=found,
    )
