# SPDX-License-Identifier: Apache-2.0
"""Sketches of the user's own: what their HELLO says, checked before the first sample is sent.

A sketch is described by its HELLO alone, so its board is opened once before the manifest is
written. A .tflite file is only what it is compared with.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

import numpy as np

from hil import datasets
from hil.bench.cases import USER, Sketch, SketchCase, sketch_of
from hil.bench.events import Asking, BuildingSketch, Emit, Note
from hil.bench.inputs import check_data, taken_on
from hil.bench.lab import Firmware, Lab, check_sketch, connect
from hil.bench.plan import BenchPlan
from hil.bench.prepare import Prepared, clock_of, emulator_version, output_of
from hil.bench.preprocessing import preprocessed
from hil.bench.references import references
from hil.bench.task import choose
from hil.boards.station import Station
from hil.core.errors import (
    BoardCrashed,
    DataError,
    NoAnswer,
    NotRunning,
    SketchHangs,
    WrongFirmware,
)
from hil.core.records import Dataset, DType, Hello, ModelInfo, Precision, TensorSpec
from hil.core.text import storable
from hil.device import Answer, Failure
from hil.runs.load import MAX_OUTPUTS
from hil.runs.schema import RunPlan
from hil.runs.tensors import stored_tensor
from hil.wire.messages import SketchFault

NOT_GIVEN: Final = "00" * 32  # a sketch's SHA-256 when it does not name its model
# sums of the same products in another order, over the longest of the project's networks
ORDER_TOLERANCE: Final = 1e-4


_SILENT: Final = (
    "check the port's name, that the sketch runs and calls hil.poll() in loop(), and that its "
    "begin() has the baud rate of the board's file"
)
_OTHER: Final = (
    "build the sketch with the library TinymlHil of this version, and print nothing on that port "
    "after begin(); a sketch that prints lines of text is benched with --protocol text"
)


Asked: TypeAlias = tuple[SketchCase, Firmware]


def ask_sketches(plan: BenchPlan, lab: Lab, emit: Emit) -> tuple[Asked, ...]:
    """Build each sketch of ``plan`` that has a source, and ask it what it is.

    Raises the errors of the build and of the board; WrongFirmware for a board that runs no sketch.
    """
    built: dict[tuple[str, ...], Firmware] = {}
    found = []
    for station, sketch in plan.sketches:
        if sketch.key not in built:
            if sketch.source:
                emit(BuildingSketch(station.board.name, str(sketch.source)))
            built[sketch.key] = lab.build(sketch, plan.project)
        firmware = built[sketch.key]
        emit(Asking(station.port or station.name))
        case = SketchCase(sketch, _ask(station, sketch, firmware, lab), station)
        _check_declared(case)
        found.append((case, firmware))
    return tuple(found)


def draw_samples(plan: BenchPlan, asked: Sequence[Asked], emit: Emit) -> BenchPlan:
    """``plan`` with the random samples that it postponed, for the inputs of its sketches."""
    if plan.drawing is None:
        return plan
    takers = [taken_on(case) for case, _ in asked]
    data, note = datasets.draw(plan.drawing, [taken.by_name for taken in takers])
    emit(Note(note))
    if len(plan.data) < len(data):
        data = datasets.subset(data, len(plan.data))
    return replace(plan, data=preprocessed(data, None, takers), note=note)


def prepare_sketches(plan: BenchPlan, asked: Sequence[Asked]) -> tuple[Prepared, ...]:
    """Describe the sketches that were asked.

    Raises WrongFirmware for another sketch than its model says; DataError for samples that it
    cannot take.
    """
    prepared = []
    for case, firmware in asked:
        _check_model(case)
        _check_samples(case, plan.data)
        taken, graph = taken_on(case), case.network.graph if case.network else None
        criterion = choose(taken.who, case.info.output, taken, plan.data, graph)
        prepared.append(Prepared(case, firmware, criterion.onto(_describe(case, firmware))))
    return tuple(prepared)


def _ask(station: Station, sketch: Sketch, firmware: Firmware, lab: Lab) -> Hello:
    try:
        with lab.open(station, sketch, firmware) as link:
            hello = connect(station.board, link).hello()
    except (NotRunning, BoardCrashed):
        raise  # the board's own text says why
    except NoAnswer as silent:
        raise NoAnswer(silent.what, _SILENT) from silent
    except WrongFirmware as other:
        raise WrongFirmware(other.what, _OTHER) from other
    check_sketch(hello)
    return hello


def _check_declared(case: SketchCase) -> None:
    """WrongFirmware for an input or output that no run can be stored with."""
    who, info = f"the sketch {case.calls_itself}", case.info
    for what, spec in (("input", info.input), ("output", info.output)):
        if not 0 <= spec.scale < math.inf:
            raise WrongFirmware(
                f"{who}: the scale of its {what} is {spec.scale:g}",
                "give a positive number, or leave the scale out",
            )
    if info.output.elements > MAX_OUTPUTS:
        raise WrongFirmware(
            f"{who}: its output has {info.output.elements:,} values",
            f"{MAX_OUTPUTS:,} is the limit: correct the output's shape in the sketch",
        )


def _check_model(case: SketchCase) -> None:
    """WrongFirmware unless the sketch can be compared with the network that was named."""
    network, info = case.network, case.info
    if network is None:
        return
    who, file, graph = f"the sketch {case.calls_itself}", network.path.name, network.graph
    for what, here, there in (
        ("input", info.input, graph.input),
        ("output", info.output, graph.output),
    ):
        if here.elements != there.elements:
            raise WrongFirmware(
                f"{who}: its {what} has {here.elements} values {list(here.shape)}, "
                f"that of {file} {there.elements} {list(there.shape)}",
                f"pass the --model that the sketch runs, or correct the {what} in the sketch",
            )
    if info.sha256 not in (NOT_GIVEN, graph.sha256):
        raise WrongFirmware(
            f"{who} says that its model has SHA-256 {info.sha256[:12]}, {file} has "
            f"{graph.sha256[:12]}",
            "pass the --model that the sketch runs, or upload the sketch that runs this one",
        )
    if info.output.dtype not in (graph.output.dtype, DType.FLOAT32) and not info.output.scale:
        raise WrongFirmware(
            f"{who}: its output is {_type(info.output)} without a scale, that of {file} is "
            f"{_type(graph.output)}",
            "give the sketch's output its scale and zero point",
        )


def _check_samples(case: SketchCase, data: Dataset) -> None:
    """DataError unless the sketch can take the samples, as they are or converted by the library."""
    spec, kind = case.info.input, data.x.dtype
    who = f"the sketch {case.calls_itself}"
    if spec.dtype is DType.UINT8 and kind != np.uint8:
        raise DataError(
            f"{data.name}: {kind} samples for {who}, which takes raw uint8 bytes",
            "give uint8 samples, or declare the sketch's input as float32 or int8",
        )
    if spec.dtype is DType.INT8 and kind != np.int8 and not spec.scale:
        raise DataError(
            f"{data.name}: {kind} samples for {who}, whose int8 input has no scale",
            "give int8 samples, or give the sketch's input its scale and zero point",
        )
    check_data(data, taken_on(case))


def _type(spec: TensorSpec) -> str:
    return spec.dtype.name.lower()


def _describe(case: SketchCase, firmware: Firmware) -> RunPlan:
    board, info, network = case.image.board, case.info, case.network
    graph = network.graph if network else None
    allowed, why = tolerance(case)
    plan = RunPlan(
        key=case.key,
        board=case.station.name,
        board_title=case.station.title,
        emulated=board.emulator is not None,
        engine=USER,
        model=case.name,
        precision=case.precision,
        model_file=storable(network.path.name) if network else "",
        model_sha256=graph.sha256 if graph else "",
        parameters=graph.parameters if graph else 0,
        macs=graph.macs if graph else 0,
        input=stored_tensor(info.input),
        output=stored_tensor(info.output),
        firmware_sha256=firmware.sha256,
        toolchain=firmware.toolchain or case.hello.toolchain,
        clock=clock_of(board),
        tolerance=allowed,
        tolerance_why=why,
        emulator=emulator_version(board),
        litert=graph is not None,
        sketch=case.calls_itself,
    )
    return references(network).onto(plan) if network else plan


def tolerance(case: SketchCase) -> tuple[float, str]:
    """How far an output may be from the host's, in its unit, and why; (0, "") is bit for bit."""
    given = case.image.tolerance
    if given is not None:
        return given, "--tolerance" if given else ""
    if case.network and case.precision is Precision.FLOAT32 and _is_float(case.info.output):
        return ORDER_TOLERANCE, "another engine may add in another order"
    return 0.0, ""


