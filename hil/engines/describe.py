# SPDX-License-Identifier: Apache-2.0
"""Facts read off a network's graph without compiling it: least memory, and names of layers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hil.core.text import printable
from hil.tflite import Graph, Operator, Tensor
from hil.tflite.graph import NUMPY_TYPES, WEIGHTED, count_macs


def constant_bytes(graph: Graph) -> int:
    """Bytes of weights and biases, which are in flash whatever the engine."""
    used = {i for op in graph.operators if op.code in WEIGHTED for i in op.inputs[1:] if i >= 0}
    constants = (graph.tensors[i].data for i in used)
    return sum(values.nbytes for values in constants if values is not None)


def largest_step(graph: Graph) -> int:
    """Bytes of the largest weighted operator's input and output together, which an engine that
    runs operator by operator holds in RAM at once."""
    weighted = (op for op in graph.operators if op.code in WEIGHTED)
    return max(
        (_size(graph, op.inputs[0]) + _size(graph, op.outputs[0]) for op in weighted), default=0
    )


def largest_inner(graph: Graph) -> int:
    """The same for an engine that works on the caller's input and output: tensors of their size are
    not counted, because they may lie there (a RESHAPE moves nothing)."""
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
    """What an engine computes at once: one operator, or several that it fused.

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
