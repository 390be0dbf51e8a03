# SPDX-License-Identifier: Apache-2.0
"""Lines keep their rate: `PacedLink`, which pipelining with credits fills, and ptys."""

import time
from dataclasses import replace

import numpy as np
import pytest

from hil.core.records import Encoding
from hil.device import Device, Timing
from hil.link import Deadline
from hil.link.chaos import Chaos, ChaosLink
from hil.link.serial_port import SerialLink
from hil.testing.board import FakeBoard
from hil.testing.lines import BITS, Computing, PacedBytes, PacedLink, disturbed, paced
from hil.wire.frames import encode
from hil.wire.messages import hello_request, infer_request
from tests.support.device import HELLO, MODEL
from tests.support.ptys import RealTimeLink

BAUD = 115_200
BYTE = BITS / BAUD
DIGIT = replace(MODEL, input=replace(MODEL.input, shape=(1, 784)))
BOARD = replace(HELLO, models=(DIGIT,), max_payload=788, room=None, unpacks=True)
RAW = 784 + 4 + 8 + 5  # COBS: one byte, one per 254 bytes without a zero, and the delimiter


class Echo:
    """Sends back what is written."""

    def answer(self, data: bytes) -> bytes:
        return data


def digits(count: int) -> list[bytes]:
    drawn = np.random.default_rng(3).integers(1, 256, (count, 784), dtype=np.uint8)
    return [digit.tobytes() for digit in drawn]


def streamed(
    values: list[bytes], seconds: float, *, window: int, room: int | None = None, **line: float
) -> PacedLink:
    computing = Computing(lambda _model, data: data[:2], seconds)
    link = PacedLink(
        FakeBoard(BOARD, computing), BAUD, computing.spent, room, latency=line.get("latency", 0.0)
    )
    device = Device(link, Timing(clock=link.clock))
    asked = device.infer(0, Encoding.INT8, values, window=window, room=room)
    assert [answer.result.output for answer in asked] == [data[:2] for data in values]
    assert device.retries == 0
    return link


def test_a_byte_takes_ten_bits_in_each_direction() -> None:
    link = PacedLink(Echo(), BAUD)
    link.write(b"1234\0")
    assert link.read(Deadline(5 * BYTE, link.clock)) == b""
    assert link.now == pytest.approx(5 * BYTE)
    got = b""
    for count in range(1, 6):
        got += link.read(Deadline(1, link.clock))
        assert link.now == pytest.approx((5 + count) * BYTE)
        assert got == b"1234\0"[:count]
    assert link.read(Deadline(1, link.clock)) == b""
    assert link.now == 1


def test_bytes_that_have_arrived_are_read_at_once() -> None:
    link = PacedLink(Echo(), BAUD)
    link.write(b"1234\0")
    link.now = 8.5 * BYTE
    assert link.read(Deadline(1, link.clock)) == b"123"


def test_a_second_write_waits_for_the_first() -> None:
    link = PacedLink(Echo(), BAUD)
    link.write(b"12\0")
    link.write(b"34\0")
    link.now = 8 * BYTE
    assert link.read(Deadline(1, link.clock)) == b"12\0"
    assert link.read(Deadline(1, link.clock)) == b"34"


@pytest.mark.parametrize("window", [1, 2, 8])
def test_one_request_at_a_time_waits_for_answers_and_more_fill_the_line(window: int) -> None:
    count = 200
    link = streamed(digits(count), 0, window=window)
    line = RAW * BYTE * count
    if window == 1:
        assert link.now > 1.02 * line
    else:
        assert link.now == pytest.approx(line, rel=0.002)


def test_without_inference_the_digits_take_97_percent_of_the_line() -> None:
    count = 300
    link = streamed(digits(count), 0, window=4)
    assert count * 784 * BYTE / link.now >= 0.97


