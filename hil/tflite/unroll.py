# SPDX-License-Identifier: Apache-2.0
"""Loops (WHILE) whose number of rounds is a constant, written out as the rounds in a row.

Keras' recurrent layers without ``unroll=True`` become such loops. The condition and the loop's
counter are evaluated here; the other operators of a round are appended to the graph. All rounds
share the constants of the body.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hil.core.errors import ModelError
from hil.tflite.check import check_operator, check_order
from hil.tflite.flatbuffer import corrupt
from hil.tflite.fold import evaluated, fold, folded
from hil.tflite.graph import Graph, Operator, Subgraph, Tensor, refuse
from hil.tflite.lists import Lists

MAX_ROUNDS = 256  # of one loop
MAX_OPERATORS = 8192  # of the graph with all rounds
_MAX_DEPTH = 4  # of loops in loops
_EXPORT = "export LSTM, GRU and RNN layers of Keras with a fixed, small number of time steps"


def unrolled(graph: Graph) -> Graph:
    """The folded graph without loops. New tensors have the index -1: the file does not have them.

    Raises `ModelError` for a loop whose number of rounds depends on the input or exceeds
    `MAX_ROUNDS`, and for one whose tensors do not fit together.
    """
    graph = folded(graph)
    if not any(operator.code == "WHILE" for operator in graph.operators):
        return graph
    return _Unrolling(graph).result()


@dataclass(frozen=True, slots=True)
class _Body:
    """A subgraph with folded constants. ``place``: their numbers in the whole graph."""

    graph: Subgraph
    place: dict[int, int]


class _Unrolling:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.tensors: list[Tensor] = list(graph.tensors)
        self.operators: list[Operator] = []
        self.number = max(operator.index for operator in graph.operators) + 1
        self.lists = Lists(self.tensors)
        self.bodies: dict[int, _Body] = {}

    def result(self) -> Graph:
        graph = self.graph
        place = {i: i for i in range(len(graph.tensors))}
        for operator in graph.operators:
            made = replace(operator, inputs=_placed(operator.inputs, place))
            place.update(zip(operator.outputs, self._add(made, 0), strict=True))
        names = self._names(place)
        operators = tuple(
            replace(o, inputs=_placed(o.inputs, names), outputs=_placed(o.outputs, names))
            for o in self.operators
        )
        outputs = tuple(names.get(place[i], place[i]) for i in graph.output_indices)
        return replace(
            graph, tensors=tuple(self.tensors), operators=operators, output_indices=outputs
        )

    def _names(self, place: dict[int, int]) -> dict[int, int]:
        """Tensors of a last round -> the loop's result, which the file has."""
        written = {i for operator in self.operators for i in operator.outputs}
        names: dict[int, int] = {}
        for i, value in place.items():
            found, named = self.tensors[value], self.tensors[i]
            same = (found.dtype, found.shape) == (named.dtype, named.shape)
            if value in written and found.index < 0 and same:
                names.setdefault(value, i)
        return names

    def _add(self, operator: Operator, depth: int) -> tuple[int, ...]:
        """Append an operator; the tensors that have its results."""
        if operator.code == "WHILE":
            return self._loop(operator, depth)
        simpler = self.lists.simplified(operator)
        if isinstance(simpler, int):
            return (simpler,)
        values = evaluated(simpler, self.tensors)
        if values is not None:
            for i, data in zip(simpler.outputs, values, strict=True):
                self.tensors[i] = replace(self.tensors[i], data=data)
            return simpler.outputs
        if len(self.operators) >= MAX_OPERATORS:
            raise ModelError(f"loops of more than {MAX_OPERATORS} operators in all", _EXPORT)
        if depth and any(not self.tensors[i].elements for i in simpler.inputs if i >= 0):
            raise refuse(operator, "it reads an empty tensor in a loop", "export the model again")
        self.operators.append(simpler)
        return simpler.outputs

    def _loop(self, operator: Operator, depth: int) -> tuple[int, ...]:
        if depth >= _MAX_DEPTH:
            raise refuse(operator, f"more than {_MAX_DEPTH} loops in each other", _EXPORT)
        condition, body = (
            self._body(operator, int(operator.options[key])) for key in ("condition", "body")
        )
        count = len(operator.inputs)
        sizes = [len(condition.graph.inputs), len(body.graph.inputs), len(body.graph.outputs)]
        fits = {*sizes, len(operator.outputs)} == {count} and len(condition.graph.outputs) == 1
        if not fits or -1 in operator.inputs:
            raise corrupt(str(operator), "its subgraphs have other numbers of inputs and outputs")
        values = operator.inputs
        rounds = 0
        while self._holds(operator, condition, values):
            rounds += 1
            if rounds > MAX_ROUNDS:
                raise refuse(operator, f"more than {MAX_ROUNDS} rounds", _EXPORT)
            self._check(operator, body.graph, values)
            values = self._round(body, values, depth + 1)
        return values

    def _body(self, operator: Operator, number: int) -> _Body:
        if number not in self.bodies:
            if not 1 <= number <= len(self.graph.others):
                raise corrupt(str(operator), f"subgraph {number} does not exist")
            graph = self.graph.others[number - 1]
            for inner in graph.operators:
                check_operator(inner, graph.tensors)
            check_order(graph)
            operators, tensors = fold(graph.operators, graph.tensors)
            place = {}
            for i, tensor in enumerate(tensors):
                if tensor.data is not None:
                    place[i] = self._new(tensor)
            made = replace(graph, operators=tuple(operators), tensors=tuple(tensors))
            self.bodies[number] = _Body(made, place)
        return self.bodies[number]

    def _new(self, tensor: Tensor) -> int:
        self.tensors.append(replace(tensor, index=-1))
        return len(self.tensors) - 1

    def _check(self, operator: Operator, graph: Subgraph, values: Sequence[int]) -> None:
        for i, value in zip(graph.inputs, values, strict=True):
            taken, given = graph.tensors[i], self.tensors[value]
            if (taken.dtype, taken.shape) != (given.dtype, given.shape):
                why = f"a tensor of shape {list(given.shape)} becomes {list(taken.shape)}"
                raise refuse(operator, why, _EXPORT)

    def _holds(self, operator: Operator, condition: _Body, values: Sequence[int]) -> bool:
        """Whether another round follows."""
        graph = condition.graph
        self._check(operator, graph, values)
        tensors = list(graph.tensors)
        for i, value in zip(graph.inputs, values, strict=True):
            tensors[i] = replace(tensors[i], data=self.tensors[value].data)
        _, tensors = fold(graph.operators, tensors)
        data = tensors[graph.outputs[0]].data
        if data is None or data.size != 1:
            raise refuse(operator, "its number of rounds depends on the input", _EXPORT)
        return bool(data.reshape(-1)[0])

    def _round(self, body: _Body, values: Sequence[int], depth: int) -> tuple[int, ...]:
        """Append the operators of one round; the tensors of its results."""
        place = body.place | dict(zip(body.graph.inputs, values, strict=True))
        for operator in body.graph.operators:
            outputs = tuple(self._new(body.graph.tensors[i]) for i in operator.outputs)
            self.number += 1
            made = replace(
                operator,
                index=self.number - 1,
                inputs=_placed(operator.inputs, place),
                outputs=outputs,
            )
            place.update(zip(operator.outputs, self._add(made, depth), strict=True))
        return tuple(place[i] for i in body.graph.outputs)


def _placed(tensors: Sequence[int], place: dict[int, int]) -> tuple[int, ...]:
    return tuple(place.get(i, i) for i in tensors)
