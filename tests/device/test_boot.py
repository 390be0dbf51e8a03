# SPDX-License-Identifier: Apache-2.0
"""Boards that boot when their port is opened: the first answer is right in every case."""

from __future__ import annotations

import pytest

from hil.core.errors import NoAnswer
from hil.core.records import Encoding
from hil.device import Device, Timing
from hil.link.serial_port import SerialLink
from hil.testing.board import FakeBoard, FakeLink
from hil.wire.frames import Frame, encode
from hil.wire.messages import Kind
from tests.support.device import HELLO
from tests.support.ptys import served_pty

ROM = b"\xff\xfe\x80ets Jul 29 2019\r\nrst:0x1 (POWERON_RESET)\r\nentry 0x400805e4\r\n\0\0\x01"
VALUES = bytes([7, 9, 0, 0])
# answers that an earlier program did not read: RESULTs of many sequence numbers
STALE = b"".join(
    encode(Frame(Kind.INFER.reply, seq, b"\0\x09" + bytes(10) + b"\xee\xee"))
    for seq in range(1, 40)
)


def board(**more: float) -> FakeBoard:
    return FakeBoard(HELLO, lambda _model, values: values[:2], **more)  # type: ignore[arg-type]


def first_answer(device: Device) -> bytes:
    """HELLO, then one inference."""
    assert device.hello() == HELLO
    (answer,) = device.infer(0, Encoding.INT8, [VALUES])
    return answer.result.output


@pytest.mark.parametrize("boot", [0.0, 0.3, 1.0, 2.5])
@pytest.mark.parametrize("before", [b"", ROM, STALE, STALE + ROM])
def test_boots_of_any_length_in_virtual_time(boot: float, before: bytes) -> None:
    link = FakeLink(board(boots_at=boot))
    link.arrive(before)
    device = Device(link, Timing(boot=4, reply=1, clock=link.clock))
    assert first_answer(device) == VALUES[:2]
    assert device.retries == 0
    assert boot <= link.now <= boot + 1.0


def test_a_boot_longer_than_the_deadline_is_an_error() -> None:
    link = FakeLink(board(boots_at=2.5))
    device = Device(link, Timing(boot=2, reply=1, clock=link.clock))
    with pytest.raises(NoAnswer, match="within 2 s"):
        device.hello()


class DeafBoard:
    """A board that ignores the first ``deaf`` requests after each boot.

    It counts delimiters, not seconds, so that a test need not wait.
    """

    def __init__(self, deaf: int) -> None:
        self._deaf, self._skip = deaf, 0
        self._firmware = board()

    def boot(self) -> None:
        self._firmware, self._skip = board(), self._deaf

    def answer(self, data: bytes) -> bytes:
        if self._skip:
            self._skip = max(0, self._skip - data.count(b"\0"))
            return b""
        return self._firmware.answer(data)


def opened(times: int, deaf: int) -> int:
    """How many of ``times`` opens give the right first answer."""
    right, booting = 0, DeafBoard(deaf)
    with served_pty(booting.answer) as pty:
        for _ in range(times):
            link = SerialLink(pty.name)
            booting.boot()
            pty.write(STALE[:600] + ROM)
            device = Device(link, Timing(boot=20, reply=5, hello_every=0.01))
            right += first_answer(device) == VALUES[:2] and device.retries == 0
            link.close()
    return right


@pytest.mark.parametrize("deaf", [0, 3, 9])
def test_the_first_answer_on_a_pty_is_right(deaf: int) -> None:
    assert opened(5, deaf) == 5


@pytest.mark.slow
def test_300_opens_give_300_right_first_answers() -> None:
    assert opened(300, 5) == 300


def test_300_opens_in_virtual_time() -> None:
    right = 0
    for number in range(300):
        link = FakeLink(board(boots_at=(0.3, 1.0, 2.5)[number % 3]))
        link.arrive((b"", ROM, STALE, ROM[:-3] + STALE)[number % 4])
        right += first_answer(Device(link, Timing(4, 1, clock=link.clock))) == VALUES[:2]
    assert right == 300
