# SPDX-License-Identifier: Apache-2.0
"""Estimated cycles of the measured firmware: a second start of the emulator, with a plugin."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hil.bench.cases import SketchCase
from hil.bench.cycles_layers import estimate_layers, stored_part
from hil.bench.events import CountingBlocks, Emit
from hil.bench.identity import find_model
from hil.bench.inputs import Inputs, taken_by
from hil.bench.lab import Lab, connect
from hil.bench.plan import BenchPlan
from hil.bench.prepare import Prepared
from hil.core.errors import HilError, WrongFirmware
from hil.cycles.blocks import llvm_version
from hil.cycles.counting import CALIBRATION, Window, compiled, counted, windows
from hil.cycles.estimate import estimate
from hil.cycles.models import core_of
from hil.runs.schema import Sample
from hil.runs.schema_cycles import CycleEstimate

_FIRST_ALONE = "the network keeps a state, so only the first sample of the sequence can be repeated"


def estimate_cycles(
    plan: BenchPlan,
    prepared: Sequence[Prepared],
    answers: Mapping[str, Sequence[Sample]],
    lab: Lab,
    emit: Emit,
) -> tuple[CycleEstimate, ...]:
    """The estimated cycles of every run on its first answered sample.

    A board whose instructions cannot be counted, or whose core has no model, is not an error: the
    record gives the reason.
    """
    found: list[CycleEstimate] = []
    for item in prepared:
        for sample in answers.get(item.plan.key, ())[:1]:
            why = _impossible(item, sample)
            if not why:
                emit(CountingBlocks(item.plan.key, sample.id))
                try:
                    found.append(_estimated(plan, item, sample, lab))
                except HilError as problem:
                    why = str(problem)
            if why:
                found.append(CycleEstimate(run=item.plan.key, id=sample.id, why=why))
    return tuple(found)


def _impossible(item: Prepared, sample: Sample) -> str:
    board = item.case.image.board
    if isinstance(item.case, SketchCase):
        return "the firmware is a sketch of your own"
    if item.case.station.port or not board.emulator:
        return f"board {board.name} is not emulated"
    if not board.core:
        return f"LLVM has no model of the core of board {board.name}"
    if sample.i and item.case.network.graph.stateful:
        return _FIRST_ALONE
    return ""


def _estimated(plan: BenchPlan, item: Prepared, sample: Sample, lab: Lab) -> CycleEstimate:
    core = core_of(item.case.image.board.core)
    elf = item.firmware.file
    assert elf is not None  # an emulator runs a file
    version = llvm_version()
    with tempfile.TemporaryDirectory(prefix="hil-cycles-") as name:
        window = _count(plan, item, elf, sample, Path(name), lab)
    found = estimate(elf, window, core)
    shown = estimate_layers(plan, item, sample, lab, core)
    return CycleEstimate(
        run=item.plan.key,
        id=sample.id,
        core=core.name,
        llvm=version,
        instructions=found.instructions,
        cycles=found.cycles.count,
        assumptions=core.assumptions,
        unknown=found.unknown,
        functions=tuple(map(stored_part, found.functions)),
        hottest=tuple(map(stored_part, found.hottest)),
        layers=shown.layers,
        layers_why=shown.why,
    )


def _count(
    plan: BenchPlan, item: Prepared, elf: Path, sample: Sample, folder: Path, lab: Lab
) -> Window:
    """How often each instruction ran in one inference of ``sample``."""
    case = item.case
    assert not isinstance(case, SketchCase)
    out = folder / "windows.txt"
    board = counted(case.image.board, elf, compiled(folder), out)
    with lab.open(replace(case.station, board=board), case.image, item.firmware) as link:
        device = connect(board, link)
        number, _ = find_model(device.hello(), item)
        inputs = Inputs(plan.data, taken_by(case.network))
        stateful = case.network.graph.stateful
        asked = device.infer(number, inputs.encoding, [inputs[sample.i]], sequence=stateful)
        (answer,) = asked
    taken = case.image.board.clock.time(answer.result)
    found = list(windows(out.read_text()))
    if len(found) <= CALIBRATION:
        raise WrongFirmware(
            f"{item.plan.key}: the emulator counted {len(found)} windows of the stopwatch, "
            f"expected at least {CALIBRATION + 1}",
            "build the firmware of this version",
        )
    empty = found[CALIBRATION - 1]
    window = found[-1].less(empty)
    # the firmware subtracts its whole empty call, two instructions of which are not in the other
    own = found[-1].instructions - empty.instructions
    if taken is None or own != taken.amount:
        raise WrongFirmware(
            f"{item.plan.key}: the emulator counted {own:,} instructions block by block, but the "
            f"board {'none' if taken is None else f'{taken.amount:,}'}",
            "report it as an error of hil, with the command that you ran",
        )
    return window
