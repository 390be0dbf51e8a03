# SPDX-License-Identifier: Apache-2.0
"""Ptys in place of serial ports, with a fake board at the other end."""

from __future__ import annotations

import os
import select
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hil.link import Deadline
from hil.testing.board import FakeBoard
from tests.support.device import HELLO

Answer = Callable[[bytes], bytes | None]  # what came -> what goes back; None: the cable is pulled


@dataclass(frozen=True)
class Pty:
    """``name`` is the port to open, ``master`` the board's end of it."""

    name: str
    master: int
    slave: int

    def write(self, data: bytes) -> None:
        """Send ``data`` as the board would."""
        os.write(self.master, data)


@contextmanager
def silent_pty() -> Iterator[Pty]:
    """A pty that nobody serves."""
    master, slave = os.openpty()
    tty.setraw(slave)
    try:
        yield Pty(os.ttyname(slave), master, slave)
    finally:
        os.close(slave)
        os.close(master)


@contextmanager
def served_pty(answer: Answer) -> Iterator[Pty]:
    """A pty whose other end is ``answer``, in a thread; it is gone once that returns None."""
    master, slave = os.openpty()
    tty.setraw(slave)
    served = Pty(os.ttyname(slave), master, slave)
    stop, wake = os.pipe()

    def serve() -> None:
        while stop not in select.select([master, stop], [], [])[0]:
            reply = answer(os.read(master, 4096))
            if reply is None:
                break
            os.write(master, reply)
        os.close(slave)
        os.close(master)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield served
    finally:
        os.write(wake, b"x")
        thread.join()
        os.close(stop)
        os.close(wake)


class RealTimeLink:
    """A link to a `FakeBoard` in real time."""

    name, baud = "fake", 115200

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
        """Nothing to close."""
