# SPDX-License-Identifier: Apache-2.0
"""State variables (VAR_HANDLE, READ_VARIABLE, ASSIGN_VARIABLE, CALL_ONCE) as tensors that stay.

`with_states` rewrites a graph: the tensor of a variable's handle becomes its state, a value of the
arena that is kept. Reading it takes no copy where nothing assigns to it until the value was used
for the last time, assigning takes none where the operator that computes the value may write it
there. A state that is shifted, as in streaming networks, is found by `Streams`.

The first values are those of TFLM's micro_resource_variable.cc: every byte is the zero point of
what is assigned first, until the subgraph of CALL_ONCE has run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from hil.core.text import printable
from hil.engines.aot.states.streams import Shifted, find_shift
from hil.tflite import Graph, Operator, Tensor
from hil.tflite.check import check_operator
from hil.tflite.flatbuffer import corrupt
from hil.tflite.graph import RESHAPES, refuse

_STATEFUL = ("VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE")
Values = npt.NDArray[np.generic]


@dataclass(slots=True)
class Variable:
    """A variable and its uses, each as its operator's position in the graph."""

    name: str
    handle: int  # the first tensor that holds its handle
    reads: list[int] = field(default_factory=list)
    writes: list[int] = field(default_factory=list)
    initial: Values | None = None


def with_states(graph: Graph) -> Graph:
    """The same network without these operators, except for copies (ASSIGN_VARIABLE) and views
    (READ_VARIABLE) of states. Raises `ModelError` for a variable without a value."""
    if not any(operator.code in _STATEFUL for operator in graph.operators):
        return graph
    return _Rewriting(graph).result()


class _Rewriting:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.tensors = list(graph.tensors)
        # at each position, what takes the place of the operator; then what follows it
        self.places: list[list[Operator]] = [
            [] if operator.code in _STATEFUL else [operator] for operator in graph.operators
        ]
        self.last = _last_uses(graph)

    def result(self) -> Graph:
        for variable in _variables(self.graph):
            if not variable.reads:
                continue  # nothing sees what is assigned
            self._check(variable)
            found = find_shift(self.graph, variable.reads, variable.writes, self.last)
            if found:
                self._shift(variable, found)
            else:
                self._keep(variable)
        operators = tuple(operator for place in self.places for operator in place)
        return replace(self.graph, tensors=tuple(self.tensors), operators=operators)

    def _check(self, variable: Variable) -> None:
        graph = self.graph
        if not variable.writes and variable.initial is None:
            raise refuse(
                graph.operators[variable.reads[0]],
                f"variable {printable(variable.name)!r} is read but never assigned",
                "export the model again, with its variables initialised",
            )
        tensors = [graph.tensors[graph.operators[at].outputs[0]] for at in variable.reads]
        tensors += [graph.tensors[graph.operators[at].inputs[1]] for at in variable.writes]
        first = (tensors[0].dtype, tensors[0].elements)
        same = all((t.dtype, t.elements) == first for t in tensors)
        if variable.initial is not None:
            same = same and variable.initial.size == first[1]
        if not same:
            raise refuse(
                graph.operators[variable.reads[0]],
                f"variable {printable(variable.name)!r} has several types or sizes",
                "export the model again",
            )

    def _state(self, variable: Variable, like: Tensor, initial: Values | None) -> int:
        """The state's tensor; ``like`` has its type, and the same values after an inference."""
        state = replace(like, data=None, variable=True, initial=initial)
        self.tensors[variable.handle] = state
        return variable.handle

    def _shift(self, variable: Variable, found: Shifted) -> None:
        graph = self.graph
        joined = graph.operators[found.concatenation]
        like = graph.tensors[joined.outputs[0]]
        initial = variable.initial
        if initial is not None and initial.size < like.elements:  # a state without its last frame
            values = np.zeros(like.elements, initial.dtype)
            values[like.elements - initial.size :] = initial.reshape(-1)
            initial = values
        state = self._state(variable, like, initial)
        step = replace(joined, code="ASSIGN_VARIABLE", inputs=(found.frame, state), outputs=())
        view = replace(joined, code="READ_VARIABLE", inputs=(state,))
        self.places[found.concatenation] = [step, view]
        self.places[found.slice] = []

    def _keep(self, variable: Variable) -> None:
        graph = self.graph
        at = (variable.writes or variable.reads)[0]
        operator = graph.operators[at]
        value = operator.inputs[1] if variable.writes else operator.outputs[0]
        state = self._state(variable, graph.tensors[value], variable.initial)
        viewed = []
        for read in variable.reads:
            made = graph.operators[read].outputs[0]
            copied = any(read < write < self.last[made] for write in variable.writes)
            code = "ASSIGN_VARIABLE" if copied else "READ_VARIABLE"
            self.places[read] = [replace(graph.operators[read], code=code, inputs=(state,))]
            if not copied:
                viewed.append((read, self.last[made]))
        for write in variable.writes:
            operator = graph.operators[write]
            source = self._producer(operator.inputs[1], variable, viewed)
            if source is None:
                inputs = (operator.inputs[1],)
                self.places[write] = [replace(operator, inputs=inputs, outputs=(state,))]
                continue
            writer = self.places[source][0]
            outputs = tuple(state if i == operator.inputs[1] else i for i in writer.outputs)
            view = replace(
                operator, code="READ_VARIABLE", inputs=(state,), outputs=operator.inputs[1:]
            )
            self.places[source] = [replace(writer, outputs=outputs), view]

    def _producer(
        self, value: int, variable: Variable, viewed: Sequence[tuple[int, int]]
    ) -> int | None:
        """The position of the operator that may write ``value`` to the state; None: copy it."""
        if len(variable.writes) > 1:
            return None
        for at, place in enumerate(self.places):
            if place and value in place[0].outputs:
                # it moves the assignment forwards: no reader of the old value may come later
                busy = any(first > at or last >= at for first, last in viewed)
                return None if busy or place[0].code in _VIEWS else at
        return None


