"""Before the first digit: build every image, describe every run, compute what answers should be."""

from __future__ import annotations

from dataclasses import dataclass

from hil.bench.events import Building, Emit
from hil.bench.lab import Firmware, Lab
from hil.bench.plan import Cell, Plan
from hil.compare import tolerance
from hil.records import TensorSpec
from hil.reference import oracle_version
from hil.runlog.schema import Clock, RunPlan, Tensor


@dataclass(frozen=True, slots=True)
class Prepared:
    """One cell with its firmware and its place in the manifest."""

    cell: Cell
    firmware: Firmware
    plan: RunPlan


def prepare(plan: Plan, lab: Lab, emit: Emit) -> tuple[Prepared, ...]:
    """The cells of ``plan``, in order, with their firmware built."""
    built: dict[tuple[str, str, str], Firmware] = {}
    prepared = []
    for cell in plan.cells:
        image = cell.image
        key = (image.board.name, image.engine, image.precision)
        if key not in built:
            emit(Building(image.board.name, image.precision, image.engine))
            built[key] = lab.build(image, plan.project)
        prepared.append(Prepared(cell, built[key], _describe(cell, built[key])))
    return tuple(prepared)


def _describe(cell: Cell, firmware: Firmware) -> RunPlan:
    board, graph = cell.image.board, cell.network.graph
    allowed, why = tolerance(graph, fma=board.fma)
    return RunPlan(
        key=cell.key,
        board=cell.station.name,
        board_title=cell.station.title,
        emulated=board.emulator is not None,
        engine=cell.image.engine,
        model=cell.network.name,
        precision=cell.image.precision,
        model_file=cell.network.path.name,
        model_sha256=graph.sha256,
        parameters=graph.parameters,
        macs=graph.macs,
        input=_tensor(graph.input),
        output=_tensor(graph.output),
        firmware_sha256=firmware.sha256,
        toolchain=firmware.toolchain,
        clock=Clock(unit=board.clock.unit, detail=board.clock.detail),
        oracle=oracle_version(),
        tolerance=allowed,
        tolerance_why=why,
    )


def _tensor(spec: TensorSpec) -> Tensor:
    return Tensor(
        dtype=int(spec.dtype), shape=spec.shape, scale=spec.scale, zero_point=spec.zero_point
    )
