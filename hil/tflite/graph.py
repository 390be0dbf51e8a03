# SPDX-License-Identifier: Apache-2.0
"""The immutable graph of one model: checks of its operators' shapes, their cost, and the names of
its layers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hil.core.errors import ModelError
from hil.core.records import Precision, TensorSpec
from hil.core.text import printable
from hil.tflite.flatbuffer import corrupt

# TFLite TensorType codes -> little-endian NumPy types, for those that a constant may have here.
NUMPY_TYPES = {0: "<f4", 1: "<f2", 2: "<i4", 3: "u1", 4: "<i8", 7: "<i2", 9: "i1", 10: "<f8"}
FLOAT32, INT32, UINT8, INT8 = 0, 2, 3, 9
_SAME_VALUES = ("QUANTIZE", "DEQUANTIZE", "RESHAPE")


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """One tensor: real = scales[c] * (q - zero_points[c]), c along ``axis`` when per channel.

    ``data`` holds a constant's values (read-only, of ``shape``), None for an activation.
    """

    index: int
    name: str
    dtype: int  # TFLite TensorType code
    shape: tuple[int, ...]
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    axis: int = 0
    data: npt.NDArray[np.generic] | None = None

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
class Graph:
    """A whole model with one input and one output; every index in it is valid.

    ``data`` is the file itself, ``path`` where it was read from (None: from bytes).
    """

    data: bytes = field(repr=False)
    path: Path | None
    sha256: str  # of the file
    precision: Precision
    input: TensorSpec
    output: TensorSpec
    input_index: int
    output_index: int
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    parameters: int  # values in weights and biases
    macs: int  # multiply-accumulates of one inference, padding included

    @property
    def where(self) -> str:
        """The file for an error message."""
        return str(self.path or "the model")

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


WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
POOLS = ("MAX_POOL_2D", "AVERAGE_POOL_2D")
ELEMENTWISE = ("RELU", "RELU6", "LEAKY_RELU", "SOFTMAX", "QUANTIZE", "DEQUANTIZE")
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


def check_operator(operator: Operator, tensors: Sequence[Tensor]) -> None:
    """Raise `ModelError` unless the operator's tensors fit together."""
    code = operator.code
    if code not in (*WEIGHTED, *POOLS, *ELEMENTWISE, "RESHAPE"):
        return  # not known here: an engine that does not support it refuses it
    where = str(operator)
    least = 2 if code in WEIGHTED else 1
    if len(operator.inputs) < least or -1 in operator.inputs[:least]:
        raise corrupt(where, f"{len(operator.inputs)} inputs")
    if len(operator.outputs) != 1:
        raise corrupt(where, f"{len(operator.outputs)} outputs")
    x, y = tensors[operator.inputs[0]], tensors[operator.outputs[0]]
    if code == "RESHAPE" and x.elements != y.elements:
        raise corrupt(where, f"{list(x.shape)} cannot become {list(y.shape)}")
    if code in ELEMENTWISE and x.shape != y.shape:
        raise corrupt(where, f"{list(x.shape)} to {list(y.shape)}")
    if code in WEIGHTED:
        _check_weights(operator, tensors)
    if code in (*POOLS, "CONV_2D", "DEPTHWISE_CONV_2D"):
        _check_windows(operator, tensors)


def _check_weights(operator: Operator, tensors: Sequence[Tensor]) -> None:
    x, w, y = (tensors[i] for i in (*operator.inputs[:2], operator.outputs[0]))
    where = str(operator)
    if not y.shape:
        raise corrupt(where, "a scalar output")
    channels = y.shape[-1]
    if operator.code == "FULLY_CONNECTED":
        fits = len(w.shape) == 2 and w.shape[0] == channels
        fits = fits and x.elements * channels == y.elements * w.shape[1]
    elif operator.code == "CONV_2D":
        fits = len(x.shape) == len(w.shape) == len(y.shape) == 4
        fits = fits and w.shape[0] == channels and x.shape[3] % w.shape[3] == 0
        fits = fits and channels % (x.shape[3] // w.shape[3]) == 0
    else:
        fits = len(x.shape) == len(w.shape) == len(y.shape) == 4
        fits = fits and w.shape[0] == 1 and w.shape[3] == channels
        fits = fits and operator.options["multiplier"] * x.shape[3] == channels
    if not fits:
        shapes = [list(t.shape) for t in (x, w, y)]
        raise corrupt(where, f"input, weights and output of shapes {shapes} do not fit")
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
        bias = tensors[operator.inputs[2]]
        if bias.elements != channels:
            raise corrupt(where, f"{bias.elements} biases for {channels} channels")


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


def _check_windows(operator: Operator, tensors: Sequence[Tensor]) -> None:
    x, y = tensors[operator.inputs[0]], tensors[operator.outputs[0]]
    where = str(operator)
    if len(x.shape) != 4 or len(y.shape) != 4:
        raise corrupt(where, f"{list(x.shape)} to {list(y.shape)} is not 4-dimensional")
    for key in ("stride_w", "stride_h", "filter_w", "filter_h", "dilation_w", "dilation_h"):
        value = operator.options.get(key, 1)
        if not 1 <= value <= 1 << 16:
            raise corrupt(where, f"{key} is {value}")
    if operator.options["padding"] not in (SAME, VALID):
        raise corrupt(where, "a padding that does not exist")
    rows, columns = window_axes(operator, tensors)
    channels = x.shape[3] if operator.code in POOLS else y.shape[3]
    expected = (x.shape[0], rows.count, columns.count, channels)
    if y.shape != expected:
        raise corrupt(where, f"its output has shape {list(y.shape)}, not {list(expected)}")


def count_macs(operator: Operator, tensors: Sequence[Tensor]) -> int:
    """Multiply-accumulates of one operator: output elements x weights per element."""
    if operator.code not in WEIGHTED:
        return 0
    weights, y = tensors[operator.inputs[1]], tensors[operator.outputs[0]]
    if operator.code == "DEPTHWISE_CONV_2D":
        return y.elements * weights.shape[1] * weights.shape[2]
    return y.elements * math.prod(weights.shape[1:])


def refuse(operator: Operator, why: str, supported: str) -> ModelError:
    """The error for an operator that an engine cannot run: its name, and what would work."""
    return ModelError(f"{operator} version {operator.version}: {why}", supported)


def constant_bytes(graph: Graph) -> int:
    """Bytes of weights and biases, which are in flash with any engine."""
    used = {i for op in graph.operators if op.code in WEIGHTED for i in op.inputs[1:] if i >= 0}
    constants = (graph.tensors[i].data for i in used)
    return sum(values.nbytes for values in constants if values is not None)


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


def layer(graph: Graph, operators: Sequence[Operator]) -> Layer:
    """``operators``, at least one and in order, as one layer."""
    names = dict.fromkeys(_name(graph, operator) for operator in operators)
    return Layer(
        " + ".join(names),
        " + ".join(operator.code for operator in operators),
        operators[-1].outputs[0],
        sum(count_macs(operator, graph.tensors) for operator in operators),
    )


def _name(graph: Graph, operator: Operator) -> str:
    """Keras' name of the layer, from the output's or a weight's name; else the operator's code."""
    places = (operator.outputs[0], *(i for i in operator.inputs[1:] if i >= 0))
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
