# SPDX-License-Identifier: Apache-2.0
"""hil/energy/opened.py: which instrument a text names."""

from __future__ import annotations

import pytest

from hil.core.errors import HilError, UsageError
from hil.energy import Board, Simulated, Told, find_windows, open_instrument, powered, recorded
from hil.energy.opened import EXAMPLES, split


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example_names_an_instrument(text: str) -> None:
    assert text.startswith(f"{split(text)[0]}:")


def test_an_unknown_instrument_is_refused_with_a_suggestion() -> None:
    with pytest.raises(UsageError) as raised:
        split("pkk2:/dev/ttyACM0")
    assert "ppk2" in raised.value.hint


def test_a_text_without_a_colon_is_refused() -> None:
    with pytest.raises(UsageError, match="no colon"):
        split("sim")


def test_a_port_that_does_not_exist_is_named() -> None:
    with pytest.raises(HilError, match="ttyNONE"):
        open_instrument("ppk2:/dev/ttyNONE")


def test_a_simulated_instrument_records_the_windows_that_it_is_told_of() -> None:
    instrument = open_instrument("sim:", volts=1.8)
    assert isinstance(instrument, Told)
    instrument.start()
    for seconds in (0.01, 0.03):
        instrument.inferred(seconds)
    trace = instrument.stop()
    assert trace.simulated
    assert trace.voltage[0] == 1.8
    samples = [one.samples for one in find_windows(trace)]
    assert samples == pytest.approx([0.01 * trace.rate, 0.03 * trace.rate], abs=1)


def test_a_board_gets_its_power_after_the_checks_and_time_to_settle() -> None:
    order: list[str] = []
    with powered(
        "sim:",
        supply=1.8,
        check=lambda _: order.append("check"),
        sleep=lambda seconds: order.append(f"wait {seconds:g}"),
    ) as instrument:
        assert isinstance(instrument, Simulated)
        assert instrument.log == ["supply 1.8 V"]
    assert order == ["check", "wait 1"]
    assert instrument.log == ["supply 1.8 V", "close"]


def test_power_that_nobody_asked_for_is_left_alone() -> None:
    def never(seconds: float) -> None:
        raise AssertionError(seconds)

    with powered("sim:", voltage=3.0, sleep=never) as instrument:
        assert isinstance(instrument, Simulated)
        assert (instrument.volts, instrument.log) == (3.0, [])


@pytest.mark.parametrize(
    ("voltage", "supply", "said"),
    [
        (0.0, None, "--voltage 0 is not"),
        (None, 48.0, "--supply 48 is not"),
        (3.0, 3.0, "contradict"),
    ],
)
def test_voltages_that_make_no_sense_are_refused(
    voltage: float | None, supply: float | None, said: str
) -> None:
    with pytest.raises(UsageError, match=said), powered("sim:", voltage=voltage, supply=supply):
        pass


def test_an_error_during_a_recording_is_the_one_that_is_shown() -> None:
    instrument = Simulated(Board(1, active=1, idle=0.1, seconds=0.01, pause=0.01))

    def fails() -> None:
        raise KeyError("first")

    with pytest.raises(KeyError, match="first"):
        recorded(instrument, fails)
    assert instrument.log == ["start", "stop"]
