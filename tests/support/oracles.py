# SPDX-License-Identifier: Apache-2.0
"""What TFLM and LiteRT answer, for models with any number of inputs, outputs and states."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tflite_micro import runtime

from hil.tflite import Graph
from tests.support.tiles import without_tile

Arrays = list[npt.NDArray[np.generic]]
_ARENA = 8 << 20


def tflm_outputs(graph: Graph, inputs: Sequence[npt.NDArray[np.generic]]) -> Arrays:
    """Every output (samples, ...) of TFLM; the samples are a sequence from a fresh state."""
    interpreter = runtime.Interpreter.from_bytes(without_tile(graph), arena_size=_ARENA)
    found: list[Arrays] = [[] for _ in graph.outputs]
    for i in range(len(inputs[0])):
        for number, (x, spec) in enumerate(zip(inputs, graph.inputs, strict=True)):
            interpreter.set_input(x[i].reshape(spec.shape), number)
        interpreter.invoke()
        for number, rows in enumerate(found):
            rows.append(interpreter.get_output(number).copy())
    return [np.stack(rows) for rows in found]


def litert_outputs(graph: Graph, inputs: Sequence[npt.NDArray[np.generic]]) -> Arrays:
    """The same of LiteRT's reference kernels."""
    interpreter = Interpreter(
        model_content=graph.data,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
    )
    interpreter.allocate_tensors()
    interpreter.reset_all_variables()
    found: list[Arrays] = [[] for _ in graph.outputs]
    for i in range(len(inputs[0])):
        for x, index in zip(inputs, graph.input_indices, strict=True):
            shape = interpreter.get_input_details()[graph.input_indices.index(index)]["shape"]
            interpreter.set_tensor(index, x[i].reshape(shape))
        interpreter.invoke()
        for rows, index in zip(found, graph.output_indices, strict=True):
            rows.append(interpreter.get_tensor(index).copy())
    return [np.stack(rows) for rows in found]


def reference_outputs(graph: Graph, inputs: Sequence[npt.NDArray[np.generic]]) -> Arrays:
    """TFLM's for an integer network, else LiteRT's; the other one's if the first refuses it."""
    first, second = tflm_outputs, litert_outputs
    if not graph.precision.integer:
        first, second = second, first
    try:
        return first(graph, inputs)
    except (RuntimeError, ValueError):  # an operator that it does not have
        return second(graph, inputs)