@pytest.mark.parametrize("milliseconds", [5, 20, 50, 90])
def test_transfer_and_inference_overlap(milliseconds: int) -> None:
    count = 200
    link = streamed(digits(count), milliseconds / 1000, window=2)
    longer = max(RAW * BYTE, milliseconds / 1000) * count
    assert 0.99 * longer < link.now < 1.05 * longer


def test_only_bytes_that_do_not_fit_are_lost() -> None:
    """A board that computes for a second keeps the 40 bytes for which it has room."""
    computing = Computing(lambda _model, data: data[:2], 1.0)
    board = FakeBoard(BOARD, computing)
    link = PacedLink(board, BAUD, computing.spent, room=40)
    link.write(encode(infer_request(1, 0, Encoding.INT8, bytes(784))))
    hello = encode(hello_request(2))
    assert len(hello) == 10
    for _ in range(5):
        link.write(hello)
    assert link.lost == 10
    assert len(board.received) == 1 + 4


def test_credits_in_bytes_lose_nothing() -> None:
    room = 2048
    link = streamed(digits(60), 0.02, window=8, room=room)
    assert link.lost == 0
    line = RAW * BYTE * 60
    assert link.now < 1.02 * line


def test_credits_cover_the_latency_of_an_adapter() -> None:
    slow, fast = (streamed(digits(60), 0, window=w, latency=0.016) for w in (1, 4))
    assert slow.now > 60 * (RAW * BYTE + 0.016)
    assert fast.now < 1.02 * (60 * RAW * BYTE + 0.016)


def test_bytes_come_out_when_their_last_bit_has_crossed() -> None:
    line = PacedBytes(0.001)
    line.put(b"abc", 5.0)
    assert line.due(5.0009) == b""
    assert line.due(5.0011) == b"a"
    line.put(b"de", 5.002)  # behind the others
    assert line.due(5.0035) == b"bc"
    assert line.ahead(5.0035) == pytest.approx(0.0015)
    assert line.due(9.0) == b"de"
    line.put(b"f", 9.0)
    assert line.due(9.0005) == b""
    assert line.due(9.0015) == b"f"


@pytest.mark.usefixtures("patient")
def test_a_host_over_the_pty_is_as_slow_as_the_line() -> None:
    with paced(RealTimeLink(), 115200) as link:
        device = Device(link, Timing(boot=30, reply=30))
        assert device.hello() == HELLO
        sent, started = device.bytes_out, time.monotonic()
        values = [bytes([i, 1, 2, 3]) for i in range(1, 41)]
        answers = list(device.infer(0, Encoding.INT8, values, window=4))
        seconds = time.monotonic() - started
    assert [answer.result.output for answer in answers] == [value[:2] for value in values]
    assert device.retries == 0
    assert seconds >= (device.bytes_out - sent) * BITS / 115200


def test_a_program_gets_its_answers_through_a_disturbed_pty() -> None:
    chaos = ChaosLink(RealTimeLink(), Chaos(5, flip=2e-4, duplicate=1e-3, replay=0.05))
    with disturbed(chaos) as port:
        link = SerialLink(port)
        device = Device(link, Timing(boot=30, reply=30))
        assert device.hello() == HELLO
        values = [bytes([i, 1, 2, 3]) for i in range(1, 201)]
        answers = list(device.infer(0, Encoding.INT8, values, window=4))
        link.close()
    assert [answer.result.output for answer in answers] == [value[:2] for value in values]
    assert chaos.injected["flip"] > 0
    assert chaos.injected["replay"] > 0


def test_a_cable_that_is_out_is_silent() -> None:
    chaos = ChaosLink(RealTimeLink(), Chaos(1, cut=1, cut_s=1000))
    with disturbed(chaos) as port:
        link = SerialLink(port)
        device = Device(link, Timing(boot=0.5, reply=1))
        link.write(b"end of a frame\0")
        assert link.read(device.timing.deadline(0.2)) == b""
        link.write(b"and no error\0")
        assert link.read(device.timing.deadline(0.1)) == b""
        link.close()
    assert chaos.injected == {"cut": 1}
