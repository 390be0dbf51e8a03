# SPDX-License-Identifier: Apache-2.0
"""A planned network: its steps with the tensors that they read and write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from hil.engines.aot.steps import Step
from hil.tflite import Graph, Operator
from hil.tflite.graph import Layer, layer


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A step, the tensors that it reads and writes, and the operators that it computes.

    ``inputs`` and ``outputs`` are tensor indices, in the order of the step's sources and targets.
    """

    step: Step
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operators: tuple[Operator, ...] = ()


@dataclass(frozen=True, slots=True)
class Arena:
    """Offsets in the arena: of tensors, and of the scratch memory of nodes, by their number."""

    nbytes: int
    tensors: Mapping[int, int]
    scratch: Mapping[int, int]


class Arenas(Protocol):
    """The arenas of a network with other steps in their places."""

    def grown(self, steps: Sequence[Step]) -> int:
        """Bytes by which the arena would grow."""
        ...

    def keep(self, steps: Sequence[Step]) -> None:
        """Compare with the arena of these steps from now on."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The nodes of a network in order.

    ``views``: tensor -> the tensor whose bytes it shares. ``offsets``: from which byte of it on.
    ``near``: a good arena of similar steps, from which the search for places starts.
    """

    graph: Graph
    nodes: tuple[Node, ...]
    views: Mapping[int, int]
    offsets: Mapping[int, int] = field(default_factory=dict)
    near: Arena | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(node.step for node in self.nodes)

    def with_steps(self, steps: Sequence[Step]) -> Plan:
        """The same nodes with other steps in their places."""
        nodes = (replace(node, step=s) for node, s in zip(self.nodes, steps, strict=True))
        return replace(self, nodes=tuple(nodes))

    def root(self, tensor: int) -> int:
        """The tensor whose bytes ``tensor`` has."""
        return self.views.get(tensor, tensor)

    def is_piece(self, tensor: int) -> bool:
        """Whether it shares the bytes of a larger tensor."""
        root, tensors = self.root(tensor), self.graph.tensors
        return root != tensor and tensors[root].elements != tensors[tensor].elements

    @property
    def states(self) -> tuple[int, ...]:
        """The tensors that keep their values from one inference to the next."""
        met = (self.root(i) for node in self.nodes for i in (*node.inputs, *node.outputs))
        return tuple(i for i in dict.fromkeys(met) if i >= 0 and self.graph.tensors[i].variable)

    @property
    def written(self) -> Mapping[int, int]:
        """Tensor that a node writes -> number of the model's output whose buffer that is."""
        found: dict[int, int] = {}
        made = {i for node in self.nodes for i in node.outputs}
        for number, output in enumerate(self.graph.output_indices):
            root = self.root(output)
            if -1 - number in made:
                root = -1 - number  # a copy
            found[root] = number
        return found

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What the generated code shows, in order: every output of every node that the file has.

        The rounds of a loop are one layer with the loop's result.
        """
        found = []
        hidden: list[Operator] = []
        for node in self.nodes:
            shown = self.shown(node)
            made = [self._layer((*hidden, *node.operators), i) for i in shown]
            if hidden:
                made = [replace(m, ops=" + ".join(dict.fromkeys(m.ops.split(" + ")))) for m in made]
            found += made
            hidden = [] if shown else [*hidden, *node.operators]
        return tuple(found)

    def shown(self, node: Node) -> tuple[int, ...]:
        """The outputs of a node that are tensors of the file, or copies of them."""
        tensors = self.graph.tensors
        return tuple(i for i in node.outputs if i < 0 or tensors[i].index >= 0)

    def _layer(self, operators: Sequence[Operator], output: int) -> Layer:
        if output < 0:
            index = self.graph.tensors[self.graph.output_indices[-1 - output]].index
            return Layer("copy", "copy", index)
        # a state has the number of the tensor whose values it keeps
        return layer(self.graph, operators, self.graph.tensors[output].index)
