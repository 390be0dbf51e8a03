# SPDX-License-Identifier: Apache-2.0
"""Links that change what crosses them, each as one kind of line, adapter or buffer does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hil.link import Deadline, Link, clock_of

Filter = Callable[[bytes], bytes]


def unchanged(data: bytes) -> bytes:
    return data


@dataclass
class FilteredLink:
    """``link`` with a function of the bytes on the way ``out`` to the board and ``back``.

    A filter gets what crosses in pieces, as the host writes and reads it.
    """

    link: Link
    out: Filter = unchanged
    back: Filter = unchanged

    @property
    def name(self) -> str:
        """The name of the inner link."""
        return self.link.name

    @property
    def baud(self) -> int:
        """The rate of the inner link."""
        return self.link.baud

    def clock(self) -> float:
        """See `hil.link.Clocked`."""
        return clock_of(self.link)()

    def set_baud(self, baud: int) -> None:
        """See `hil.link.Link.set_baud`."""
        self.link.set_baud(baud)

    def write(self, data: bytes) -> None:
        """See `hil.link.Link.write`."""
        if crossed := self.out(data):
            self.link.write(crossed)

    def read(self, deadline: Deadline) -> bytes:
        """See `hil.link.Link.read`."""
        while data := self.link.read(deadline):
            if crossed := self.back(data):
                return crossed
        return b""

    def close(self) -> None:
        """See `hil.link.Link.close`."""
        self.link.close()


@dataclass
class ShortBuffer:
    """A receive buffer of ``room`` bytes: the rest of a longer frame is lost, its end is not."""

    room: int
    _kept: int = 0

    def __call__(self, data: bytes) -> bytes:
        crossed = bytearray()
        for byte in data:
            if byte == 0:
                self._kept = 0
                crossed.append(byte)
            elif self._kept < self.room:
                self._kept += 1
                crossed.append(byte)
        return bytes(crossed)


@dataclass
class EchoLink(FilteredLink):
    """A line that sends back what the host sends; with ``alone``, no board hears it."""

    alone: bool = False
    _echoed: bytearray = field(default_factory=bytearray)

    def write(self, data: bytes) -> None:
        """See `hil.link.Link.write`."""
        self._echoed += data
        if not self.alone:
            super().write(data)

    def read(self, deadline: Deadline) -> bytes:
        """See `hil.link.Link.read`."""
        echoed = bytes(self._echoed)
        self._echoed.clear()
        return echoed or super().read(deadline)


@dataclass
class Thief:
    """Another program that reads the port: takes ``of`` of every ``per`` pieces that arrive."""

    of: int = 1
    per: int = 2
    _pieces: int = 0

    def __call__(self, data: bytes) -> bytes:
        self._pieces += 1
        return b"" if self._pieces % self.per < self.of else data


@dataclass
class SharedLink(FilteredLink):
    """A link whose port other programs have open, too."""

    programs: tuple[str, ...] = ()

    def others(self) -> tuple[str, ...]:
        """See `hil.link.Shared`."""
        return self.programs
