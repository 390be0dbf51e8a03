# SPDX-License-Identifier: Apache-2.0
"""Five windows of ten seconds, by a device's clock that is checked against the host's."""

from __future__ import annotations

from statistics import median

import pytest

from hil.core.errors import WrongReply
from hil.mlperf.dut import Dut, DutTiming, Inference
from hil.mlperf.measure import WARMUPS, Performance, Window, measure
from hil.mlperf.protocol import WRAP
from hil.testing.mlperf import FakeDut, FakeDutLink, lost
from tests.support.mlperf_devices import infer, sample

SAMPLES = [sample(c) for c in (0, 1, 2)]


def measured(device: FakeDut) -> tuple[Performance, FakeDut]:
    line = FakeDutLink(device)
    dut = Dut(line, DutTiming(clock=line.clock))
    dut.find()
    return measure(dut, SAMPLES), device


@pytest.mark.parametrize("seconds", [2e-6, 0.001, 0.0371, 0.9, 3.0, 12.0])
def test_five_windows_of_ten_seconds_at_any_speed(seconds: float) -> None:
    found, device = measured(FakeDut(infer, seconds=seconds))
    assert found.valid
    assert len(found.windows) == 5
    assert len({window.iterations for window in found.windows}) == 1
    assert all(window.us >= 10e6 for window in found.windows)
    assert found.windows[0].us < 10.5e6 + seconds * 1e6 + 100_000
    assert found.median == pytest.approx(1 / seconds, rel=1e-3)
    windows = [c for c in device.commands if c == f"infer {found.windows[0].iterations} {WARMUPS}"]
    assert len(windows) >= 5
    loaded = [i for i, command in enumerate(device.commands) if command == "db load 40"]
    assert len(loaded) == sum(command.startswith("infer") for command in device.commands)


def test_the_trial_is_short() -> None:
    _, device = measured(FakeDut(infer, seconds=0.001))
    trials = [int(c.split()[1]) for c in device.commands if c.startswith("infer")][:-5]
    assert trials == [1, 10, 100, 1000]
    assert device.clock.now < 5 * 10.6 + 2


def test_a_clock_may_wrap_in_a_window() -> None:
    found, _ = measured(FakeDut(infer, seconds=0.01, offset=WRAP - 20_000_000))
    assert any(one.inference.end < one.inference.start for one in found.windows)
    assert found.median == pytest.approx(100)


class Hasty(FakeDut):
    """Twice as fast from its fifth `infer` on, as with a frequency governor."""

    def answer(self, data: bytes) -> bytes:
        if sum(command.startswith("infer") for command in self.commands) == 4:
            self.seconds = 0.0005
        return super().answer(data)


def test_all_windows_are_repeated_when_one_is_short() -> None:
    found, device = measured(Hasty(infer, seconds=0.001))
    assert found.valid
    assert found.median == pytest.approx(2000)
    assert sum(command.startswith("infer") for command in device.commands) == 4 + 5 + 5


def test_fewer_or_shorter_windows_are_not_valid() -> None:
    found, _ = measured(FakeDut(infer, seconds=0.1))
    assert not Performance(found.windows[:4]).valid
    short = Window(1, 10, Inference((1.0,), 0, 9_999_999, 9_999_999, 10.0, 10.0))
    assert not Performance((*found.windows[:4], short)).valid
    assert Performance((*found.windows[:4], short)).median == median(
        [*(one.rate for one in found.windows[:4]), short.rate]
    )


@pytest.mark.parametrize("factor", [0.5, 0.0])
def test_a_clock_that_is_slow_or_stands_still_is_an_error(factor: float) -> None:
    device = FakeDut(infer, seconds=0.5)
    device.micros = lambda: round(device.clock.now * 1e6 * factor)

    class Late(FakeDutLink):
        """The first mark arrives when the inferences start, as on a real serial line."""

        def write(self, data: bytes) -> None:
            before = self.clock.now
            super().write(data)
            if data.startswith(b"infer"):
                at, reply = self._coming.pop()
                head, mark, rest = reply.partition(b"m-lap-us-")
                self.arrive(head + mark + rest.partition(b"\n")[0] + b"\n", before)
                self.arrive(rest.partition(b"\n")[2], at)
                self.clock.now = before

    line = Late(device)
    dut = Dut(line, DutTiming(clock=line.clock))
    dut.find()
    with pytest.raises(WrongReply, match="by the device's clock but at least"):
        measure(dut, SAMPLES)


def test_a_clock_that_is_fast_is_an_error() -> None:
    device = FakeDut(infer, seconds=0.5)
    device.micros = lambda: round(device.clock.now * 3e6)
    with pytest.raises(WrongReply, match="by the device's clock but at most"):
        measured(device)


def test_a_clock_that_stands_still_is_an_error_when_replies_come_late() -> None:
    with pytest.raises(WrongReply, match="clock stood still for 100 inferences"):
        measured(FakeDut(infer, seconds=0.3, micros=lambda: 5))


def test_a_retry_is_in_no_window() -> None:
    faults = [None] + [None] * 24 + [lost] * 1
    found, device = measured(FakeDut(infer, seconds=0.01, faults=faults))
    assert {round(one.rate, 3) for one in found.windows} == {100.0}
    assert device.commands.count("name") > 1
