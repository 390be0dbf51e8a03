# SPDX-License-Identifier: Apache-2.0
"""What is made from a stored run, perhaps from someone else: pages, tables, comparisons, frames."""

from __future__ import annotations

from pathlib import Path

from hil.compare.compare import compare_runs
from hil.compare.formats import FORMATS
from hil.compare.history import markdown, page, read_history
from hil.core.errors import UsageError
from hil.report import write
from hil.runs.load import verify
from hil.runs.notebook import read
from tests.fuzz.targets import runs

SEEDS = runs.SEEDS
damage = runs.damage
_ALLOWED = ("model", "dataset", "clock", "state", "samples", "task")
_HOSTILE = ("<script>alert", "\x1b", "\x9b", "\u202e")


def check(data: bytes, folder: Path) -> None:
    run = runs.lay_out(data, folder / "run")
    found = read(run)
    assert len(found.samples) == sum(map(len, found.stored.samples.values()))
    assert len(found.summary.runs) <= len(found.cells) == len(found.manifest.runs)
    assert len(found.results) == len(found.summary.runs)
    report = write(run)
    for path in (report.html, report.markdown):
        _harmless(path.read_text("utf-8"))
    if report.manifest.state != "running" and report.manifest.seal:
        assert not verify(run).faults
    base = folder / "base"
    if not base.exists():
        runs.lay_out(SEEDS[1], base)
    for pair in ((run, run), (base, run)):
        compared = compare_runs(*pair, allow=_ALLOWED, allow_missing=True)
        for form in FORMATS.values():
            form(compared)
        _harmless(FORMATS["md"](compared))
    try:
        history = read_history(folder)
    except UsageError:  # every run of it was cut short
        return
    _harmless(markdown(history))
    _harmless(page(history))


def _harmless(text: str) -> None:
    """No markup of a stranger's, nothing that a terminal obeys, nothing that turns text around."""
    assert not (said := [word for word in _HOSTILE if word in text]), said