# operators whose result has no bytes of its own
_VIEWS = (*RESHAPES, "READ_VARIABLE", "ASSIGN_VARIABLE")


def _last_uses(graph: Graph) -> Mapping[int, int]:
    """Tensor -> position of the last operator that uses it or a view of it."""
    end = len(graph.operators)
    last = dict.fromkeys(range(len(graph.tensors)), -1)
    last.update(dict.fromkeys(graph.output_indices, end))
    for at in reversed(range(end)):
        operator = graph.operators[at]
        use = at
        if operator.code in _VIEWS and operator.outputs:
            use = max(at, last[operator.outputs[0]])
        for i in operator.inputs:
            last[i] = max(last.get(i, -1), use)
    return last


def _variables(graph: Graph) -> list[Variable]:
    """The variables of a graph by number. Raises `ModelError` for what is not a use of one."""
    found: dict[int, Variable] = {}
    handles: dict[int, int] = {}  # tensor -> number of the variable
    for at, operator in enumerate(graph.operators):
        if operator.code == "VAR_HANDLE":
            number, handle = int(operator.options["variable"]), operator.outputs[0]
            handles[handle] = number
            found.setdefault(number, Variable(graph.variables[number], handle))
        elif operator.code in ("READ_VARIABLE", "ASSIGN_VARIABLE"):
            number = _number(operator, handles)
            one = found[number]
            (one.reads if operator.code == "READ_VARIABLE" else one.writes).append(at)
    for at, operator in enumerate(graph.operators):
        if operator.code == "CALL_ONCE":
            _initialise(graph, operator, at, found)
    return list(found.values())


def _number(operator: Operator, handles: Mapping[int, int]) -> int:
    if operator.inputs[0] not in handles:
        raise refuse(operator, "its variable has no VAR_HANDLE", "export the model again")
    return handles[operator.inputs[0]]


def _initialise(graph: Graph, once: Operator, at: int, found: Mapping[int, Variable]) -> None:
    """The constants that CALL_ONCE assigns."""
    number = int(once.options["subgraph"])
    if not 1 <= number <= len(graph.others):
        raise corrupt(str(once), f"subgraph {number} does not exist")
    inner = graph.others[number - 1]
    handles: dict[int, int] = {}
    for operator in inner.operators:
        values = inner.tensors[operator.inputs[-1]].data if operator.inputs else None
        assigns = operator.code == "ASSIGN_VARIABLE" and values is not None
        if not assigns and operator.code != "VAR_HANDLE":
            raise refuse(
                once,
                f"its subgraph runs {operator.code}, not only assignments of constants",
                "export the model with constant initial values",
            )
        check_operator(operator, inner.tensors)
        if not assigns:
            handles[operator.outputs[0]] = int(operator.options["variable"])
            continue
        variable = found.get(_number(operator, handles))
        if variable is None:
            continue
        if min([*variable.reads, *variable.writes], default=at) < at:
            raise refuse(
                once,
                f"it initialises variable {printable(variable.name)!r} after its first use",
                "export the model again",
            )
        variable.initial = values


def initial_byte(tensor: Tensor) -> int | None:
    """The byte that fills a state before the first inference; None: `Tensor.initial` has several.

    As TFLM's micro_resource_variable.cc and ResetVariableTensor() fill it.
    """
    if tensor.initial is None:
        return tensor.zero_point & 0xFF
    met = set(tensor.initial.tobytes())
    return met.pop() if len(met) == 1 else None
