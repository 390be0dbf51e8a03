"""What the layers of a network are called, whatever engine computes them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hil.tflite import Graph, Operator, Tensor
from hil.tflite.geometry import count_macs


@dataclass(frozen=True, slots=True)
class Layer:
    """What an engine computes in one go: one operator or several that it fused.

    Its output is ``tensor`` of the graph; ``name`` is of the network's own layers, ``ops`` of
    TFLite's operators, both joined by " + ". ``macs``: multiply-accumulates, padding included.
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
    """As Keras called it: of the output's name, else the weights', else the operator's code."""
    places = (operator.outputs[0], *(i for i in operator.inputs[1:] if i >= 0))
    for tensor in (graph.tensors[i] for i in places):
        if found := _layer_of(tensor):
            return found
    return f"{operator.code.lower()}_{operator.index}"


def _layer_of(tensor: Tensor) -> str:
    """``student_1/conv1_1/Relu;student_1/conv1_1/BiasAdd`` -> ``conv1``; empty: it names none.

    The exporter numbers every part of the path alike.
    """
    path = tensor.name.split(";")[0].split("/")
    if len(path) < 3:
        return ""
    number = re.search(r"_\d+$", path[0])
    name = path[-2].removesuffix(number[0]) if number else path[-2]
    return "".join(c if c.isprintable() else "?" for c in name)[:63]
