"""What befell a run, added up over the links and the boots that it took."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Final

from msgspec import UNSET, UnsetType

from hil.device import Device
from hil.records import LineCounts, Status
from hil.runlog.schema import Faults

_COUNTED: Final = ("damaged_out", "damaged_in", "unexpected", "timeouts")


class Tally:
    """Counts of one run; each `hil.device.Device` that it takes brings its own."""

    def __init__(self) -> None:
        self.resets = 0
        self.reopenings = 0
        self.injected: dict[str, int] = {}
        self._device: Device | None = None
        self._past: Counter[str] = Counter()
        self._stack = 0

    def take(self, device: Device) -> None:
        """Go on with ``device``."""
        self._past.update(_of(self._device))
        self._device = device

    def forgive(self, counts: LineCounts) -> None:
        """Of what this device counted, ``counts`` is what comes of opening a port."""
        self._past.subtract(_line(counts))

    def worst(self, status: Status) -> Status:
        """``status`` with the highest stack mark of all that were seen."""
        self._stack = max(self._stack, status.stack_used)
        return replace(status, stack_used=self._stack)

    @property
    def bytes_out(self) -> int:
        """Written."""
        return self._sum("bytes_out")

    @property
    def bytes_in(self) -> int:
        """Read."""
        return self._sum("bytes_in")

    @property
    def retries(self) -> int:
        """Requests that were sent once more."""
        return self._sum("retries")

    @property
    def faults(self) -> Faults | UnsetType:
        """The rest of it; UNSET when nothing happened."""
        found = Faults(
            resets=self.resets,
            reopenings=self.reopenings,
            injected=self.injected,
            **{name: self._sum(name) for name in _COUNTED},
        )
        return UNSET if found == Faults() else found

    def _sum(self, name: str) -> int:
        return self._past[name] + _of(self._device)[name]


def _of(device: Device | None) -> Counter[str]:
    if device is None:
        return Counter()
    counted = Counter(bytes_out=device.bytes_out, bytes_in=device.bytes_in, retries=device.retries)
    counted.update(_line(device.counts))
    return counted


def _line(counts: LineCounts) -> dict[str, int]:
    return {name: getattr(counts, name) for name in _COUNTED}
