# SPDX-License-Identifier: Apache-2.0
"""Where each tensor of a plan lies: in the caller's buffers or in the arena."""

from __future__ import annotations

from hil.engines.aot.memory import Block, align, place
from hil.engines.aot.nodes import Arena, Plan
from hil.engines.aot.steps import Buffer, InPlace, Step


def least_lead(step: Step, source: int = 0) -> int:
    """One of `Step.leads`, aligned, and at most the whole output."""
    whole, lead = step.targets[0].nbytes, step.leads[source]
    return align(min(max(lead, 0), whole) if isinstance(lead, int) else whole)


def arrange(plan: Plan, *, smaller: bool = False) -> Arena:
    """The places of all tensors that are not the model's inputs or outputs.

    ``smaller``: try to find a smaller arena than `Plan.near`.
    """
    outside = {*plan.graph.input_indices, *plan.written}
    sizes: dict[int, int] = {}
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for i, node in enumerate(plan.nodes):
        for root in map(plan.root, node.inputs):
            last[root] = i
        for tensor, buffer in zip(node.outputs, node.step.targets, strict=True):
            root = plan.root(tensor)
            first.setdefault(root, i)
            last[root] = i
            whole = plan.is_piece(tensor)
            sizes[root] = Buffer.of(plan.graph.tensors[root]).nbytes if whole else buffer.nbytes
    for root in plan.states:  # it is there before the first step and after the last one
        first[root], last[root] = -1, len(plan.nodes)
        sizes[root] = Buffer.of(plan.graph.tensors[root]).nbytes
    inner = [root for root in sizes if root not in outside]
    number = {root: i for i, root in enumerate(inner)}
    blocks = [Block(sizes[root], first[root], last[root]) for root in inner]
    overlaps: dict[tuple[int, int], int | InPlace] = {}
    for i, node in enumerate(plan.nodes):
        for pair, lead in _leads(plan, i).items():
            fresh = first.get(pair[1]) == i
            if fresh and all(root in number for root in pair) and last[pair[0]] == i:
                if isinstance(lead, int):
                    lead = min(lead, node.step.targets[0].nbytes)
                overlaps[number[pair[0]], number[pair[1]]] = lead
    users = [i for i, node in enumerate(plan.nodes) if node.step.scratch_bytes]
    blocks += [Block(plan.nodes[i].step.scratch_bytes, i, i) for i in users]
    known = []
    if near := plan.near:
        known = [near.tensors.get(root, -1) for root in inner]
        known += [near.scratch.get(i, -1) for i in users]
    found = place(blocks, overlaps, known, near.nbytes if near and not smaller else 0)
    scratch = dict(zip(users, found.offsets[len(inner) :], strict=True))
    return Arena(found.arena, {root: found.offsets[number[root]] for root in inner}, scratch)


def _leads(plan: Plan, number: int) -> dict[tuple[int, int], int | InPlace]:
    """(source, target) of node ``number`` that may overlap -> `Step.leads`."""
    node = plan.nodes[number]
    found: dict[tuple[int, int], int | InPlace | None] = {}
    if not node.outputs:
        return {}
    for tensor, lead in zip(node.inputs, node.step.leads, strict=True):
        if plan.is_piece(tensor) or plan.is_piece(node.outputs[0]):
            lead = None
        pair = (plan.root(tensor), plan.root(node.outputs[0]))
        before = found.get(pair, lead)
        if isinstance(lead, int) and isinstance(before, int):
            found[pair] = max(lead, before)
        else:
            found[pair] = lead if lead is before else None
    return {pair: lead for pair, lead in found.items() if lead is not None}
