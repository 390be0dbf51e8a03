# SPDX-License-Identifier: Apache-2.0
"""Joules per inference from a recording, for each run of a run folder or for all of its windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from hil.api.records import Bounds, EnergyOutput, EnergyPart
from hil.bench.energy import window_record
from hil.core.errors import UsageError
from hil.energy import Trace, align, battery_days, find_windows
from hil.energy.files import Given, read_trace
from hil.report import write
from hil.runs.load import StoredRun, load_run
from hil.runs.log import RunLog
from hil.runs.schema_energy import IDLE_MODE, EnergyMeasured, Span
from hil.runs.seal import check_data

_US = 1e-6


@dataclass(frozen=True, slots=True)
class Battery:
    """A battery of ``mah`` milliampere hours at the recorded voltage, and an inference ``every`` so
    many seconds."""

    mah: float
    every: float


def battery(mah: float | None, every: float | None) -> Battery | None:
    """The battery that two options describe; None without them. UsageError if they do not fit."""
    if (mah is None) != (every is None):
        raise UsageError("--battery and --every belong together", "as --battery 1000 --every 60")
    if mah is None or every is None:
        return None
    if min(mah, every) <= 0:
        raise UsageError("--battery and --every must be more than 0", "check their values")
    return Battery(mah, every)


def energy_of(
    path: Path,
    run: Path | None = None,
    *,
    given: Given | None = None,
    inferences: int = 1,
    battery: Battery | None = None,
    idle_mode: str = IDLE_MODE,
) -> EnergyOutput:
    """The energy per inference that the recording at ``path`` shows.

    ``run``: the folder of the run that was recorded; each of its runs on a board with a clock is
    found by its times, and the result is stored there and shown in its report. Without it, all
    windows count as one. ``inferences``: in each window. ``idle_mode``: what the board did between
    inferences, in words.

    Raises UsageError or DataError if the recording cannot be read or has nothing to measure, and
    what `hil.report.write` raises for the folder, before anything is written.
    """
    if inferences < 1:
        raise UsageError("--inferences counts from 1", "leave it out for one per window")
    stored = None if run is None else load_run(run)
    times = [] if stored is None else list(_times(stored))
    if run is not None and not times:
        raise UsageError(
            f"{run} has no run with times of a board's own clock",
            "leave out RUN to measure all windows of the recording",
        )
    trace = read_trace(path, given or Given())
    found = [
        msgspec.structs.replace(one, idle_mode=idle_mode)
        for one in _measured(trace, times, inferences)
    ]
    output = _output(trace, found, battery)
    if run is not None and stored is not None:
        _store(run, stored, found)
    return output


def stored_energy(run: Path, battery: Battery | None = None) -> EnergyOutput:
    """The energy that is stored in a run's folder; UsageError if there is none."""
    found = [one for one in load_run(run).energy if not one.why]
    if not found:
        raise UsageError(
            f"{run} has no energy", "measure it with hil bench --power, or name a recording too"
        )
    first = found[0]
    return EnergyOutput(
        trace=", ".join(dict.fromkeys(one.instrument for one in found)),
        samples=sum(one.samples for one in found),
        rate=first.rate,
        seconds=sum(one.samples / one.rate for one in found),
        voltage=first.volts,
        lost=sum(one.lost for one in found),
        by=first.by,
        parts=tuple(_part(one, battery) for one in found),
    )


def _measured(
    trace: Trace, times: Sequence[tuple[str, list[float]]], inferences: int
) -> Iterator[EnergyMeasured]:
    windows = find_windows(trace)
    if not times:
        yield window_record("", trace, windows, slice(None), None, inferences=inferences)
        return
    after = 0
    for key, seconds in times:
        expected = [one * inferences for one in seconds]
        found = align(windows[after:], trace.rate, expected, trace.source)
        windows = (*windows[:after], *found.windows)
        begin = after + found.first
        after = begin + len(seconds)
        yield window_record(
            key, trace, windows, slice(begin, after), found.ratio, inferences=inferences
        )


def _output(trace: Trace, found: Sequence[EnergyMeasured], battery: Battery | None) -> EnergyOutput:
    return EnergyOutput(
        trace=trace.source,
        samples=trace.n,
        rate=trace.rate,
        seconds=trace.seconds,
        voltage=float(np.nanmean(trace.voltage)),
        lost=trace.lost,
        by="gate" if trace.gate is not None else "power",
        parts=tuple(_part(one, battery) for one in found),
    )


def _store(run: Path, stored: StoredRun, found: Sequence[EnergyMeasured]) -> None:
    """Store the energies in the run's folder, instead of those of the same runs, and renew its
    report."""
    check_data(run, stored.manifest)
    measured = {one.run for one in found}
    kept = [one for one in stored.energy if one.run not in measured]
    with RunLog(run, stored.manifest) as log:
        log.save_energy([*kept, *found])
        log.set_state(stored.manifest.state, stored.manifest.error)
    write(run)


def _times(stored: StoredRun) -> Iterator[tuple[str, list[float]]]:
    """(key, seconds of each answer) of the runs with a board's own clock, in the order they ran."""
    for plan in stored.manifest.runs:
        samples = stored.samples.get(plan.key, ())
        if plan.clock.unit == "us" and samples and all(one.time is not None for one in samples):
            yield plan.key, [one.time * _US for one in samples if one.time is not None]


def _days(one: EnergyMeasured, battery: Battery | None) -> float | None:
    if battery is None or one.above_idle is None or one.idle is None or one.seconds is None:
        return None
    if battery.every < one.seconds.point:
        raise UsageError(
            f"an inference takes {one.seconds.point:.3g} s, longer than --every {battery.every:g}",
            "give a longer time between inferences",
        )
    return battery_days(battery.mah, one.volts, one.above_idle.point, one.idle.point, battery.every)


def _part(one: EnergyMeasured, battery: Battery | None) -> EnergyPart:
    return EnergyPart(
        run=one.run,
        instrument=one.instrument,
        simulated=one.simulated,
        voltage=one.volts,
        idle_mode=one.idle_mode,
        windows=one.windows,
        not_counted=one.not_counted,
        inferences=one.inferences,
        joules=_bounds(one.joules),
        above_idle=_bounds(one.above_idle),
        idle_watts=_bounds(one.idle),
        seconds=_bounds(one.seconds),
        average_amperes=one.average,
        peak_amperes=one.peak,
        edge=one.edge,
        gate_over_device=one.ratio,
        battery_days=_days(one, battery),
    )


def _bounds(found: Span | None) -> Bounds:
    assert found is not None  # of a measured energy
    return Bounds(point=found.point, low=found.low, high=found.high)
