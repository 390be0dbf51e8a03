# SPDX-License-Identifier: Apache-2.0
"""Moves that need no copy: a piece of a tensor is read where it is, and the tensors that are
concatenated are written where they belong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from hil.engines.aot.memory import ALIGNMENT
from hil.engines.aot.moves.moving import Moved
from hil.engines.aot.moves.regions import FILL, Region
from hil.engines.aot.nodes import Node, Plan
from hil.engines.aot.places import arrange
from hil.engines.aot.steps import item_bytes


def shared(plan: Plan) -> Plan:
    """The plan without the copies that sharing makes unnecessary, if the arena is not larger."""
    if not any(isinstance(step, Moved) for step in plan.steps):
        return plan
    limit = arrange(plan).nbytes
    for reads, writes in ((True, True), (False, True), (True, False)):
        work = _Sharing(plan)
        if reads:
            work.read_pieces()
        if writes:
            work.write_pieces()
        found = work.plan()
        if len(work.nodes) == len(plan.nodes) and not found.offsets:
            continue
        if arrange(found).nbytes <= limit:
            return found
    return plan


@dataclass(slots=True)
class _Sharing:
    """A plan that changes step by step."""

    before: Plan
    nodes: list[Node] = field(init=False)
    views: dict[int, int] = field(init=False)
    offsets: dict[int, int] = field(init=False)

    def __post_init__(self) -> None:
        self.nodes = list(self.before.nodes)
        self.views = dict(self.before.views)
        self.offsets = dict(self.before.offsets)

    def plan(self) -> Plan:
        return replace(self.before, nodes=tuple(self.nodes), views=self.views, offsets=self.offsets)

    def read_pieces(self) -> None:
        """Targets that are one piece of one source become views of it."""
        kept = []
        for node in self.nodes:
            step = node.step
            if isinstance(step, Moved):
                pieces = dict(self._pieces(node, step))
                for target, (source, offset) in pieces.items():
                    self._place(target, source, offset)
                targets = [i for i, t in enumerate(node.outputs) if t not in pieces]
                node = _with_targets(node, step, targets) if pieces else node
            if node.outputs or not isinstance(step, Moved):
                kept.append(node)
        self.nodes = kept

    def _pieces(self, node: Node, step: Moved) -> Iterator[tuple[int, tuple[int, int]]]:
        """(target, (source, offset in bytes)) of those that may be views."""
        tensors = self.before.graph.tensors
        for target, regions, buffer in zip(node.outputs, step.regions, step.targets, strict=True):
            region = regions[0]
            if len(regions) > 1 or not _is_run(region) or not 0 <= region.source < len(node.inputs):
                continue
            offset = region.taken * item_bytes(buffer.ctype)
            source = node.inputs[region.source]
            states = tensors[self._root(source)].variable or tensors[target].variable
            if offset % ALIGNMENT == 0 and not states and not self._is_output(target):
                yield target, (source, offset)

    def write_pieces(self) -> None:
        """The sources of a concatenation become views of its target, where a step makes them."""
        makers = {i: n for n, node in enumerate(self.nodes) for i in node.outputs}
        for number, node in enumerate(self.nodes):
            step = node.step
            if not isinstance(step, Moved) or len(step.targets) > 1 or self._fixed(node.outputs[0]):
                continue
            roots = Counter(map(self._root, node.inputs))
            found: set[int] = set()
            for part, region in enumerate(step.regions[0]):
                source = node.inputs[region.source] if region.source < len(node.inputs) else -1
                offset = region.made * item_bytes(step.targets[0].ctype)
                if (
                    region.source != FILL
                    and source >= 0
                    and _is_run(region)
                    and offset % ALIGNMENT == 0
                    and roots[self._root(source)] == 1
                    and self._is_whole(source, step, region)
                    and makers.get(self._root(source), number) < number
                    and not self._fixed(self._root(source))
                    and not self._is_output(self._root(source))
                ):
                    self._place(self._root(source), node.outputs[0], offset)
                    found.add(part)
            if found:
                self.nodes[number] = _without(node, step, found)
        self.nodes = [n for n in self.nodes if not isinstance(n.step, Moved) or n.step.regions[0]]

    def _is_whole(self, source: int, step: Moved, region: Region) -> bool:
        """Whether the region has all values of the tensor that a step wrote for ``source``."""
        count = region.loops[0].count if region.loops else 1
        root = self._root(source)
        whole = self.before.graph.tensors[root].elements == count
        same = step.sources[region.source].nbytes == count * item_bytes(step.targets[0].ctype)
        return not region.taken and whole and same and not self.offsets.get(source, 0)

    def _fixed(self, tensor: int) -> bool:
        """Whether it has its own place: a state, or a copy for an output."""
        return tensor < 0 or self.before.graph.tensors[tensor].variable

    def _root(self, tensor: int) -> int:
        return self.views.get(tensor, tensor)

    def _is_output(self, tensor: int) -> bool:
        """Whether its bytes are those of an output of the model."""
        return tensor in map(self._root, self.before.graph.output_indices)

    def _place(self, tensor: int, whole: int, offset: int) -> None:
        """Let a tensor, and all that have its bytes, lie in ``whole`` from ``offset`` on."""
        offset += self.offsets.get(whole, 0)
        for i in [tensor, *(i for i, root in self.views.items() if root == tensor)]:
            self.views[i] = self._root(whole)
            if moved := offset + self.offsets.get(i, 0):
                self.offsets[i] = moved


def _is_run(region: Region) -> bool:
    """Whether it is one run of neighbours."""
    loops = region.loops
    if not loops:
        return True
    return len(loops) == 1 and (loops[0].made, loops[0].taken, loops[0].table) == (1, 1, ())


def _with_targets(node: Node, step: Moved, kept: list[int]) -> Node:
    """The node with some of its targets."""
    step = replace(
        step,
        targets=tuple(step.targets[i] for i in kept),
        regions=tuple(step.regions[i] for i in kept),
        lead=None,
    )
    return replace(node, step=step, outputs=tuple(node.outputs[i] for i in kept))


def _without(node: Node, step: Moved, written: set[int]) -> Node:
    """The node without the regions that others write, and without sources that it does not read."""
    regions = [r for part, r in enumerate(step.regions[0]) if part not in written]
    read = {region.source for region in regions}
    kept = [i for i in range(len(node.inputs)) if i in read]
    numbers: Mapping[int, int] = {old: new for new, old in enumerate([*kept, *step.constants])} | {
        FILL: FILL
    }
    step = replace(
        step,
        sources=tuple(step.sources[i] for i in kept),
        constants={numbers[i]: values for i, values in step.constants.items()},
        regions=(tuple(replace(r, source=numbers[r.source]) for r in regions),),
        lead=None,
    )
    return replace(node, step=step, inputs=tuple(node.inputs[i] for i in kept))
