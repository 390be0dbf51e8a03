# SPDX-License-Identifier: Apache-2.0
"""Energy per inference: an instrument records the board while it repeats stored samples.

The recording is made after the last answer of the bench, so that it is short, and its windows are
the inferences that the board then times itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from hil.bench.cases import SketchCase
from hil.bench.energy import energy_record
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
from hil.energy import Instrument, Told, recorded
from hil.runs.schema import Sample
from hil.runs.schema_energy import IDLE_MODE, EnergyMeasured
from hil.wire.messages import MOST_REPEATS, Repeated, Result

_MOST: Final = 100  # windows of a run
_LEAST: Final = 10
_RECORDED_S: Final = 30.0  # of a run, about, unless that is too short for `_LEAST` windows
PAUSE_S: Final = 0.05  # between two windows, for the idle power
_ENOUGH: Final = 500  # samples of a window, so that its sampled edges are 0.2 % of it
_LONGEST_S: Final = 5.0  # of a window of several inferences
# A simulated instrument needs windows of some length where an emulator has only a count.
_PRETENDED_HERTZ: Final = 100e6
_PRETENDED_S: Final = 0.01  # without a clock


@dataclass(frozen=True, slots=True)
class Power:
    """How to measure. ``instrument``: opened; ``supplied``: it powers the board. ``idle_mode``:
    what the board does between inferences, in words."""

    instrument: Instrument
    supplied: bool = False
    idle_mode: str = IDLE_MODE


def measure_power(
    plan: BenchPlan,
    prepared: Sequence[Prepared],
    answers: Mapping[str, Sequence[Sample]],
    lab: Lab,
    power: Power,
    patience: Patience,
    emit: Emit,
    save: Callable[[Sequence[EnergyMeasured]], None],
    known: Sequence[EnergyMeasured] = (),
) -> tuple[EnergyMeasured, ...]:
    """The energy of every run on its first answered samples; ``save`` gets all so far after each
    run, so that an interruption keeps them.

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
        save(found)
    return tuple(found)


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
        marks = partial(
            _mark, item, ready, inputs, order[:count], repeats, power.instrument, patience
        )
        trace, seconds = recorded(power.instrument, marks)
    return energy_record(
        item.plan.key,
        trace,
        seconds,
        inferences=repeats,
        supplied=power.supplied,
        idle_mode=power.idle_mode,
    )


def _longest(item: Prepared, ready: Ready) -> float:
    """Seconds of the longest inference so far; 0 without a clock."""
    clock = item.case.image.board.clock
    times = [in_seconds(clock.time(answer.result)) for answer in ready.warm_up]
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


def _mark(
    item: Prepared,
    ready: Ready,
    inputs: Inputs,
    order: Sequence[int],
    repeats: int,
    instrument: Instrument,
    patience: Patience,
) -> list[float]:
    """One window for each of the samples ``order``, with pauses; the seconds of each by the board,
    if it has a clock."""
    seconds: list[float] = []
    patience.sleep(PAUSE_S)
    for step, i in enumerate(order):
        for result in _infer(item, ready, inputs, step, i, repeats):
            taken = in_seconds(item.case.image.board.clock.time(result))
            if taken is not None:
                seconds.append(taken)
            if isinstance(instrument, Told):
                instrument.inferred(taken or _PRETENDED_S)
        patience.sleep(PAUSE_S)
    return seconds


def _infer(
    item: Prepared, ready: Ready, inputs: Inputs, step: int, i: int, repeats: int
) -> Iterator[Result | Repeated]:
    """What the board says of one window: ``repeats`` inferences of sample ``i``."""
    device, number, encoding, values = ready.device, ready.number, inputs.encoding, inputs[i]
    if repeats > 1:
        found = device.repeat(number, encoding, values, repeats, seconds=2 * _LONGEST_S)
        if found.count != repeats:
            raise DataError(
                f"{item.plan.key}: the board ran {found.count:,} of {repeats:,} inferences",
                "it is slower than in the warm-up: measure again",
            )
        yield found
    elif isinstance(item.case, SketchCase):
        answers = device.attempt(number, encoding, [values])
        yield from (one.result for one in answers if isinstance(one, Answer))
    else:
        sequence = ready.model.stateful  # then samples have numbers
        asked = device.infer(
            number, encoding, [values], first=step if sequence else 0, sequence=sequence
        )
        yield from (one.result for one in asked)


def in_seconds(time: DeviceTime) -> float | None:
    """A latency in seconds; a count as a simulated instrument needs it; None without a clock."""
    if time is None:
        return None
    return time.microseconds * 1e-6 if isinstance(time, Latency) else time.count / _PRETENDED_HERTZ
