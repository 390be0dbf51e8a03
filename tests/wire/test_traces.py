# SPDX-License-Identifier: Apache-2.0
"""Distinguishing a bad line from foreign firmware by recognisable parts of the noise."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

import pytest
from cobs import cobs

from hil.core.errors import HilError, LineHopeless, NoAnswer, WrongFirmware
from hil.device import Device, Timing
from hil.link.chaos import Chaos, ChaosLink
from hil.testing.board import FakeBoard, FakeLink
from hil.wire.frames import Frame, encode
from hil.wire.messages import ErrorCode, Kind, pack_refusal
from hil.wire.traces import ENOUGH, traces
from tests.support.device import HELLO

Talk = Callable[[random.Random], bytes]
NUMBERS = (0, 0xFE, 0xFF, 0x100, 0x1234, 0xFF00, 0xFFF0)  # with and without zeros in them


def flipped(data: bytes, rate: float, rng: random.Random) -> bytes:
    bits = (sum((rng.random() < rate) << bit for bit in range(8)) for _ in data)
    return bytes(byte ^ error for byte, error in zip(data, bits, strict=True))


def greeted(board: FakeBoard, chaos: Chaos | None = None, number: int = 7) -> HilError | None:
    """The error that a HELLO ends with; None if it was answered."""
    inner = FakeLink(board)
    link = ChaosLink(inner, chaos) if chaos else inner
    try:
        Device(link, Timing(boot=3, clock=inner.clock), number=number).hello()
    except HilError as error:
        return error
    return None


def board(reply: Callable[[bytes], bytes] | None = None) -> FakeBoard:
    """Our firmware; ``reply`` changes its answers."""
    faults = [reply] * 10_000 if reply else ()
    return FakeBoard(HELLO, infer=lambda _model, values: values[:2], faults=faults)


@pytest.mark.parametrize("rate", [1e-3, 3e-3, 6e-3, 1e-2, 2e-2, 3e-2, 5e-2])
def test_a_line_that_flips_bits_is_bad_and_never_foreign(rate: float) -> None:
    ends = [
        greeted(board(), Chaos(seed, flip=rate), number) for seed in range(6) for number in NUMBERS
    ]
    assert {type(end) for end in ends} <= {LineHopeless, type(None)}
    if rate <= 1e-3:
        assert ends == [None] * len(ends)
    if rate >= 1e-2:
        assert None not in ends


@pytest.mark.parametrize("rate", [1e-2, 2e-2, 3e-2, 5e-2])
def test_a_line_that_damages_only_answers_is_bad_and_never_foreign(rate: float) -> None:
    for seed in range(6):
        rng = random.Random(seed)
        for number in NUMBERS:
            end = greeted(board(partial(flipped, rate=rate, rng=rng)), number=number)
            assert isinstance(end, LineHopeless), (seed, number)


def nmea(rng: random.Random) -> bytes:
    body = f"GPGGA,{rng.randrange(240000):06}.00,4717.11,N,00833.91,E,1,08,1.01,499.6,M,48.0,M,,"
    check = 0
    for byte in body.encode():
        check ^= byte
    return f"${body}*{check:02X}\r\n".encode()


def packets(rng: random.Random) -> bytes:
    """Another protocol in COBS: a magic number, a length, a counter, a sum."""
    body = bytes([0xAA, 0x55, 8, rng.randrange(256), *rng.randbytes(8)])
    return bytes(cobs.encode(body + bytes([sum(body) & 0xFF]))) + b"\0"


def small_packets(rng: random.Random) -> bytes:
    """Another protocol in COBS, with small numbers for versions and types, like ours."""
    return bytes(cobs.encode(bytes([1, rng.randrange(4), rng.randrange(9), 0, 0, 1]))) + b"\0"


def at_another_rate(listens: float) -> Talk:
    """Our own answers, sampled at ``listens`` times the rate at which they are sent."""

    def talk(_: random.Random) -> bytes:
        reply = encode(Frame(Kind.ERROR, 0, pack_refusal(ErrorCode.FRAME)))
        levels = [1] * 8
        for byte in reply:
            levels += [0, *(byte >> bit & 1 for bit in range(8)), 1]
        levels += [1] * 20
        step, at, heard = 1 / listens, 0.0, bytearray()
        while at + 10 * step < len(levels):
            if levels[int(at)]:
                at += step / 8
                continue
            bits = (levels[int(at + (i + 1.5) * step)] for i in range(8))
            heard.append(sum(bit << i for i, bit in enumerate(bits)))
            at += 9.5 * step
        return bytes(heard)

    return talk


FOREIGN: dict[str, Talk] = {
    "boot log": lambda _: b"ets Jul 29 2019 12:21:46\r\n\r\nconfigsip: 0, SPIWP:0xee\r\n" * 3,
    "boot log with zeros": lambda _: b"\0\0Booting...\0 entry 0x400805e4\r\n\0",
    "MLPerf Tiny": lambda _: b"m-ready\r\nm-name-dut-[unspecified]\r\nm-ready\r\n",
    "GPS": nmea,
    "random bytes": lambda rng: rng.randbytes(300),
    "COBS": packets,
    "COBS, small numbers": small_packets,
    "zeros": lambda _: bytes(100),
    "ones": lambda _: b"\1" * 100,
    "0xFF": lambda _: b"\xff" * 100,
    "half as fast": at_another_rate(0.5),
    "twice as fast": at_another_rate(2),
    "8 times as fast": at_another_rate(8),
    "12 times slower": at_another_rate(1 / 12),
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("rate", [0.0, 1e-3, 5e-2])
def test_another_protocol_is_foreign_even_on_a_bad_line(name: str, rate: float) -> None:
    for seed in range(8):
        rng = random.Random(seed)
        talks = FOREIGN[name]

        def answer(_: bytes, talks: Talk = talks, rng: random.Random = rng) -> bytes:
            return flipped(talks(rng), rate, rng)

        end = greeted(board(answer), number=NUMBERS[seed % len(NUMBERS)])
        assert isinstance(end, WrongFirmware), (seed, end)


def test_an_echo_of_the_requests_is_not_an_answer() -> None:
    """A loopback plug, or a shell that echoes."""
    for seed in range(6):
        echo = board()
        echo.answer = lambda data: data  # type: ignore[method-assign]
        end = greeted(echo, Chaos(seed, flip=1e-3), NUMBERS[seed])
        assert isinstance(end, NoAnswer)
        assert "the port sends back what the host sends" in end.what


def test_random_bytes_contain_no_traces() -> None:
    rng = random.Random(1)
    asked = range(1, 400)  # more than a HELLO asks
    found = [traces(rng.randbytes(8192), asked) for _ in range(200)]
    assert max(found) < ENOUGH


def test_each_answer_counts_once() -> None:
    complaint = encode(Frame(Kind.ERROR, 0, pack_refusal(ErrorCode.FRAME)))
    assert traces(b"", [1]) == traces(b"\0", [1]) == 0
    assert traces(complaint * 5, [1]) == 5
    assert traces(b"text" + complaint[:11] + b"some text", [1]) == 0
    hello = encode(Frame(Kind.HELLO.reply, 0x0102, bytes([1, 2, 3, 4] * 20)))
    assert traces(hello * 3, [0x0102]) == 3
    assert traces(hello * 3, [0x0F1F]) == 0
