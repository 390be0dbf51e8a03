# SPDX-License-Identifier: Apache-2.0
"""hil/energy/opened.py: which instrument a text names."""

from __future__ import annotations

import pytest

from hil.core.errors import HilError, UsageError
from hil.energy import Told, find_windows, open_instrument
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
