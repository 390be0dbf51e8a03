"""The operators an image registers, and the kernel sources of TFLM that run them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from hil.errors import ModelError
from hil.tflite import Graph
from hil.tflite.graph import INT8, Operator, Tensor

# TFLite's name -> (method Add... of MicroMutableOpResolver, stem of its files in micro/kernels)
OPERATORS: Final = {
    "ADD": ("Add", "add"),
    "AVERAGE_POOL_2D": ("AveragePool2D", "pooling"),
    "CONCATENATION": ("Concatenation", "concatenation"),
    "CONV_2D": ("Conv2D", "conv"),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2D", "depthwise_conv"),
    "DEQUANTIZE": ("Dequantize", "dequantize"),
    "EXPAND_DIMS": ("ExpandDims", "expand_dims"),
    "FULLY_CONNECTED": ("FullyConnected", "fully_connected"),
    "HARD_SWISH": ("HardSwish", "hard_swish"),
    "LEAKY_RELU": ("LeakyRelu", "leaky_relu"),
    "LOGISTIC": ("Logistic", "logistic"),
    "MAX_POOL_2D": ("MaxPool2D", "pooling"),
    "MEAN": ("Mean", "reduce"),
    "MUL": ("Mul", "mul"),
    "PACK": ("Pack", "pack"),
    "PAD": ("Pad", "pad"),
    "PADV2": ("PadV2", "pad"),
    "QUANTIZE": ("Quantize", "quantize"),
    "RELU": ("Relu", "activations"),
    "RELU6": ("Relu6", "activations"),
    "RESHAPE": ("Reshape", "reshape"),
    "SHAPE": ("Shape", "shape"),
    "SOFTMAX": ("Softmax", "softmax"),
    "SQUEEZE": ("Squeeze", "squeeze"),
    "STRIDED_SLICE": ("StridedSlice", "strided_slice"),
    "SUB": ("Sub", "sub"),
    "TANH": ("Tanh", "tanh"),
    "TRANSPOSE": ("Transpose", "transpose"),
}
# those with a smaller registration, Register_..._INT8, that CMSIS-NN's kernels make use of
_INT8_ONLY: Final = frozenset(
    (
        "AVERAGE_POOL_2D",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "FULLY_CONNECTED",
        "MAX_POOL_2D",
        "SOFTMAX",
    )
)


@dataclass(frozen=True, slots=True)
class Registrations:
    """What one image needs of TFLM: resolver calls and kernel stems, each sorted and once."""

    calls: tuple[str, ...]  # e.g. AddConv2D(tflite::Register_CONV_2D_INT8())
    kernels: tuple[str, ...]  # e.g. conv


def check(graph: Graph) -> None:
    """Raise `ModelError` for an operator that this engine does not register."""
    for operator in graph.operators:
        if operator.code not in OPERATORS:
            raise ModelError(
                f"{operator}: the engine tflm does not register it",
                f"it registers {', '.join(OPERATORS)}",
            )


def registrations(graphs: Sequence[Graph]) -> Registrations:
    """Only the operators of ``graphs``, int8-only where every use of one is int8."""
    uses: dict[str, bool] = {}
    for graph in graphs:
        for operator in graph.operators:
            narrow = operator.code in _INT8_ONLY and _is_int8(operator, graph.tensors)
            uses[operator.code] = uses.get(operator.code, True) and narrow
    calls, kernels = [], set()
    for code, narrow in sorted(uses.items()):
        method, stem = OPERATORS[code]
        calls.append(f"Add{method}({f'tflite::Register_{code}_INT8()' if narrow else ''})")
        kernels.add(stem)
    return Registrations(tuple(calls), tuple(sorted(kernels)))


def _is_int8(operator: Operator, tensors: Sequence[Tensor]) -> bool:
    """Input, weights and output are int8 (biases are int32 always)."""
    return all(t.dtype == INT8 for t in _seen(operator, tensors))


def _seen(operator: Operator, tensors: Sequence[Tensor]) -> Iterable[Tensor]:
    return (tensors[i] for i in (*operator.inputs[:2], *operator.outputs) if i >= 0)
