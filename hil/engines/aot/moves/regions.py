# SPDX-License-Identifier: Apache-2.0
"""Where each value of a tensor comes from, as a few nests of loops over runs of values.

The input is an array of numbers, one per value of the result: which source and which of its values
(`numbered`), or `FILL`. It is cut where the source changes, until each piece is a sum of one
function per axis: a multiple of the position, or a table. Axes that continue each other are merged,
so that the innermost loop is as long a run as possible.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[Any]  # int64
FILL = -1
_SOURCE_BITS = 40
_MAX_PIECES = 3  # a table of so few multiples is cut there
_MAX_PERIOD = 16


def numbered(shape: Sequence[int], source: int) -> Numbers:
    """The numbers of the values of a source."""
    first = source << _SOURCE_BITS
    return np.arange(first, first + math.prod(shape)).reshape(shape)


def renumbered(
    numbers: Numbers, sources: Mapping[int, int], replaced: Mapping[int, Numbers] | None = None
) -> Numbers:
    """``numbers`` with other ``sources``; values of a source in ``replaced`` become those of the
    array that it has there.
    """
    found = numbers.copy()
    of, at = numbers >> _SOURCE_BITS, numbers & ((1 << _SOURCE_BITS) - 1)
    for old, new in sources.items():
        chosen = of == old
        found[chosen] = (new << _SOURCE_BITS) + at[chosen]
    for old, values in (replaced or {}).items():
        chosen = of == old
        found[chosen] = values[at[chosen]]
    return found


@dataclass(frozen=True, slots=True)
class Loop:
    """``count`` times: the result advances by ``made`` values, the source by ``taken``, or to
    ``table[i]`` if there is one.
    """

    count: int
    made: int
    taken: int
    table: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Region:
    """Values of the result from ``made`` on: those of ``source``, or `FILL`, from ``taken`` on."""

    source: int
    made: int
    taken: int
    loops: tuple[Loop, ...]  # the outermost first


def regions(numbers: Numbers) -> list[Region]:
    """All values of a result, each in one region."""
    strides = [math.prod(numbers.shape[axis + 1 :]) for axis in range(numbers.ndim)]
    return _cut(numbers, 0, strides, whole=True)


def _cut(numbers: Numbers, made: int, strides: Sequence[int], *, whole: bool) -> list[Region]:
    sources = numbers >> _SOURCE_BITS
    for axis in range(numbers.ndim):
        edges = _edges(sources, axis)
        if edges:
            return _pieces(numbers, made, strides, axis, edges)
    source = int(sources.reshape(-1)[0])
    if source == FILL:
        loops = [Loop(n, s, 0) for n, s in zip(numbers.shape, strides, strict=True)]
        return [Region(FILL, made, 0, _merged(loops))]
    return _copied(numbers - (source << _SOURCE_BITS), source, made, strides, whole=whole)


def _edges(sources: Numbers, axis: int) -> list[int]:
    """The positions along ``axis`` at which the source of some value changes."""
    if sources.shape[axis] == 1:
        return []
    others = tuple(a for a in range(sources.ndim) if a != axis)
    changes = (np.diff(sources, axis=axis) != 0).any(axis=others)
    return [int(i) + 1 for i in np.flatnonzero(changes)]


def _pieces(
    numbers: Numbers, made: int, strides: Sequence[int], axis: int, edges: Sequence[int]
) -> list[Region]:
    found = []
    for start, end in zip((0, *edges), (*edges, numbers.shape[axis]), strict=True):
        piece = numbers.take(np.arange(start, end), axis)
        found += _cut(piece, made + start * strides[axis], strides, whole=False)
    return found


def _copied(
    numbers: Numbers, source: int, made: int, strides: Sequence[int], *, whole: bool
) -> list[Region]:
    first = int(numbers.reshape(-1)[0])
    steps = [
        np.moveaxis(numbers, a, 0).reshape(n, -1)[:, 0] - first for a, n in enumerate(numbers.shape)
    ]
    total = np.array(first)
    for axis, step in enumerate(steps):
        total = total + step.reshape([-1 if a == axis else 1 for a in range(numbers.ndim)])
    if not np.array_equal(numbers, total):
        return _unravelled(numbers, source, made, strides, whole=whole)
    loops: list[Loop] = []
    for axis, step in enumerate(steps):
        linear = _linear(step, strides[axis])
        if linear is None:
            edges = [int(i) + 1 for i in np.flatnonzero(np.diff(step, 2)) + 1]
            edges = [e for e in edges if e - 1 not in edges]  # of two neighbours the first
            if len(edges) < _MAX_PIECES:
                shifted = numbers + (source << _SOURCE_BITS)
                return _pieces(shifted, made, strides, axis, edges)
            linear = [Loop(len(step), strides[axis], 0, tuple(int(s) for s in step))]
        loops += linear
    return [Region(source, made, first, _merged(loops))]


def _unravelled(
    numbers: Numbers, source: int, made: int, strides: Sequence[int], *, whole: bool
) -> list[Region]:
    """Where the axes depend on each other: the first two as one, or one by one."""
    if whole and numbers.ndim > 1:
        numbers = numbers.reshape(-1, *numbers.shape[2:])
        return _copied(numbers, source, made, strides[1:], whole=True)
    axis = next(a for a, n in enumerate(numbers.shape) if n > 1)
    shifted = numbers + (source << _SOURCE_BITS)
    return _pieces(shifted, made, strides, axis, range(1, numbers.shape[axis]))


def _linear(step: Numbers, stride: int) -> list[Loop] | None:
    """The loops of an axis: one, or two where a short pattern repeats; None: it needs a table."""
    count = len(step)
    for period in range(1, min(_MAX_PERIOD, count) + 1):
        if count % period:
            continue
        rows = step.reshape(-1, period)
        outer = int(rows[1, 0]) if len(rows) > 1 else 0
        inner = int(rows[0, 1]) if period > 1 else 0
        expected = np.arange(len(rows))[:, None] * outer + np.arange(period) * inner
        if np.array_equal(rows, expected):
            return [Loop(len(rows), stride * period, outer), Loop(period, stride, inner)]
    return None


def _merged(loops: Sequence[Loop]) -> tuple[Loop, ...]:
    """Without loops that run once, and neighbours that continue each other as one."""
    found: list[Loop] = []
    for loop in loops:
        if loop.count == 1:
            continue
        before = found[-1] if found else None
        if (
            before is not None
            and not before.table
            and not loop.table
            and before.made == loop.made * loop.count
            and before.taken == loop.taken * loop.count
        ):
            found[-1] = Loop(before.count * loop.count, loop.made, loop.taken)
        else:
            found.append(loop)
    return tuple(found)
