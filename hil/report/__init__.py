"""Reports from a stored run, nothing else: summary.json, report.md and report.html."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hil.files import replace_file
from hil.report.document import document
from hil.report.markdown import markdown
from hil.report.page import page
from hil.report.summary import summarise
from hil.runlog.load import load
from hil.runlog.log import pretty
from hil.runlog.schema import SUMMARY, Manifest, Summary


@dataclass(frozen=True, slots=True)
class Report:
    """Where a report was written, of which run, and its figures."""

    markdown: Path
    html: Path
    manifest: Manifest
    summary: Summary
    parted: tuple[str, ...] = ()  # where device and reference part, a sentence each


def write(run_dir: Path) -> Report:
    """Write ``summary.json``, ``report.md`` and ``report.html`` into a stored run's folder.

    Each is written as a whole, and the same stored run gives the same bytes. StorageError when the
    folder is missing, corrupt or of another schema, or cannot be written; no file is then left
    half-written.
    """
    run = load(run_dir)
    found = document(run)
    summary = summarise(run.manifest, (s for part in run.samples.values() for s in part))
    report = Report(
        run_dir / "report.md", run_dir / "report.html", run.manifest, summary, found.parted
    )
    # all are made before any is written
    contents = {
        run_dir / SUMMARY: pretty(summary),
        report.markdown: _bytes(markdown(found)),
        report.html: _bytes(page(found)),
    }
    for path, content in contents.items():
        replace_file(path, content)
    return report


def _bytes(text: str) -> bytes:
    # half a surrogate pair, from an odd file name, is no UTF-8
    return text.encode("utf-8", "replace")
