# SPDX-License-Identifier: Apache-2.0
"""Baud rates: raised as far as frames pass, lowered when they do not."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from hil.core.errors import LinkError
from hil.core.records import Encoding
from hil.device import Device, Timing
from hil.testing.board import FakeBoard, FakeLink, Fault, drop
from tests.support.device import HELLO

FASTER = (921_600, 2_000_000)
INPUTS = [bytes([i, 255 - i, 0, 0]) for i in range(20)]


def device_on(
    *, set_baud: bool = True, carries: int = 10_000_000, faults: Iterable[Fault | None] = ()
) -> tuple[Device, FakeLink]:
    board = FakeBoard(
        HELLO, lambda _model, values: values[:2], faults, set_baud=set_baud, carries=carries
    )
    link = FakeLink(board)
    return Device(link, Timing(boot=10, reply=1, clock=link.clock)), link


def answers_well(device: Device) -> bool:
    answers = device.infer(0, Encoding.INT8, INPUTS, window=3)
    return [answer.result.output for answer in answers] == [values[:2] for values in INPUTS]


@pytest.mark.parametrize(
    ("carries", "reached"),
    [(10_000_000, 2_000_000), (1_500_000, 921_600), (500_000, 115_200)],
)
def test_the_fastest_rate_that_carries_frames_is_taken(carries: int, reached: int) -> None:
    device, link = device_on(carries=carries)
    device.hello()
    assert device.speed_up(FASTER) == reached
    assert link.baud == link.board.baud == reached
    assert answers_well(device)
    device.slow_down()
    assert link.baud == link.board.baud == 115_200
    assert Device(link, Timing(boot=10, reply=1, clock=link.clock)).hello() == HELLO


def test_firmware_without_baud_stays_at_its_rate() -> None:
    device, link = device_on(set_baud=False)
    assert device.speed_up(FASTER) == 115_200
    assert answers_well(device)
    assert device.retries == 0
    device.slow_down()
    assert link.baud == 115_200


def test_a_lost_answer_to_baud_leaves_both_ends_at_one_rate() -> None:
    device, link = device_on(
        faults=[drop]
    )  # the board has changed its rate, and the host does not know
    assert device.speed_up(FASTER) == 115_200
    assert link.board.baud == 115_200
    assert answers_well(device)


def test_a_port_that_cannot_be_set_to_a_rate_stays_below_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device, link = device_on()
    set_baud = link.set_baud

    def limited(baud: int) -> None:
        if baud > 1_000_000:
            raise LinkError("port fake cannot be set to 2000000 baud")
        set_baud(baud)

    monkeypatch.setattr(link, "set_baud", limited)
    assert device.speed_up(FASTER) == 921_600
    assert answers_well(device)


def test_a_rate_that_fails_during_a_stream_is_left() -> None:
    device, link = device_on()
    assert device.speed_up(FASTER) == 2_000_000
    answers = device.infer(0, Encoding.INT8, INPUTS, window=2)
    got = [next(answers).result.output for _ in range(5)]
    link.board.carries = 115_200  # the cable was moved
    got += [answer.result.output for answer in answers]
    assert got == [values[:2] for values in INPUTS]
    assert link.baud == link.board.baud == 115_200
    assert device.retries > 0
