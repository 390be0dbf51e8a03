# SPDX-License-Identifier: Apache-2.0
"""Serial lines that are as slow, or as bad, as real ones.

`PacedLink` simulates the time of every byte and of the board's computation, so that a test with
10,000 digits at 115200 baud takes seconds. `paced` and `disturbed` work in real time, on a pty.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import threading
import time
import tty
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from hil.core.errors import LinkError
from hil.link import Deadline, Link
from hil.link.chaos import ChaosLink
from hil.link.serial_port import SerialLink
from hil.testing.board import Answering

BITS: Final = 10  # of a byte on the line: start, eight, stop
_SHORT: Final = 1e-9  # seconds: tolerance for rounding


@dataclass
class Computing:
    """An inference that takes ``seconds``, which `PacedLink` adds to its clock."""

    infer: Callable[[int, bytes], bytes]
    seconds: float
    _due: float = 0.0

    def __call__(self, model: int, values: bytes) -> bytes:
        self._due += self.seconds
        return self.infer(model, values)

    def spent(self) -> float:
        """Seconds of computation since the last call."""
        due, self._due = self._due, 0.0
        return due


@dataclass
class PacedLink:
    """A link at ``baud``, full duplex, on its own clock, which stands still while the host works.

    The board reads a byte when it arrives, except while it computes: ``spent`` returns how many
    seconds the request that has just ended (with the byte ``end``) took to compute. Meanwhile the
    line buffers ``room`` bytes (None: any number); further ones are lost and counted in ``lost``.
    The board sends replies while it continues to work. ``latency``: seconds until the host sees a
    byte, as with USB adapters.
    """

    board: Answering
    baud: int = 115200
    spent: Callable[[], float] = lambda: 0.0
    room: int | None = None
    latency: float = 0.0
    end: bytes = b"\0"
    name: str = "paced"
    now: float = 0.0
    lost: int = 0
    bytes_out: int = 0
    bytes_in: int = 0
    closed: bool = False
    _sent_at: float = 0.0  # when the host's last byte has left
    _idle_at: float = 0.0  # when the board reads again
    _left_at: float = 0.0  # when the board's last byte has left
    # (when it is read, bytes) that came while the board computed
    _kept: deque[tuple[float, int]] = field(default_factory=deque)
    # (when it begins to leave, bytes) that the host has not read
    _coming: deque[tuple[float, bytes]] = field(default_factory=deque)

    def clock(self) -> float:
        """See `hil.link.Clocked`."""
        return self.now

    @property
    def byte(self) -> float:
        """Seconds per byte."""
        return BITS / self.baud

    def set_baud(self, baud: int) -> None:
        """See `hil.link.Link.set_baud`; sets both ends."""
        self.now = max(self.now, self._sent_at)
        self.baud = baud

    def write(self, data: bytes) -> None:
        """See `hil.link.Link.write`; the port's buffer takes everything at once."""
        self.bytes_out += len(data)
        pieces = data.split(self.end)
        for number, piece in enumerate(pieces, 1):
            whole = piece + self.end if number < len(pieces) else piece
            if whole:
                self._cross(whole)

    def _cross(self, piece: bytes) -> None:
        """Carry a request, or a part of one, to the board, and its reply back."""
        begun = max(self.now, self._sent_at)
        self._sent_at = begun + len(piece) * self.byte
        arrived = self._survives(piece, begun)
        read_at = max(self._sent_at, self._idle_at)
        replies = self.board.answer(arrived)
        self._idle_at = read_at + self.spent() if arrived.endswith(self.end) else self._idle_at
        if replies:
            leaves = max(read_at, self._idle_at, self._left_at)
            self._left_at = leaves + len(replies) * self.byte
            self._coming.append((leaves + self.latency, replies))

    def _survives(self, piece: bytes, begun: float) -> bytes:
        """The bytes of ``piece`` that the board reads."""
        idle_at, byte = self._idle_at, self.byte
        waits = max(0, min(len(piece), math.ceil((idle_at - begun - _SHORT) / byte) - 1))
        while self._kept and self._kept[0][0] <= begun + byte:
            self._kept.popleft()
        before = sum(count for _, count in self._kept)
        if not waits:
            return piece
        if self.room is None or before + waits <= self.room:
            self._kept.append((idle_at, waits))
            return piece
        survived = bytearray()
        for i in range(waits):
            at = begun + (i + 1) * byte
            lying = sum(count for read_at, count in self._kept if read_at > at) + len(survived)
            if lying < self.room:
                survived.append(piece[i])
        self._kept.append((idle_at, len(survived)))
        self.lost += waits - len(survived)
        return bytes(survived) + piece[waits:]

    def read(self, deadline: Deadline) -> bytes:
        """See `hil.link.Link.read`."""
        if not self._coming:
            self.now = max(self.now, deadline.at)
            return b""
        leaves, data = self._coming.popleft()
        first = leaves + self.byte
        if first > max(self.now, deadline.at) + _SHORT:
            self._coming.appendleft((leaves, data))
            self.now = max(self.now, deadline.at)
            return b""
        self.now = max(self.now, first)
        count = min(len(data), max(1, int((self.now - leaves) / self.byte + _SHORT * self.baud)))
        if count < len(data):
            self._coming.appendleft((leaves + count * self.byte, data[count:]))
        self.bytes_in += count
        return data[:count]

    def close(self) -> None:
        """See `hil.link.Link.close`."""
        self.closed = True


