# SPDX-License-Identifier: Apache-2.0
"""Reports from a stored run, nothing else: summary.json, report.md, report.html and figures/."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hil.core.errors import StorageError
from hil.core.files import replace_file
from hil.report.document import document
from hil.report.markdown import markdown
from hil.report.page import figures, page
from hil.report.text import Table
from hil.runs.cells import summarise
from hil.runs.load import load_run
from hil.runs.schema import FIGURES, SUMMARY, Manifest, Summary
from hil.runs.seal import check_data, pretty, seal_pages


@dataclass(frozen=True, slots=True)
class Report:
    """Where a report was written, of which run, and its figures."""

    markdown: Path
    html: Path
    manifest: Manifest
    summary: Summary
    parted: tuple[str, ...] = ()  # where device and reference part, a sentence each
    profiles: tuple[Table, ...] = ()  # what each layer takes, a table a run
    unprofiled: tuple[str, ...] = ()  # why there is none, a sentence each


def write(run_dir: Path) -> Report:
    """Write ``summary.json``, ``report.md``, ``report.html`` and its drawings, ``figures/*.svg``,
    into a stored run's folder.

    Each is written as a whole, and the same stored run gives the same bytes; then the manifest is
    sealed with them. StorageError when the folder is missing, corrupt or of another schema, or
    cannot be written; no file is then left half-written. DamagedRun, and nothing written, when the
    manifest or the data are not what was sealed.
    """
    run = load_run(run_dir)
    check_data(run_dir, run.manifest)
    if (run_dir / FIGURES).is_symlink():  # pages are renamed into place, but a folder is entered
        raise StorageError(
            f"{run_dir / FIGURES} is a link, which may lead anywhere", "take it away"
        )
    found = document(run)
    summary = summarise(run.manifest, (s for part in run.samples.values() for s in part))
    report = Report(
        run_dir / "report.md",
        run_dir / "report.html",
        run.manifest,
        summary,
        found.parted,
        found.profiles,
        found.unprofiled,
    )
    # all are made before any is written
    contents = {
        run_dir / SUMMARY: pretty(summary),
        report.markdown: _bytes(markdown(found)),
        report.html: _bytes(page(found)),
    } | {run_dir / FIGURES / name: _bytes(text) for name, text in figures(found).items()}
    seal_pages(run_dir, {})  # so that pages newer than their seal are told from damaged ones
    for path, content in contents.items():
        replace_file(path, content)
    for path in (run_dir / FIGURES).glob("*.svg"):
        if path not in contents:  # of an earlier report
            path.unlink(missing_ok=True)
    pages = {path.relative_to(run_dir).as_posix(): content for path, content in contents.items()}
    seal_pages(run_dir, pages)
    return report


def _bytes(text: str) -> bytes:
    # half a surrogate pair, from an odd file name, is no UTF-8
    return text.encode("utf-8", "replace")
