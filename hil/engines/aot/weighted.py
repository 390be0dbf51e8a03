# SPDX-License-Identifier: Apache-2.0
"""Which step a convolution, a dense layer or a pooling becomes."""

from __future__ import annotations

from dataclasses import replace

from hil.engines.aot.around import Collected, collected, repeated
from hil.engines.aot.conv import Conv, plan_conv
from hil.engines.aot.steps import Step
from hil.engines.aot.unweighted import plan_pooling
from hil.tflite import Graph, Operator


def plan_weighted(operator: Operator, graph: Graph, name: str, note: str) -> Step:
    """The step of a CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED.

    Raises `ModelError` for what aot cannot run exactly.
    """
    conv = plan_conv(operator, graph, name, note)
    if operator.code == "FULLY_CONNECTED":
        return conv
    x, w = (graph.tensors[i] for i in operator.inputs[:2])
    steps = (int(operator.options["dilation_h"]), int(operator.options["dilation_w"]))
    # the distance between the taps of one row, or of one column, does not matter
    steps = (steps[0] if w.shape[1] > 1 else 1, steps[1] if w.shape[2] > 1 else 1)
    step: Conv | Collected = conv
    groups = x.shape[3] // w.shape[3] if operator.code == "CONV_2D" else 1
    if groups == x.shape[3] > 1:
        groups = 1
        step = conv = replace(conv, depthwise=True, weights=conv.weights[..., 0])
    if groups > 1 or steps != (1, 1):
        step = collected(conv, steps, groups)
    return repeated(step, x.shape[0])


def plan_pools(operator: Operator, graph: Graph, name: str, note: str) -> Step:
    """The step of a MAX_POOL_2D or AVERAGE_POOL_2D. Raises `ModelError`, see `plan_pooling`."""
    pooling = plan_pooling(operator, graph, name, note)
    return repeated(pooling, graph.tensors[operator.inputs[0]].shape[0])
