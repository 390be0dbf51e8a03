# SPDX-License-Identifier: Apache-2.0
"""Moves of moves as one: each value is copied once, from where it was before all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from hil.engines.aot.moves.moving import Moved, made_from
from hil.engines.aot.moves.regions import FILL, Numbers, renumbered
from hil.engines.aot.nodes import Node, Plan

_MORE = 4  # regions that one step may have beyond those of both


def composed(plan: Plan) -> Plan:
    """The plan in which a move that reads only what another one wrote for it includes that one."""
    uses = Counter(plan.root(i) for node in plan.nodes for i in node.inputs)
    uses.update(plan.root(i) for i in plan.graph.output_indices)
    nodes: list[Node | None] = list(plan.nodes)
    maker: dict[int, int] = {}  # tensor -> the number in `nodes` of the node that writes it
    for number, node in enumerate(plan.nodes):
        at = 0
        while isinstance(node.step, Moved) and at < len(node.inputs):
            root = plan.root(node.inputs[at])
            before = nodes[maker[root]] if root in maker and uses[root] == 1 else None
            joined = _joined(before, node, at, plan) if before else None
            if joined is None:
                at += 1
                continue
            nodes[maker[root]] = None
            node = joined
        nodes[number] = node
        maker.update((i, number) for i in node.outputs)
    return replace(plan, nodes=_needed(plan, nodes))


def _joined(before: Node, node: Node, at: int, plan: Plan) -> Node | None:
    """``node`` with ``before``, which writes its input number ``at``."""
    if before.outputs[0] < 0 or len(before.outputs) > 1:
        return None
    # a state may change between the two
    if any(plan.graph.tensors[plan.root(i)].variable for i in (*before.inputs, *before.outputs)):
        return None
    step = _step(before.step, node.step, at)
    if step is None:
        return None
    inputs = (*node.inputs[:at], *before.inputs, *node.inputs[at + 1 :])
    step, kept = _read(step)
    inputs = tuple(inputs[i] for i in kept)
    return Node(step, inputs, node.outputs, (*before.operators, *node.operators))


def _read(step: Moved) -> tuple[Moved, list[int]]:
    """The step with the sources that it reads, and their numbers before."""
    used = {region.source for parts in step.regions for region in parts}
    kept = [i for i in range(len(step.sources)) if i in used]
    constants = [i for i in step.constants if i in used]
    if len(kept) == len(step.sources) and len(constants) == len(step.constants):
        return step, kept
    order = {old: new for new, old in enumerate([*kept, *constants])}
    step = made_from(
        step.name,
        step.note,
        tuple(step.sources[i] for i in kept),
        step.targets,
        [renumbered(values, order) for values in step.numbers],
        {order[i]: step.constants[i] for i in constants},
        step.fill,
    )
    return step, kept


def _needed(plan: Plan, nodes: Sequence[Node | None]) -> tuple[Node, ...]:
    """The nodes whose results something reads, or that write an output or a state."""
    used = set(map(plan.root, plan.graph.output_indices))
    found = []
    for node in reversed(nodes):
        if node is None:
            continue
        kept = any(i < 0 or plan.graph.tensors[i].variable for i in node.outputs)
        if kept or not node.outputs or used.intersection(map(plan.root, node.outputs)):
            used.update(map(plan.root, node.inputs))
            found.append(node)
    return tuple(reversed(found))


def _step(before: object, step: object, at: int) -> Moved | None:
    if not isinstance(before, Moved) or not isinstance(step, Moved):
        return None
    if _fills(before) and _fills(step) and before.fill != step.fill:
        return None
    count, more = len(step.sources), len(before.sources)
    constants: dict[int, npt.NDArray[np.generic]] = {}

    def numbers(of: Moved, first: int, others: int) -> dict[int, int]:
        """The new numbers of the sources of a step, which start at ``first``."""
        found = {i: first + i for i in range(len(of.sources))}
        for i, values in of.constants.items():
            found[i] = others + len(constants)
            constants[found[i]] = values
        return found

    total = count - 1 + more
    inner = numbers(before, at, total)
    outer = numbers(step, 0, total)
    outer |= {i: i + more - 1 for i in range(at + 1, count)}
    values = renumbered(before.numbers[0], inner).reshape(-1)
    made: list[Numbers] = [renumbered(n, outer, {at: values}) for n in step.numbers]
    joined = made_from(
        step.name,
        f"{before.note}, {step.note}",
        (*step.sources[:at], *before.sources, *step.sources[at + 1 :]),
        step.targets,
        made,
        constants,
        before.fill if _fills(before) else step.fill,
    )
    regions = sum(map(len, joined.regions))
    limit = sum(map(len, (*before.regions, *step.regions))) + _MORE
    return (
        joined if regions <= limit and _tables(joined) <= _tables(before) + _tables(step) else None
    )


def _fills(step: Moved) -> bool:
    """Whether some values come from nowhere."""
    return any(region.source == FILL for parts in step.regions for region in parts)


def _tables(step: Moved) -> int:
    """How many loops of a step look up where they read."""
    return sum(bool(loop.table) for r in step.regions for region in r for loop in region.loops)
