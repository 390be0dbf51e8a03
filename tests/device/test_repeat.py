# SPDX-License-Identifier: Apache-2.0
"""`Device.repeat`: one inference many times, without traffic on the line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hil.core.errors import DeviceRefused, UsageError
from hil.core.records import Encoding
from hil.device import Device, Timing
from hil.device.device import REPEAT_S
from hil.device.line import refused
from hil.link import Deadline
from hil.testing.board import FakeBoard, FakeLink, Fault, drop
from hil.wire.messages import ErrorCode, Kind, Refusal, Repeated
from tests.support.device import HELLO

SIZE = HELLO.models[0].input.elements
INPUT = bytes(range(SIZE))


def reversed_input(_: int, values: bytes) -> bytes:
    return values[::-1]


def device_of(board: FakeBoard) -> tuple[Device, FakeLink]:
    link = FakeLink(board)
    return Device(link, Timing(clock=link.clock)), link


def board_of(*faults: Fault | None, most: int = 65_535) -> FakeBoard:
    return FakeBoard(
        HELLO,
        reversed_input,
        faults,
        micros=lambda _: 100_000,
        ticks=lambda _: 24_000_000,
        most_repeats=most,
    )


def test_the_time_is_that_of_all_inferences_and_needs_more_than_32_bits() -> None:
    device, _ = device_of(board_of())
    found = device.repeat(0, Encoding.PIXELS, INPUT, 50_000)
    assert isinstance(found, Repeated)
    assert (found.count, found.output) == (50_000, INPUT[::-1])
    assert (found.micros, found.ticks) == (5_000_000_000, 1_200_000_000_000)
    assert device.retries == 0


def test_a_board_that_stopped_by_itself_says_how_many_it_ran() -> None:
    device, _ = device_of(board_of(most=300))
    found = device.repeat(0, Encoding.PIXELS, INPUT, 1000)
    assert (found.count, found.micros) == (300, 30_000_000)


@pytest.mark.parametrize("count", [0, -1, 65_536])
def test_a_count_out_of_range_is_refused_before_it_is_sent(count: int) -> None:
    board = board_of()
    device, _ = device_of(board)
    with pytest.raises(UsageError, match="repeated") as raised:
        device.repeat(0, Encoding.PIXELS, INPUT, count)
    assert raised.value.hint == "choose 1 to 65,535"
    assert not board.received


def test_older_firmware_is_refused_in_one_line() -> None:
    device, _ = device_of(replace(board_of(), repeats=False))
    with pytest.raises(DeviceRefused) as raised:
        device.repeat(0, Encoding.PIXELS, INPUT, 10)
    assert raised.value.what == "the board cannot repeat an inference: its firmware is older"
    assert "\n" not in str(raised.value)
    assert device.hello().models  # and the line still works


@pytest.mark.parametrize(
    ("needed", "available", "said"),
    [
        (0, 65_535, "does not repeat an inference 0 times"),
        (9, 0, "cannot repeat an inference of a model with state"),
        (9, 1, "the sketch overwrites its input"),
    ],
)
def test_each_refusal_says_what_to_do(needed: int, available: int, said: str) -> None:
    found = refused(Refusal(ErrorCode.REPEAT, Kind.REPEAT, needed, available))
    assert said in found.what
    assert found.hint


def test_a_lost_answer_is_asked_for_again_once_the_board_must_be_done() -> None:
    device, link = device_of(board_of(None, drop))
    device.hello()
    began = link.now
    found = device.repeat(0, Encoding.PIXELS, INPUT, 10, seconds=5)
    assert found.count == 10
    assert device.retries == 1
    assert 5 <= link.now - began <= 5 + device.timing.reply
    device, link = device_of(board_of(None, drop))
    device.hello()
    began = link.now
    device.repeat(0, Encoding.PIXELS, INPUT, 10)  # no limit given: that of the firmware
    assert link.now - began >= REPEAT_S


class Interrupted(FakeLink):
    """A user presses Ctrl-C while the board computes."""

    stop = False

    def read(self, deadline: Deadline) -> bytes:
        if self.stop:
            self.stop = False
            raise KeyboardInterrupt
        return super().read(deadline)


def test_after_an_interruption_the_next_request_gets_its_own_answer() -> None:
    link = Interrupted(board_of())
    device = Device(link, Timing(clock=link.clock))
    device.hello()
    link.stop = True
    with pytest.raises(KeyboardInterrupt):
        device.repeat(0, Encoding.PIXELS, INPUT, 50_000)
    (answer,) = device.infer(0, Encoding.PIXELS, [INPUT[::-1]])  # the late answer is not taken
    assert answer.result.output == INPUT
