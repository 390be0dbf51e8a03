# SPDX-License-Identifier: Apache-2.0
"""A stored run -> everything that its report says and draws, for every format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from hil.report.accuracy import accuracy_section
from hil.report.blocks import Section, Table
from hil.report.boards import boards_section, time_tables
from hil.report.checks import check_warnings, checks_section, doubted
from hil.report.cost import time_section
from hil.report.cycles import cycles_section, estimates_table, unestimated
from hil.report.cycles_layers import layers_tables, unlayered
from hil.report.energy import energy_section, energy_table, energy_warnings, unmeasured
from hil.report.errors import errors_section
from hil.report.host import host_section, terminal_table
from hil.report.layers import layer_findings, layers_section, profile_tables, unprofiled
from hil.report.league import league_section
from hil.report.link import link_section, link_words
from hil.report.memory import memory_section
from hil.report.provenance import provenance_section
from hil.report.quant import quant_section, quant_warnings
from hil.report.samples import samples_section
from hil.report.summary import summary_section
from hil.report.text import moment
from hil.report.verdict import Verdict, verdict, warnings
from hil.runs.cells import Cell, cells
from hil.runs.load import StoredRun

MakeSection: TypeAlias = Callable[[StoredRun, Sequence[Cell]], Section]

# in the order of the report; those without blocks are not shown
SECTIONS: Final[tuple[MakeSection, ...]] = (
    summary_section,
    boards_section,
    checks_section,
    errors_section,
    accuracy_section,
    time_section,
    cycles_section,
    league_section,
    energy_section,
    host_section,
    memory_section,
    link_section,
    samples_section,
    layers_section,
    quant_section,
    provenance_section,
)


@dataclass(frozen=True)
class Document:
    """A report without a format. Strings are as stored: each format escapes them."""

    run_id: str
    created: str
    verdict: Verdict
    warnings: tuple[str, ...]
    sections: tuple[Section, ...]
    # for a terminal too
    layer_findings: tuple[str, ...]  # where device and reference differ
    profiles: tuple[Table, ...]  # the time per layer
    unprofiled: tuple[str, ...]  # why that is not known
    estimates: Table  # estimated cycles; without rows if none were asked for
    unestimated: tuple[str, ...]  # why a run or its layers have none
    host: Table  # LiteRT's time on the host; without rows if it was not measured
    links: tuple[str, ...] = ()  # how much of its line each run has used
    boards: tuple[Table, ...] = ()  # times on every board; empty with one board
    cycle_layers: tuple[Table, ...] = ()  # estimated cycles per layer, one table per run
    energy: Table | None = None  # per inference; without rows if it was not measured
    unmeasured: tuple[str, ...] = ()  # why a run has none, and doubts about others

    def table(self, title: str) -> Table:
        """The table of that title; one without rows if the report has none."""
        blocks = (block for section in self.sections for block in section.blocks)
        found = (block for block in blocks if isinstance(block, Table) and block.title == title)
        return next(found, Table(title, (), ()))


def document(run: StoredRun) -> Document:
    """Everything a report shows of a run."""
    found = cells(run.manifest, run.samples, run.host, run.targets)
    sections = (make(run, found) for make in SECTIONS)
    return Document(
        run_id=run.manifest.run_id,
        created=moment(run.manifest.created),
        verdict=doubted(verdict(run.manifest, found), run),
        warnings=(
            *check_warnings(run),
            *quant_warnings(run),
            *energy_warnings(run),
            *warnings(run, found),
        ),
        sections=tuple(section for section in sections if section.blocks),
        layer_findings=layer_findings(run.layer_checks, found),
        profiles=profile_tables(run, found),
        unprofiled=unprofiled(run, found),
        boards=time_tables(run, found),
        estimates=estimates_table(run, found),
        cycle_layers=layers_tables(run, found),
        unestimated=(*unestimated(run, found), *unlayered(run, found)),
        energy=energy_table(run, found),
        unmeasured=unmeasured(run, found),
        host=terminal_table(found),
        links=tuple(link_words(found)),
    )
