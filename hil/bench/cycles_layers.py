# SPDX-License-Identifier: Apache-2.0
"""Estimated cycles of each layer, from firmware built to show its layers, in an emulator.

As for `hil bench --profile`, that firmware stops and starts its stopwatch between two layers, so
the plugin of `hil.cycles.counting` writes a window for each.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from hil.bench.cases import Case
from hil.bench.identity import find_model
from hil.bench.inputs import Inputs, taken_by
from hil.bench.lab import Lab, connect
from hil.bench.layers import ask_times, unobservable
from hil.bench.plan import BenchPlan
from hil.bench.prepare import Prepared
from hil.core.errors import HilError, WrongFirmware
from hil.cycles.counting import Window, compiled, counted, windows
from hil.cycles.estimate import Part, estimate
from hil.cycles.models import Core
from hil.engines import ENGINES
from hil.runs.schema import Sample
from hil.runs.schema_cycles import CycleLayer, CyclePart

CHUNK: Final = 16  # layers in one reply: HIL_PROFILE_CHUNK of the firmware
_EMPTY: Final = 2  # layers that do nothing, which the firmware times twice before the others


@dataclass(frozen=True, slots=True)
class EstimatedLayers:
    """The layers of a run, first to last; or ``why`` they are not known."""

    layers: tuple[CycleLayer, ...] = ()
    why: str = ""


def estimate_layers(
    plan: BenchPlan, item: Prepared, sample: Sample, lab: Lab, core: Core
) -> EstimatedLayers:
    """The estimated cycles of each layer of a run on ``sample``."""
    if why := unobservable(item, lab):
        return EstimatedLayers(why=why)
    try:
        return EstimatedLayers(_estimated(plan, item, sample, lab, core))
    except HilError as problem:
        return EstimatedLayers(why=str(problem))


def stored_part(part: Part) -> CyclePart:
    """A function or block as cycles.json has it."""
    return CyclePart(
        function=part.function,
        instructions=part.instructions,
        cycles=round(part.cycles, 2),
        runs=part.runs,
        code=part.code,
        bottleneck=part.bottleneck,
    )


def _estimated(
    plan: BenchPlan, item: Prepared, sample: Sample, lab: Lab, core: Core
) -> tuple[CycleLayer, ...]:
    case = item.case
    assert isinstance(case, Case)  # `unobservable` turns sketches away
    image = replace(case.image, layers=True)
    firmware = lab.build(image, plan.project)
    assert firmware.file is not None  # an emulator runs a file
    with tempfile.TemporaryDirectory(prefix="hil-cycles-") as name:
        folder = Path(name)
        out = folder / "windows.txt"
        board = counted(image.board, firmware.file, compiled(folder), out)
        with lab.open(replace(case.station, board=board), image, firmware) as link:
            device = connect(board, link)
            shown = replace(item, case=replace(case, image=image), firmware=firmware)
            number, _ = find_model(device.hello(), shown)
            inputs = Inputs(plan.data, taken_by(case.network))
            reported = ask_times(device, number, inputs.encoding, inputs[sample.i])
        found = tuple(windows(out.read_text()))
    layers = ENGINES[image.engine].layers(case.network.graph)
    if len(reported.laps) != len(layers) or len(found) < len(layers) + _EMPTY:
        raise WrongFirmware(
            f"{item.plan.key}: {len(reported.laps)} layers in {len(found)} windows, "
            f"expected {len(layers)} layers",
            "build the firmware of this version",
        )
    each = layer_windows(found, len(layers))
    times = [image.board.clock.time(lap) for lap in reported.laps]
    wrong = [
        layer.name
        for layer, (window, empty), time in zip(layers, each, times, strict=True)
        if time is None or window.instructions - empty.instructions != time.amount
    ]
    if wrong:
        raise WrongFirmware(
            f"{item.plan.key}: the emulator counted another number of instructions block by block "
            f"than the board did in {wrong[0]}",
            "report it as an error of hil, with the command that you ran",
        )
    made = [estimate(firmware.file, window.less(empty), core) for window, empty in each]
    return tuple(
        CycleLayer(
            name=layer.name,
            op=layer.ops,
            macs=layer.macs,
            instructions=one.instructions,
            cycles=one.cycles.count,
            functions=tuple(map(stored_part, one.functions)),
        )
        for layer, one in zip(layers, made, strict=True)
    )


def layer_windows(found: tuple[Window, ...], layers: int) -> tuple[tuple[Window, Window], ...]:
    """The window of each layer, and one of a layer in its place that does nothing.

    The firmware answers the times of at most 16 layers at once. Every time it runs all layers, but
    only those that it answers take the same path as a layer that does nothing. The last windows are
    those of the last request, each of which has as many: one of a whole inference, the two layers
    that do nothing, twice, and the layers.
    """
    requests = -(-layers // CHUNK)
    stride = 1 + 2 * _EMPTY + layers
    made = []
    for layer in range(layers):
        end = len(found) - (requests - 1 - layer // CHUNK) * stride
        empty = found[end - layers - _EMPTY + (1 if layer else 0)]
        made.append((found[end - layers + layer], empty))
    return tuple(made)
