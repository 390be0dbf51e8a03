# SPDX-License-Identifier: Apache-2.0
"""`TroubledLab`: a fake lab whose boards reset, and whose cables come out, at given moments."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from hil.bench.cases import Program
from hil.bench.lab import Firmware
from hil.bench.session import Patience
from hil.boards.station import Station
from hil.core.errors import LinkError
from hil.link import Deadline, Link
from hil.testing.board import FakeLink
from hil.testing.lab import FakeLab

BOOT = b"\xff\xferst:0x1 (POWERON)\r\nentry 0x400805e4\r\n\0"


@dataclass
class Watch:
    """A clock that is set by hand."""

    now: float = 0.0

    def patience(self, every: float = 0.25) -> Patience:
        """A `Patience` that waits on this clock."""
        return Patience(every, lambda: self.now, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class TroubledLab(FakeLab):
    """``resets`` and ``outs``: numbers of bytes written, over all links, after which they happen.

    ``resets``: the board resets, even in the middle of a request, takes ``boot`` seconds and prints
    ``says``. ``outs``: the cable comes out; it is back after ``away`` attempts to open the port.
    """

    resets: list[int] = field(default_factory=list)
    outs: list[int] = field(default_factory=list)
    boot: float = 0.3
    says: bytes = BOOT
    says_then: str = ""  # SHA-256 of its models after a reset, if not the same
    looks: int = 0  # attempts to open the port while the cable is out
    away: int = 3  # attempts until it is back
    written: int = 0
    is_out: bool = False

    @contextmanager
    def open(self, station: Station, image: Program, firmware: Firmware) -> Iterator[Link]:
        if self.is_out:
            self.looks += 1
            if self.looks <= self.away:
                raise LinkError(f"port of {station.name} does not exist")
            self.is_out, self.looks = False, 0
        with super().open(station, image, firmware) as link:
            assert isinstance(link, FakeLink)
            yield _Troubled(link, self)


@dataclass
class AroundLink:
    """A `FakeLink`, of which a test changes some methods."""

    link: FakeLink

    @property
    def name(self) -> str:
        return self.link.name

    @property
    def baud(self) -> int:
        return self.link.baud

    def clock(self) -> float:
        return self.link.clock()

    def set_baud(self, baud: int) -> None:
        self.link.set_baud(baud)

    def write(self, data: bytes) -> None:
        self.link.write(data)

    def read(self, deadline: Deadline) -> bytes:
        return self.link.read(deadline)

    def close(self) -> None:
        self.link.close()


@dataclass
class _Troubled(AroundLink):
    """The link of a `TroubledLab`."""

    lab: TroubledLab

    def write(self, data: bytes) -> None:
        self._plugged_in()
        lab = self.lab
        while data:
            moments = [m for m in (*lab.resets, *lab.outs) if m < lab.written + len(data)]
            count = max(0, min(moments) - lab.written) if moments else len(data)
            self.link.write(data[:count])
            lab.written += count
            data = data[count:]
            if moments:
                self._trouble(min(moments))

    def read(self, deadline: Deadline) -> bytes:
        self._plugged_in()
        return super().read(deadline)

    def _trouble(self, moment: int) -> None:
        lab = self.lab
        if moment in lab.resets:
            lab.resets.remove(moment)
            self.link.reset(lab.boot, lab.says)
            if lab.says_then:
                board = self.link.board
                models = tuple(replace(m, sha256=lab.says_then) for m in board.hello.models)
                board.hello = replace(board.hello, models=models)
        else:
            lab.outs.remove(moment)
            lab.is_out = True
            self._plugged_in()

    def _plugged_in(self) -> None:
        if self.lab.is_out:
            raise LinkError(f"port {self.name} vanished (no such device)")
