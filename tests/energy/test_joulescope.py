# SPDX-License-Identifier: Apache-2.0
"""hil/energy/joulescope.py: the maker's own recorder, on a driver that is scripted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from hil.core.errors import DataError, NotAttached, ToolMissing, UsageError
from hil.energy import find_windows, measure
from hil.energy.joulescope import RATE, Joulescope, attach
from hil.energy.opened import Asked, open_instrument

PATH = "u/js220/001234"
PAUSE, WINDOW, WINDOWS = 2_000, 4_000, 5  # samples
IDLE, ACTIVE, VOLTS = 5e-3, 40e-3, 3.3


def signals() -> dict[str, np.ndarray[Any, Any]]:
    """What the instrument sends, by topic."""
    high = np.tile(np.r_[np.zeros(PAUSE, np.uint8), np.ones(WINDOW, np.uint8)], WINDOWS)
    high = np.r_[high, np.zeros(PAUSE, np.uint8)]
    current = np.where(high, ACTIVE, IDLE).astype(np.float32)
    return {
        f"{PATH}/s/i/!data": current,
        f"{PATH}/s/v/!data": np.full(current.size, VOLTS, np.float32),
        f"{PATH}/s/gpi/1/!data": np.packbits(high, bitorder="little"),
    }


@dataclass
class Scripted:
    """`pyjoulescope_driver.Driver` as it behaves with ``paths`` attached."""

    paths: Sequence[str] = (PATH,)
    path_of_current: str = "auto"
    sends: bool = True
    fails: str = ""  # topic whose setting fails
    log: list[tuple[str, Any]] = field(default_factory=list)
    heard: dict[str, Callable[..., None]] = field(default_factory=dict)

    def device_paths(self) -> Sequence[str]:
        return self.paths

    def open(self, path: str, mode: str) -> None:
        self.log.append((path, mode))

    def query(self, _topic: str) -> Any:
        return self.path_of_current

    def publish(self, topic: str, value: Any, **_timeout: float) -> None:
        self.log.append((topic, value))
        if self.fails and topic.endswith(self.fails):
            raise TimeoutError("unplugged")
        data = topic.replace("/ctrl", "/!data")
        if topic.endswith("/ctrl") and value and self.sends and data in self.heard:
            self.heard[data](
                data,
                {
                    "decimate_factor": 1,
                    "sample_id": 0,
                    "sample_rate": RATE,
                    "utc": 0,
                    "data": signals()[data],
                },
            )

    def subscribe(self, topic: str, _flags: Sequence[str], fn: Callable[..., None]) -> None:
        self.heard[topic] = fn

    def unsubscribe(self, topic: str, _fn: Callable[..., None]) -> None:
        del self.heard[topic]

    def close(self, path: str) -> None:
        self.log.append((path, "close"))

    def finalize(self) -> None:
        self.log.append(("", "finalize"))


def opened(driver: Scripted) -> Joulescope:
    return attach(driver, Asked(gate="1"))


def test_opening_and_closing_keep_the_path_of_the_current_as_it_is() -> None:
    driver = Scripted()
    opened(driver).close()
    assert driver.log[0] == (PATH, "restore")
    assert not [topic for topic, _ in driver.log if "/range/" in topic]
    assert driver.log[-2:] == [(PATH, "close"), ("", "finalize")]


@pytest.mark.parametrize("model", ["js110", "js220"])
def test_a_board_without_power_gets_its_power(model: str) -> None:
    driver = Scripted((f"u/{model}/1",), path_of_current="off")
    opened(driver)
    (topic,) = (topic for topic, value in driver.log if value == "auto")
    assert topic.startswith(f"u/{model}/1/s/i/range/")


def test_the_energy_of_known_windows_is_recovered() -> None:
    instrument = opened(Scripted())
    instrument.start()
    trace = instrument.stop()
    windows = find_windows(trace)
    found = measure(trace, windows)
    assert (found.n, trace.rate, trace.ended) == (WINDOWS, RATE, "")
    assert {one.samples for one in windows} == {WINDOW}
    joules = (ACTIVE - IDLE) * VOLTS * WINDOW / RATE
    assert found.above_idle.point == pytest.approx(joules, rel=1e-5)


def test_one_that_is_unplugged_keeps_what_it_recorded() -> None:
    class Gone(Scripted):
        def unsubscribe(self, topic: str, _fn: Callable[..., None]) -> None:
            raise RuntimeError(f"{topic}: unplugged")

    instrument = opened(Gone())
    instrument.start()
    trace = instrument.stop()
    assert "unplugged" in trace.ended
    assert len(find_windows(trace)) == WINDOWS


def test_one_that_sends_nothing_is_an_error() -> None:
    instrument = opened(Scripted(sends=False))
    instrument.start()
    with pytest.raises(DataError, match="sent no samples"):
        instrument.stop()


@pytest.mark.parametrize(
    ("paths", "place", "said"),
    [
        ((), "", "no Joulescope is attached"),
        ((PATH, "u/js110/7"), "", "more than one Joulescope"),
        ((PATH,), "99", "no Joulescope with serial number 99"),
        (("u/mu100/1",), "", "no Joulescope is attached"),
    ],
)
def test_which_one_is_meant_must_be_clear(paths: Sequence[str], place: str, said: str) -> None:
    with pytest.raises(NotAttached, match=said):
        attach(Scripted(paths), Asked(place))


def test_an_input_and_a_supply_that_it_lacks_are_refused() -> None:
    with pytest.raises(UsageError, match="no input 'D7'"):
        attach(Scripted(), Asked(gate="D7"))
    with pytest.raises(UsageError, match="cannot supply"):
        opened(Scripted()).supply(3.3)


def test_a_missing_library_is_named_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyjoulescope_driver", None)
    with pytest.raises(ToolMissing) as raised:
        open_instrument("joulescope:")
    assert "tinyml-hil[joulescope]" in raised.value.hint
