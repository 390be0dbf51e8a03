# SPDX-License-Identifier: Apache-2.0
"""Control lines and rates, as pyserial sets them, over RFC 2217 on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from hil.core.errors import NoAnswer
from hil.core.records import Encoding
from hil.device import Device, Timing, pace
from hil.link.serial_port import SerialLink
from hil.testing.board import FakeBoard
from tests.support.device import HELLO
from tests.support.rfc2217 import PortState, Rfc2217Board

# of pyserial's RFC 2217 client
pytestmark = pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")

FASTER = (921_600, 2_000_000)


@contextmanager
def on_port(
    board: FakeBoard,
    awake: Callable[[PortState], bool] = lambda _: True,
    *,
    dtr: bool = True,
    rts: bool = True,
) -> Iterator[tuple[SerialLink, Rfc2217Board]]:
    with Rfc2217Board(board, awake) as served:
        link = SerialLink(served.url, dtr=dtr, rts=rts)
        try:
            yield link, served
        finally:
            link.close()


def fake(**more: int) -> FakeBoard:
    return FakeBoard(HELLO, lambda _model, values: values[:2], **more)  # type: ignore[arg-type]


def held_in_reset_by_dtr(port: PortState) -> bool:
    return not port.dtr


def test_a_board_that_needs_dtr_low_answers_when_it_is() -> None:
    with on_port(fake(), held_in_reset_by_dtr, dtr=False, rts=False) as (link, served):
        assert Device(link, Timing(boot=20)).hello() == HELLO
        assert not served.port.dtr
        assert not served.port.rts


def test_a_board_that_needs_dtr_low_is_silent_when_it_is_not() -> None:
    with (
        on_port(fake(), held_in_reset_by_dtr) as (link, _),
        pytest.raises(NoAnswer, match="nothing answered"),
    ):
        Device(link, Timing(boot=0.3, hello_every=0.1)).hello()


def test_a_pulse_of_the_reset_line_restarts_the_board() -> None:
    with on_port(fake()) as (link, served):
        link.pulse("dtr")
        assert Device(link, Timing(boot=20)).hello() == HELLO
        assert served.port.levels[-3:] == [True, False, True]


@pytest.mark.usefixtures("patient")
def test_rates_are_set_on_both_ends() -> None:
    with on_port(fake(set_baud=True)) as (link, served):
        device = Device(link, Timing(boot=20, reply=5))
        device.hello()
        assert device.speed_up(FASTER) == 2_000_000
        assert served.port.baudrate == served.board.baud == 2_000_000
        (answer,) = device.infer(0, Encoding.INT8, [b"\x05\x06\0\0"])
        assert answer.result.output == b"\x05\x06"
        device.slow_down()
        assert served.port.baudrate == served.board.baud == 115_200


def test_a_rate_that_garbles_frames_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "RATE_S", 3.0)  # the last rate takes that long to fail
    with on_port(fake(set_baud=True, carries=1_000_000)) as (link, served):
        device = Device(link, Timing(boot=20, reply=5, hello_every=0.1))
        device.hello()
        assert device.speed_up(FASTER) == 921_600
        assert served.port.baudrate == served.board.baud == 921_600
