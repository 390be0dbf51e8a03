# SPDX-License-Identifier: Apache-2.0
"""Which step a convolution, a dense layer or a pooling becomes."""

from __future__ import annotations

from dataclasses import replace

from hil.engines.aot.steps import Step
from hil.engines.aot.values.unweighted import plan_pooling
from hil.engines.aot.weighted.around import Collected, collected, repeated
from hil.engines.aot.weighted.conv import Conv, plan_conv
from hil.engines.aot.weighted.conv16 import Depthwise16, plan_16
from hil.engines.aot.weighted.hybrid import plan_hybrid
from hil.engines.aot.weighted.matmul import plan_computed
from hil.engines.aot.weighted.pool16 import plan_pooling16
from hil.engines.aot.weighted.transposed import plan_transposed
from hil.tflite import Graph, Operator, Tensor
from hil.tflite.graph import FLOAT32, INT8, INT16, window_axes


def plan_weighted(operator: Operator, graph: Graph, name: str, note: str) -> Step:
    """The step of a CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED.

    Raises `ModelError` for what aot cannot run exactly.
    """
    x, w = (graph.tensors[i] for i in operator.inputs[:2])
    if operator.code == "FULLY_CONNECTED" and (w.data is None or _offset(x, w)):
        return plan_computed(operator, graph, name, note)
    if x.dtype == FLOAT32 and w.dtype == INT8:
        hybrid = plan_hybrid(operator, graph, name, note)
        dense = operator.code == "FULLY_CONNECTED"
        return repeated(hybrid, x.elements // w.shape[1] if dense else x.shape[0])
    if x.dtype == INT16:
        return _plan_int16(operator, graph, name, note)
    conv = plan_conv(operator, graph, name, note)
    if operator.code == "FULLY_CONNECTED":
        return conv
    groups = x.shape[3] // w.shape[3] if operator.code == "CONV_2D" else 1
    if groups == x.shape[3] > 1:
        groups = 1
        conv = replace(conv, depthwise=True, weights=conv.weights[..., 0])
    steps = _steps(operator, w)
    step: Conv | Collected = conv
    if groups > 1 or steps != (1, 1):
        step = collected(conv, steps, groups)
    return repeated(step, x.shape[0])


def _offset(x: Tensor, w: Tensor) -> bool:
    """Whether the weights of a dense layer of int8 have a zero point, which TFLM subtracts."""
    return x.dtype == w.dtype == INT8 and len(w.scales) == 1 and bool(w.zero_point)


def _steps(operator: Operator, w: Tensor) -> tuple[int, int]:
    """From one tap to the next; from a single row, or a single column, it does not matter."""
    down, right = (int(operator.options[f"dilation_{axis}"]) for axis in "hw")
    return down if w.shape[1] > 1 else 1, right if w.shape[2] > 1 else 1


def _plan_int16(operator: Operator, graph: Graph, name: str, note: str) -> Step:
    x, w = (graph.tensors[i] for i in operator.inputs[:2])
    step = plan_16(operator, graph, name, note)
    if operator.code == "FULLY_CONNECTED":
        return step
    if isinstance(step, Depthwise16):
        return repeated(step, x.shape[0])
    rows, columns = window_axes(operator, graph.tensors)
    if step.groups == rows.window == columns.window == rows.stride == columns.stride == 1:
        return replace(step, points=x.elements // x.shape[3])
    steps = _steps(operator, w)
    return repeated(Collected(step, rows, columns, x.shape[3], steps, 1, step.groups), x.shape[0])


def plan_pools(operator: Operator, graph: Graph, name: str, note: str) -> Step:
    """The step of a MAX_POOL_2D or AVERAGE_POOL_2D. Raises `ModelError`, see `plan_pooling`."""
    x = graph.tensors[operator.inputs[0]]
    plan = plan_pooling16 if x.dtype == INT16 else plan_pooling
    return repeated(plan(operator, graph, name, note), x.shape[0])


def plan_transpose(operator: Operator, graph: Graph, name: str, note: str) -> Step:
    """The step of a TRANSPOSE_CONV. Raises `ModelError`, see `plan_transposed`."""
    step = plan_transposed(operator, graph, name, note)
    return repeated(step, graph.tensors[operator.inputs[2]].shape[0])
