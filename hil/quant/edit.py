# SPDX-License-Identifier: Apache-2.0
"""Changed copies of a ``.tflite`` file, for LiteRT on the host: other outputs, each operator on its
own, quantised values in a float32 network.

The files were checked by `hil.tflite.read_model`; the schema's generated classes check nothing.
Only the first subgraph is changed, which must be the only one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert.schema_py_generated import (
    BufferT,
    BuiltinOperator,
    ModelT,
    OperatorCodeT,
    OperatorT,
    QuantizationParametersT,
    TensorT,
    TensorType,
)

from hil.tflite import Graph

Array: TypeAlias = npt.NDArray[np.generic]

_IDENTIFIER: Final = b"TFL3"
_OLDEST: Final = 127  # larger operator codes are in the newer field


@dataclass(frozen=True, slots=True)
class Grid:
    """The real numbers that a quantised tensor can hold: scale * (q - zero_point)."""

    scale: float
    zero_point: int
    low: int = -128  # codes
    high: int = 127

    @property
    def least(self) -> float:
        return self.scale * (self.low - self.zero_point)

    @property
    def most(self) -> float:
        return self.scale * (self.high - self.zero_point)

    def codes(self, real: Array) -> npt.NDArray[np.int64]:
        """Real numbers -> codes, rounded and clamped; any shape."""
        steps = np.rint(np.asarray(real, np.float64) / self.scale) + self.zero_point
        found: npt.NDArray[np.int64] = np.clip(steps, self.low, self.high).astype(np.int64)
        return found

    def real(self, codes: Array) -> npt.NDArray[np.float64]:
        """Codes -> real numbers; any shape."""
        return (codes.astype(np.float64) - self.zero_point) * self.scale


@dataclass(frozen=True, slots=True)
class Variant:
    """What is quantised in a copy of a float32 network.

    ``grids``: tensor -> the grid that its values are rounded to. ``constants``: (operator's number
    in the file, position among its inputs) -> the values instead of the constant there.
    """

    grids: Mapping[int, Grid] = field(default_factory=dict)
    constants: Mapping[tuple[int, int], Array] = field(default_factory=dict)


class Editor:
    """Makes changed copies of one file."""

    def __init__(self, graph: Graph) -> None:
        self._base = ModelT.InitFromPackedBuf(graph.data, 0)
        self._graph = graph

    def exposing(self, tensors: Sequence[int]) -> bytes:
        """The same network whose outputs are ``tensors``, which operators write."""
        model, subgraph = self._copy()
        subgraph.outputs = _indices(tensors)
        return _packed(model)

    def taken_apart(self, operators: Iterable[int]) -> tuple[bytes, list[int], list[int]]:
        """Every one of ``operators`` with inputs of its own instead of what others compute.

        Returns the file, and the tensors of the original graph that its inputs and its outputs
        stand for. An input that several operators read is there once for each.
        """
        model, subgraph = self._copy()
        wanted = set(operators)
        sources: list[int] = []
        inputs: list[int] = []
        outputs: list[int] = []
        kept = []
        for number, operator in enumerate(subgraph.operators):
            if number not in wanted:
                continue
            changed = copy(operator)
            changed.inputs = np.array(operator.inputs, np.int32)
            for position, index in enumerate(changed.inputs):
                if index < 0 or self._constant(int(index)):
                    continue
                tensor = copy(subgraph.tensors[index])
                subgraph.tensors.append(tensor)
                changed.inputs[position] = len(subgraph.tensors) - 1
                sources.append(int(index))
                inputs.append(len(subgraph.tensors) - 1)
            outputs.extend(int(i) for i in operator.outputs)
            kept.append(changed)
        subgraph.operators = kept
        subgraph.inputs, subgraph.outputs = _indices(inputs), _indices(outputs)
        return _packed(model), sources, outputs

    def quantised(self, variant: Variant, outputs: Sequence[int]) -> bytes:
        """The float32 network with ``variant``'s values rounded to their grids, which has the
        tensors ``outputs`` as its outputs."""
        model, subgraph = self._copy()
        rounded: dict[int, int] = {}
        operators: list[Any] = []
        for index in subgraph.inputs:
            self._round(model, subgraph, int(index), variant.grids, rounded, operators)
        for number, operator in enumerate(subgraph.operators):
            changed = copy(operator)
            changed.inputs = np.array(
                [rounded.get(int(i), int(i)) for i in operator.inputs], np.int32
            )
            for position in range(len(changed.inputs)):
                values = variant.constants.get((number, position))
                if values is not None:
                    changed.inputs[position] = _constant(model, subgraph, values)
            operators.append(changed)
            for index in operator.outputs:
                self._round(model, subgraph, int(index), variant.grids, rounded, operators)
        subgraph.operators = operators
        subgraph.outputs = _indices([rounded.get(i, i) for i in outputs])
        return _packed(model)

    def _copy(self) -> tuple[Any, Any]:
        model = copy(self._base)
        subgraph = copy(model.subgraphs[0])
        model.subgraphs = [subgraph]
        model.buffers = list(model.buffers)
        model.operatorCodes = [copy(code) for code in model.operatorCodes]
        model.signatureDefs = None  # they name outputs
        subgraph.tensors = list(subgraph.tensors)
        return model, subgraph

    def _constant(self, index: int) -> bool:
        if index >= len(self._graph.tensors):
            return False
        tensor = self._graph.tensors[index]
        return tensor.data is not None or tensor.variable

    def _round(
        self,
        model: Any,
        subgraph: Any,
        index: int,
        grids: Mapping[int, Grid],
        rounded: dict[int, int],
        operators: list[Any],
    ) -> None:
        grid = grids.get(index)
        if grid is None:
            return
        codes = copy(subgraph.tensors[index])
        codes.type = {
            -128: TensorType.INT8,
            0: TensorType.UINT8,
            -32768: TensorType.INT16,
        }[grid.low]
        codes.quantization = QuantizationParametersT()
        codes.quantization.scale = np.array([grid.scale], np.float32)
        codes.quantization.zeroPoint = np.array([grid.zero_point], np.int64)
        codes.name, codes.buffer = f"{index}_codes".encode(), 0
        real = copy(subgraph.tensors[index])
        real.name, real.buffer = f"{index}_rounded".encode(), 0
        subgraph.tensors += [codes, real]
        first = len(subgraph.tensors) - 2
        for code, source, target in (
            (BuiltinOperator.QUANTIZE, index, first),
            (BuiltinOperator.DEQUANTIZE, first, first + 1),
        ):
            operator = OperatorT()
            operator.opcodeIndex = _opcode(model, code)
            operator.inputs, operator.outputs = _indices([source]), _indices([target])
            operators.append(operator)
        rounded[index] = first + 1


def _indices(values: Sequence[int]) -> npt.NDArray[np.int32]:
    return np.array(values, np.int32)


def _opcode(model: Any, code: int) -> int:
    for number, one in enumerate(model.operatorCodes):
        if max(one.builtinCode, one.deprecatedBuiltinCode) == code:
            one.version = max(one.version, 2)
            return number
    found = OperatorCodeT()
    found.builtinCode, found.deprecatedBuiltinCode = code, min(code, _OLDEST)
    found.version = 2  # of int8; int16 too
    model.operatorCodes.append(found)
    return len(model.operatorCodes) - 1


def _constant(model: Any, subgraph: Any, values: Array) -> int:
    """A new float32 constant."""
    buffer, tensor = BufferT(), TensorT()
    buffer.data = np.frombuffer(np.ascontiguousarray(values, "<f4").tobytes(), np.uint8)
    model.buffers.append(buffer)
    tensor.type, tensor.shape = TensorType.FLOAT32, np.array(values.shape, np.int32)
    tensor.buffer, tensor.name = len(model.buffers) - 1, b"constant"
    subgraph.tensors.append(tensor)
    return len(subgraph.tensors) - 1


def _packed(model: Any) -> bytes:
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())
