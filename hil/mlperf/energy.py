# SPDX-License-Identifier: Apache-2.0
"""Energy mode: joules per inference of five windows, recorded by an instrument.

As MLCommons' runner does (benchmark/runner/main.py): each window lasts 10 s or more by the
instrument's clock, its energy includes the idle power, and the figure is the median. The device
marks the beginning and the end of a window on a pin, by a pulse or by a level.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from hil.core.errors import DataError, UsageError
from hil.energy import FAULTS, Instrument, Told, Trace
from hil.energy.device_clock import MOST
from hil.energy.windows import marked
from hil.mlperf.dut import Dut, Inference
from hil.mlperf.measure import (
    AIM_S,
    ROUNDS,
    SHORTEST_S,
    SLACK,
    SLACK_S,
    WARMUPS,
    WINDOWS,
    check_time,
    fitting,
    scaled,
)

RUNNER_HERTZ: Final = 1000  # of the runner's energy samples


@dataclass(frozen=True, slots=True)
class EnergyWindow:
    """``iterations`` inferences in ``seconds`` of the instrument's clock took ``joules``.

    ``samples``: joules of each millisecond of the recording; ``edges``: which of them are the
    first of the window and the first after it. ``fault``: why the clocks disagree; empty if not.
    """

    iterations: int
    warmups: int
    inference: Inference
    seconds: float
    joules: float
    samples: tuple[float, ...]
    edges: tuple[int, int]
    fault: str = ""

    @property
    def per_inference(self) -> float:
        """Joules."""
        return self.joules / self.iterations

    @property
    def long_enough(self) -> bool:
        return self.seconds >= SHORTEST_S


@dataclass(frozen=True, slots=True)
class Energy:
    """``median``: joules per inference. ``volts``: of the supply, the mean over all windows.
    ``simulated``: no real instrument recorded them."""

    windows: tuple[EnergyWindow, ...]
    instrument: str
    volts: float
    simulated: bool

    @property
    def median(self) -> float:
        return statistics.median(window.per_inference for window in self.windows)

    @property
    def valid(self) -> bool:
        return len(self.windows) == WINDOWS and all(one.long_enough for one in self.windows)


def refuse_without_gate(instrument: Instrument) -> None:
    """UsageError if ``instrument`` cannot see the device's marks."""
    if not instrument.capabilities.gate:
        raise UsageError(
            f"{instrument.name} has no digital input, so no window can be found",
            "use an instrument with one, connected to the device's marker pin",
        )


def measure_energy(
    dut: Dut,
    samples: Sequence[bytes],
    instrument: Instrument,
    done: Callable[[int, EnergyWindow], None] = lambda _number, _window: None,
    *,
    emulated: bool = False,
) -> Energy:
    """Five windows, window i with sample i (modulo their number); ``done`` is called for each.

    A trial finds out how many inferences fill a window. If a window is shorter than 10 s, all five
    are repeated with more inferences; after three attempts the last five are returned, not valid.
    ``emulated``: the device's clock is not that of this machine, and is not used.

    Raises:
        UsageError: the instrument has no digital input.
        DataError: a recording has no window, or a faulty one.
        DeviceError: as `Dut.run`; the instrument is unplugged.
    """
    refuse_without_gate(instrument)

    def judged(seen: Inference) -> None:
        if not (seen.by_pin or emulated):
            check_time(seen)

    iterations = fitting(dut, samples[0], judged, emulated=emulated)
    found = Energy((), instrument.name, 0.0, isinstance(instrument, Told))
    for _ in range(ROUNDS):
        windows, volts = [], []
        for number in range(WINDOWS):
            values = samples[number % len(samples)]
            one, mean = _window(dut, values, iterations, instrument, emulated=emulated)
            windows.append(one)
            volts.append(mean)
            done(number, one)
        found = replace(found, windows=tuple(windows), volts=statistics.fmean(volts))
        if found.valid:
            break
        shortest = min(window.seconds for window in windows)
        iterations = scaled(iterations, round(shortest * 1e6), AIM_S)
    return found


def _window(
    dut: Dut, values: bytes, iterations: int, instrument: Instrument, *, emulated: bool
) -> tuple[EnergyWindow, float]:
    """One recorded window, and the mean voltage in it."""
    recording = False

    def record() -> None:
        nonlocal recording
        if recording:  # of an attempt that failed
            instrument.stop()
        instrument.start()
        recording = True

    try:
        seen = dut.run(values, iterations, WARMUPS, AIM_S * (1 + WARMUPS / iterations) * 2, record)
    except BaseException:
        if recording:
            instrument.stop()
        raise
    if emulated:
        seen = seen.by_host()
    if isinstance(instrument, Told):
        instrument.inferred(seen.us / 1e6)
    trace = instrument.stop()
    if trace.ended:
        raise DataError(f"{trace.source}: {trace.ended}", "check its cable, and measure again")
    span = marked(trace)
    if span.fault:
        raise DataError(f"{trace.source}: a window does not count: {FAULTS[span.fault]}")
    inside = slice(span.start, span.end)
    seconds = span.samples / trace.rate
    window = EnergyWindow(
        iterations,
        WARMUPS,
        seen,
        seconds,
        float(trace.power[inside].sum() / trace.rate),
        per_millisecond(trace),
        (_millisecond(span.start, trace), _millisecond(span.end, trace)),
        _disagreement(seconds, trace.rate, seen),
    )
    return window, float(trace.voltage[inside].mean())


def _disagreement(seconds: float, rate: float, seen: Inference) -> str:
    """Which clock contradicts the instrument's; empty if none does."""
    said = seen.us / 1e6
    if not seen.by_pin and abs(seconds - said) > MOST * said + 2 / rate:
        return (
            f"the pin marked {seconds:.3f} s, and the device measured {said:.3f} s: more than "
            f"{MOST:.0%} apart"
        )
    if seconds > seen.whole * (1 + SLACK) + SLACK_S or seen.gap > seconds * (1 + SLACK) + SLACK_S:
        return f"the pin marked {seconds:.3f} s, and this computer measured {seen.gap:.3f} s"
    return ""


def _millisecond(sample: int, trace: Trace) -> int:
    return int(sample * RUNNER_HERTZ / trace.rate)


def per_millisecond(trace: Trace) -> tuple[float, ...]:
    """Joules of each millisecond, as the runner stores them; a lost sample counts 0."""
    at = (np.arange(trace.n) * RUNNER_HERTZ / trace.rate).astype(np.int64)
    joules = np.bincount(at, np.nan_to_num(trace.power / trace.rate))
    return tuple(float(f"{value:.6g}") for value in joules)
