# SPDX-License-Identifier: Apache-2.0
"""hil/report/calibration.py: what a report says of the error of estimated cycles."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from hil.report.calibration import time_cell
from hil.report.cycles import estimates_table
from hil.runs.load import StoredRun
from hil.runs.rows import summarise
from hil.runs.schema_cycles import CycleCalibration, CycleEstimate, CycleTime
from tests.support import reports

KNOWN = CycleCalibration(
    ratio=0.8,
    spread=1.15,
    low=0.5,
    high=1.25,
    confidence=0.95,
    programs=27,
    networks=8,
    boards=3,
)
TIME = CycleTime(hertz=480e6, ms=1.25, low=0.8, high=2.0)


def estimated(**changes: object) -> StoredRun:
    plan = reports.plan()
    made = CycleEstimate(
        run=plan.key, id="x", core="cortex-m4", llvm="14", instructions=500_000, cycles=480_000
    )
    return replace(reports.run(plan), estimates=(msgspec.structs.replace(made, **changes),))


def test_a_calibrated_estimate_has_an_error_and_a_range_of_milliseconds() -> None:
    stored = estimated(calibration=KNOWN, time=TIME)
    table = estimates_table(stored, reports.cells_of(stored))
    assert (
        "An estimate, calibrated for cortex-m4 with 27 programs (8 neural networks) that others "
        "measured on 3 boards: it was 0.80 times the measured cycles (geometric mean). A chip "
        "takes 0.80 to 2.00 times the cycles estimated here (95% prediction interval"
    ) in table.note
    assert table.head[-1] == "Estimated ms at 480 MHz"
    assert table.rows[0][-1] == "0.8 to 2 (1.25)"


def test_without_a_clock_there_are_no_milliseconds() -> None:
    stored = estimated(calibration=KNOWN)
    table = estimates_table(stored, reports.cells_of(stored))
    assert table.head[-1] == "Instructions per cycle"
    assert "milliseconds" not in table.note


def test_a_calibration_without_a_network_says_so() -> None:
    stored = estimated(calibration=msgspec.structs.replace(KNOWN, networks=0, programs=7))
    note = estimates_table(stored, reports.cells_of(stored)).note
    assert "with 7 programs (no neural network)" in note


def test_an_uncalibrated_core_says_why() -> None:
    stored = estimated(uncalibrated="4 programs on 1 board")
    note = estimates_table(stored, reports.cells_of(stored)).note
    assert (
        "Uncalibrated for cortex-m4, so without an error and without milliseconds: 4 programs on 1 "
        "board."
    ) in note


def test_an_estimate_stored_before_the_calibration_stays_uncalibrated() -> None:
    stored = estimated()
    assert "An estimate, uncalibrated" in estimates_table(stored, reports.cells_of(stored)).note


def test_long_times_are_not_written_as_powers() -> None:
    assert time_cell(CycleTime(hertz=1e6, ms=1234.5, low=999.6, high=23456)) == (
        "1,000 to 23,456 (1,234)"
    )
    assert time_cell(None) == "–"


def test_the_summary_has_the_estimate_apart_from_the_time_of_the_device() -> None:
    stored = estimated(calibration=KNOWN, time=TIME)
    answers = next(iter(stored.samples.values()))
    (row,) = summarise(stored.manifest, answers, estimates=stored.estimates).runs
    found = msgspec.to_builtins(row)
    assert found["time"]["unit"] == "instructions"
    assert found["estimated_cycles"] == {
        "core": "cortex-m4",
        "cycles": 480_000,
        "instructions": 500_000,
        "calibration": msgspec.to_builtins(KNOWN),
        "time": {"hertz": 480e6, "ms": 1.25, "low": 0.8, "high": 2.0},
    }
    (row,) = summarise(stored.manifest, answers).runs
    assert "estimated_cycles" not in msgspec.to_builtins(row)
