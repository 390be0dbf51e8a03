# SPDX-License-Identifier: Apache-2.0
"""Turn a checked graph into nodes: refuse unsupported operators, fuse those that stay exact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from hil.core.errors import ModelError
from hil.engines.aot.moves.composing import composed
from hil.engines.aot.moves.copying import Copy, copied_constants
from hil.engines.aot.moves.moving import Moved
from hil.engines.aot.moves.sharing import shared
from hil.engines.aot.nodes import Arena, Node, Plan
from hil.engines.aot.operators import FAMILIES, RESOLVED, VIEWS
from hil.engines.aot.places import arrange
from hil.engines.aot.states.variables import with_states
from hil.engines.aot.steps import Buffer, Pool, Step
from hil.engines.aot.values.binary import Binary
from hil.engines.aot.values.channelwise import Channelwise
from hil.engines.aot.values.unweighted import Map, Pooling
from hil.engines.aot.weighted.around import Collected, Inner, Repeated
from hil.engines.aot.weighted.choosing import choose_gathered
from hil.engines.aot.weighted.conv import Conv
from hil.engines.aot.weighted.padding import with_padding
from hil.engines.aot.weighted.pruning import pruned
from hil.tflite import Graph, Operator, Tensor
from hil.tflite.graph import INT8, INT16, UINT8, refuse, type_name
from hil.tflite.unroll import unrolled

SUPPORTED = (*FAMILIES, *VIEWS, *RESOLVED)
_ADVICE = {"IF": "export without branches that depend on data"}
MAX_ELEMENTS = 1 << 22  # of an activation: more than any microcontroller holds
_CODES = {INT8: (-128, 127), UINT8: (0, 255), INT16: (-32768, 32767)}  # valid zero points


def plan(graph: Graph) -> tuple[Step, ...]:
    """The steps of `plan_nodes`."""
    return plan_nodes(graph).steps


def plan_nodes(graph: Graph, *, whole: bool = False) -> Plan:
    """How to compute the model's outputs from its inputs.

    ``whole``: keep channels that do not matter, so that the tensors are those of the file.
    Raises `ModelError` that names every operator, type and structure that aot cannot run exactly.
    """
    graph = with_states(unrolled(graph))
    graph, operators, copies = copied_constants(graph, _needed(graph))
    _check_all(graph, operators)
    views: dict[int, int] = {}
    nodes: list[Node] = []
    faults: list[ModelError] = []
    for operator in operators:
        if operator.code in VIEWS:
            source = operator.inputs[0]
            views[operator.outputs[0]] = views.get(source, source)
            continue
        nodes += [copies.pop(i) for i in operator.inputs if i in copies]
        try:
            nodes.append(_node(operator, graph))
        except ModelError as fault:
            faults.append(fault)
    if faults:
        raise _joined(faults)
    made = Plan(graph, (*_fused(graph, nodes, views), *_copies(graph, views)), views)
    if not whole:
        made = pruned(made)
    return _gathered(shared(_smaller(made, composed(made))))


def _smaller(made: Plan, other: Plan) -> Plan:
    """``other``, unless it needs a larger arena."""
    same = len(made.nodes) == len(other.nodes)
    return made if same or arrange(other).nbytes > arrange(made).nbytes else other


def _gathered(made: Plan) -> Plan:
    trials = _Trials(made)
    chosen = choose_gathered(made.steps, trials)
    return replace(trials.plan(chosen), near=trials.arena)


class _Trials:
    """The arenas of a plan with other steps in their places."""

    def __init__(self, made: Plan) -> None:
        self.made = made
        self.arena: Arena | None = None

    def plan(self, steps: Sequence[Step]) -> Plan:
        return replace(self.made.with_steps(steps), near=self.arena)

    def grown(self, steps: Sequence[Step]) -> int:
        """Bytes by which the arena would grow."""
        before = self.arena.nbytes if self.arena else 0
        return max(arrange(self.plan(steps)).nbytes - before, 0)

    def keep(self, steps: Sequence[Step]) -> None:
        """Compare with the arena of these steps from now on."""
        self.arena = arrange(self.plan(steps), smaller=True)


def _needed(graph: Graph) -> list[Operator]:
    """The operators whose results something uses, in order."""
    used = set(graph.output_indices)
    found = []
    for operator in reversed(graph.operators):
        kept = any(graph.tensors[i].variable for i in operator.outputs)
        if kept or not operator.outputs or used.intersection(operator.outputs):
            used.update(operator.inputs)
            found.append(operator)
    return found[::-1]


def _check_all(graph: Graph, operators: Sequence[Operator]) -> None:
    """Every operator is known, and its tensors have types and sizes that it takes."""
    faults = []
    for operator in operators:
        try:
            _check(operator, graph)
        except ModelError as fault:
            faults.append(fault)
    if faults:
        raise _joined(faults)


def _joined(faults: Sequence[ModelError]) -> ModelError:
    """All faults as one error, each reason once."""
    if len(faults) == 1:
        return faults[0]
    said = Counter(_unnumbered(fault.what) for fault in faults)
    first = {_unnumbered(fault.what): fault.what for fault in reversed(faults)}
    parts = [
        first[what] + (f" (and {count - 1} more)" if count > 1 else "")
        for what, count in said.items()
    ]
    hints = list(dict.fromkeys(fault.hint for fault in faults if fault.hint))
    return ModelError("; ".join(parts), "; ".join(hints))


def _unnumbered(what: str) -> str:
    """Without the operator's number, so that the same fault of two operators is one."""
    _, _, rest = what.partition("(")
    return rest or what


