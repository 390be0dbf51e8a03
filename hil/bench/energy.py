# SPDX-License-Identifier: Apache-2.0
"""What a recording says of one run, as it is stored in energy.json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from hil.energy import Trace, Window, align, find_windows, measure
from hil.energy.windows import FAULTS
from hil.runs.schema_energy import IDLE_MODE, EnergyMeasured, Shown, Span
from hil.stats import Estimate

_POINTS: Final = 400  # of the drawing of a window


def energy_record(
    key: str,
    trace: Trace,
    seconds: Sequence[float],
    *,
    inferences: int = 1,
    supplied: bool = False,
    idle_mode: str = IDLE_MODE,
) -> EnergyMeasured:
    """The energy of run ``key`` in a recording of nothing else, from its first window on.

    Args:
        key: of the run.
        trace: the recording.
        seconds: of each window by the board's own clock, in order; empty if it has none.
        inferences: in each window.
        supplied: whether the instrument powers the board.
        idle_mode: what the board does between inferences.

    Raises DataError if there is nothing to measure.
    """
    windows = find_windows(trace)
    ratio, chosen = None, slice(None)
    if trace.ended:  # the later windows are not in it
        seconds = seconds[: len(windows)]
    if seconds:
        found = align(windows, trace.rate, seconds, trace.source)
        windows, ratio = found.windows, found.ratio
        chosen = slice(found.first, found.first + len(seconds))
    record = window_record(key, trace, windows, chosen, ratio, inferences=inferences)
    return msgspec.structs.replace(record, supplied=supplied, idle_mode=idle_mode)


def window_record(
    key: str,
    trace: Trace,
    windows: Sequence[Window],
    chosen: slice,
    ratio: float | None,
    *,
    inferences: int = 1,
) -> EnergyMeasured:
    """The energy of the ``chosen`` windows of a recording, which are run ``key``'s; ``ratio``: the
    gate's time over the board's. Raises DataError as `hil.energy.measure`."""
    measured = measure(trace, windows, inferences, chosen)
    return EnergyMeasured(
        run=key,
        instrument=trace.source,
        simulated=trace.simulated,
        rate=trace.rate,
        volts=float(np.nanmean(trace.voltage)),
        by="gate" if trace.gate is not None else "power",
        windows=measured.n,
        not_counted={FAULTS[one]: count for one, count in measured.faults.items()},
        inferences=inferences,
        joules=span(measured.total),
        above_idle=span(measured.above_idle),
        idle=span(measured.idle),
        seconds=span(measured.seconds),
        ratio=ratio,
        average=measured.average,
        peak=measured.peak,
        edge=measured.edge,
        samples=trace.n,
        lost=trace.lost,
        range_changes=trace.range_changes,
        ended=trace.ended,
        shown=_shown(trace, [one for one in windows[chosen] if not one.fault]),
    )


def span(found: Estimate) -> Span:
    """An estimate as it is stored."""
    return Span(found.point, found.low, found.high)


def _shown(trace: Trace, windows: Sequence[Window]) -> Shown:
    """The window whose length is the median, with a quarter of it on either side."""
    one = sorted(windows, key=lambda window: window.samples)[len(windows) // 2]
    margin = max(one.samples // 4, 3)
    first, last = max(one.start - margin, 0), min(one.end + margin, trace.n)
    wide = -(-(last - first) // _POINTS)
    last -= (last - first) % wide
    bins = trace.current[first:last].reshape(-1, wide)
    known = np.isfinite(bins).all(axis=1)
    means = np.where(known, np.nan_to_num(bins).mean(axis=1), np.nan)
    return Shown(
        step=wide / trace.rate,
        current=tuple(None if np.isnan(x) else round(float(x), 9) for x in means),
        start=(one.start - first) / trace.rate,
        end=(one.end - first) / trace.rate,
    )
