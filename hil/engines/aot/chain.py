# SPDX-License-Identifier: Apache-2.0
"""The smallest arena of a chain of steps, each of which has one input and one output.

Two tensors are live at a time: a step's input and its output. See `hil.engines.aot.memory` for the
rule by which they may overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from hil.engines.aot.memory import ALIGNMENT, align
from hil.engines.aot.steps import Step


@dataclass(frozen=True, slots=True)
class Layout:
    """``offsets[i]``: where the output of step i lies; the last one is the caller's buffer."""

    arena: int
    offsets: tuple[int, ...]


def least_lead(step: Step) -> int:
    """The first of `Step.leads`, aligned, and at most the whole output."""
    whole, lead = step.targets[0].nbytes, step.leads[0]
    return align(whole if lead is None else min(max(lead, 0), whole))


def scratch_offset(step: Step, start: int) -> int:
    """The offset of a step's scratch buffer: directly after its input, which is at ``start``."""
    return start + align(step.sources[0].nbytes)


def layout(steps: Sequence[Step]) -> Layout:
    """Place every tensor between two steps in the smallest arena.

    A step's scratch buffer lies with its input. The first step reads the caller's buffer, so it
    has none. The possible offsets of a tensor depend only on the lowest and highest offset of the
    tensor before it, so one pass forwards decides exactly whether an arena of a given size works.
    """
    sizes = [align(s.targets[0].nbytes) + t.scratch_bytes for s, t in pairwise(steps)]
    leads = [least_lead(s) for s in steps[1:-1]]
    if not sizes:
        return Layout(0, (0,) * len(steps))
    low, high = max(sizes), sum(sizes)
    while low < high:
        middle = (low + high) // 2 // ALIGNMENT * ALIGNMENT
        if _reach(sizes, leads, middle) is None:
            low = middle + ALIGNMENT
        else:
            high = middle
    reach = _reach(sizes, leads, low)
    assert reach is not None  # the sum of all sizes always works
    # go back, always taking the lowest or the highest offset of the tensor before
    offsets = [reach[-1][0]]
    for i in range(len(sizes) - 2, -1, -1):
        bottom, top = reach[i]
        offsets.insert(0, top if top - leads[i] >= offsets[0] else bottom)
    return Layout(low, (*offsets, 0))


def _reach(sizes: list[int], leads: list[int], arena: int) -> list[tuple[int, int]] | None:
    """Lowest and highest offset of each tensor in ``arena`` bytes; None if one does not fit."""
    found = [(0, arena - sizes[0])]
    if found[0][1] < 0:
        return None
    for lead, before, size in zip(leads, sizes, sizes[1:], strict=False):
        bottom, top = found[-1]
        room = arena - size
        below = min(top - lead, room)  # the output starts below the input: at most here
        above = bottom + before  # or starts after the whole input
        places = ([(0, below)] if below >= 0 else []) + ([(above, room)] if above <= room else [])
        if not places:
            return None
        found.append((places[0][0], places[-1][1]))
    return found
