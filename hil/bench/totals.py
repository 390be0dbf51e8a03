# SPDX-License-Identifier: Apache-2.0
"""What went over the lines of one run, and what went wrong on them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Final

from msgspec import UNSET, UnsetType

from hil.core.records import LineCounts, Status
from hil.device import Device
from hil.runs.schema import Faults, Restart


class Totals:
    """The counts of one run, over all its links and boots.

    Each `hil.device.Device` has its own counts, and a run uses a new one after each reboot.
    """

    _COUNTED: Final = ("damaged_out", "damaged_in", "unexpected", "timeouts")

    def __init__(self) -> None:
        self.resets = 0
        self.reopenings = 0
        self.restarts: tuple[Restart, ...] = ()
        self.injected: dict[str, int] = {}
        self._device: Device | None = None
        self._past: Counter[str] = Counter()
        self._stack = 0

    def continue_with(self, device: Device) -> None:
        """Continue counting with ``device``."""
        self._past.update(self._now())
        self._device = device

    def discount(self, counts: LineCounts) -> None:
        """Leave out ``counts``, which come from opening the port."""
        self._past.subtract(self._line(counts))

    def worst(self, status: Status) -> Status:
        """``status`` with the highest stack mark seen so far."""
        self._stack = max(self._stack, status.stack_used)
        return replace(status, stack_used=self._stack)

    @property
    def bytes_out(self) -> int:
        return self._sum("bytes_out")

    @property
    def bytes_in(self) -> int:
        return self._sum("bytes_in")

    @property
    def retries(self) -> int:
        """Requests that were sent again."""
        return self._sum("retries")

    @property
    def faults(self) -> Faults | UnsetType:
        """All other counts; UNSET if all of them are zero."""
        found = Faults(
            resets=self.resets,
            reopenings=self.reopenings,
            injected=self.injected,
            dropped={},
            restarts=self.restarts,
            **{name: self._sum(name) for name in self._COUNTED},
        )
        return UNSET if found == Faults() else found

    def _sum(self, name: str) -> int:
        return self._past[name] + self._now()[name]

    def _now(self) -> Counter[str]:
        one = self._device
        if one is None:
            return Counter()
        found = Counter(bytes_out=one.bytes_out, bytes_in=one.bytes_in, retries=one.retries)
        found.update(self._line(one.counts))
        return found

    def _line(self, counts: LineCounts) -> dict[str, int]:
        return {name: getattr(counts, name) for name in self._COUNTED}
