# SPDX-License-Identifier: Apache-2.0
"""Where each tensor of a plan lies: in the caller's buffers or in the arena."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hil.engines.aot.memory import Block, align, place
from hil.engines.aot.nodes import Plan
from hil.engines.aot.steps import Buffer, Step


@dataclass(frozen=True, slots=True)
class Arena:
    """Offsets in the arena: of tensors, and of the scratch memory of nodes, by their number."""

    nbytes: int
    tensors: Mapping[int, int]
    scratch: Mapping[int, int]


def least_lead(step: Step, source: int = 0) -> int:
    """One of `Step.leads`, aligned, and at most the whole output."""
    whole, lead = step.targets[0].nbytes, step.leads[source]
    return align(whole if lead is None else min(max(lead, 0), whole))


def arrange(plan: Plan) -> Arena:
    """The places of all tensors that are not the model's inputs or outputs."""
    outside = {*plan.graph.input_indices, *plan.written}
    sizes: dict[int, int] = {}
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for i, node in enumerate(plan.nodes):
        for root in map(plan.root, node.inputs):
            last[root] = i
        for tensor, buffer in zip(node.outputs, node.step.targets, strict=True):
            first[tensor] = last[tensor] = i
            sizes[tensor] = buffer.nbytes
    for root in plan.states:  # it is there before the first step and after the last one
        first[root], last[root] = -1, len(plan.nodes)
        sizes[root] = Buffer.of(plan.graph.tensors[root]).nbytes
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
    if not node.outputs:
        return {}
    for tensor, lead in zip(node.inputs, node.step.leads, strict=True):
        pair = (plan.root(tensor), node.outputs[0])
        before = found.get(pair, lead)
        found[pair] = None if lead is None or before is None else max(lead, before)
    return {pair: lead for pair, lead in found.items() if lead is not None}
