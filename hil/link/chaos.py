# SPDX-License-Identifier: Apache-2.0
"""`ChaosLink`: a link with reproducible faults in both directions (`hil.link.faults`).

It uses the clock of the inner link, so that simulated lines (`hil.testing`) stay exact; on a real
one the faults happen in real time.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from hil.core.errors import LinkError
from hil.link.faults import Chaos, Event, FaultInjector
from hil.link.port import Deadline, Link, clock_of


@dataclass
class _Queue:
    """Bytes of one direction that have yet to cross, first in, first out."""

    injector: FaultInjector
    free_at: float = 0.0
    waiting: deque[tuple[float, bytes]] = field(default_factory=deque)

    def put(self, data: bytes, now: float) -> None:
        self.waiting.append((max(now, self.free_at), data))

    def stop(self, until: float) -> None:
        self.free_at = max(self.free_at, until)

    def due(self, now: float) -> bytes:
        """What has crossed by ``now``."""
        if not self.waiting:
            return b""
        if len(self.waiting) == 1 and self.waiting[0][0] <= now:
            return self.waiting.popleft()[1]
        crossed = b""
        while self.waiting and self.waiting[0][0] <= now:
            crossed += self.waiting.popleft()[1]
        return crossed


class ChaosState:
    """The faults of one line so far. Outlives a link that is closed and opened again."""

    def __init__(self, chaos: Chaos) -> None:
        self.chaos = chaos
        self.counted: Counter[str] = Counter()
        self.out = _Queue(FaultInjector(chaos, "out", self.counted))
        self.back = _Queue(FaultInjector(chaos, "in", self.counted))
        self.out_until: float | None = None  # when the cable is back, if it is out

    @property
    def is_out(self) -> bool:
        """Whether the cable was out when last used."""
        return self.out_until is not None

    def lose_all(self) -> None:
        """Drop what is still to cross, in both directions."""
        for queue in (self.out, self.back):
            queue.waiting.clear()


class ChaosLink:
    """A `hil.link.Link` around ``link``, with the faults of ``chaos``.

    ``clock``: monotonic, in seconds; by default the link's own if it has one. ``reset`` restarts
    the board; without it a reset is drawn but not done or counted. Pass the ``state`` of a link
    that was closed to continue its faults on another: ``ChaosLink(reopened, chaos,
    state=old.state)``, which is a LinkError while the cable is out.
    """

    def __init__(
        self,
        link: Link,
        chaos: Chaos,
        *,
        clock: Callable[[], float] | None = None,
        reset: Callable[[], None] | None = None,
        state: ChaosState | None = None,
    ) -> None:
        self.link = link
        self.state = state or ChaosState(chaos)
        self.clock = clock or clock_of(link)
        self._reset = reset
        self._plugged_in()

    @property
    def injected(self) -> dict[str, int]:
        """How often each fault was injected, by its name in `Chaos`."""
        return {name: times for name, times in self.state.counted.items() if times}

    @property
    def name(self) -> str:
        """The port's name."""
        return self.link.name

    @property
    def baud(self) -> int:
        """The rate of the inner link."""
        return self.link.baud

    def set_baud(self, baud: int) -> None:
        """See `hil.link.port.Link.set_baud`."""
        self._plugged_in()
        self.link.set_baud(baud)

    def write(self, data: bytes) -> None:
        """See `hil.link.port.Link.write`."""
        self._plugged_in()
        self._cross(data, self.state.out)
        self._send()
        self._plugged_in()

    def read(self, deadline: Deadline) -> bytes:
        """See `hil.link.port.Link.read`."""
        self._plugged_in()
        back = self.state.back
        while True:
            self._send()
            if crossed := back.due(self.clock()):
                return crossed
            later = [queue.waiting[0][0] for queue in (self.state.out, back) if queue.waiting]
            until = min([deadline.at, *later])
            if data := self.link.read(Deadline(until, deadline.clock) if later else deadline):
                self._cross(data, back)
                if self.state.is_out:
                    return b""  # the next call is a LinkError
            elif deadline.expired:
                return back.due(self.clock())

    def close(self) -> None:
        """See `hil.link.port.Link.close`."""
        self.link.close()

    def _send(self) -> None:
        if crossed := self.state.out.due(self.clock()):
            self.link.write(crossed)

    def _cross(self, data: bytes, queue: _Queue) -> None:
        now = self.clock()
        for piece in queue.injector.carry(data):
            if not isinstance(piece, Event):
                queue.put(piece, now)
            elif piece.fault == "delay":
                queue.stop(max(now, queue.free_at) + piece.seconds)
            elif piece.fault == "freeze":
                self.state.out.stop(now + piece.seconds)
                self.state.back.stop(now + piece.seconds)
            elif piece.fault == "reset":
                self._send()
                if self._reset:
                    self._reset()
                else:
                    self.state.counted["reset"] -= 1
            else:
                self._pull(now + piece.seconds)

    def _pull(self, until: float) -> None:
        self.state.out_until = until
        self.state.lose_all()

    def _plugged_in(self) -> None:
        """LinkError while the cable is out; what came meanwhile is discarded once it is back."""
        if self.state.out_until is None:
            return
        if self.clock() < self.state.out_until:
            raise LinkError(
                f"port {self.name} vanished (chaos: the cable is out)",
                "check the cable or the emulator's log",
            )
        self.state.out_until = None
        while self.link.read(Deadline(self.clock(), self.clock)):
            pass