def _check(operator: Operator, graph: Graph) -> None:
    if operator.code not in SUPPORTED:
        advice = _ADVICE.get(operator.code, f"aot supports {', '.join(SUPPORTED)}")
        raise refuse(operator, "engine aot does not support it", advice)
    activations = [graph.tensors[i] for i in _activations(operator, graph)]
    results = [graph.tensors[i] for i in operator.outputs]
    if not activations and operator.inputs:
        raise refuse(operator, "it works on a constant", "export the model again")
    family = FAMILIES.get(operator.code)
    for tensor in (*activations, *results):
        if family and tensor.dtype not in family.types:
            types = ", ".join(map(type_name, family.types))
            raise refuse(
                operator, f"a tensor of {type_name(tensor.dtype)}", f"aot runs it in {types}"
            )
        _check_tensor(operator, tensor)
        if family and tensor.dtype == INT16 and tensor.zero_point and not family.offsets:
            raise refuse(operator, "int16 with a zero point", "export the model again")
    met = {t.dtype for t in (*activations, *results)}
    if len(met) > 1 and not (family and family.converts):
        raise refuse(operator, "its input and output differ in type", "export the model again")


def _activations(operator: Operator, graph: Graph) -> list[int]:
    """The tensors that it reads and that are not constants."""
    return [i for i in operator.inputs if i >= 0 and graph.tensors[i].data is None]


def _check_tensor(operator: Operator, tensor: Tensor) -> None:
    if tensor.elements > MAX_ELEMENTS:
        shape = list(tensor.shape)
        raise refuse(operator, f"a tensor of shape {shape}", f"{MAX_ELEMENTS} values are the limit")
    if tensor.dtype in _CODES and (tensor.scales or tensor.dtype != INT16):
        low, high = _CODES[tensor.dtype]
        if len(tensor.scales) != 1 or not low <= tensor.zero_point <= high:
            name = type_name(tensor.dtype)
            raise refuse(
                operator, f"a tensor of {name} without one valid scale", "export the model again"
            )


def _node(operator: Operator, graph: Graph) -> Node:
    inputs = tuple(_activations(operator, graph))
    shapes = [_shape(graph.tensors[i]) for i in (*inputs, *operator.outputs)]
    name = f"{operator.code.lower()}_{operator.index}"
    taken, made = " + ".join(shapes[: len(inputs)]), ", ".join(shapes[len(inputs) :])
    note = f"{operator.code} {taken} -> {made}"
    step = FAMILIES[operator.code].plan(operator, graph, name, note)
    return Node(step, inputs, operator.outputs, (operator,))


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "1"


