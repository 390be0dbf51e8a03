# SPDX-License-Identifier: Apache-2.0
"""Checks of a graph that is being read: each operator's tensors fit, and all are in order."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hil.core.errors import ModelError
from hil.core.text import printable
from hil.tflite.flatbuffer import corrupt
from hil.tflite.graph import (
    ELEMENTWISE,
    INT8,
    INT16,
    POOLS,
    REDUCTIONS,
    RESHAPES,
    SAME,
    UINT8,
    VALID,
    WEIGHTED,
    Operator,
    Subgraph,
    Tensor,
    reduced_axes,
    window_axes,
)

_CODED = (INT8, UINT8, INT16)


_COUNTS = {  # inputs and outputs
    "VAR_HANDLE": (0, 1),
    "READ_VARIABLE": (1, 1),
    "ASSIGN_VARIABLE": (2, 0),
    "CALL_ONCE": (0, 0),
    "RESIZE_BILINEAR": (2, 1),
    "GATHER": (2, 1),
    "TOPK_V2": (2, 2),
    "ONE_HOT": (4, 1),
}


def check_operator(operator: Operator, tensors: Sequence[Tensor]) -> None:
    """Raise `ModelError` unless the operator's tensors fit together.

    Only what every reference refuses: a file that one of them runs is not corrupt.
    """
    code = operator.code
    if code in _COUNTS:
        found = len(operator.inputs), len(operator.outputs)
        if found != _COUNTS[code] or -1 in operator.inputs:
            raise corrupt(str(operator), f"{found[0]} inputs, {found[1]} outputs")
        return
    if code not in (*WEIGHTED, *POOLS, *ELEMENTWISE, *REDUCTIONS, *RESHAPES):
        return  # not known here: an engine that does not support it refuses it
    if code in REDUCTIONS:
        _check_reduction(operator, tensors)
        return
    if code == "TRANSPOSE_CONV":
        _check_transposed(operator, tensors)
        return
    where = str(operator)
    least = 2 if code in WEIGHTED else 1
    if len(operator.inputs) < least or -1 in operator.inputs[:least]:
        raise corrupt(where, f"{len(operator.inputs)} inputs")
    if len(operator.outputs) != 1:
        raise corrupt(where, f"{len(operator.outputs)} outputs")
    x, y = tensors[operator.inputs[0]], tensors[operator.outputs[0]]
    if code in RESHAPES and x.elements != y.elements:
        raise corrupt(where, f"{list(x.shape)} cannot become {list(y.shape)}")
    if code in ELEMENTWISE and x.elements != y.elements:
        raise corrupt(where, f"{list(x.shape)} to {list(y.shape)}")
    if code in WEIGHTED:
        _check_weights(operator, tensors)
    if code in (*POOLS, "CONV_2D", "DEPTHWISE_CONV_2D"):
        _check_windows(operator, tensors)


def _check_reduction(operator: Operator, tensors: Sequence[Tensor]) -> None:
    where = str(operator)
    if len(operator.inputs) != 2 or -1 in operator.inputs or len(operator.outputs) != 1:
        raise corrupt(where, f"{len(operator.inputs)} inputs, {len(operator.outputs)} outputs")
    x, y = tensors[operator.inputs[0]], tensors[operator.outputs[0]]
    axes = reduced_axes(operator, tensors)
    if axes is None:
        return
    if any(not 0 <= axis < max(len(x.shape), 1) for axis in axes):
        raise corrupt(where, f"axes {list(axes)} of a tensor of shape {list(x.shape)}")
    if operator.code.startswith("ARG") and len(axes) != 1:
        raise corrupt(where, f"{len(axes)} axes")
    kept = math.prod(n for i, n in enumerate(x.shape) if i not in axes)
    if y.elements != kept:
        raise corrupt(where, f"{list(x.shape)} to {list(y.shape)}, over axes {list(axes)}")


def _check_transposed(operator: Operator, tensors: Sequence[Tensor]) -> None:
    where = str(operator)
    if len(operator.inputs) < 3 or -1 in operator.inputs[:3] or len(operator.outputs) != 1:
        raise corrupt(where, f"{len(operator.inputs)} inputs")
    w, x, y = (tensors[i] for i in (*operator.inputs[1:3], operator.outputs[0]))
    if any(not 1 <= operator.options[f"stride_{axis}"] <= 1 << 16 for axis in "hw"):
        raise corrupt(where, "a stride that is not positive")
    if operator.options["padding"] not in (SAME, VALID):
        raise corrupt(where, "a padding that does not exist")
    if len(operator.inputs) > 3 and operator.inputs[3] >= 0:
        bias = tensors[operator.inputs[3]]
        if y.shape and bias.elements != y.shape[-1]:
            raise corrupt(where, f"{bias.elements} biases for {y.shape[-1]} channels")
    fits = len(x.shape) == len(w.shape) == len(y.shape) == 4
    if not fits or w.shape[0] != y.shape[3] or w.shape[3] != x.shape[3] or x.shape[0] != y.shape[0]:
        shapes = [list(t.shape) for t in (x, w, y)]
        raise corrupt(where, f"input, weights and output of shapes {shapes} do not fit")


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
    count = len(w.scales)
    if count > 1 and not (0 <= w.axis < len(w.shape) and w.shape[w.axis] == count):
        raise corrupt(where, f"{count} scales along axis {w.axis} of weights {list(w.shape)}")
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
        bias = tensors[operator.inputs[2]]
        if bias.elements != channels:
            raise corrupt(where, f"{bias.elements} biases for {channels} channels")


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


def check_order(graph: Subgraph) -> None:
    """Raise `ModelError` unless every tensor is written once, before it is read.

    And unless everything that is used has a size and a scale.
    """
    tensors = graph.tensors
    known = {*graph.inputs, *(t.index for t in tensors if t.data is not None or t.variable)}
    for operator in graph.operators:
        for i in operator.inputs:
            if i >= 0 and i not in known:
                raise ModelError(
                    f"{operator} reads tensor {i} ({printable(tensors[i].name)}) before any "
                    "operator writes it",
                    "export the model again",
                )
            if i >= 0 and not tensors[i].elements:
                raise ModelError(f"{operator} reads an empty tensor", "export with fixed shapes")
        for i in operator.outputs:
            if i in known:
                raise ModelError(
                    f"{operator} writes tensor {i} ({printable(tensors[i].name)}), which is an "
                    "input, a constant or already written",
                    "export the model again",
                )
        known |= set(operator.outputs)
        for i in (*operator.inputs, *operator.outputs):
            # a constant may have a scale of 0, and is 0 then; no result can
            written = i >= 0 and tensors[i].data is None
            if written and tensors[i].dtype in _CODED and 0.0 in tensors[i].scales:
                raise corrupt(f"tensor {i}", "a scale that is not a positive number")
    for i in graph.outputs:
        if i not in known:
            raise ModelError(f"no operator writes the output {i}", "export the model again")
