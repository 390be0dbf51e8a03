# SPDX-License-Identifier: Apache-2.0
"""Energy per inference: an instrument records the board while it repeats stored samples.

The recording is made after the last answer of the bench, so that it is short, and its windows are
the inferences that the board then times itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from hil.bench.cases import SketchCase
from hil.bench.events import Emit, MeasuringPower, Note
from hil.bench.inputs import Inputs, taken_on
from hil.bench.lab import Lab
from hil.bench.plan import BenchPlan
from hil.bench.prepare import Prepared
from hil.bench.ready import Ready, initialise
from hil.bench.session import Patience
from hil.bench.totals import Totals
from hil.core.errors import DataError, DeviceRefused, HilError
from hil.core.records import DeviceTime, Latency
from hil.device import Answer
from hil.energy import Instrument, Told, Trace, Window, align, find_windows, measure
from hil.energy.windows import FAULTS
from hil.runs.schema import Sample
from hil.runs.schema_energy import IDLE_MODE, EnergyMeasured, Shown, Span
from hil.stats import Estimate
from hil.wire.messages import MOST_REPEATS

_MOST: Final = 100  # windows of a run
_LEAST: Final = 10
_RECORDED_S: Final = 30.0  # of a run, about, unless that is too short for `_LEAST` windows
PAUSE_S: Final = 0.05  # between two windows, for the idle power
_SETTLE_S: Final = 1.0  # of a board that was just switched on
_ENOUGH: Final = 500  # samples of a window, so that its sampled edges are 0.2 % of it
_LONGEST_S: Final = 5.0  # of a window of several inferences
_POINTS: Final = 400  # of the drawing of a window
# A simulated instrument needs windows of some length where an emulator has only a count.
_PRETENDED_HERTZ: Final = 100e6
_PRETENDED_S: Final = 0.01  # without a clock


@dataclass(frozen=True, slots=True)
class Power:
    """How to measure. ``instrument``: opened. ``supply``: volts that it is to supply; None: the
    board has its own. ``idle_mode``: what the board does between inferences, in words."""

    instrument: Instrument
    supply: float | None = None
    idle_mode: str = IDLE_MODE

    def switch_on(self, patience: Patience) -> None:
        """Power the board, if the instrument is to do that, and wait until it has settled."""
        if self.supply is not None:
            self.instrument.supply(self.supply)
            patience.sleep(_SETTLE_S)


def measure_power(
    plan: BenchPlan,
    prepared: Sequence[Prepared],
    answers: Mapping[str, Sequence[Sample]],
    lab: Lab,
    power: Power,
    patience: Patience,
    emit: Emit,
    known: Sequence[EnergyMeasured] = (),
) -> Iterator[tuple[EnergyMeasured, ...]]:
    """The energy of every run on its first answered samples: all so far, after each run.

    What cannot be measured is not an error: the record gives the reason, and the answers stay.
    ``known``: what an earlier try has measured, which is kept.
    """
    found = [one for one in known if not one.why]
    for item in prepared:
        samples = [one for one in answers.get(item.plan.key, ()) if not one.failed]
        if not samples or item.plan.key in {one.run for one in found}:
            continue
        why = _impossible(item, power.instrument)
        if not why:
            try:
                found.append(_measured(plan, item, samples, lab, power, patience, emit))
            except HilError as problem:
                why = str(problem)
        if why:
            emit(Note(f"{item.plan.key}: no energy: {why}"))
            found.append(EnergyMeasured(run=item.plan.key, why=why))
        yield tuple(found)


def _impossible(item: Prepared, instrument: Instrument) -> str:
    station = item.case.station
    if not station.port and not isinstance(instrument, Told):
        return f"board {station.board.name} is emulated"
    return ""


def _measured(
    plan: BenchPlan,
    item: Prepared,
    samples: Sequence[Sample],
    lab: Lab,
    power: Power,
    patience: Patience,
    emit: Emit,
) -> EnergyMeasured:
    case = item.case
    inputs = Inputs(plan.data, taken_on(case))
    with lab.open(case.station, case.image, item.firmware) as link:
        ready = initialise(item, link, inputs, Totals())
        # a sequence can only be repeated from its start
        sequence = ready.model.stateful and not isinstance(case, SketchCase)
        order = range(len(samples)) if sequence else [one.i for one in samples]
        repeats = 1
        if not sequence and (repeats := _repeats(item, ready, power.instrument)) > 1:
            try:  # before the recording
                ready.device.repeat(ready.number, inputs.encoding, inputs[order[0]], 1)
            except DeviceRefused as problem:
                emit(Note(f"{item.plan.key}: one inference per window: {problem}"))
                repeats = 1
        count = _windows(item, ready, len(order), repeats)
        emit(MeasuringPower(item.plan.key, count, power.instrument.name))
        if sequence:
            ready.device.reset_state(ready.number)
        power.instrument.start()
        try:
            if repeats > 1:
                seconds = _many(
                    item, ready, inputs, order[:count], power.instrument, patience, repeats
                )
            else:
                seconds = _repeat(
                    item,
                    ready,
                    inputs,
                    order[:count],
                    power.instrument,
                    patience,
                    sequence=sequence,
                )
        except BaseException:
            with suppress(HilError):
                power.instrument.stop()
            raise
        trace = power.instrument.stop()
    return energy_record(
        item.plan.key,
        trace,
        seconds,
        inferences=repeats,
        supplied=power.supply is not None,
        idle_mode=power.idle_mode,
    )


def _longest(item: Prepared, ready: Ready) -> float:
    """Seconds of the longest inference so far; 0 without a clock."""
    times = [_seconds(item, answer) for answer in ready.warm_up]
    return max((one for one in times if one is not None), default=0.0)


def _repeats(item: Prepared, ready: Ready, instrument: Instrument) -> int:
    """How many inferences a window needs to have `_ENOUGH` samples of the instrument."""
    longest, wanted = _longest(item, ready), _ENOUGH / instrument.capabilities.rate
    if not 0 < longest < wanted:
        return 1
    return min(MOST_REPEATS, math.ceil(wanted / longest), max(1, int(_LONGEST_S / longest)))


def _windows(item: Prepared, ready: Ready, available: int, repeats: int) -> int:
    """How many samples to repeat, so that the recording is short and its mean is known well."""
    fit = int(_RECORDED_S / (repeats * _longest(item, ready) + PAUSE_S))
    return min(available, max(_LEAST, min(_MOST, fit)))


def _repeat(
    item: Prepared,
    ready: Ready,
    inputs: Inputs,
    order: Sequence[int],
    instrument: Instrument,
    patience: Patience,
    *,
    sequence: bool,
) -> list[float]:
    """Infer the samples ``order``, with pauses; their seconds by the board, if it has a clock."""
    device, number, encoding = ready.device, ready.number, inputs.encoding
    ask = device.attempt if isinstance(item.case, SketchCase) else device.infer
    seconds: list[float] = []
    patience.sleep(PAUSE_S)
    for step, i in enumerate(order):
        asked = (
            device.infer(number, encoding, [inputs[i]], first=step, sequence=True)
            if sequence
            else ask(number, encoding, [inputs[i]])
        )
        for answer in asked:
            taken = _seconds(item, answer) if isinstance(answer, Answer) else None
            if taken is not None:
                seconds.append(taken)
            if isinstance(instrument, Told):
                instrument.inferred(taken or _PRETENDED_S)
        patience.sleep(PAUSE_S)
    return seconds


def _many(
    item: Prepared,
    ready: Ready,
    inputs: Inputs,
    order: Sequence[int],
    instrument: Instrument,
    patience: Patience,
    repeats: int,
) -> list[float]:
    """As `_repeat`, with ``repeats`` inferences of each sample in one window."""
    seconds: list[float] = []
    patience.sleep(PAUSE_S)
    for i in order:
        found = ready.device.repeat(
            ready.number, inputs.encoding, inputs[i], repeats, seconds=2 * _LONGEST_S
        )
        if found.count != repeats:
            raise DataError(
                f"{item.plan.key}: the board ran {found.count:,} of {repeats:,} inferences",
                "it is slower than in the warm-up: measure again",
            )
        taken = in_seconds(item.case.image.board.clock.time(found))
        if taken is not None:
            seconds.append(taken)
            if isinstance(instrument, Told):
                instrument.inferred(taken)
        patience.sleep(PAUSE_S)
    return seconds


def _seconds(item: Prepared, answer: Answer) -> float | None:
    return in_seconds(item.case.image.board.clock.time(answer.result))


def in_seconds(time: DeviceTime) -> float | None:
    """A latency in seconds; a count as a simulated instrument needs it; None without a clock."""
    if time is None:
        return None
    return time.microseconds * 1e-6 if isinstance(time, Latency) else time.count / _PRETENDED_HERTZ


def energy_record(
    key: str,
    trace: Trace,
    seconds: Sequence[float],
    *,
    inferences: int = 1,
    supplied: bool = False,
    idle_mode: str = IDLE_MODE,
) -> EnergyMeasured:
    """The energy of run ``key`` in a recording of nothing else.

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
        joules=_span(measured.total),
        above_idle=_span(measured.above_idle),
        idle=_span(measured.idle),
        seconds=_span(measured.seconds),
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


def _span(found: Estimate) -> Span:
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
