"""One moment by which something must be done, passed down instead of a timeout for every step."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


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
        """This deadline, or ``seconds`` from now where that comes first."""
        return Deadline(min(self.at, self.clock() + seconds), self.clock)
