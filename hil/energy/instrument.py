# SPDX-License-Identifier: Apache-2.0
"""What the harness needs of an instrument that measures a board's current."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

from hil.core.errors import HilError
from hil.energy.trace import Trace

T = TypeVar("T")


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
    """An opened instrument. Opening it leaves the board's power as it is.

    The order of a measurement: open; `supply`, if the instrument powers the board, and wait until
    the board has settled; greet the board; `start`, a pause of idle power, the inferences, a pause,
    `stop`; close.
    """

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
        """End the recording and return all of it. If it ended early, `Trace.ended` says why;
        DataError if there is nothing to return."""
        ...

    def close(self) -> None:
        """Release the instrument; the board keeps its power."""
        ...


@runtime_checkable
class Told(Protocol):
    """An instrument that does not see the board, and must be told what it does: a simulated one."""

    def inferred(self, seconds: float) -> None:
        """One window of the marker pin, ``seconds`` long, is over."""
        ...


def recorded(instrument: Instrument, act: Callable[[], T]) -> tuple[Trace, T]:
    """The recording made while ``act`` ran, and what it returned. If it raises, the recording is
    stopped, and dropped."""
    instrument.start()
    try:
        found = act()
    except BaseException:
        with suppress(HilError):  # the first error is the one to show
            instrument.stop()
        raise
    return instrument.stop(), found
