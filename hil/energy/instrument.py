# SPDX-License-Identifier: Apache-2.0
"""What the harness needs of an instrument that measures a board's current."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hil.energy.trace import Trace


@dataclass(frozen=True, slots=True)
class Capabilities:
    """``rate``: samples per second. ``voltage``: it measures the voltage; if not, `Trace.voltage`
    is the one that was set. ``gate``: it samples a digital input. ``supply``: it powers the board.
    """

    rate: float
    voltage: bool
    gate: bool
    supply: bool


class Instrument(Protocol):
    """An opened instrument. Opening one leaves the board's power as it is."""

    @property
    def name(self) -> str:
        """Model and serial number, in texts."""
        ...

    @property
    def capabilities(self) -> Capabilities: ...

    def supply(self, volts: float) -> None:
        """Power the board; UsageError if it cannot supply it."""
        ...

    def start(self) -> None:
        """Begin to record."""
        ...

    def stop(self) -> Trace:
        """End the recording and return all of it; DataError if the instrument was unplugged."""
        ...

    def close(self) -> None:
        """Release the instrument; the board keeps its power."""
        ...
