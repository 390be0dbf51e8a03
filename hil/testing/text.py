# SPDX-License-Identifier: Apache-2.0
"""`FakeSketch`: a sketch that prints lines of text, in Python, as a link on a clock of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from hil.core.errors import LinkError
from hil.link import Deadline


@dataclass
class FakeSketch:
    """A link to a sketch that answers each whole request, or prints without being asked.

    ``answer`` returns what the sketch prints for a request, ``seconds`` later. A request ends with
    ``end``, or has ``size`` bytes. What is written before ``boots_at`` is lost; then ``boot``
    comes. The port vanishes after ``vanishes`` writes. Time passes only when a read finds nothing.
    """

    answer: Callable[[bytes], bytes] = lambda _: b""
    seconds: float = 0.02
    end: bytes = b"\n"
    size: int = 0
    boots_at: float = 0.0
    boot: bytes = b""
    vanishes: int | None = None
    name: str = "fake"
    baud: int = 9600
    now: float = 0.0
    closed: bool = False
    requests: list[bytes] = field(default_factory=list)
    _request: bytes = b""
    _writes: int = 0
    _coming: deque[tuple[float, bytes]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        if self.boot:
            self._coming.append((self.boots_at, self.boot))

    def clock(self) -> float:
        """See `hil.link.Clocked`."""
        return self.now

    def say(self, text: bytes, after: float = 0.0) -> None:
        """Print ``text``, ``after`` seconds from now."""
        self._coming.append((self.now + after, text))
        self._coming = deque(sorted(self._coming, key=lambda one: one[0]))

    def write(self, data: bytes) -> None:
        """See `hil.link.Link.write`."""
        self._writes += 1
        if self.vanishes is not None and self._writes > self.vanishes:
            raise LinkError(f"port {self.name} vanished (unplugged)", "check the cable")
        if self.now < self.boots_at:
            return
        self._request += data
        while (request := self._whole()) is not None:
            self.requests.append(request)
            if said := self.answer(request):
                self.say(said, self.seconds)

    def _whole(self) -> bytes | None:
        if self.size:
            if len(self._request) < self.size:
                return None
            whole, self._request = self._request[: self.size], self._request[self.size :]
            return whole
        whole, end, rest = self._request.partition(self.end)
        if not end:
            return None
        self._request = rest
        return whole

    def read(self, deadline: Deadline) -> bytes:
        """See `hil.link.Link.read`."""
        if self._coming and self._coming[0][0] <= max(self.now, deadline.at):
            at, data = self._coming.popleft()
            self.now = max(self.now, at)
            return data
        self.now = max(self.now, deadline.at)
        return b""

    def set_baud(self, baud: int) -> None:
        """See `hil.link.Link.set_baud`."""
        self.baud = baud

    def close(self) -> None:
        """See `hil.link.Link.close`."""
        self.closed = True
