# SPDX-License-Identifier: Apache-2.0
"""Before the first sample: build every image and describe every run for the manifest."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from msgspec import UNSET, UnsetType

from hil.bench.cases import AnyCase, Case
from hil.bench.events import Building, Emit, LeftOut, Note, WithKernels
from hil.bench.fit import alone_with, linked_too_large, nothing_fits, overflowed
from hil.bench.lab import Firmware, Lab
from hil.bench.matrix import not_taken
from hil.bench.plan import BenchPlan
from hil.bench.references import references
from hil.boards.config import Board
from hil.core.errors import BuildFailed, DoesNotFit, HilError, ModelError, ToolMissing
from hil.core.records import TensorSpec, packed_bytes
from hil.core.text import storable
from hil.engines import ENGINES
from hil.runs.agreement import tolerance
from hil.runs.schema import Clock, Predicted, Refused, Room, RunPlan, TooLarge
from hil.runs.tensors import spec_of, stored_tensor, stored_tensors


@dataclass(frozen=True, slots=True)
class Prepared:
    """One case with its firmware and its record in the manifest."""

    case: AnyCase
    firmware: Firmware
    plan: RunPlan


@dataclass(frozen=True, slots=True)
class Missing:
    """Requested runs that do not take place: their board is too small, or their engine cannot."""

    no_place: tuple[TooLarge, ...] = ()
    refused: tuple[Refused, ...] = ()


def prepare(plan: BenchPlan, lab: Lab, emit: Emit) -> tuple[tuple[Prepared, ...], Missing]:
    """The cases of ``plan``, in order, with their firmware built; and those that are left out.

    An image that does not fit the board, or that the engine refuses, is tried again with each of
    its networks alone. When nothing is left, DoesNotFit or the first error of a build. Sketches:
    see `hil.bench.user`.
    """
    builder = _Builder(plan.project, lab, emit)
    prepared: list[Prepared] = []
    no_place, refused = list(plan.no_place), {one.key: one for one in plan.refused}
    first: HilError | None = None
    for found in no_place:
        emit(LeftOut(found))
    for one in plan.refused:
        emit(LeftOut(one))
    unusable, unknown = _unusable(plan, lab), _unknown(plan, emit)
    for case in plan.cases:
        problem = unusable.get(case.station.name) or unknown.get(case.network.graph.sha256)
        built = problem or builder.build(case)
        if not problem and not isinstance(built, Firmware) and len(case.image.networks) > 1:
            case = replace(case, image=alone_with(case))
            built = builder.build(case)
        if isinstance(built, Firmware):
            prepared.append(
                Prepared(case, built, plan.criterion(case.network).onto(_describe(case, built)))
            )
        elif isinstance(built, TooLarge):
            if built not in no_place:  # two stations may be one board
                no_place.append(built)
                emit(LeftOut(built))
        else:
            first = first or built
            image = case.image
            one = not_taken(image.board, image.engine, image.precision, case.network, built)
            if one.key not in refused:
                refused[one.key] = one
                emit(LeftOut(one))
    if not prepared and not plan.sketches and (first or no_place):
        raise first or nothing_fits(no_place)
    return tuple(prepared), Missing(tuple(no_place), tuple(refused.values()))


def _unusable(plan: BenchPlan, lab: Lab) -> dict[str, ToolMissing]:
    """Stations without their emulator, and why, by name; the error of a port that cannot be opened.

    All of them are checked before the first build, which may take a minute.
    """
    found = {}
    for station in {case.station.name: case.station for case in plan.cases}.values():
        try:
            lab.check(station)
        except ToolMissing as problem:
            found[station.name] = problem
    for station, _ in plan.sketches:
        lab.check(station)
    return found


def _unknown(plan: BenchPlan, emit: Emit) -> dict[str, ModelError]:
    """The networks that no interpreter on this computer runs, and why, by hash. Notes which
    interpreters do not run the others."""
    found = {}
    for network in {case.network.graph.sha256: case.network for case in plan.cases}.values():
        try:
            for note in references(network).notes(f"{network.name} {network.graph.precision}"):
                emit(Note(note))
        except ModelError as problem:
            found[network.graph.sha256] = problem
    return found


class _Builder:
    """Builds each image once, including those that fail."""

    def __init__(self, project: Path, lab: Lab, emit: Emit) -> None:
        self._project, self._lab, self._emit = project, lab, emit
        self._built: dict[tuple[str, ...], Firmware | HilError] = {}

    def build(self, case: Case) -> Firmware | TooLarge | HilError:
        """The firmware of the case's image, why it does not fit, or why it cannot be built."""
        image = case.image
        if image.key not in self._built:
            self._emit(Building(image.board.name, image.precision, image.engine))
            try:
                done = self._built[image.key] = self._lab.build(image, self._project)
                if done.kernels:
                    self._emit(WithKernels(image.board.name, image.engine, done.kernels))
            except (BuildFailed, ModelError, ToolMissing) as problem:
                self._built[image.key] = problem
        built = self._built[image.key]
        if isinstance(built, DoesNotFit):
            found = overflowed(image, case.network, built)
            return built if found is None else found
        if isinstance(built, HilError):
            return built
        if built.flash is None or built.ram is None:
            return built
        return linked_too_large(image, case.network, built.flash, built.ram) or built


