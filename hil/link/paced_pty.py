"""A pty in front of a link that lets bytes through as slowly as a serial line, in real time."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
import tty
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from hil.link.deadline import Deadline
from hil.link.paced import BITS
from hil.link.port import Link
from hil.link.serial_port import SerialLink

_SLICE_S: Final = 0.001  # how often it looks: a dozen bytes at 115200 baud
_AHEAD_S: Final = 0.01  # of line that is read from the host before it is due


@dataclass
class _Way:
    """One direction: bytes go in at once and come out when their last bit has crossed."""

    byte: float
    _free: float = 0.0  # when the line has sent all it was given
    _waiting: bytearray = field(default_factory=bytearray)

    def put(self, data: bytes, now: float) -> None:
        self._free = max(self._free, now) + len(data) * self.byte
        self._waiting += data

    def due(self, now: float) -> bytes:
        """What has crossed by ``now``."""
        behind = max(0, -int(-(self._free - now) // self.byte)) if self._free > now else 0
        count = max(0, len(self._waiting) - behind)
        data = bytes(self._waiting[:count])
        del self._waiting[:count]
        return data

    def ahead(self, now: float) -> float:
        """Seconds of line that are taken."""
        return max(0.0, self._free - now)


@contextlib.contextmanager
def paced(far: Link, baud: int) -> Iterator[Link]:
    """A link to whoever is at the other end of ``far``, at ``baud`` in either direction.

    A host that writes faster has to wait, as at a port whose buffer is full.
    """
    master, slave = os.openpty()
    tty.setraw(slave)
    stop = threading.Event()
    pump = threading.Thread(target=_carry, args=(master, far, baud, stop), daemon=True)
    near = SerialLink(os.ttyname(slave), baud)
    pump.start()
    try:
        yield near
    finally:
        stop.set()
        pump.join()
        near.close()
        os.close(slave)
        os.close(master)


def _carry(master: int, far: Link, baud: int, stop: threading.Event) -> None:
    out, back = _Way(BITS / baud), _Way(BITS / baud)
    while not stop.is_set():
        now = time.monotonic()
        ready = select.select([master], [], [], 0)[0] if out.ahead(now) < _AHEAD_S else []
        if ready:
            room = max(1, int((_AHEAD_S - out.ahead(now)) / out.byte))
            out.put(os.read(master, room), now)
        if data := out.due(time.monotonic()):
            far.write(data)
        if data := far.read(Deadline.after(_SLICE_S)):
            back.put(data, time.monotonic())
        if data := back.due(time.monotonic()):
            os.write(master, data)
