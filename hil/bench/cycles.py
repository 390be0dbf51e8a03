# SPDX-License-Identifier: Apache-2.0
"""Estimated cycles of the measured firmware: a second start of the emulator, with a plugin."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
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
from hil.boards.station import Station
from hil.core.errors import HilError, UsageError, WrongFirmware
from hil.core.records import EstimatedTime
from hil.cycles.blocks import llvm_major, llvm_version
from hil.cycles.calibration import Calibration, Uncalibrated, calibration
from hil.cycles.counting import CALIBRATION, Window, compiled, counted, windows
from hil.cycles.estimate import estimate
from hil.cycles.models import core_of
from hil.runs.schema import Sample
from hil.runs.schema_cycles import CycleCalibration, CycleEstimate, CycleTime

_FIRST_ALONE = "the network keeps a state, so only the first sample of the sequence can be repeated"


def estimate_cycles(
    plan: BenchPlan,
    prepared: Sequence[Prepared],
    answers: Mapping[str, Sequence[Sample]],
    lab: Lab,
    emit: Emit,
    hertz: float = 0.0,
) -> tuple[CycleEstimate, ...]:
    """The estimated cycles of every run on its first answered sample, and how long they take at a
    clock of ``hertz``, unless that is 0.

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
                    found.append(_estimated(plan, item, sample, lab, hertz))
                except HilError as problem:
                    why = str(problem)
            if why:
                found.append(CycleEstimate(run=item.plan.key, id=sample.id, why=why))
    return tuple(found)


def _impossible(item: Prepared, sample: Sample) -> str:
    if isinstance(item.case, SketchCase):
        return "the firmware is a sketch of your own"
    if why := _unknown(item.case.station):
        return why
    if sample.i and item.case.network.graph.stateful:
        return _FIRST_ALONE
    return ""


def _unknown(station: Station) -> str:
    """Why the cycles of a board's core cannot be estimated; empty if they can."""
    board = station.board
    if station.port or not board.emulator:
        return f"board {board.name} is not emulated"
    return "" if board.core else f"LLVM has no model of the core of board {board.name}"


def check_calibrated(found: Iterable[Station]) -> None:
    """UsageError for a board whose estimated cycles give no time; ToolMissing without LLVM."""
    for station in found:
        why = _unknown(station)
        known = None if why else calibration(station.board.core, llvm_major())
        if isinstance(known, Uncalibrated):
            why = f"estimates for {station.board.core} are uncalibrated: {known.why}"
        if why:
            raise UsageError(
                f"--clock: no time can be estimated for board {station.board.name}: {why}",
                "leave out --clock, or choose a board with a calibrated core (docs/cycles.md)",
            )


def _estimated(
    plan: BenchPlan, item: Prepared, sample: Sample, lab: Lab, hertz: float
) -> CycleEstimate:
    core = core_of(item.case.image.board.core)
    elf = item.firmware.file
    assert elf is not None  # an emulator runs a file
    version = llvm_version()
    with tempfile.TemporaryDirectory(prefix="hil-cycles-") as name:
        window = _count(plan, item, elf, sample, Path(name), lab)
    found = estimate(elf, window, core)
    shown = estimate_layers(plan, item, sample, lab, core)
    known = calibration(core.name, llvm_major())
    calibrated = known if isinstance(known, Calibration) else None
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
        calibration=_calibration(calibrated) if calibrated else None,
        uncalibrated=known.why if isinstance(known, Uncalibrated) else "",
        time=_time(calibrated.time(found.cycles, hertz), hertz) if calibrated and hertz else None,
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


def _calibration(found: Calibration) -> CycleCalibration:
    return CycleCalibration(
        ratio=round(found.ratio, 4),
        spread=round(found.spread, 4),
        low=round(found.low, 4),
        high=round(found.high, 4),
        confidence=found.confidence,
        programs=found.programs,
        networks=found.networks,
        boards=found.boards,
    )


def _time(found: EstimatedTime, hertz: float) -> CycleTime:
    ms, low, high = (one / 1e6 for one in (found.nanoseconds, found.low, found.high))
    return CycleTime(hertz=hertz, ms=ms, low=low, high=high)
