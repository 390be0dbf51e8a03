# SPDX-License-Identifier: Apache-2.0
"""The example with a latency says that no board was measured, and its clock is consistent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hil.core.records import Precision
from hil.report.document import document
from hil.runs.cells import cells
from hil.runs.load import load_run, verify
from tools import PROJECT
from tools.example_latency import FAKE, FIXED, NOTE, PER_MAC, make

EXAMPLE = PROJECT / "results" / "example-latency"
MOST = 300_000  # bytes


def test_the_committed_one_is_small_and_says_what_it_is() -> None:
    assert sum(file.stat().st_size for file in EXAMPLE.rglob("*") if file.is_file()) < MOST
    assert verify(EXAMPLE).faults == ()
    run = load_run(EXAMPLE)
    found = document(run)
    assert NOTE in found.warnings
    assert {plan.board_title for plan in run.manifest.runs} == {FAKE.title}
    assert "not a measurement" in FAKE.title
    assert len(found.table("Device and host").rows) == 8
    assert not any("clock is wrong" in line for line in found.warnings)
    assert "host" in [section.key for section in found.sections]


@pytest.mark.timeout(120)
def test_the_board_takes_as_long_as_its_clock_says(tmp_path: Path) -> None:
    make(tmp_path / "run", "digits", 6)
    run = load_run(tmp_path / "run")
    assert not any("clock" in line for line in document(run).warnings if line != NOTE)
    for cell in cells(run.manifest, run.samples, run.host):
        least = FIXED + PER_MAC[Precision(cell.plan.precision)] * cell.plan.macs
        assert (cell.times >= np.floor(least)).all()
        assert np.median(cell.times) < 1.1 * least + 1
        assert cell.round_trips is not None
        assert (cell.round_trips >= cell.times).all()
        assert set(cell.host_latencies) == {"xnnpack", "reference"}
        assert cell.unexpected == 0
