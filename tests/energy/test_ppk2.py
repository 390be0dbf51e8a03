# SPDX-License-Identifier: Apache-2.0
"""hil/energy/ppk2.py with the simulated PPK2 of ppk2lab, which speaks its serial protocol."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from ppk2lab import PPK2, Mode
from ppk2lab.protocol.commands import Opcode
from ppk2lab.testing.profiles import ArrayProfile
from ppk2lab.transport.mock import SimulatedPPK2

from hil.core.errors import DataError, ToolMissing, UsageError
from hil.energy import find_windows, measure
from hil.energy.opened import open_instrument
from hil.energy.ppk2 import MOST, RATE, Ppk2
from hil.energy.trace import Trace

IDLE, ACTIVE = 5_000.0, 40_000.0  # microamperes
PAUSE, WINDOW, WINDOWS = 300, 1_000, 8  # samples
SWITCHES = {Opcode.SET_DUT_POWER, Opcode.SET_SOURCE_VOLTAGE, Opcode.SET_MODE, Opcode.RESET}


def currents(active: float = ACTIVE) -> tuple[list[float], list[int]]:
    one = [IDLE] * PAUSE + [active] * WINDOW
    logic = [0] * PAUSE + [0b10] * WINDOW
    return one * WINDOWS + [IDLE] * PAUSE, logic * WINDOWS + [0] * PAUSE


def attached(simulator: SimulatedPPK2, volts: float | None = 3.3, most: int = MOST) -> Ppk2:
    return Ppk2(PPK2.open(simulator=simulator), volts, gate=1, most=most)


def recorded(simulator: SimulatedPPK2) -> Trace:
    """Until the profile's end."""
    instrument = attached(simulator, most=len(currents()[0]))
    instrument.start()
    instrument.wait()
    return instrument.stop()


def test_opening_and_closing_leave_the_power_of_the_board_alone() -> None:
    simulator = SimulatedPPK2()
    attached(simulator).close()
    assert simulator.command_log
    assert not SWITCHES & {opcode for opcode, _ in simulator.command_log}


def test_the_voltage_is_set_before_the_power_is_switched_on() -> None:
    simulator = SimulatedPPK2(initial_mode=Mode.AMPERE, initial_vdd_mv=5000)
    attached(simulator, None).supply(1.8)
    switched = [opcode for opcode, _ in simulator.command_log if opcode in SWITCHES]
    assert switched == [Opcode.SET_SOURCE_VOLTAGE, Opcode.SET_MODE, Opcode.SET_DUT_POWER]
    assert (simulator.vdd_mv, simulator.dut_power) == (1800, True)


def test_a_voltage_that_it_cannot_supply_is_refused() -> None:
    simulator = SimulatedPPK2()
    with pytest.raises(UsageError, match="cannot supply 12 V"):
        attached(simulator).supply(12)
    assert not SWITCHES & {opcode for opcode, _ in simulator.command_log}


def test_the_energy_of_known_windows_is_recovered() -> None:
    trace = recorded(SimulatedPPK2(profile=ArrayProfile(*currents())))
    found = measure(trace, find_windows(trace))
    seconds = WINDOW / RATE
    assert (found.n, trace.rate, trace.lost) == (WINDOWS, RATE, 0)
    # the ADC has 14 bits of 50 mA
    assert found.total.point == pytest.approx(ACTIVE * 1e-6 * 3.3 * seconds, rel=1e-4)
    above = (ACTIVE - IDLE) * 1e-6 * 3.3 * seconds
    assert found.above_idle.point == pytest.approx(above, rel=1e-4)


def test_ranges_are_decoded_and_their_changes_counted() -> None:
    values = [20.0, 200.0, 2_000.0, 20_000.0, 200_000.0] * (len(currents()[0]) // 5)
    simulator = SimulatedPPK2(profile=ArrayProfile(values, 0, repeat=True))
    trace = recorded(simulator)
    assert trace.current[:5] == pytest.approx(np.array(values[:5]) * 1e-6, rel=1e-3)
    assert trace.range_changes == trace.n - 1


def test_a_current_at_the_end_of_the_largest_range_is_marked() -> None:
    trace = recorded(SimulatedPPK2(profile=ArrayProfile(*currents(2e6))))
    assert {one.fault for one in find_windows(trace)} == {"clipped"}


def test_lost_samples_keep_their_place_and_mark_their_window() -> None:
    at = PAUSE + WINDOW // 2  # in the first window
    trace = recorded(SimulatedPPK2(profile=ArrayProfile(*currents()), gaps={at: 7}))
    assert np.flatnonzero(np.isnan(trace.current)).tolist() == list(range(at, at + 7))
    windows = find_windows(trace)
    assert [one.fault for one in windows[:3]] == ["lost", "", ""]
    assert {one.samples for one in windows[:-1]} == {WINDOW}


def test_an_unplugged_instrument_keeps_what_it_recorded() -> None:
    simulator = SimulatedPPK2(max_samples_per_read=50)
    profile = ArrayProfile(*currents())

    class Unplugged:
        def sample(self, index: int) -> tuple[float, int]:
            if index == 3 * PAUSE + 2 * WINDOW + WINDOW // 2:
                simulator.unplug()
            return profile.sample(index)

    simulator.profile = Unplugged()
    trace = recorded(simulator)
    assert "unplugged" in trace.ended
    assert [one.fault for one in find_windows(trace)] == ["", "", "cut"]


def test_an_instrument_that_sends_nothing_is_an_error() -> None:
    simulator = SimulatedPPK2()
    instrument = attached(simulator)
    simulator.unplug()
    instrument.start()
    with pytest.raises(DataError, match="sent no samples"):
        instrument.stop()


def test_an_unknown_voltage_is_refused_before_the_recording() -> None:
    simulator = SimulatedPPK2(initial_mode=Mode.AMPERE)
    instrument = attached(simulator, None)
    with pytest.raises(UsageError, match="does not measure the voltage"):
        instrument.start()
    assert Opcode.START_MEASURING not in {opcode for opcode, _ in simulator.command_log}


def test_a_source_meter_knows_its_own_voltage() -> None:
    simulator = SimulatedPPK2(initial_mode=Mode.SOURCE, initial_vdd_mv=1800)
    assert attached(simulator, None)._supplied() == 1.8


def test_a_missing_library_is_named_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ppk2lab", None)
    with pytest.raises(ToolMissing) as raised:
        open_instrument("ppk2:/dev/ttyACM0")
    assert "tinyml-hil[ppk2]" in raised.value.hint
