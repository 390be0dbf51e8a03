# SPDX-License-Identifier: Apache-2.0
"""Turn a checked graph into steps: refuse what is not supported, fuse what is exact to fuse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from hil.core.errors import ModelError
from hil.engines.aot import arithmetic
from hil.engines.aot.arithmetic import softmax_table
from hil.engines.aot.conv_gather import choose_gathered
from hil.engines.aot.steps import Conv, Map, Pool, Pooling, Requantization, Softmax, Step
from hil.tflite import Graph, Operator, Tensor
from hil.tflite.graph import FLOAT32, INT8, INT32, POOLS, WEIGHTED, Axis, refuse, window_axes

SUPPORTED = (
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "FULLY_CONNECTED",
    "MAX_POOL_2D",
    "AVERAGE_POOL_2D",
    "RELU",
    "RELU6",
    "LEAKY_RELU",
    "RESHAPE",
    "SOFTMAX",
    "QUANTIZE",
    "DEQUANTIZE",
)
MAX_ELEMENTS = 1 << 22  # of an activation: more than any microcontroller holds
_DYNAMIC = ("SHAPE", "STRIDED_SLICE", "PACK")


def plan(graph: Graph) -> tuple[Step, ...]:
    """The steps from the model's input to its output; none if it only reshapes.

    Raises `ModelError` that names the first operator, type or structure aot cannot run exactly.
    """
    return tuple(step for step, _ in plan_with_operators(graph))


def plan_with_operators(graph: Graph) -> tuple[tuple[Step, tuple[Operator, ...]], ...]:
    """The same, each step with the operators it computes; its output is that of the last one."""
    _check_chain(graph)
    steps: list[tuple[Step, tuple[Operator, ...]]] = []
    for operator in graph.operators:
        if operator.code == "RESHAPE":
            continue
        step = _step(operator, graph)
        merged = _merge(steps[-1][0], step) if steps else None
        if merged is None:
            steps.append((step, (operator,)))
        else:
            steps[-1] = (merged, (*steps[-1][1], operator))
    chosen = choose_gathered([step for step, _ in steps])
    return tuple((step, operators) for step, (_, operators) in zip(chosen, steps, strict=True))


def _check_chain(graph: Graph) -> None:
    """Every operator must take the result of the one before it, and constants."""
    current = graph.input_index
    for operator in graph.operators:
        if operator.code not in SUPPORTED:
            hint = f"aot supports {', '.join(SUPPORTED)}"
            if operator.code in _DYNAMIC:
                hint = "export with a fixed batch: keras.Input(batch_shape=(1, ...))"
            raise refuse(operator, "engine aot does not support it", hint)
        data = operator.inputs[0]
        others = [graph.tensors[i] for i in operator.inputs[1:] if i >= 0]
        if data != current or any(t.data is None for t in others):
            raise refuse(
                operator,
                "it does not follow the operator before it",
                "aot runs chains of operators, without branches or float16 weights",
            )
        for tensor in (graph.tensors[data], graph.tensors[operator.outputs[0]]):
            _check_type(operator, tensor)
        current = operator.outputs[0]
    if current != graph.output_index:
        raise ModelError(
            "the output is not the last operator's result", "aot runs chains of operators"
        )


def _check_type(operator: Operator, tensor: Tensor) -> None:
    if tensor.dtype not in (FLOAT32, INT8):
        raise refuse(operator, f"TensorType {tensor.dtype}", "aot computes in float32 and int8")
    if tensor.elements > MAX_ELEMENTS:
        shape = list(tensor.shape)
        raise refuse(operator, f"a tensor of shape {shape}", f"{MAX_ELEMENTS} values are the limit")
    if tensor.data is not None:
        raise refuse(operator, "it works on a constant", "export the model again")
    if tensor.dtype == INT8 and (len(tensor.scales) != 1 or not -128 <= tensor.zero_point <= 127):
        raise refuse(operator, "an int8 tensor without one valid scale", "export the model again")


def _step(operator: Operator, graph: Graph) -> Step:
    x, y = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    real = x.dtype == FLOAT32
    name = f"{operator.code.lower()}_{operator.index}"
    note = f"{operator.code} {_shape(x)} -> {_shape(y)}"
    if operator.code == "QUANTIZE" and real:
        if y.dtype != INT8:
            raise refuse(operator, "its output is not int8", "aot quantises float32 to int8")
        return Map(name, note, "quantize", real, x.elements, scale=y.scale, zero=y.zero_point)
    if operator.code == "DEQUANTIZE":
        if real or y.dtype != FLOAT32:
            raise refuse(operator, "it does not turn int8 into float32", "export the model again")
        return Map(name, note, "dequantize", real, x.elements, scale=x.scale, zero=x.zero_point)
    if x.dtype != y.dtype:
        raise refuse(operator, "its input and output differ in type", "export the model again")
    if operator.code in WEIGHTED:
        return resolve_weights(operator, graph.tensors, name, note)
    if operator.code in POOLS:
        return _pooling(operator, graph, name, note, real)
    if operator.code == "SOFTMAX":
        return _softmax(operator, x, y, name, note)
    does = arithmetic.standalone_activation(operator, x, y, real)
    return Map(name, note, "activation", real, x.elements, does)


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape))


def _pooling(operator: Operator, graph: Graph, name: str, note: str, real: bool) -> Pooling:
    x, y = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    if x.shape[0] != 1:
        raise refuse(operator, f"a batch of {x.shape[0]}", "export with a batch of 1")
    rows, columns = window_axes(operator, graph.tensors)
    for axis in (rows, columns):
        last = (axis.count - 1) * axis.stride - axis.before
        if axis.before >= axis.window or last >= axis.size:
            raise refuse(operator, "a window that lies in the padding", "export the model again")
    post = arithmetic.fused_activation(operator, y, real)
    pool = Pool(operator.code == "AVERAGE_POOL_2D", rows, columns)
    return Pooling(name, note, real, pool, x.shape[3], post)


def _softmax(operator: Operator, x: Tensor, y: Tensor, name: str, note: str) -> Softmax:
    depth = x.shape[-1] if x.shape else 1
    beta = float(operator.options["beta"])
    rows = x.elements // depth
    if x.dtype == FLOAT32:
        return Softmax(name, note, True, rows, depth, beta)
    if (y.scale, y.zero_point) != (1 / 256, -128):
        raise refuse(operator, "its output scale is not 1/256", "export the model again")
    if depth > 511:
        raise refuse(operator, f"{depth} classes", "511 is what TFLM's int8 sums can hold")
    return Softmax(name, note, False, rows, depth, beta, tuple(softmax_table(x.scale, beta)))


def _merge(before: Step, step: Step) -> Step | None:
    """Both steps as one; None where that is not exact or computes a value twice."""
    if isinstance(step, Map) and step.kind == "activation":
        does = step.activation
        if isinstance(before, Conv) and before.pool is None:
            return _noted(replace(before, pre=before.pre.then(does)), step)
        if isinstance(before, Conv | Pooling):
            return _noted(replace(before, post=before.post.then(does)), step)
        if isinstance(before, Map) and before.kind == "activation":
            return replace(
                before,
                note=f"{before.note}, {step.note}",
                activation=before.activation.then(does),
            )
    if isinstance(step, Pooling) and isinstance(before, Conv) and _fusable(before, step.pool):
        merged = replace(before, pool=step.pool, post=step.post)
        return _noted(merged, step)
    return None


def _noted(merged: Conv | Pooling, step: Step) -> Conv | Pooling:
    return replace(merged, note=f"{merged.note}, {step.note}")


def _fusable(conv: Conv, pool: Pool) -> bool:
    """Whether the windows are whole and do not overlap: each sum is computed at most once."""
    # a dense layer over many points lays them out in one row, whatever its output's shape
    sizes = (pool.rows.size, pool.columns.size)
    if conv.pool is not None or sizes != (conv.rows.count, conv.columns.count):
        return False
    return all(
        axis.before == 0
        and axis.stride >= axis.window
        and (axis.count - 1) * axis.stride + axis.window <= axis.size
        for axis in (pool.rows, pool.columns)
    )


def resolve_weights(operator: Operator, tensors: Sequence[Tensor], name: str, note: str) -> Conv:
    """A CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED with all its constants resolved.

    Raises `ModelError` for dilation, groups, batches, other types, and int8 sums that might
    leave 32 bits (where no reference defines the result).
    """
    x, w, y = (tensors[i] for i in (*operator.inputs[:2], operator.outputs[0]))
    real = x.dtype == FLOAT32
    if w.dtype != (FLOAT32 if real else INT8):
        raise refuse(
            operator,
            f"weights of TensorType {w.dtype} for {'float32' if real else 'int8'} values",
            "export in float32 or with full int8 quantisation",
        )
    assert w.data is not None  # the chain was checked
    depthwise = operator.code == "DEPTHWISE_CONV_2D"
    cout = y.shape[-1]
    if operator.code == "FULLY_CONNECTED":
        if operator.options["weights_format"] != 0:
            raise refuse(operator, "shuffled weights", "export the model again")
        cin = w.shape[1]
        rows, columns = Axis(1, 1, 1, 0, 1), _points(x.elements // cin)
        weights = w.data.reshape(cout, 1, 1, cin)
    else:
        _check_convolution(operator, x, w)
        cin = x.shape[3]
        rows, columns = window_axes(operator, tensors)
        weights = w.data[0].transpose(2, 0, 1) if depthwise else w.data
    if real and not np.isfinite(weights).all():
        raise refuse(operator, "a weight that is not a finite number", "train the model again")
    bias = _bias(operator, tensors, cout, FLOAT32 if real else INT32)
    return Conv(
        name=name,
        note=note,
        rows=rows,
        columns=columns,
        cin=cin,
        cout=cout,
        depthwise=depthwise,
        weights=np.ascontiguousarray(weights),
        bias=bias.astype(np.float32) if real else None,
        quant=None if real else _requantization(operator, (x, w, y), weights, bias),
        pre=arithmetic.fused_activation(operator, y, real),
    )


def _points(count: int) -> Axis:
    return Axis(count, 1, 1, 0, count)


def _check_convolution(operator: Operator, x: Tensor, w: Tensor) -> None:
    if (operator.options["dilation_h"], operator.options["dilation_w"]) != (1, 1):
        raise refuse(operator, "dilation", "aot runs dilation 1")
    if x.shape[0] != 1:
        raise refuse(operator, f"a batch of {x.shape[0]}", "export with a batch of 1")
    if operator.code == "CONV_2D" and w.shape[3] != x.shape[3]:
        raise refuse(operator, "groups", "aot runs convolutions of one group, and depthwise ones")


def _bias(
    operator: Operator, tensors: Sequence[Tensor], cout: int, dtype: int
) -> npt.NDArray[np.generic]:
    if len(operator.inputs) < 3 or operator.inputs[2] < 0:
        return np.zeros(cout, np.float32 if dtype == FLOAT32 else np.int32)
    bias = tensors[operator.inputs[2]]
    if bias.dtype != dtype:
        raise refuse(operator, f"a bias of TensorType {bias.dtype}", "export the model again")
    assert bias.data is not None  # the chain was checked
    if not np.isfinite(bias.data).all():
        raise refuse(operator, "a bias that is not a finite number", "train the model again")
    return bias.data.reshape(cout)


def _requantization(
    operator: Operator,
    tensors: tuple[Tensor, Tensor, Tensor],
    weights: npt.NDArray[np.generic],
    bias: npt.NDArray[np.generic],
) -> Requantization:
    x, w, y = tensors
    cout = len(weights)
    if any(w.zero_points) or not w.scales:
        raise refuse(operator, "weights that are not symmetric", "export the model again")
    axis = {"CONV_2D": 0, "FULLY_CONNECTED": 0, "DEPTHWISE_CONV_2D": 3}[operator.code]
    if len(w.scales) > 1 and w.axis != axis:
        raise refuse(operator, f"weights scaled along axis {w.axis}", f"aot wants axis {axis}")
    if operator.code == "FULLY_CONNECTED" and len(w.scales) == 1:
        # TFLM multiplies these two in float32 (GetQuantizedConvolutionMultipler)
        ratios = [arithmetic.float32_ratio(x.scale, w.scale) / y.scale] * cout
    else:
        scales = w.scales if len(w.scales) > 1 else w.scales * cout
        ratios = [x.scale * s / y.scale for s in scales]
    pairs = [arithmetic.quantize_multiplier(r) for r in ratios]
    wide = weights.astype(np.int64).reshape(cout, -1)
    folded = bias.astype(np.int64) - x.zero_point * wide.sum(axis=1)
    bound = int((np.abs(folded) + 128 * np.abs(wide).sum(axis=1)).max())
    if bound > arithmetic.INT32_MAX:
        raise refuse(operator, "its sums may leave 32 bits", "export with smaller biases")
    return Requantization(
        input_zero=x.zero_point,
        output_zero=y.zero_point,
        multipliers=np.array([m for m, _ in pairs], np.int64),
        shifts=np.array([s for _, s in pairs], np.int64),
        bias=folded,
        bound=bound,
    )
