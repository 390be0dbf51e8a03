# SPDX-License-Identifier: Apache-2.0
"""The immutable graph of one model: checks of its operators' shapes, their cost, and the names of
its layers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ai_edge_litert.schema_py_generated import TensorType

from hil.core.errors import ModelError
from hil.core.records import Precision, TensorSpec
from hil.core.text import printable

# TFLite TensorType codes -> little-endian NumPy types, for those that a constant may have here.
NUMPY_TYPES = {
    0: "<f4",
    1: "<f2",
    2: "<i4",
    3: "u1",
    4: "<i8",
    6: "?",
    7: "<i2",
    9: "i1",
    10: "<f8",
    12: "<u8",
    15: "<u4",
    16: "<u2",
}
FLOAT32, FLOAT16, INT32, UINT8, INT64, BOOL, INT16, INT8 = 0, 1, 2, 3, 4, 6, 7, 9
RESOURCE = 13  # a handle of a variable
INT4 = 17  # two values in a byte; a constant's data is int8 here
_TYPE_NAMES: dict[int, str] = {
    v: k.lower() for k, v in vars(TensorType).items() if isinstance(v, int)
}


def type_name(dtype: int) -> str:
    """``int8`` of TensorType 9."""
    return _TYPE_NAMES.get(dtype, f"TensorType {dtype}")


RESHAPES = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
TRANSCENDENTAL = frozenset(
    (
        *("SOFTMAX", "LOG_SOFTMAX", "LOGISTIC", "TANH", "ELU", "GELU", "EXP", "LOG", "SIN", "COS"),
        *("ATAN2", "POW", "RSQRT", "UNIDIRECTIONAL_SEQUENCE_LSTM"),
    )
)
_SAME_VALUES = ("QUANTIZE", "DEQUANTIZE", *RESHAPES)


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """One tensor: real = scales[c] * (q - zero_points[c]), c along ``axis`` when per channel.

    ``data`` holds a constant's values (read-only, of ``shape``), None for an activation.
    ``variable``: it keeps its values from one inference to the next. ``initial``: those before the
    first one; None: its zero point.
    """

    index: int
    name: str
    dtype: int  # TFLite TensorType code
    shape: tuple[int, ...]
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    axis: int = 0
    data: npt.NDArray[np.generic] | None = None
    variable: bool = False
    initial: npt.NDArray[np.generic] | None = None

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def scale(self) -> float:
        return self.scales[0] if self.scales else 0.0

    @property
    def zero_point(self) -> int:
        return self.zero_points[0] if self.zero_points else 0


@dataclass(frozen=True, slots=True)
class Operator:
    """One node. ``options`` has the decoded fields of the operators that `reader` lists."""

    index: int
    code: str  # TFLite BuiltinOperator name, a custom operator's own name after "CUSTOM:"
    version: int
    inputs: tuple[int, ...]  # tensor indices; -1: an optional input is omitted
    outputs: tuple[int, ...]
    options: Mapping[str, int | float]

    def __str__(self) -> str:
        return f"operator {self.index} ({self.code})"


@dataclass(frozen=True, slots=True, eq=False)
class Subgraph:
    """Operators that another operator runs, such as CALL_ONCE."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A whole model; every index in it is valid, and every operator's inputs are written before.

    ``data`` is the file itself, ``path`` where it was read from (None: from bytes).
    """

    data: bytes = field(repr=False)
    path: Path | None
    sha256: str  # of the file
    precision: Precision
    inputs: tuple[TensorSpec, ...]  # at least one
    outputs: tuple[TensorSpec, ...]  # at least one
    names_in: tuple[str, ...]  # of the inputs: the signature's names, else the tensors'
    names_out: tuple[str, ...]
    input_indices: tuple[int, ...]
    output_indices: tuple[int, ...]
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    others: tuple[Subgraph, ...]  # number 1 and on of the file's subgraphs
    parameters: int  # values in weights and biases
    macs: int  # multiply-accumulates of one inference, padding included
    open_batch: bool  # a dimension of an input is left open; it is taken as 1
    variables: tuple[str, ...] = ()  # names of state variables, by number

    @property
    def input(self) -> TensorSpec:
        """The first input."""
        return self.inputs[0]

    @property
    def output(self) -> TensorSpec:
        """The first output."""
        return self.outputs[0]

    @property
    def input_index(self) -> int:
        return self.input_indices[0]

    @property
    def output_index(self) -> int:
        return self.output_indices[0]

    @property
    def stateful(self) -> bool:
        """Whether it keeps values from one inference to the next."""
        return any(
            op.code == "VAR_HANDLE" or any(self.tensors[i].variable for i in op.inputs if i >= 0)
            for op in self.operators
        )

    @property
    def where(self) -> str:
        """The file for an error message."""
        return str(self.path or "the model")

    @property
    def transcendental(self) -> bool:
        """Whether it computes exp() and its kin, which C libraries round differently."""
        return any(op.code in TRANSCENDENTAL for op, _ in self.everything)

    @property
    def everything(self) -> Iterator[tuple[Operator, Sequence[Tensor]]]:
        """The operators of all subgraphs, each with the tensors of its own."""
        parts: list[Graph | Subgraph] = [self, *self.others]
        for part in parts:
            yield from ((operator, part.tensors) for operator in part.operators)

    @property
    def ends_in_probabilities(self) -> bool:
        """Whether a softmax or a sigmoid computes the output, possibly converted afterwards."""
        index = self.output_index
        for operator in reversed(self.operators):
            if index in operator.outputs:
                if operator.code not in _SAME_VALUES:
                    return operator.code in ("SOFTMAX", "LOGISTIC")
                index = operator.inputs[0]
        return False


WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
RECURRENT = ("UNIDIRECTIONAL_SEQUENCE_LSTM", "SVDF")
POOLS = ("MAX_POOL_2D", "AVERAGE_POOL_2D")
ELEMENTWISE: tuple[str, ...] = (
    "RELU",
    "RELU6",
    "RELU_N1_TO_1",
    "LEAKY_RELU",
    "LOGISTIC",
    "TANH",
    "HARD_SWISH",
)
ELEMENTWISE += ("ELU", "GELU", "ABS", "RSQRT", "EXP", "LOG", "SQRT", "SQUARE", "NEG", "SIN", "COS")
ELEMENTWISE += (
    "FLOOR",
    "CEIL",
    "ROUND",
    "SIGN",
    "LOGICAL_NOT",
    "L2_NORMALIZATION",
    "SOFTMAX",
    "LOG_SOFTMAX",
    "QUANTIZE",
    "DEQUANTIZE",
    "CAST",
)
SAME, VALID = 0, 1


@dataclass(frozen=True, slots=True)
class Axis:
    """A window that slides along one axis: sizes in elements; ``before``: leading padding."""

    size: int  # of the input
    window: int  # its extent, dilation included
    stride: int
    before: int
    count: int  # of output positions


def window_axis(size: int, window: int, stride: int, padding: int, dilation: int = 1) -> Axis:
    """Output count and leading padding as TFLite computes them (kernels/padding.h)."""
    extent = (window - 1) * dilation + 1
    if padding == SAME:
        count = -(-size // stride)
        return Axis(size, extent, stride, max((count - 1) * stride + extent - size, 0) // 2, count)
    return Axis(size, extent, stride, 0, max((size - extent) // stride + 1, 0))


def window_axes(operator: Operator, tensors: Sequence[Tensor]) -> tuple[Axis, Axis]:
    """Vertical and horizontal window of a convolution or pooling (checked by the reader)."""
    o = {k: int(v) for k, v in operator.options.items()}
    x = tensors[operator.inputs[0]]
    if operator.code in POOLS:
        height, width, dy, dx = o["filter_h"], o["filter_w"], 1, 1
    else:
        _, height, width, _ = tensors[operator.inputs[1]].shape
        dy, dx = o["dilation_h"], o["dilation_w"]
    return (
        window_axis(x.shape[1], height, o["stride_h"], o["padding"], dy),
        window_axis(x.shape[2], width, o["stride_w"], o["padding"], dx),
    )


REDUCTIONS: tuple[str, ...] = ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "ARG_MAX", "ARG_MIN")
REDUCTIONS += ("REDUCE_ALL", "REDUCE_ANY", "REDUCE_PROD")


def reduced_axes(operator: Operator, tensors: Sequence[Tensor]) -> tuple[int, ...] | None:
    """The axes of one of `REDUCTIONS`, negative ones counted from the end; None: not a constant."""
    axes = tensors[operator.inputs[1]].data
    if axes is None:
        return None
    rank = len(tensors[operator.inputs[0]].shape)
    return tuple(dict.fromkeys(i + rank if i < 0 else i for i in map(int, axes.reshape(-1))))


def data_input(operator: Operator) -> int:
    """The tensor index of what a weighted operator multiplies with its weights."""
    return operator.inputs[2 if operator.code == "TRANSPOSE_CONV" else 0]


def count_macs(operator: Operator, tensors: Sequence[Tensor]) -> int:
    """Multiply-accumulates of one operator: output elements x weights per element."""
    if operator.code in RECURRENT and max(operator.inputs, default=-1) >= 0:
        return _recurrent_macs(operator, tensors)
    if operator.code not in WEIGHTED:
        return 0
    weights, y = tensors[operator.inputs[1]], tensors[operator.outputs[0]]
    if operator.code == "DEPTHWISE_CONV_2D":
        return y.elements * weights.shape[1] * weights.shape[2]
    if operator.code == "TRANSPOSE_CONV":  # each input value meets every weight of its channel
        return tensors[data_input(operator)].elements * math.prod(weights.shape[:3])
    return y.elements * math.prod(weights.shape[1:])


def _recurrent_macs(operator: Operator, tensors: Sequence[Tensor]) -> int:
    """Each row of inputs meets every weight of two dimensions."""
    x, *constants = (tensors[i] for i in operator.inputs if i >= 0)
    rows = math.prod(x.shape[:-1])
    return rows * sum(t.elements for t in constants if t.data is not None and len(t.shape) == 2)


def refuse(operator: Operator, why: str, supported: str) -> ModelError:
    """The error for an operator that an engine cannot run: its name, and what would work."""
    return ModelError(f"{operator} version {operator.version}: {why}", supported)


def constant_bytes(graph: Graph) -> int:
    """Bytes of weights and biases, which are in flash with any engine."""
    codes = (*WEIGHTED, *RECURRENT)
    used = {
        id(tensors[i]): tensors[i].data
        for op, tensors in graph.everything
        if op.code in codes
        for i in op.inputs[1:]
        if i >= 0
    }
    return sum(values.nbytes for values in used.values() if values is not None)


def largest_step(graph: Graph) -> int:
    """Bytes of the largest weighted operator's input and output together: an engine that runs
    operator by operator has both in RAM at once."""
    weighted = (op for op in graph.operators if op.code in WEIGHTED)
    return max(
        (_size(graph, op.inputs[0]) + _size(graph, op.outputs[0]) for op in weighted), default=0
    )


def largest_inner(graph: Graph) -> int:
    """The same for an engine that uses the caller's input and output buffers: tensors of their size
    are not counted, because they may be there (a RESHAPE moves nothing)."""
    outside = {graph.input.elements, graph.output.elements}

    def size(index: int) -> int:
        return 0 if graph.tensors[index].elements in outside else _size(graph, index)

    weighted = (op for op in graph.operators if op.code in WEIGHTED)
    return max((size(op.inputs[0]) + size(op.outputs[0]) for op in weighted), default=0)


def _size(graph: Graph, index: int) -> int:
    tensor = graph.tensors[index]
    return tensor.elements * np.dtype(NUMPY_TYPES.get(tensor.dtype, "u1")).itemsize


@dataclass(frozen=True, slots=True)
class Layer:
    """What an engine computes in one step: one operator, or several that it fused.

    Its output is ``tensor`` of the graph. ``name`` joins the network's own layers, ``ops`` TFLite's
    operators, both by " + ". ``macs``: multiply-accumulates, padding included.
    """

    name: str
    ops: str
    tensor: int
    macs: int = 0


def layer(graph: Graph, operators: Sequence[Operator], output: int) -> Layer:
    """``operators``, at least one and in order, as one layer that writes ``output``."""
    names = dict.fromkeys(_name(graph, operator) for operator in operators)
    return Layer(
        " + ".join(names),
        " + ".join(operator.code for operator in operators),
        output,
        sum(count_macs(operator, graph.tensors) for operator in operators),
    )


def _name(graph: Graph, operator: Operator) -> str:
    """Keras' name of the layer, from the output's or a weight's name; else the operator's code."""
    places = (*operator.outputs[:1], *(i for i in operator.inputs[1:] if i >= 0))
    for tensor in (graph.tensors[i] for i in places):
        if found := _layer_of(tensor):
            return found
    return f"{operator.code.lower()}_{operator.index}"


def _layer_of(tensor: Tensor) -> str:
    """``student_1/conv1_1/Relu;student_1/conv1_1/BiasAdd`` -> ``conv1``; empty if it has no layer.

    The exporter appends the same number to every part of the path.
    """
    path = tensor.name.split(";")[0].split("/")
    if len(path) < 3:
        return ""
    number = re.search(r"_\d+$", path[0])
    name = path[-2].removesuffix(number[0]) if number else path[-2]
    return printable(name)[:63]
