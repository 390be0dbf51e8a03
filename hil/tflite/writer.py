# SPDX-License-Identifier: Apache-2.0
"""Write .tflite files without TensorFlow, with the object API of their schema."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from hil.tflite.graph import SAME, VALID

TYPES = {
    "float32": 0,
    "float16": 1,
    "int32": 2,
    "uint8": 3,
    "int64": 4,
    "bool": 6,
    "int16": 7,
    "int8": 9,
    "int4": 17,
}
SCALED = ("int8", "uint8", "int16")  # values of a scale and a zero point
NONE, RELU, RELU_N1_TO_1, RELU6, TANH = 0, 1, 2, 3, 4


@dataclass(eq=False)
class Net:
    """A chain under construction. ``current``: the input tensor of the next operator."""

    model: Any = field(default_factory=schema.ModelT)
    current: int = -1
    shape: tuple[int, ...] = ()
    dtype: str = "float32"
    scale: float = 0.0
    zero: int = 0
    weights: str = ""  # their type, if it is not that of the array: int4

    def __post_init__(self) -> None:
        empty = schema.BufferT()
        self.graph: Any = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.graph.inputs, self.graph.outputs = [], []
        self.graph.name = "main"
        self.model.version, self.model.description = 3, "made by tinyml-hil"
        self.model.subgraphs, self.model.buffers = [self.graph], [empty]
        self.model.operatorCodes = []

    def tensor(
        self,
        shape: Sequence[int],
        dtype: str,
        data: npt.NDArray[np.generic] | None = None,
        scales: Sequence[float] = (),
        zeros: Sequence[int] = (),
        axis: int = 0,
    ) -> int:
        tensor = schema.TensorT()
        tensor.shape, tensor.type = list(shape), TYPES[dtype]
        tensor.name = f"t{len(self.graph.tensors)}"
        tensor.buffer = 0
        if data is not None and dtype == "int4":
            halves = np.resize(data.reshape(-1), data.size + data.size % 2).view(np.uint8) & 15
            data = halves[::2] | halves[1::2] << 4
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            tensor.buffer = len(self.model.buffers) - 1
        if len(scales):
            quantization = schema.QuantizationParametersT()
            quantization.scale = np.array(scales, np.float32)
            quantization.zeroPoint = np.array(zeros, np.int64)
            quantization.quantizedDimension = axis
            tensor.quantization = quantization
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def activation(
        self, shape: Sequence[int], dtype: str, scale: float = 0.0, zero: int = 0
    ) -> int:
        if dtype not in SCALED or not scale:
            return self.tensor(shape, dtype)
        return self.tensor(shape, dtype, scales=[scale], zeros=[zero])

    def fill_in(self, index: int, data: npt.NDArray[np.generic]) -> None:
        """Make a tensor a constant of these values, whatever their type."""
        tensor = self.graph.tensors[index]
        dtype = {v: k for k, v in TYPES.items()}[tensor.type]
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(data.astype(dtype).tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        tensor.buffer = len(self.model.buffers) - 1

    def input(
        self, shape: Sequence[int], dtype: str = "float32", scale: float = 0.0, zero: int = 0
    ) -> Net:
        self._now(self.activation(shape, dtype, scale, zero), shape, dtype, scale, zero)
        self.graph.inputs = [self.current]
        return self

    def _now(self, index: int, shape: Sequence[int], dtype: str, scale: float, zero: int) -> None:
        self.current, self.shape, self.dtype = index, tuple(shape), dtype
        self.scale, self.zero = (float(np.float32(scale)), zero)

    def op(
        self,
        code: str,
        shape: Sequence[int],
        options: Any = None,
        kind: str = "",
        more: Sequence[int] = (),
        scale: float | None = None,
        zero: int | None = None,
        dtype: str | None = None,
        version: int = 1,
    ) -> Net:
        """Append an operator on the current tensor; None keeps its quantisation or type."""
        number = getattr(schema.BuiltinOperator, code)
        opcode = schema.OperatorCodeT()
        opcode.builtinCode, opcode.version = number, version
        opcode.deprecatedBuiltinCode = min(number, 127)
        self.model.operatorCodes.append(opcode)
        scale = self.scale if scale is None else scale
        zero = self.zero if zero is None else zero
        dtype = dtype or self.dtype
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs = [self.current, *more]
        result = self.activation(shape, dtype, scale, zero)
        operator.outputs = [result]
        if options is not None:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            operator.builtinOptions = options
        self.graph.operators.append(operator)
        self._now(result, shape, dtype, scale, zero)
        return self

    def constants(
        self,
        weights: npt.NDArray[np.generic],
        bias: npt.NDArray[np.generic] | None,
        scales: Sequence[float],
        axis: int,
    ) -> list[int]:
        """Weight and bias tensors of a weighted operator on the current tensor."""
        zeros = [0] * len(scales)
        kind = self.weights or weights.dtype.name
        found = [self.tensor(weights.shape, kind, weights, scales, zeros, axis)]
        if bias is not None:
            products = [float(np.float32(self.scale)) * s for s in scales]
            if bias.dtype.kind == "f":
                products, zeros = [], []
            found.append(self.tensor(bias.shape, bias.dtype.name, bias, products, zeros))
        return found

    def conv(
        self,
        weights: npt.NDArray[np.generic],
        bias: npt.NDArray[np.generic] | None = None,
        *,
        strides: tuple[int, int] = (1, 1),
        padding: int = VALID,
        act: int = NONE,
        depthwise: bool = False,
        scales: Sequence[float] = (),
        scale: float | None = None,
        zero: int | None = None,
        dilation: tuple[int, int] = (1, 1),
    ) -> Net:
        """CONV_2D (weights OHWI) or DEPTHWISE_CONV_2D (1HWO)."""
        options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
        options.padding, options.fusedActivationFunction = padding, act
        options.strideH, options.strideW = strides
        options.dilationHFactor, options.dilationWFactor = dilation
        channels = weights.shape[3] if depthwise else weights.shape[0]
        if depthwise:
            options.depthMultiplier = channels // self.shape[3]
        shape = self._window(weights.shape[1:3], strides, padding, channels, dilation)
        more = self.constants(weights, bias, scales, 3 if depthwise else 0)
        name = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
        kind = "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions"
        return self.op(name, shape, options, kind, more, scale, zero, version=3)

    def _window(
        self,
        window: Sequence[int],
        strides: Sequence[int],
        padding: int,
        channels: int,
        dilation: tuple[int, int] = (1, 1),
    ) -> tuple[int, ...]:
        sizes = []
        for size, taps, stride, step in zip(
            self.shape[1:3], window, strides, dilation, strict=True
        ):
            extent = (taps - 1) * step + 1
            sizes.append(-(-size // stride) if padding == SAME else (size - extent) // stride + 1)
        return (self.shape[0], *sizes, channels)

    def dense(
        self,
        weights: npt.NDArray[np.generic],
        bias: npt.NDArray[np.generic] | None = None,
        *,
        act: int = NONE,
        scales: Sequence[float] = (),
        scale: float | None = None,
        zero: int | None = None,
    ) -> Net:
        """FULLY_CONNECTED on the last axis."""
        options = schema.FullyConnectedOptionsT()
        options.fusedActivationFunction = act
        options.keepNumDims = len(self.shape) > 2
        shape = (*self.shape[:-1], weights.shape[0])
        more = self.constants(weights, bias, scales, 0)
        return self.op(
            "FULLY_CONNECTED", shape, options, "FullyConnectedOptions", more, scale, zero, version=4
        )

    def pool(
        self,
        window: tuple[int, int],
        strides: tuple[int, int],
        *,
        average: bool = False,
        padding: int = VALID,
        act: int = NONE,
    ) -> Net:
        options = schema.Pool2DOptionsT()
        options.padding, options.fusedActivationFunction = padding, act
        options.filterHeight, options.filterWidth = window
        options.strideH, options.strideW = strides
        shape = self._window(window, strides, padding, self.shape[3])
        name = "AVERAGE_POOL_2D" if average else "MAX_POOL_2D"
        return self.op(name, shape, options, "Pool2DOptions", version=2)

    def simple(self, code: str, **quantisation: Any) -> Net:
        """RELU, RELU6, QUANTIZE, DEQUANTIZE, or any operator without options."""
        return self.op(code, self.shape, **quantisation)

    def leaky(self, alpha: float, **quantisation: Any) -> Net:
        options = schema.LeakyReluOptionsT()
        options.alpha = alpha
        return self.op("LEAKY_RELU", self.shape, options, "LeakyReluOptions", **quantisation)

    def softmax(self, beta: float = 1.0) -> Net:
        options = schema.SoftmaxOptionsT()
        options.beta = beta
        return self.op(
            "SOFTMAX", self.shape, options, "SoftmaxOptions", scale=1 / 256, zero=-128, version=2
        )

    def reshape(self, shape: Sequence[int]) -> Net:
        options = schema.ReshapeOptionsT()
        options.newShape = list(shape)
        target = self.tensor([len(shape)], "int32", np.array(shape, np.int32))
        return self.op("RESHAPE", shape, options, "ReshapeOptions", [target])

    def finish(self, skew: int | None = None) -> bytes:
        """The file. ``skew``: constants start at this offset, 0, 4, 8 or 12, from a multiple of 16
        bytes (TensorFlow's converter: 0). None: anywhere."""
        if not self.graph.outputs:
            self.graph.outputs = [self.current]
        builder = flatbuffers.Builder(1 << 14) if skew is None else _Aligning(skew)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


class _Aligning(flatbuffers.Builder):  # type: ignore[misc]  # the package has no types
    """Starts every vector of numbers at ``skew`` from a multiple of 16 bytes."""

    def __init__(self, skew: int) -> None:
        super().__init__(1 << 14)
        self._skew = skew
        self.minalign = 16  # the whole file has a multiple of 16 bytes

    def CreateNumpyVector(self, x: npt.NDArray[np.generic]) -> int:  # noqa: N802 - the package's name
        # files are built from their end, so offsets count from there
        self.Pad((-self._skew - self.Offset() - x.nbytes) % 16)
        return int(super().CreateNumpyVector(x))
