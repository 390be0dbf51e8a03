# SPDX-License-Identifier: Apache-2.0
"""Boards that boot when their port is opened: the first answer is right, however they come up."""

from __future__ import annotations

import os
import select
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from hil.core.errors import NoAnswer
from hil.core.records import Encoding
from hil.device import Device, Timing
from hil.link.serial_port import SerialLink
from hil.testing.board import FakeBoard, FakeLink
from hil.wire.frames import Frame, encode
from hil.wire.messages import Kind
from tests.support.device import HELLO

ROM = b"\xff\xfe\x80ets Jul 29 2019\r\nrst:0x1 (POWERON_RESET)\r\nentry 0x400805e4\r\n\0\0\x01"
VALUES = bytes([7, 9, 0, 0])
# what an earlier program asked for and never read: RESULTs of every early sequence number
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


def test_a_boot_longer_than_the_deadline_is_no_answer() -> None:
    link = FakeLink(board(boots_at=2.5))
    device = Device(link, Timing(boot=2, reply=1, clock=link.clock))
    with pytest.raises(NoAnswer, match="within 2 s"):
        device.hello()


@dataclass
class PtyBoard:
    """A board on a real pty, played by a thread: deaf for the first ``deaf`` requests of a boot.

    It counts delimiters, not seconds, so that a test need not wait.
    """

    deaf: int = 0
    master: int = field(init=False)
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.name = os.ttyname(self._slave)
        self._stop, self._wake = os.pipe()
        self._firmware, self._skip = board(), 0
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def boot(self, before: bytes) -> None:
        """Reset: what the line holds is ``before`` and the ROM's chatter; then deaf for a while."""
        self._firmware, self._skip = board(), self.deaf
        os.write(self.master, before + ROM)

    def _serve(self) -> None:
        while True:
            ready, _, _ = select.select([self.master, self._stop], [], [])
            if self._stop in ready:
                return
            data = os.read(self.master, 4096)
            if self._skip:
                self._skip = max(0, self._skip - data.count(b"\0"))
                continue
            os.write(self.master, self._firmware.answer(data))

    def close(self) -> None:
        os.write(self._wake, b"x")
        self._thread.join()
        for descriptor in (self.master, self._slave, self._stop, self._wake):
            os.close(descriptor)


@contextmanager
def pty_board(deaf: int) -> Iterator[PtyBoard]:
    made = PtyBoard(deaf)
    try:
        yield made
    finally:
        made.close()


def opened(times: int, deaf: int) -> int:
    """How many of ``times`` opens give the right first answer."""
    right = 0
    with pty_board(deaf) as made:
        for _ in range(times):
            link = SerialLink(made.name)
            made.boot(STALE[:600])
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
