"""What a network takes at the least, read off its graph: nothing is compiled."""

from __future__ import annotations

import numpy as np

from hil.tflite import Graph
from hil.tflite.geometry import WEIGHTED
from hil.tflite.graph import NUMPY_TYPES


def constant_bytes(graph: Graph) -> int:
    """Bytes of weights and biases, which are in flash whatever the engine."""
    used = {i for op in graph.operators if op.code in WEIGHTED for i in op.inputs[1:] if i >= 0}
    constants = (graph.tensors[i].data for i in used)
    return sum(values.nbytes for values in constants if values is not None)


def largest_step(graph: Graph) -> int:
    """Bytes of the largest weighted operator's input and output together, which an engine that
    runs one operator after the other has in RAM at once."""

    weighted = (op for op in graph.operators if op.code in WEIGHTED)
    return max(
        (_size(graph, op.inputs[0]) + _size(graph, op.outputs[0]) for op in weighted), default=0
    )


def largest_inner(graph: Graph) -> int:
    """The same of an engine that works on the caller's input and output: what may lie there, for
    it is as large (a RESHAPE moves nothing), is not counted."""
    outside = {graph.input.elements, graph.output.elements}

    def size(index: int) -> int:
        return 0 if graph.tensors[index].elements in outside else _size(graph, index)

    weighted = (op for op in graph.operators if op.code in WEIGHTED)
    return max((size(op.inputs[0]) + size(op.outputs[0]) for op in weighted), default=0)


def _size(graph: Graph, index: int) -> int:
    tensor = graph.tensors[index]
    return tensor.elements * np.dtype(NUMPY_TYPES.get(tensor.dtype, "u1")).itemsize