def _is_float(spec: TensorSpec) -> bool:
    return spec.dtype is DType.FLOAT32


def same_sketch(hello: Hello, case: SketchCase) -> ModelInfo:
    """The model of a sketch that is opened again; WrongFirmware if it is not the same sketch."""
    check_sketch(hello)
    if (hello.firmware, hello.models) != (case.hello.firmware, case.hello.models):
        raise WrongFirmware(
            f"board {hello.board} now runs the sketch {sketch_of(hello)}, which is not the "
            f"{case.calls_itself} of this run",
            "upload the sketch of this run, or start a new run with another --out",
        )
    return hello.models[0]


_FAULTS: Final[Mapping[int, str]] = {
    SketchFault.REFUSED: "predict returned false",
    SketchFault.WROTE_AFTER: "predict wrote past its output",
    SketchFault.WROTE_BEFORE: "predict wrote before its output",
    SketchFault.CONFIG: "the sketch's shapes or buffers contradict each other: begin() failed",
}


def failure(answer: Answer | Failure, plan: RunPlan) -> str:
    """Why an answer of a sketch does not count; empty if it does."""
    if isinstance(answer, Failure):
        code = answer.refusal.needed
        return _FAULTS.get(code, f"predict failed with code {code}")
    spec = output_of(plan)
    if spec.dtype is not DType.FLOAT32:
        return ""
    values = np.frombuffer(answer.result.output, spec.dtype.numpy)
    if np.isnan(values).any():
        return "an output is NaN"
    return "an output is infinite" if np.isinf(values).any() else ""


def did_not_return(case: SketchCase, sample: str) -> SketchHangs:
    """The error when a sketch received ``sample`` and then sent nothing."""
    seconds = case.image.board.timeouts.reply
    return SketchHangs(
        f"{case.key}: predict did not return within {seconds:g} s for sample {sample}",
        "check that predict ends for every input, and that the board still has power; if predict "
        "is only slow, raise timeouts.reply in the board's file",
    )
