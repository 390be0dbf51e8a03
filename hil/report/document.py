"""A stored run -> everything that its report says and draws, once, for every format."""

from __future__ import annotations

from dataclasses import dataclass

from hil.report.blocks import Section
from hil.report.cells import Cell, cells
from hil.report.sections import sections
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


def document(run: StoredRun) -> Document:
    found = cells(run.manifest, run.samples)
    return Document(
        run_id=run.manifest.run_id,
        created=run.manifest.created,
        verdict=verdict(run.manifest, found),
        warnings=warnings(run, found),
        sections=sections(run, found),
        data=found,
    )
