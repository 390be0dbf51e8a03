# SPDX-License-Identifier: Apache-2.0
"""Joules per inference from a recording, for each run of a run folder or for all of its windows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hil.api.records import Bounds, EnergyOutput, EnergyPart
from hil.core.errors import UsageError
from hil.energy import Measured, Trace, align, battery_days, find_windows, measure
from hil.energy.files import Given, read_trace
from hil.energy.windows import FAULTS
from hil.runs.load import StoredRun, load_run
from hil.stats import Estimate

_US = 1e-6


def energy_of(
    path: Path,
    run: Path | None = None,
    *,
    given: Given | None = None,
    inferences: int = 1,
    battery: float | None = None,
    every: float | None = None,
) -> EnergyOutput:
    """The energy per inference that the recording at ``path`` shows.

    ``run``: the folder of the run that was recorded; each of its runs on a board with a clock is
    found by its times. Without it, all windows count as one. ``inferences``: in each window.
    ``battery``: its capacity in mAh at the recorded voltage, with an inference ``every`` seconds.

    Raises UsageError or DataError if the recording cannot be read or has nothing to measure.
    """
    if inferences < 1:
        raise UsageError("--inferences counts from 1", "leave it out for one per window")
    if (battery is None) != (every is None):
        raise UsageError("--battery and --every belong together", "as --battery 1000 --every 60")
    if min(one for one in (battery, every, 1.0) if one is not None) <= 0:
        raise UsageError("--battery and --every must be more than 0", "check their values")
    trace = read_trace(path, given or Given())
    windows = find_windows(trace)
    times = [] if run is None else list(_times(load_run(run)))
    if run is not None and not times:
        raise UsageError(
            f"{run} has no run with times of a board's own clock",
            "leave out RUN to measure all windows of the recording",
        )
    parts, after = [], 0
    for key, seconds in times:
        found = align(
            windows[after:], trace.rate, [one * inferences for one in seconds], trace.source
        )
        windows = (*windows[:after], *found.windows)
        begin = after + found.first
        after = begin + len(seconds)
        measured = measure(trace, windows, inferences, slice(begin, after))
        parts.append(_part(key, measured, found.ratio, _days(measured, trace, battery, every)))
    if not times:
        measured = measure(trace, windows, inferences)
        parts.append(_part("", measured, None, _days(measured, trace, battery, every)))
    return EnergyOutput(
        trace=trace.source,
        samples=trace.n,
        rate=trace.rate,
        seconds=trace.seconds,
        voltage=float(np.nanmean(trace.voltage)),
        lost=trace.lost,
        by="gate" if trace.gate is not None else "power",
        parts=tuple(parts),
    )


def _times(stored: StoredRun) -> Iterator[tuple[str, list[float]]]:
    """(key, seconds of each answer) of the runs with a board's own clock, in the order they ran."""
    for plan in stored.manifest.runs:
        samples = stored.samples.get(plan.key, ())
        if plan.clock.unit == "us" and samples and all(one.time is not None for one in samples):
            yield plan.key, [one.time * _US for one in samples if one.time is not None]


def _days(
    found: Measured, trace: Trace, battery: float | None, every: float | None
) -> float | None:
    if battery is None or every is None:
        return None
    if every < found.seconds.point:
        raise UsageError(
            f"an inference takes {found.seconds.point:.3g} s, longer than --every {every:g}",
            "give a longer time between inferences",
        )
    volts = float(np.nanmean(trace.voltage))
    return battery_days(battery, volts, found.above_idle.point, found.idle.point, every)


def _part(key: str, found: Measured, ratio: float | None, days: float | None) -> EnergyPart:
    return EnergyPart(
        run=key,
        windows=found.n,
        not_counted={FAULTS[fault]: count for fault, count in found.faults.items()},
        inferences=found.inferences,
        joules=_interval(found.total),
        above_idle=_interval(found.above_idle),
        idle_watts=_interval(found.idle),
        seconds=_interval(found.seconds),
        average_amperes=found.average,
        peak_amperes=found.peak,
        edge=found.edge,
        gate_over_device=ratio,
        battery_days=days,
    )


def _interval(found: Estimate) -> Bounds:
    return Bounds(point=found.point, low=found.low, high=found.high)
