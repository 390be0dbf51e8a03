# SPDX-License-Identifier: Apache-2.0
"""Joules per inference from windows of a trace, with the idle power subtracted or not."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from hil import stats
from hil.core.errors import DataError
from hil.energy.trace import Floats, Trace
from hil.energy.windows import FAULTS, Window

_GUARD: Final = 3  # samples beside an edge that belong to neither side
_IDLE: Final = 10  # samples of idle power beside a window, at least


@dataclass(frozen=True, slots=True)
class Measured:
    """The energy of ``n`` windows of ``inferences`` inferences each.

    ``total`` and ``above_idle``: joules per inference. ``idle``: watts between windows.
    ``average`` and ``peak``: amperes within windows. ``seconds``: per inference, by the
    instrument's clock. ``edge``: how far the energy of a window can be off because the gate is
    sampled, as a share of it. ``faults``: windows that do not count, by reason.
    """

    n: int
    inferences: int
    total: stats.Estimate
    above_idle: stats.Estimate
    idle: stats.Estimate
    seconds: stats.Estimate
    average: float
    peak: float
    edge: float
    faults: Mapping[str, int]


def measure(
    trace: Trace, windows: Sequence[Window], inferences: int = 1, chosen: slice = slice(None)
) -> Measured:
    """The energy of the ``chosen`` windows without a fault, of all ``windows`` of the trace.

    A window's energy is the sum of its samples' power divided by the sample rate. Its idle power is
    the mean between it and its neighbours, so that a slow drift cancels. DataError if no window is
    without a fault, or if there is no idle power.
    """
    where = [i for i in range(len(windows))[chosen] if not windows[i].fault]
    good = [windows[i] for i in where]
    faults = Counter(one.fault for one in windows[chosen] if one.fault)
    if not good:
        reasons = "; ".join(f"{count:,}: {FAULTS[fault]}" for fault, count in faults.items())
        raise DataError(f"{trace.source}: no window can be measured ({reasons})", "record again")
    power = trace.power
    idle = _idle(power, windows)
    seconds = np.array([one.samples for one in good]) / trace.rate
    joules = np.array([power[one.start : one.end].sum() for one in good]) / trace.rate
    beside = idle[where]
    inside = np.concatenate([trace.current[one.start : one.end] for one in good])
    return Measured(
        n=len(good),
        inferences=inferences,
        total=stats.mean(joules / inferences),
        above_idle=stats.mean((joules - beside * seconds) / inferences),
        idle=stats.mean(beside),
        seconds=stats.mean(seconds / inferences),
        average=float(inside.mean()),
        peak=float(inside.max()),
        edge=float(1 / np.mean([one.samples for one in good])),
        faults=faults,
    )


def _idle(power: Floats, windows: Sequence[Window]) -> Floats:
    """(windows,) watts: the mean of both gaps beside each window, weighted equally; of all gaps
    where those beside it are too short."""
    bounds = [0, *(x for one in windows for x in (one.start, one.end)), len(power)]
    gaps = [power[a + _GUARD : b - _GUARD] for a, b in zip(bounds[::2], bounds[1::2], strict=True)]
    known = [gap[np.isfinite(gap)] for gap in gaps]
    means = np.array([gap.mean() if gap.size >= _IDLE else np.nan for gap in known])
    if np.isnan(means).all():
        raise DataError(
            "no idle power: the pauses between inferences are shorter than "
            f"{_IDLE + 2 * _GUARD} samples",
            "record at a higher rate, or leave a pause between inferences",
        )
    pairs = np.stack([means[:-1], means[1:]])
    sums, counts = np.nansum(pairs, axis=0), np.isfinite(pairs).sum(axis=0)
    everywhere = float(np.nanmean(means))
    return np.asarray(np.where(counts > 0, sums / np.maximum(counts, 1), everywhere))


def battery_days(
    milliampere_hours: float, volts: float, above_idle: float, idle: float, every: float
) -> float:
    """Days that a battery lasts with an inference ``every`` so many seconds.

    ``above_idle``: joules per inference; ``idle``: watts in between. An ideal battery: no
    self-discharge, no regulator losses. Infinite if neither takes any energy.
    """
    joules, watts = milliampere_hours / 1000 * 3600 * volts, idle + above_idle / every
    return float(joules / watts / 86_400) if watts > 0 else math.inf
