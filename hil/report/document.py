"""A stored run -> everything that its report says and draws, once, for every format."""

from __future__ import annotations

from dataclasses import dataclass

from hil.report.blocks import Section
from hil.report.cells import Cell, cells
from hil.report.partings import parting_sentences
from hil.report.profile import profile_sentences, profile_tables
from hil.report.sections import sections
from hil.report.tables import Table
from hil.report.verdict import Verdict, verdict
from hil.report.warnings import warnings
from hil.runlog.load import StoredRun


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
        parted=parting_sentences(run.partings, found),
        profiles=profile_tables(run, found),
        unprofiled=profile_sentences(run, found),
    )
