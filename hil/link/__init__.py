# SPDX-License-Identifier: Apache-2.0
"""One open port to a board, real or fake: what every link does, and what only some can do.

Links move bytes and never interpret them.

A `Deadline` is a moment by which something must be done. It is passed down the calls, instead of a
separate timeout for each step.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on a monotonic clock, in seconds."""

    at: float
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)

    @classmethod
    def after(cls, seconds: float, clock: Callable[[], float] = time.monotonic) -> Deadline:
        """The moment ``seconds`` from now."""
        return cls(clock() + seconds, clock)

    @property
    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at - self.clock())

    @property
    def expired(self) -> bool:
        return self.remaining == 0.0

    def sooner(self, seconds: float) -> Deadline:
        """This deadline, or ``seconds`` from now if that comes first."""
        return Deadline(min(self.at, self.clock() + seconds), self.clock)


class Link(Protocol):
    """A byte stream to one board. Every failure is a `hil.core.errors.LinkError`."""

    @property
    def name(self) -> str:
        """The port as a user would name it."""
        ...

    @property
    def baud(self) -> int:
        """The rate at which this end sends and listens."""
        ...

    def set_baud(self, baud: int) -> None:
        """Send and listen at ``baud`` from now on, once all written bytes have been sent."""
        ...

    def write(self, data: bytes) -> None:
        """Send all of ``data``; LinkError if the board accepts nothing for too long."""
        ...

    def read(self, deadline: Deadline) -> bytes:
        """The bytes that have arrived, after waiting for the first; empty at the deadline."""
        ...

    def close(self) -> None:
        """Release the port; closing twice is allowed."""
        ...


@runtime_checkable
class Clocked(Protocol):
    """A link or a lab that simulates time: deadlines must use its clock."""

    def clock(self) -> float:
        """Seconds, monotonic."""
        ...


@runtime_checkable
class Resettable(Protocol):
    """A link that can restart its board."""

    def reset(self) -> None:
        """Restart the board; what was on the line is lost."""
        ...


@runtime_checkable
class Shared(Protocol):
    """A link whose port other programs may open, too."""

    def others(self) -> tuple[str, ...]:
        """The other programs that have the port open, in words."""
        ...


def clock_of(line: object) -> Callable[[], float]:
    """The clock for deadlines on ``line``, a link or a lab: its own, or the real one."""
    return line.clock if isinstance(line, Clocked) else time.monotonic
