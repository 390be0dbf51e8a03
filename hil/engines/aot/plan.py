# SPDX-License-Identifier: Apache-2.0
"""Turn a checked graph into steps: refuse unsupported operators, fuse those that stay exact."""

from __future__ import annotations

from dataclasses import replace

from hil.core.errors import ModelError
from hil.engines.aot.conv import Conv
from hil.engines.aot.conv_gather import choose_gathered
from hil.engines.aot.operators import FAMILIES
from hil.engines.aot.steps import Pool, Step
from hil.engines.aot.unweighted import Map, Pooling
from hil.tflite import Graph, Operator, Tensor
from hil.tflite.graph import FLOAT32, INT8, refuse

SUPPORTED = (*FAMILIES, "RESHAPE")
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
    converts = operator.code == "DEQUANTIZE" or (operator.code == "QUANTIZE" and x.dtype == FLOAT32)
    if x.dtype != y.dtype and not converts:
        raise refuse(operator, "its input and output differ in type", "export the model again")
    name = f"{operator.code.lower()}_{operator.index}"
    note = f"{operator.code} {_shape(x)} -> {_shape(y)}"
    return FAMILIES[operator.code].plan(operator, graph, name, note)


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape))


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
