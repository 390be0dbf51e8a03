# SPDX-License-Identifier: Apache-2.0
"""Where each tensor of a plan lies: in the caller's buffers or in the arena."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from hil.engines.aot.chain import layout, scratch_offset
from hil.engines.aot.memory import Block, place
from hil.engines.aot.nodes import Plan


@dataclass(frozen=True, slots=True)
class Arena:
    """Offsets in the arena: of tensors, and of the scratch memory of nodes, by their number."""

    nbytes: int
    tensors: Mapping[int, int]
    scratch: Mapping[int, int]


def arrange(plan: Plan) -> Arena:
    """The places of all tensors that are not the model's inputs or outputs."""
    return _chain(plan) if _is_chain(plan) else _graph(plan)


def _is_chain(plan: Plan) -> bool:
    nodes = plan.nodes
    return (
        bool(nodes)
        and all(len(n.inputs) == len(n.outputs) == 1 for n in nodes)
        and not plan.states
        and [plan.root(i) for i in nodes[0].inputs] == list(plan.graph.input_indices)
        and all(plan.root(b.inputs[0]) == a.outputs[0] for a, b in pairwise(nodes))
        and list(plan.written) == [nodes[-1].outputs[0]]
        and not nodes[0].step.scratch_bytes  # it would lie with the caller's input
    )


def _chain(plan: Plan) -> Arena:
    found = layout(plan.steps)
    scratch = {
        i: scratch_offset(node.step, found.offsets[i - 1])
        for i, node in enumerate(plan.nodes)
        if node.step.scratch_bytes
    }
    inner = plan.nodes[:-1]
    offsets = {n.outputs[0]: o for n, o in zip(inner, found.offsets, strict=False)}
    return Arena(found.arena, offsets, scratch)


def _graph(plan: Plan) -> Arena:
    outside = {*plan.graph.input_indices, *plan.written}
    sizes: dict[int, int] = {}
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for i, node in enumerate(plan.nodes):
        for tensor, buffer in zip(node.inputs, node.step.sources, strict=True):
            root = plan.root(tensor)
            last[root] = i
            if buffer.kept:  # a state is there before the first step and after the last one
                first[root], last[root] = -1, len(plan.nodes)
                sizes[root] = buffer.nbytes
        for tensor, buffer in zip(node.outputs, node.step.targets, strict=True):
            first[tensor] = last[tensor] = i
            sizes[tensor] = buffer.nbytes
    for root in plan.states:
        last[root] = len(plan.nodes)
    inner = [root for root in sizes if root not in outside]
    number = {root: i for i, root in enumerate(inner)}
    blocks = [Block(sizes[root], first[root], last[root]) for root in inner]
    overlaps: dict[tuple[int, int], int] = {}
    for i, node in enumerate(plan.nodes):
        for pair, lead in _leads(plan, i).items():
            if all(root in number for root in pair) and last[pair[0]] == i:
                lead = min(lead, node.step.targets[0].nbytes)
                overlaps[number[pair[0]], number[pair[1]]] = lead
    users = [i for i, node in enumerate(plan.nodes) if node.step.scratch_bytes]
    blocks += [Block(plan.nodes[i].step.scratch_bytes, i, i) for i in users]
    found = place(blocks, overlaps)
    scratch = dict(zip(users, found.offsets[len(inner) :], strict=True))
    return Arena(found.arena, {root: found.offsets[number[root]] for root in inner}, scratch)


def _leads(plan: Plan, number: int) -> dict[tuple[int, int], int]:
    """(source, target) of node ``number`` that may overlap -> `Step.leads`."""
    node = plan.nodes[number]
    found: dict[tuple[int, int], int | None] = {}
    for tensor, lead in zip(node.inputs, node.step.leads, strict=True):
        pair = (plan.root(tensor), node.outputs[0])
        before = found.get(pair, lead)
        found[pair] = None if lead is None or before is None else max(lead, before)
    return {pair: lead for pair, lead in found.items() if lead is not None}
