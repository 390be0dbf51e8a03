# SPDX-License-Identifier: Apache-2.0
"""Energy of each layer: the recording of profiled inferences, divided at the layers' times.

The marker pin is low between two layers for less than a sample of most instruments. A profiled
inference is therefore found by the edge at its end, and divided at the times that the board
measured for its layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Final

import msgspec
import numpy as np

from hil import stats
from hil.bench.cases import SketchCase
from hil.bench.energy import span
from hil.bench.events import Emit, MeasuringLayers
from hil.bench.inputs import Inputs, taken_by
from hil.bench.lab import Lab
from hil.bench.layers import Observed, ask_times, observed, unobservable
from hil.bench.plan import BenchPlan
from hil.bench.power import PAUSE_S, Power, in_seconds
from hil.bench.prepare import Prepared
from hil.bench.session import Patience
from hil.core.errors import DataError, HilError
from hil.energy import SHORTEST, Told, Trace, find_windows, recorded
from hil.energy.trace import Floats
from hil.engines import ENGINES, Layer
from hil.runs.schema import Sample
from hil.runs.schema_energy import EnergyMeasured, LayerEnergy, Span
from hil.wire.messages import Profile

_ROUNDS: Final = 20  # profiled inferences
_LEAST: Final = 5
_RECORDED_S: Final = 20.0  # about, unless that is too short for `_LEAST` rounds
_GUARD: Final = 3  # samples beside a window that belong to neither side


def with_layers(
    plan: BenchPlan,
    prepared: Sequence[Prepared],
    answers: Mapping[str, Sequence[Sample]],
    measured: Sequence[EnergyMeasured],
    lab: Lab,
    power: Power,
    patience: Patience,
    emit: Emit,
) -> tuple[EnergyMeasured, ...]:
    """The ``measured`` energies, each with that of its layers or the reason why it has none."""
    items = {item.plan.key: item for item in prepared}
    found: list[EnergyMeasured] = []
    for one in measured:
        item, samples = items.get(one.run), answers.get(one.run, ())
        if one.why or one.layers or item is None or not samples:
            found.append(one)
            continue
        why, layers = _impossible(item, lab), tuple[LayerEnergy, ...]()
        if not why:
            try:
                layers = _layers(plan, item, samples[0], lab, power, patience, emit)
            except HilError as problem:
                why = str(problem)
        found.append(msgspec.structs.replace(one, layers=layers, layers_why=why))
    return tuple(found)


def _impossible(item: Prepared, lab: Lab) -> str:
    if item.case.image.board.clock.unit == "none":
        return f"board {item.case.image.board.name} has no clock to time its layers"
    if isinstance(item.case, SketchCase):
        return "a sketch of your own does not show its layers"
    if item.case.network.graph.stateful:
        return "the network keeps a state, so no inference of it can be repeated"
    return unobservable(item, lab)


def _layers(
    plan: BenchPlan,
    item: Prepared,
    sample: Sample,
    lab: Lab,
    power: Power,
    patience: Patience,
    emit: Emit,
) -> tuple[LayerEnergy, ...]:
    case = item.case
    assert not isinstance(case, SketchCase)
    layers = ENGINES[case.image.engine].layers(case.network.graph)
    inputs = Inputs(plan.data, taken_by(case.network))
    with observed(plan, item, lab) as board:
        values = inputs[sample.i]
        first = _seconds(board, ask_times(board.device, board.number, inputs.encoding, values))
        if len(first) != len(layers):
            raise DataError(
                f"the board timed {len(first)} layers, expected {len(layers)}",
                "build the firmware of this version",
            )
        rounds = max(_LEAST, min(_ROUNDS, int(_RECORDED_S / (2 * sum(first) + 2 * PAUSE_S))))
        emit(MeasuringLayers(item.plan.key, rounds, power.instrument.name))

        def profiled() -> list[list[float]]:
            found = []
            patience.sleep(PAUSE_S)
            for _ in range(rounds):
                asked = ask_times(board.device, board.number, inputs.encoding, values)
                found.append(_seconds(board, asked))
                if isinstance(power.instrument, Told):
                    power.instrument.inferred(sum(found[-1]))
                patience.sleep(PAUSE_S)
            return found

        trace, times = recorded(power.instrument, profiled)
    return divided(trace, times, layers)


def _seconds(board: Observed, asked: Profile) -> list[float]:
    clock = board.item.case.image.board.clock
    return [in_seconds(clock.time(lap)) or 0.0 for lap in asked.laps]


def divided(
    trace: Trace, times: Sequence[Sequence[float]], layers: Sequence[Layer]
) -> tuple[LayerEnergy, ...]:
    """The energy of each layer, as means over the profiled inferences of a recording.

    Args:
        trace: the recording, with a pause of idle power after each inference.
        times: (inferences, layers) seconds by the board's clock.
        layers: of the network, in order.

    Raises DataError if the recording does not have an inference for each of ``times``.
    """
    ends = _ends(trace)
    if len(ends) != len(times):
        raise DataError(
            f"{trace.source}: {len(ends):,} profiled inferences in the recording, expected "
            f"{len(times):,}",
            "check that the marker pin is connected",
        )
    power = trace.power
    idle = _idle(trace, power)
    joules = np.full((len(times), len(layers)), np.nan)
    above = joules.copy()
    for row, (end, seconds) in enumerate(zip(ends, times, strict=True)):
        before = [0.0, *accumulate(reversed(seconds))]  # seconds from the end, layer by layer
        bounds = [round(end - one * trace.rate) for one in reversed(before)]
        for column, (a, b) in enumerate(pairwise(bounds)):
            inside = power[max(a, 0) : b]
            clipped = trace.clipped is not None and bool(trace.clipped[max(a, 0) : b].any())
            if a < 0 or clipped or b - a < SHORTEST or not np.isfinite(inside).all():
                continue
            # the boundaries are whole samples, the energy is that of the layer's own time
            mean = float(inside.mean())
            joules[row, column] = mean * seconds[column]
            above[row, column] = (mean - idle) * seconds[column]
    return tuple(
        LayerEnergy(
            name=layer.name,
            op=layer.ops,
            macs=layer.macs,
            seconds=float(np.mean([one[i] for one in times])),
            joules=_span(joules[:, i]),
            above_idle=_span(above[:, i]),
        )
        for i, layer in enumerate(layers)
    )


def _ends(trace: Trace) -> list[int]:
    """The sample after each profiled inference: the last falling edge before each pause."""
    windows = find_windows(trace)
    pause = PAUSE_S / 2 * trace.rate
    return [
        one.end
        for one, after in zip(windows, [*windows[1:], None], strict=True)
        if after is None or after.start - one.end >= pause
    ]


def _idle(trace: Trace, power: Floats) -> float:
    """Watts between the windows; DataError if there are no pauses."""
    quiet = np.ones(trace.n, np.bool_)
    for one in find_windows(trace):
        quiet[max(one.start - _GUARD, 0) : one.end + _GUARD] = False
    known = power[quiet & np.isfinite(power)]
    if not known.size:
        raise DataError(f"{trace.source} has no pause between inferences", "record again")
    return float(known.mean())


def _span(values: Floats) -> Span | None:
    """The mean and its interval; None with fewer than two values, which have no interval."""
    known = values[np.isfinite(values)]
    return span(stats.mean(known)) if known.size > 1 else None
