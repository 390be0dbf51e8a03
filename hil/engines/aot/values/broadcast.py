# SPDX-License-Identifier: Apache-2.0
"""Two operands of different shapes: the loops over the result, and what each reads in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Loop:
    """``count`` results in a row; ``strides``: by how many values each operand moves on, or 0."""

    count: int
    strides: tuple[int, ...]


def broadcast_shape(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...] | None:
    """The shape of the result, as in NumPy; None if the shapes do not fit."""
    found = []
    for sizes in zip_longest(*(shape[::-1] for shape in shapes), fillvalue=1):
        wide = {n for n in sizes if n != 1} or {1}
        if len(wide) > 1:
            return None
        found.append(wide.pop())
    return tuple(found[::-1])


def loops(shapes: Sequence[tuple[int, ...]]) -> tuple[Loop, ...]:
    """The fewest nested loops over the result of ``shapes``, the outermost first."""
    steps = [1] * len(shapes)
    found: list[Loop] = []  # the innermost first
    for sizes in zip_longest(*(shape[::-1] for shape in shapes), fillvalue=1):
        count = max(sizes)
        if count == 1:
            continue
        strides = tuple(0 if n == 1 else step for n, step in zip(sizes, steps, strict=True))
        steps = [step * n for step, n in zip(steps, sizes, strict=True)]
        last = found[-1] if found else None
        if last and strides == tuple(s * last.count for s in last.strides):
            found[-1] = Loop(last.count * count, last.strides)
        else:
            found.append(Loop(count, strides))
    return tuple(found[::-1]) or (Loop(1, (0,) * len(shapes)),)


def order(nest: Sequence[Loop], operand: int) -> npt.NDArray[np.int64]:
    """Which value of an operand each result reads, in the order of the results."""
    index = np.zeros(1, np.int64)
    for loop in nest:
        index = (index[:, None] + np.arange(loop.count) * loop.strides[operand]).reshape(-1)
    return index


def lead(nest: Sequence[Loop], operand: int, taken: int, made: int) -> int:
    """`Step.leads` of an operand of values of ``taken`` bytes, for results of ``made`` bytes."""
    reads = order(nest, operand) * taken
    later = np.append(reads[1:], np.iinfo(np.int64).max)
    later = np.minimum.accumulate(later[::-1])[::-1]
    ends = (np.arange(reads.size) + 1) * made
    return int((ends - later)[: reads.size - 1].max(initial=min(made - taken, 0)))