_SLICE_S: Final = 0.001  # between two looks: a dozen bytes at 115200 baud
_AHEAD_S: Final = 0.01  # seconds of line time that are read from the host in advance


@dataclass
class PacedBytes:
    """One direction: bytes go in at once and come out when their last bit has crossed."""

    byte: float  # seconds per byte
    _free: float = 0.0  # when everything put in has crossed
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
        """Seconds until everything put in has crossed."""
        return max(0.0, self._free - now)


@contextlib.contextmanager
def _pty(carry: Callable[[int, threading.Event], None]) -> Iterator[str]:
    """The name of a pty; ``carry(its master, stop)`` runs in a thread until ``stop`` is set."""
    master, slave = os.openpty()
    tty.setraw(slave)
    stop = threading.Event()
    pump = threading.Thread(target=carry, args=(master, stop), daemon=True)
    pump.start()
    try:
        yield os.ttyname(slave)
    finally:
        stop.set()
        pump.join()
        os.close(slave)
        os.close(master)


def _sent(master: int, most: int) -> bytes:
    """What the program at the pty has written."""
    return os.read(master, most) if select.select([master], [], [], 0)[0] else b""


@contextlib.contextmanager
def paced(far: Link, baud: int) -> Iterator[Link]:
    """A link, over a pty, to the other end of ``far``, at ``baud`` in either direction.

    A host that writes faster has to wait, as with a port that has a full buffer.
    """

    def carry(master: int, stop: threading.Event) -> None:
        out, back = PacedBytes(BITS / baud), PacedBytes(BITS / baud)
        while not stop.is_set():
            now = time.monotonic()
            if out.ahead(now) < _AHEAD_S:
                most = max(1, int((_AHEAD_S - out.ahead(now)) / out.byte))
                out.put(_sent(master, most), now)
            if data := out.due(time.monotonic()):
                far.write(data)
            if data := far.read(Deadline.after(_SLICE_S)):
                back.put(data, time.monotonic())
            if data := back.due(time.monotonic()):
                os.write(master, data)

    with _pty(carry) as name, contextlib.closing(SerialLink(name, baud)) as near:
        yield near


_CHAOS_SLICE_S: Final = 0.002  # how long either direction may wait for the other
_AT_ONCE: Final = 4096


@contextlib.contextmanager
def disturbed(link: ChaosLink) -> Iterator[str]:
    """The name of a pty with ``link`` at its other end.

    A pty cannot be unplugged: while the cable of ``link`` is out, bytes are lost silently.
    """

    def carry(master: int, stop: threading.Event) -> None:
        while not stop.is_set():
            if sent := _sent(master, _AT_ONCE):
                with contextlib.suppress(LinkError):
                    link.write(sent)
            try:
                came = link.read(Deadline.after(_CHAOS_SLICE_S))
            except LinkError:
                stop.wait(_CHAOS_SLICE_S)
                continue
            if came:
                os.write(master, came)

    with _pty(carry) as name:
        yield name