def _fused(graph: Graph, nodes: Sequence[Node], views: Mapping[int, int]) -> Iterable[Node]:
    """``nodes``, those merged that may be: the value between them must have no other use."""
    uses = Counter(views.get(i, i) for node in nodes for i in node.inputs)
    uses.update(views.get(i, i) for i in graph.output_indices)
    uses.update(i for i, tensor in enumerate(graph.tensors) if tensor.variable)
    made: list[Node] = []
    place: dict[int, int] = {}  # tensor -> the number in `made` of the node that writes it
    for node in nodes:
        source = views.get(node.inputs[0], node.inputs[0]) if len(node.inputs) == 1 else -1
        at = place.get(source, -1)
        merged = None
        if at >= 0 and uses[source] == 1:
            merged = _merge(made[at].step, node.step) or _with_padding(graph, made[at], node.step)
        if merged is None:
            made.append(node)
            at = len(made) - 1
        else:
            before = made[at]
            made[at] = Node(
                merged, before.inputs, node.outputs, (*before.operators, *node.operators)
            )
        place.update((i, at) for i in node.outputs)
    return made


def _copies(graph: Graph, views: Mapping[int, int]) -> Iterable[Node]:
    """For outputs that no step can write directly: those that are inputs, constants or twice."""
    taken = set(graph.input_indices)
    for number, output in enumerate(graph.output_indices):
        root = views.get(output, output)
        tensor = graph.tensors[root]
        kept = tensor.data is not None or tensor.variable
        if root in taken or kept:
            buffer = replace(Buffer.of(graph.tensors[output]), kept=False)
            step = Copy(f"copy_{number}", f"output {number}", buffer, tensor.data)
            # each copy is a tensor of its own, which the graph does not have
            yield Node(step, () if tensor.data is not None else (root,), (-1 - number,))
        taken.add(root)


def _merge(before: Step, step: Step) -> Step | None:
    """Both steps as one; None where that is not exact or computes a value twice."""
    if isinstance(before, Repeated) and isinstance(step, Repeated | Map):
        each: Step = step
        if isinstance(step, Repeated):
            if step.times != before.times:
                return None
            each = step.inner
        once = _merge(before.inner, each)
        return replace(before, inner=once) if isinstance(once, Inner) else None
    if isinstance(before, Collected) and isinstance(before.inner, Conv) and isinstance(step, Map):
        conv = _merge(before.inner, step)
        return replace(before, inner=conv) if isinstance(conv, Conv) else None
    if isinstance(step, Map) and step.kind == "activation":
        does = step.activation
        if isinstance(before, Conv) and before.pool is None:
            return _noted(replace(before, pre=before.pre.then(does)), step)
        if isinstance(before, Binary):
            return _noted(replace(before, post=before.post.then(does)), step)
        if isinstance(before, Channelwise):
            *earlier, last = before.stages
            last = replace(last, post=last.post.then(does))
            return _noted(replace(before, stages=(*earlier, last)), step)
        if isinstance(before, Conv | Pooling):
            return _noted(replace(before, post=before.post.then(does)), step)
        if isinstance(before, Map) and before.kind == "activation":
            return replace(
                before,
                note=f"{before.note}, {step.note}",
                activation=before.activation.then(does),
            )
    if isinstance(step, Channelwise):
        if isinstance(before, Channelwise) and step.nest == before.nest:
            return _noted(replace(before, stages=before.stages + step.stages), step)
        return None
    if isinstance(step, Pooling) and isinstance(before, Conv) and _fusable(before, step.pool):
        merged = replace(before, pool=step.pool, post=step.post)
        return _noted(merged, step)
    return None


def _with_padding(graph: Graph, before: Node, step: Step) -> Step | None:
    """A convolution with the PAD before it."""
    if not isinstance(before.step, Moved):
        return None
    return with_padding(before.operators[-1], step, graph, before.step.note)


def _noted(merged: Conv | Pooling | Binary | Channelwise, step: Step) -> Step:
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
