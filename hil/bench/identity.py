# SPDX-License-Identifier: Apache-2.0
"""Whether a board runs the image of a run: by its HELLO, by its buffer, and by each answer."""

from __future__ import annotations

from typing import Final

from hil.bench.cases import SketchCase
from hil.bench.inputs import Inputs
from hil.bench.lab import is_sketch, runs_sketch, shows_layers
from hil.bench.prepare import Prepared
from hil.bench.user import same_sketch
from hil.core.errors import DataError, WrongFirmware
from hil.core.records import DType, Hello, ModelInfo
from hil.runs.tensors import output_bytes
from hil.wire.messages import INFER_OVERHEAD, Result

_WITH_FLASH: Final = "flash the image of this bench: run the same command with --flash"


def find_model(hello: Hello, prepared: Prepared) -> tuple[int, ModelInfo]:
    """The number of the run's model in the board's image; WrongFirmware for another image."""
    case = prepared.case
    if isinstance(case, SketchCase):
        return 0, same_sketch(hello, case)
    if is_sketch(hello):
        raise runs_sketch(hello)
    if hello.has_layers and not case.image.layers:
        raise shows_layers(hello)
    name, sha256 = case.network.name, prepared.plan.model_sha256
    for number, model in enumerate(hello.models):
        if model.name == name:
            if model.sha256 == sha256 and model.engine == prepared.plan.engine:
                _check_tensors(hello, model, prepared)
                return number, model
            raise WrongFirmware(
                f"board {hello.board} runs {name} {model.sha256[:12]} ({model.engine}), "
                f"expected {sha256[:12]} ({prepared.plan.engine})",
                _WITH_FLASH,
            )
    raise WrongFirmware(
        f"board {hello.board} has no model {name} (it has "
        f"{', '.join(m.name for m in hello.models) or 'none'})",
        _WITH_FLASH,
    )


def _check_tensors(hello: Hello, model: ModelInfo, prepared: Prepared) -> None:
    """WrongFirmware from a board whose firmware is older than several tensors and state."""
    case = prepared.case
    if isinstance(case, SketchCase):
        return
    graph = case.network.graph
    wanted = (len(graph.inputs), len(graph.outputs), graph.stateful)
    if wanted != (len(model.inputs), len(model.outputs), model.stateful):
        raise WrongFirmware(
            f"board {hello.board} runs {model.name} without all of its inputs, outputs and state",
            _WITH_FLASH,
        )


def check_room(hello: Hello, inputs: Inputs) -> None:
    """DataError if the receive buffer is too small: with little RAM, it fits only int8 or uint8."""
    wanted = INFER_OVERHEAD + inputs.nbytes
    if wanted > hello.max_payload:
        raise DataError(
            f"{inputs.data.name}: a sample takes a request of {wanted} bytes, "
            f"board {hello.board} accepts at most {hello.max_payload}",
            "use uint8 pixels or int8 samples, or give the sketch a larger buffer"
            if is_sketch(hello)
            else "use uint8 pixels or int8 samples, or another board",
        )


def check_result(result: Result, number: int, prepared: Prepared) -> None:
    """WrongFirmware unless an answer is of the run's model and as long as its outputs."""
    dtype, nbytes = DType(prepared.plan.output.dtype), output_bytes(prepared.plan)
    if (result.model, result.dtype, len(result.output)) != (number, dtype, nbytes):
        raise WrongFirmware(
            f"{prepared.plan.key}: the board answered {len(result.output)} bytes of "
            f"{result.dtype.name} as model {result.model}, expected {nbytes} of "
            f"{dtype.name} as model {number}",
            _WITH_FLASH,
        )
