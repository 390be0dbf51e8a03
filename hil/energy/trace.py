# SPDX-License-Identifier: Apache-2.0
"""What an instrument recorded: current, voltage and a gate, sampled at a constant rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from hil.core.errors import DataError

Floats: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]

_RATES: Final = (1.0, 100e6)  # samples per second
_MOST_VOLTS: Final = 100.0
_MOST_AMPERES: Final = 1000.0


@dataclass(frozen=True, slots=True)
class Trace:
    """``current`` (n,) in amperes, ``voltage`` (n,) in volts, at ``rate`` samples per second.

    A sample that the instrument lost is NaN. ``gate``: (n,) whether the marker was high; None if
    the instrument has no digital input. ``clipped``: (n,) samples at the limit of a range.
    ``source``: a file or an instrument, in texts. ``ended``: why the recording ended before it was
    stopped, in words; empty if it did not. ``range_changes``: how often the instrument changed its
    range; None if it does not say. ``simulated``: no real instrument recorded it. `checked` makes a
    trace from untrusted numbers.
    """

    source: str
    rate: float
    current: Floats
    voltage: Floats
    gate: Bools | None = None
    clipped: Bools | None = None
    ended: str = ""
    range_changes: int | None = None
    simulated: bool = False

    @property
    def n(self) -> int:
        return len(self.current)

    @property
    def seconds(self) -> float:
        return self.n / self.rate

    @property
    def power(self) -> Floats:
        """(n,) watts; NaN where a sample is lost."""
        return np.asarray(self.current * self.voltage)

    @property
    def lost(self) -> int:
        """Samples that the instrument lost."""
        return int(np.count_nonzero(~np.isfinite(self.power)))


def checked(trace: Trace) -> Trace:
    """``trace`` itself; DataError if no instrument can have recorded it."""
    where, n = trace.source, trace.n
    if n == 0:
        raise DataError(f"{where} has no samples", "record again")
    if not np.isfinite(trace.rate) or not _RATES[0] <= trace.rate <= _RATES[1]:
        raise DataError(
            f"{where}: {trace.rate:g} samples per second is not a sample rate of an instrument",
            "give it with --rate",
        )
    for name, found in (
        ("voltages", trace.voltage),
        ("gate values", trace.gate),
        ("clip marks", trace.clipped),
    ):
        if found is not None and len(found) != n:
            raise DataError(f"{where}: {n:,} currents and {len(found):,} {name}", "record again")
    for name, values, most in (
        ("current", trace.current, _MOST_AMPERES),
        ("voltage", trace.voltage, _MOST_VOLTS),
    ):
        known = values[np.isfinite(values)]
        if known.size == 0:
            raise DataError(f"{where}: no {name} is a number", "record again")
        if float(np.abs(known).max()) > most:
            raise DataError(
                f"{where}: a {name} of {float(np.abs(known).max()):,.4g} is out of range",
                "check the units of its columns",
            )
    if not np.nanmax(trace.voltage) > 0:
        raise DataError(f"{where}: the voltage is never above 0", "give it with --voltage")
    return trace