def _describe(case: Case, firmware: Firmware) -> RunPlan:
    board, graph = case.image.board, case.network.graph
    allowed, why = tolerance(
        graph.precision,
        near=ENGINES[case.image.engine].near,
        fma=board.fma,
        exponential=graph.transcendental,
    )
    plan = RunPlan(
        key=case.key,
        board=case.station.name,
        board_title=case.station.title,
        emulated=board.emulator is not None,
        engine=case.image.engine,
        model=case.network.name,
        precision=case.image.precision,
        model_file=storable(case.network.path.name),
        model_sha256=graph.sha256,
        parameters=graph.parameters,
        macs=graph.macs,
        input=stored_tensor(graph.input),
        output=stored_tensor(graph.output),
        firmware_sha256=firmware.sha256,
        toolchain=firmware.toolchain,
        kernels=firmware.kernels,
        clock=clock_of(board),
        tolerance=allowed,
        tolerance_why=why,
        predicted=predicted_memory(case, firmware),
        emulator=emulator_version(board),
        room=_room(board),
        role=UNSET if case.network.trained_on else case.network.role,
        tensors=stored_tensors(
            graph.inputs,
            graph.outputs,
            graph.names_in,
            graph.names_out,
            stateful=graph.stateful,
        ),
        converted=case.network.made or UNSET,
    )
    return references(case.network).onto(plan)


def _room(board: Board) -> Room | UnsetType:
    memory = board.memory
    return Room(flash=memory.flash, ram=memory.ram, stack=memory.stack) if memory else UNSET


def predicted_memory(case: Case, firmware: Firmware) -> Predicted | None:
    """The engine's prediction of the case's memory; None if the engine compiled nothing.

    ``folded`` needs a linked image: how many bytes of the generated constants are not in it,
    because the compiler folded them into code.
    """
    models = {model.info.name: model for model in firmware.compiled}
    own = models.get(case.network.name)
    if own is None:
        return None
    linked = firmware.footprint.symbols if firmware.footprint else frozenset()
    return Predicted(
        arena=own.info.arena,
        flash_model=own.info.flash,
        arena_reserved=max(1, *(one.info.arena for one in models.values())),
        peak=own.info.arena + packed_bytes(own.info.inputs) + packed_bytes(own.info.outputs),
        folded=sum(one.nbytes for one in own.arrays if one.name not in linked) if linked else 0,
    )


def output_of(plan: RunPlan) -> TensorSpec:
    """The first output of a run: that of its .tflite file, or of its sketch."""
    return spec_of(plan.output)


def clock_of(board: Board) -> Clock:
    """What a run stores of its board's clock."""
    clock = board.clock
    return Clock(unit=clock.unit, detail=clock.detail, hertz=clock.hertz or UNSET)


def emulator_version(board: Board) -> str:
    """The version that QEMU prints, because its counts may depend on it; empty for other boards.

    The simavr runner and the host process are built from this checkout.
    """
    program = board.emulator.command[0] if board.emulator else ""
    return _version_line(program) if program.startswith("qemu") else ""


@cache
def _version_line(program: str) -> str:
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return next(iter(done.stdout.splitlines()), "").strip()
