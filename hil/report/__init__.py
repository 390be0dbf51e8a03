# SPDX-License-Identifier: Apache-2.0
"""Reports made from a stored run alone: summary.json, report.md, report.html and figures/."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from hil.core.errors import StorageError
from hil.core.files import replace_file
from hil.report.blocks import Table
from hil.report.document import document
from hil.report.energy import energy_warnings
from hil.report.markdown import markdown
from hil.report.page import figures, page
from hil.runs.load import load_run
from hil.runs.rows import summarise
from hil.runs.schema import FIGURES, SUMMARY, Manifest
from hil.runs.schema_checks import CheckFinding
from hil.runs.schema_quant import QuantPair
from hil.runs.seal import check_data, pretty, seal_pages
from hil.runs.summary import Summary


@dataclass(frozen=True, slots=True)
class Report:
    """Where a report was written, of which run, and what a terminal shows of it."""

    markdown: Path
    html: Path
    manifest: Manifest
    summary: Summary
    layer_findings: tuple[str, ...] = ()  # where device and reference differ
    profiles: tuple[Table, ...] = ()  # time per layer, one table per run
    unprofiled: tuple[str, ...] = ()  # why a run has no such table
    estimates: Table | None = None  # estimated cycles
    cycle_layers: tuple[Table, ...] = ()  # estimated cycles per layer, one table per run
    unestimated: tuple[str, ...] = ()  # why a run has none
    energy: Table | None = None  # per inference
    unmeasured: tuple[str, ...] = ()  # why a run has none, and doubts about others
    energy_faults: tuple[str, ...] = ()  # what makes the energy of a run wrong
    checks: tuple[CheckFinding, ...] = ()  # what explains wrong answers
    quant: tuple[QuantPair, ...] = ()  # what int8 loses, by model
    boards: tuple[Table, ...] = ()  # times on every board, of a run on several
    host: Table | None = None  # LiteRT's time on the host
    links: tuple[str, ...] = ()  # how much of its line each run has used


def write(run_dir: Path) -> Report:
    """Write ``summary.json``, ``report.md``, ``report.html`` and its drawings, ``figures/*.svg``,
    into a stored run's folder, then seal the manifest with them.

    The same stored run gives the same bytes, and no file is left half-written. StorageError if the
    folder is missing, corrupt, of another schema or not writable. DamagedRun if the manifest or
    the data are not what was sealed; nothing is written then.
    """
    run = load_run(run_dir)
    check_data(run_dir, run.manifest)
    # replacing a linked file is safe, but files in a linked folder would be written elsewhere
    if (run_dir / FIGURES).is_symlink():
        raise StorageError(
            f"{run_dir / FIGURES} is a symbolic link, which may point anywhere", "remove it"
        )
    found = document(run)
    answers = chain.from_iterable(run.samples.values())
    stored = (run.host, run.targets, run.estimates, run.energy)
    summary = summarise(run.manifest, answers, *stored)
    report = Report(
        markdown=run_dir / "report.md",
        html=run_dir / "report.html",
        manifest=run.manifest,
        summary=summary,
        layer_findings=found.layer_findings,
        profiles=found.profiles,
        unprofiled=found.unprofiled,
        estimates=found.estimates,
        cycle_layers=found.cycle_layers,
        unestimated=found.unestimated,
        energy=found.energy,
        unmeasured=found.unmeasured,
        energy_faults=tuple(energy_warnings(run)),
        checks=run.checks,
        quant=run.quant,
        boards=found.boards,
        host=found.host,
        links=found.links,
    )
    # all pages are made before any is written
    contents = {
        run_dir / SUMMARY: pretty(summary),
        report.markdown: _bytes(markdown(found)),
        report.html: _bytes(page(found)),
    } | {run_dir / FIGURES / name: _bytes(text) for name, text in figures(found).items()}
    seal_pages(run_dir, {})  # pages without a seal are not taken for damaged ones
    for path, content in contents.items():
        replace_file(path, content)
    for path in (run_dir / FIGURES).glob("*.svg"):
        if path not in contents:  # of an earlier report
            path.unlink(missing_ok=True)
    pages = {path.relative_to(run_dir).as_posix(): content for path, content in contents.items()}
    seal_pages(run_dir, pages)
    return report


def _bytes(text: str) -> bytes:
    # half a surrogate pair, from an odd file name, is not valid UTF-8
    return text.encode("utf-8", "replace")
