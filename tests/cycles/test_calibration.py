# SPDX-License-Identifier: Apache-2.0
"""hil/cycles/calibration.py: the error that published measurements support. Oracle: SciPy."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from hil.core.errors import UsageError
from hil.core.records import EstimatedCycles
from hil.cycles import calibration as module
from hil.cycles.calibration import (
    BOARDS,
    PROGRAMS,
    Calibration,
    Uncalibrated,
    calibration,
    hertz_of,
    measurements,
    sources,
)
from hil.cycles.models import CORES

PROJECT = Path(__file__).parents[2]
LLVM = 14
CALIBRATED = ("cortex-m4", "cortex-m7")


def known(core: str) -> Calibration:
    found = calibration(core, LLVM)
    assert isinstance(found, Calibration)
    return found


@pytest.mark.parametrize("core", CALIBRATED)
def test_the_interval_is_the_prediction_interval_of_the_logarithms(core: str) -> None:
    found = known(core)
    logs = np.log([one.estimated / one.measured for one in measurements(core)])
    n = len(logs)
    low, high = scipy.stats.t.interval(
        0.95, n - 1, loc=logs.mean(), scale=scipy.stats.tstd(logs) * math.sqrt(1 + 1 / n)
    )
    assert found.ratio == pytest.approx(scipy.stats.gmean(np.exp(logs)))
    assert found.spread == pytest.approx(scipy.stats.gstd(np.exp(logs)))
    assert (found.low, found.high) == pytest.approx((math.exp(low), math.exp(high)))
    assert (found.programs, found.confidence) == (n, 0.95)


@pytest.mark.parametrize("core", CALIBRATED)
def test_the_range_of_time_holds_the_measured_programs(core: str) -> None:
    """A prediction interval of 95 % leaves out few of the programs that it was made of."""
    found = known(core)
    inside = 0
    for one in measurements(core):
        time = found.time(EstimatedCycles(round(one.estimated)), 100e6)
        nanoseconds = one.measured * 10
        inside += time.low <= nanoseconds <= time.high
        assert time.low < time.nanoseconds < time.high
    assert inside >= 0.9 * found.programs


def test_cycles_become_time_at_the_clock() -> None:
    """Without an error of the model, cycles / hertz is the time."""
    exact = Calibration("m", 1.0, 1.0, 0.5, 2.0, 0.95, 9, 0, 2)
    time = exact.time(EstimatedCycles(480_000), 480e6)
    assert (time.nanoseconds, time.low, time.high) == (1_000_000, 500_000, 2_000_000)
    # a model whose estimates are twice too large
    assert (
        Calibration("m", 2.0, 1.0, 2.0, 2.0, 0.95, 9, 0, 2)
        .time(EstimatedCycles(480_000), 480e6)
        .nanoseconds
        == 500_000
    )


def test_each_row_is_complete_and_there_once() -> None:
    rows = [(one.core, one.board, one.title, p.name) for one in sources() for p in one.programs]
    assert len(rows) == len(set(rows))
    for one in sources():
        assert one.core in CORES
        assert one.url.startswith("https://")
        assert one.mhz > 0
        assert all(p.measured > 100 and p.estimated > 100 for p in one.programs)
        assert all((one.board, one.compiler, one.memory, one.figures, one.code))


def test_the_documentation_has_every_ratio_and_every_interval() -> None:
    text = (PROJECT / "docs" / "cycles.md").read_text()
    for one in sources():
        ratios = ", ".join(f"{p.name} {p.estimated / p.measured:.2f}" for p in one.programs)
        assert f"]({one.url}) | {one.board}, {one.mhz:g} MHz, {one.memory} | " in text
        assert f"| {one.compiler} | {ratios} |" in text
    for core in CALIBRATED:
        found = known(core)
        takes = f"{1 / found.high:.2f} to {1 / found.low:.2f}"
        assert (
            f"| `{core}` | {found.programs} on {found.boards} boards | {found.networks} | "
            f"{found.ratio:.2f} | {found.spread:.2f} | {takes} |"
        ) in text


@pytest.mark.parametrize("core", ["cortex-m3", "cortex-m33", "cortex-m55"])
def test_a_core_with_few_measurements_stays_uncalibrated(core: str) -> None:
    rows = list(measurements(core))
    assert len(rows) < PROGRAMS or len({one.board for one in rows}) < BOARDS
    found = calibration(core, LLVM)
    assert isinstance(found, Uncalibrated)
    assert "a calibration needs 6 on 2" in found.why


def test_one_board_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    only = tuple(one for one in sources() if one.board == "STM32F407 Discovery")
    monkeypatch.setattr(module, "sources", lambda: only)
    found = calibration("cortex-m4", LLVM)
    assert isinstance(found, Uncalibrated)
    assert found.why.startswith("19 programs with published cycles on 1 board,")


@pytest.mark.parametrize("llvm", [13, 40])
def test_another_version_of_llvm_is_uncalibrated(llvm: int) -> None:
    found = calibration("cortex-m4", llvm)
    assert isinstance(found, Uncalibrated)
    assert f"this is LLVM {llvm}" in found.why


@pytest.mark.parametrize(
    ("text", "hertz"),
    [("480MHz", 480e6), ("480 MHz", 480e6), ("1.5GHz", 1.5e9), ("32768Hz", 32768), ("8mhz", 8e6)],
)
def test_a_clock_has_a_unit(text: str, hertz: float) -> None:
    assert hertz_of(text) == hertz


@pytest.mark.parametrize(
    "text", ["480", "", "MHz", "0MHz", "-1MHz", "480 MHz fast", "4.8e8Hz", "nan", "480 M", "٤MHz"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a clock"):
        hertz_of(text)
