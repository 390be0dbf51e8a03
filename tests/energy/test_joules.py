# SPDX-License-Identifier: Apache-2.0
"""Energy from recordings of a board whose energy is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.core.errors import DataError, UsageError
from hil.energy import (
    Board,
    Faults,
    Simulated,
    Trace,
    Window,
    align,
    battery_days,
    checked,
    find_windows,
    measure,
)

BOARD = Board(30, active=0.132, idle=0.0165, seconds=0.01, pause=0.02, jitter=0.05)


def found(instrument: Simulated) -> tuple[tuple[Window, ...], Trace]:
    trace = instrument.stop()
    return find_windows(trace), trace


@pytest.mark.parametrize("gate", [True, False])
def test_the_energy_that_was_injected_comes_back(gate: bool) -> None:
    instrument = Simulated(BOARD, noise=1e-3, gate=gate)
    windows, trace = found(instrument)
    measured = measure(trace, windows)
    truth = instrument.injected
    assert truth is not None
    assert measured.n == 30
    assert measured.total.point == pytest.approx(truth.total.mean(), rel=1e-3)
    assert measured.above_idle.point == pytest.approx(truth.above_idle.mean(), rel=1e-3)
    assert measured.above_idle.low < truth.above_idle.mean() < measured.above_idle.high
    assert measured.idle.point == pytest.approx(0.0165, rel=1e-2)
    assert measured.seconds.point == pytest.approx(truth.seconds.mean(), rel=1e-3)
    assert measured.average == pytest.approx(0.132 / 3.3, rel=1e-3)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 12),
    st.floats(0.001, 1),
    st.floats(0.01, 0.9),
    st.floats(0.001, 0.05),
    st.sampled_from([10_000.0, 100_000.0]),
    st.integers(0, 1000),
)
def test_every_board_is_measured_within_what_edges_allow(
    windows: int, active: float, share: float, seconds: float, rate: float, seed: int
) -> None:
    board = Board(windows, active, active * share, seconds + 20 / rate, seconds + 40 / rate)
    instrument = Simulated(board, rate=rate, seed=seed)
    intervals, trace = found(instrument)
    measured = measure(trace, intervals)
    truth = instrument.injected
    assert truth is not None
    assert measured.n == windows
    assert measured.total.point == pytest.approx(truth.total.mean(), rel=1.01 * measured.edge)


def test_a_slow_drift_of_the_idle_power_cancels() -> None:
    instrument = Simulated(BOARD, faults=Faults(drift=0.5))
    windows, trace = found(instrument)
    truth = instrument.injected
    assert truth is not None
    measured = measure(trace, windows)
    assert measured.above_idle.point == pytest.approx(truth.above_idle.mean(), rel=1e-3)


def test_several_inferences_in_a_window_share_its_energy() -> None:
    windows, trace = found(Simulated(BOARD))
    one, ten = measure(trace, windows), measure(trace, windows, 10)
    assert ten.total.point == pytest.approx(one.total.point / 10)
    assert ten.seconds.point == pytest.approx(one.seconds.point / 10)


def test_windows_with_faults_do_not_count() -> None:
    windows, trace = found(Simulated(BOARD, faults=Faults(bounce=(3,), lost=1e-4)))
    faults = measure(trace, windows).faults
    assert faults["bounce"] == 1
    assert faults["lost"] > 0
    assert len(windows) == 30


def test_a_clipped_current_gives_no_number() -> None:
    windows, trace = found(Simulated(BOARD, faults=Faults(clip=0.03)))
    with pytest.raises(DataError, match="30: the current was at a limit"):
        measure(trace, windows)


def test_windows_that_are_too_short_give_no_number() -> None:
    windows, trace = found(Simulated(BOARD, rate=500))
    assert {one.fault for one in windows} == {"short"}
    with pytest.raises(DataError, match="fewer than 10 samples"):
        measure(trace, windows)


def test_a_window_at_either_end_is_cut() -> None:
    windows, trace = found(Simulated(BOARD))
    inside = (windows[1].start + 5, windows[4].start + 5)
    cut = replace(
        trace,
        **{
            name: getattr(trace, name)[slice(*inside)]
            for name in ("current", "voltage", "gate", "clipped")
        },
    )
    assert [one.fault for one in find_windows(cut)] == ["cut", "", "", "cut"]


@pytest.mark.parametrize("level", [True, False])
def test_a_gate_without_an_edge_is_an_error(level: bool) -> None:
    trace = Simulated(BOARD).stop()
    with pytest.raises(DataError, match=f"the gate is {'high' if level else 'low'} in all"):
        find_windows(replace(trace, gate=np.full(trace.n, level)))


def test_noise_without_two_levels_is_an_error() -> None:
    flat = replace(BOARD, active=BOARD.idle)
    with pytest.raises(DataError, match="does not have two levels"):
        find_windows(Simulated(flat, noise=1e-3, gate=False).stop())


def test_the_answers_are_found_behind_the_warm_up() -> None:
    windows, trace = found(Simulated(BOARD))
    truth = [one.samples / trace.rate for one in windows]
    aligned = align(windows, trace.rate, truth[4:25], "trace")
    assert aligned.first == 4
    assert aligned.ratio == pytest.approx(1)
    assert not any(one.fault for one in aligned.windows)


def test_a_window_that_the_device_timed_otherwise_does_not_count() -> None:
    windows, trace = found(Simulated(BOARD))
    times = [one.samples / trace.rate for one in windows]
    times[7] *= 1.05
    aligned = align(windows, trace.rate, times, "trace")
    assert [i for i, one in enumerate(aligned.windows) if one.fault == "clock"] == [7]


def test_a_wrong_sample_rate_is_named() -> None:
    instrument = Simulated(BOARD, faults=Faults(clock=1.25))
    windows, trace = found(instrument)
    truth = instrument.injected
    assert truth is not None
    with pytest.raises(DataError) as raised:
        align(windows, trace.rate, list(truth.seconds), "trace")
    assert "is its sample rate 125," in raised.value.hint


def test_another_run_is_refused() -> None:
    windows, trace = found(Simulated(BOARD))
    random = np.random.default_rng(1)
    with pytest.raises(DataError, match="the device measured"):
        align(windows, trace.rate, list(random.uniform(0.001, 0.1, 30)), "trace")
    with pytest.raises(DataError, match="30 windows, and the run has 31 answers"):
        align(windows, trace.rate, [0.01] * 31, "trace")


def test_a_battery_lasts_as_long_as_its_charge() -> None:
    # 1,000 mAh at 3.7 V are 13,320 J; 1 mW idle and 60 mJ a minute are 2 mW
    assert battery_days(1000, 3.7, 0.06, 0.001, 60) == pytest.approx(13_320 / 2e-3 / 86_400)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"rate": 0.0}, "is not a sample rate"),
        ({"rate": float("nan")}, "is not a sample rate"),
        ({"current": np.full(8, np.nan)}, "no current is a number"),
        ({"current": np.full(8, 4e4)}, "out of range"),
        ({"voltage": np.full(8, -3.3)}, "never above 0"),
        ({"voltage": np.full(7, 3.3)}, "8 currents and 7 voltages"),
        ({"gate": np.zeros(9, np.bool_)}, "8 currents and 9 gate values"),
        ({"current": np.zeros(0), "voltage": np.zeros(0)}, "has no samples"),
    ],
)
def test_a_recording_that_cannot_be_is_refused(change: dict[str, Any], what: str) -> None:
    fine = Trace("trace", 1000, np.full(8, 0.01), np.full(8, 3.3))
    assert checked(fine) is fine
    with pytest.raises(DataError, match=what):
        checked(replace(fine, **change))


def test_the_simulated_instrument_says_what_was_done_to_it() -> None:
    instrument = Simulated(BOARD)
    instrument.supply(3.0)
    instrument.start()
    trace = instrument.stop()
    instrument.close()
    assert instrument.log == ["supply 3 V", "start", "stop", "close"]
    assert set(trace.voltage) == {3.0}
    with pytest.raises(UsageError, match="6 V cannot be supplied"):
        instrument.supply(6)
