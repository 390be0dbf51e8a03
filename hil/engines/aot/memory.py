# SPDX-License-Identifier: Apache-2.0
"""The arena: the place of each intermediate tensor, in as few bytes as their lifetimes allow.

Two tensors may overlap if they are never needed at the same time. A step's input and first output
may also overlap where the step provably reads a byte for the last time before it overwrites it. The
minimum distance by which the output must start below the input follows from the order of the step's
reads and writes (`Step.leads`). Offsets are in bytes, aligned to `ALIGNMENT`.

`place` puts one block after the other at the lowest free offset, for many orders of the blocks, and
keeps the best. Tests compare it with an exhaustive search.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hil.engines.aot.steps import InPlace

ALIGNMENT = 4  # of float32, and of the word loads of the int8 kernels
_TRIALS = 400  # orders that are tried
_WORK = 400_000  # pairs of blocks that are compared at most, whatever the number of trials


def align(n: int) -> int:
    return -(-n // ALIGNMENT) * ALIGNMENT


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of the arena that is in use from step ``first`` to step ``last``."""

    nbytes: int
    first: int
    last: int

    @property
    def size(self) -> int:
        return align(self.nbytes)


# (input block, output block) that may overlap -> by how many bytes the output must start below
Overlaps = Mapping[tuple[int, int], int | InPlace]


@dataclass(frozen=True, slots=True)
class Places:
    """``offsets[i]``: where block i starts."""

    arena: int
    offsets: tuple[int, ...]


def place(
    blocks: Sequence[Block],
    overlaps: Overlaps,
    near: Sequence[int] = (),
    enough: int = 0,
) -> Places:
    """Offsets of all blocks in an arena as small as a search finds.

    ``near``: offsets that may be good, -1 for blocks without one. The search ends with an arena of
    ``enough`` bytes.
    """
    if not blocks:
        return Places(0, ())
    leads = {
        pair: align(max(lead, 0)) if isinstance(lead, int) else lead
        for pair, lead in overlaps.items()
    }
    conflicts = _conflicts(blocks)
    least = max(_least(blocks, conflicts, leads), enough)
    numbers = range(len(blocks))
    orders = [
        sorted(numbers, key=lambda i: (-blocks[i].size, blocks[i].first)),
        sorted(numbers, key=lambda i: (blocks[i].first, -blocks[i].size)),
        sorted(numbers, key=lambda i: (-blocks[i].last, -blocks[i].size)),
        sorted(numbers, key=lambda i: -blocks[i].size * (1 + blocks[i].last - blocks[i].first)),
    ]
    best, order = Places(1 << 62, ()), orders[0]
    if near:
        order = sorted(numbers, key=lambda i: near[i] if near[i] >= 0 else 1 << 62)
        best = _fill(order, blocks, conflicts, leads, near)
        orders.append(order)
    for one in orders:
        if best.arena <= least:
            break
        found = _fill(one, blocks, conflicts, leads)
        if found.arena < best.arena:
            best, order = found, one
    work = sum(map(len, conflicts)) + 1
    shuffle = random.Random(0)  # the same arena in every run
    for _ in range(min(_TRIALS, _WORK // work)):
        if best.arena <= least:
            break
        trial = list(order)
        for _ in range(shuffle.randint(1, 3)):
            moved = trial.pop(shuffle.randrange(len(trial)))
            trial.insert(shuffle.randint(0, len(trial)), moved)
        found = _fill(trial, blocks, conflicts, leads)
        if found.arena <= best.arena:
            best, order = found, trial
    return best


def _conflicts(blocks: Sequence[Block]) -> list[list[int]]:
    """For each block the others that are in use at the same time."""
    return [
        [j for j, b in enumerate(blocks) if i != j and a.first <= b.last and b.first <= a.last]
        for i, a in enumerate(blocks)
    ]


def _least(blocks: Sequence[Block], conflicts: Sequence[Sequence[int]], leads: Overlaps) -> int:
    """No arena is smaller: what two blocks need that are in use together, or one alone."""
    found = max(b.size for b in blocks)
    for i, others in enumerate(conflicts):
        for j in others:
            low = leads.get((i, j), leads.get((j, i)))
            both = blocks[i].size + blocks[j].size
            if low is not None:
                both = min(both, max(blocks[i].size, blocks[j].size))
            found = max(found, both)
    return found


def _fill(
    order: Sequence[int],
    blocks: Sequence[Block],
    conflicts: Sequence[Sequence[int]],
    leads: Overlaps,
    near: Sequence[int] = (),
) -> Places:
    """Each block in turn at the lowest offset that those before it leave free.

    With ``near``, at that offset if it is free.
    """
    offsets = [-1] * len(blocks)
    arena = 0
    for i in order:
        size = blocks[i].size
        taken = []  # open intervals of offsets where it cannot start, but exactly at the third
        for j in conflicts[i]:
            at = offsets[j]
            if at < 0:
                continue
            low, high, exact = at - size, at + blocks[j].size, -1
            below, above = leads.get((j, i)), leads.get((i, j))
            if isinstance(below, int):  # j is the input of a step, i its output
                low = max(low, at - below)
            elif isinstance(above, int):
                high = min(high, at + above)
            elif below or above:
                exact = at
            taken.append((low, high, exact))
        starts = sorted({0, *(start for _, *ends in taken for start in ends if start >= 0)})
        if near and near[i] >= 0:
            starts.insert(0, near[i])
        start = next(
            x for x in starts if all(not low < x < high or x == exact for low, high, exact in taken)
        )
        offsets[i] = start
        arena = max(arena, start + size)
    return Places(arena, tuple(offsets))
