# SPDX-License-Identifier: Apache-2.0
"""A link on which things go wrong, in both directions, as a seed says: `ChaosLink` around a link.

Nothing here knows the protocol but its delimiter. Time is the clock of the link inside, so that a
line of `hil.testing.board` or `hil.testing.lines` stays exact, and a real one is disturbed in real
time.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from hil.core.errors import LinkError
from hil.link.faults import Chaos, Event, Way, mixture, parse_chaos
from hil.link.port import Deadline, Link, clock_of

__all__ = ["Chaos", "ChaosLink", "Trouble", "mixture", "parse_chaos"]


@dataclass
class _Queue:
    """Bytes of one direction that cross later, first in, first out."""

    way: Way
    free_at: float = 0.0
    waiting: deque[tuple[float, bytes]] = field(default_factory=deque)

    def put(self, data: bytes, now: float) -> None:
        self.waiting.append((max(now, self.free_at), data))

    def stop(self, until: float) -> None:
        self.free_at = max(self.free_at, until)

    def due(self, now: float) -> bytes:
        """What may cross by ``now``."""
        if not self.waiting:
            return b""
        if len(self.waiting) == 1 and self.waiting[0][0] <= now:
            return self.waiting.popleft()[1]
        crossed = b""
        while self.waiting and self.waiting[0][0] <= now:
            crossed += self.waiting.popleft()[1]
        return crossed


class Trouble:
    """The faults of one line from its seed on. Outlives a link that is closed and opened anew."""

    def __init__(self, chaos: Chaos) -> None:
        self.chaos = chaos
        self.counted: Counter[str] = Counter()
        self.out = _Queue(Way(chaos, "out", self.counted))
        self.back = _Queue(Way(chaos, "in", self.counted))
        self.out_until: float | None = None  # the cable is out until then

    @property
    def done(self) -> dict[str, int]:
        """How often each fault came, by its name in `Chaos`."""
        return dict(self.counted)


class ChaosLink:
    """``link`` as it is, but for what ``chaos`` does to it: a `hil.link.Link`.

    ``clock``: monotonic, in seconds; by default the link's own where it has one. ``reset`` restarts
    the board; without one a reset is drawn and not done. ``trouble`` of a link that was closed lets
    its faults go on over another: ``ChaosLink(reopened, chaos, trouble=old.trouble)``, which is a
    LinkError while the cable is out.
    """

    def __init__(
        self,
        link: Link,
        chaos: Chaos,
        *,
        clock: Callable[[], float] | None = None,
        reset: Callable[[], None] | None = None,
        trouble: Trouble | None = None,
    ) -> None:
        self.link = link
        self.trouble = trouble or Trouble(chaos)
        self.clock = clock or clock_of(link)
        self._reset = reset
        self._plugged_in()

    @property
    def done(self) -> dict[str, int]:
        """How often each fault came, by its name in `Chaos`."""
        return self.trouble.done

    @property
    def name(self) -> str:
        """The port's name."""
        return self.link.name

    @property
    def baud(self) -> int:
        """The rate of the link inside."""
        return self.link.baud

    def set_baud(self, baud: int) -> None:
        """See `hil.link.port.Link.set_baud`."""
        self._plugged_in()
        self.link.set_baud(baud)

    def write(self, data: bytes) -> None:
        """See `hil.link.port.Link.write`."""
        self._plugged_in()
        self._cross(data, self.trouble.out)
        self._send()
        self._plugged_in()

    def read(self, deadline: Deadline) -> bytes:
        """See `hil.link.port.Link.read`."""
        self._plugged_in()
        back = self.trouble.back
        while True:
            self._send()
            if crossed := back.due(self.clock()):
                return crossed
            later = [queue.waiting[0][0] for queue in (self.trouble.out, back) if queue.waiting]
            until = min([deadline.at, *later])
            if data := self.link.read(Deadline(until, deadline.clock) if later else deadline):
                self._cross(data, back)
                if self.trouble.out_until is not None:
                    return b""  # the next call finds the cable out
            elif deadline.expired:
                return back.due(self.clock())

    def close(self) -> None:
        """See `hil.link.port.Link.close`."""
        self.link.close()

    def _send(self) -> None:
        if crossed := self.trouble.out.due(self.clock()):
            self.link.write(crossed)

    def _cross(self, data: bytes, queue: _Queue) -> None:
        now = self.clock()
        for piece in queue.way.carry(data):
            if not isinstance(piece, Event):
                queue.put(piece, now)
            elif piece.fault == "delay":
                queue.stop(max(now, queue.free_at) + piece.seconds)
            elif piece.fault == "freeze":
                self.trouble.out.stop(now + piece.seconds)
                self.trouble.back.stop(now + piece.seconds)
            elif piece.fault == "reset":
                self._send()
                if self._reset:
                    self._reset()
                else:
                    self.trouble.counted["reset"] -= 1
            else:
                self._pull(now + piece.seconds)

    def _pull(self, until: float) -> None:
        self.trouble.out_until = until
        for queue in (self.trouble.out, self.trouble.back):
            queue.waiting.clear()

    def _plugged_in(self) -> None:
        """LinkError while the cable is out; what came meanwhile is gone once it is back."""
        if self.trouble.out_until is None:
            return
        if self.clock() < self.trouble.out_until:
            raise LinkError(
                f"port {self.name} vanished (chaos: the cable is out)",
                "check the cable or the emulator's log",
            )
        self.trouble.out_until = None
        while self.link.read(Deadline(self.clock(), self.clock)):
            pass
