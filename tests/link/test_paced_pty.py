# SPDX-License-Identifier: Apache-2.0
"""A pty that keeps a line's rate: what comes out, and not before its time."""

import time

import pytest

from hil.core.records import Encoding
from hil.device import Device, Timing
from hil.link import Deadline
from hil.testing.board import FakeBoard
from hil.testing.lines import BITS, _Way, paced
from tests.support.device import HELLO

BYTE = 0.001


def test_bytes_come_out_when_their_last_bit_has_crossed() -> None:
    way = _Way(BYTE)
    way.put(b"abc", 5.0)
    assert way.due(5.0009) == b""
    assert way.due(5.0011) == b"a"
    way.put(b"de", 5.002)  # behind the others
    assert way.due(5.0035) == b"bc"
    assert way.ahead(5.0035) == pytest.approx(0.0015)
    assert way.due(9.0) == b"de"
    way.put(b"f", 9.0)
    assert way.due(9.0005) == b""
    assert way.due(9.0015) == b"f"


class Far:
    """A board at the end of the pty, in real time."""

    name, baud = "far", 115200

    def __init__(self) -> None:
        self._board = FakeBoard(HELLO, lambda _model, values: values[:2])
        self._replies = b""

    def write(self, data: bytes) -> None:
        self._replies += self._board.answer(data)

    def read(self, deadline: Deadline) -> bytes:
        time.sleep(0 if self._replies else deadline.remaining)
        replies, self._replies = self._replies, b""
        return replies

    def set_baud(self, baud: int) -> None:
        self.baud = baud

    def close(self) -> None:
        pass


@pytest.mark.usefixtures("patient")
def test_a_host_over_the_pty_is_as_slow_as_the_line() -> None:
    with paced(Far(), 115200) as link:
        device = Device(link, Timing(boot=30, reply=30))
        assert device.hello() == HELLO
        sent, started = device.bytes_out, time.monotonic()
        values = [bytes([i, 1, 2, 3]) for i in range(1, 41)]
        answers = list(device.infer(0, Encoding.INT8, values, window=4))
        seconds = time.monotonic() - started
    assert [answer.result.output for answer in answers] == [value[:2] for value in values]
    assert device.retries == 0
    assert seconds >= (device.bytes_out - sent) * BITS / 115200
