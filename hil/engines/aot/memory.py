# SPDX-License-Identifier: Apache-2.0
"""The arena: where each intermediate tensor lies, in as few bytes as their lifetimes allow.

The steps form a chain, so two tensors are live at a time: a step's input and its output. They may
overlap where a step provably reads a byte for the last time before it overwrites it. The minimum
distance by which the output must start below the input follows from the order of the step's reads
and writes (`least_lead`). Offsets are in bytes, aligned to `ALIGNMENT`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from hil.engines.aot.steps import Conv, Map, Pooling, Step
from hil.engines.aot.tiles import scratch, tile
from hil.tflite.graph import Axis

ALIGNMENT = 4  # of float32, and of the word loads of the int8 kernels


@dataclass(frozen=True, slots=True)
class Layout:
    """``offsets[i]``: where the output of step i lies; the last one is the caller's buffer."""

    arena: int
    offsets: tuple[int, ...]


def _align(n: int) -> int:
    return -(-n // ALIGNMENT) * ALIGNMENT


def input_bytes(step: Step) -> int:
    """Bytes that a step reads."""
    if isinstance(step, Conv):
        return step.rows.size * step.columns.size * step.cin * _item(step.quant is None)
    if isinstance(step, Pooling):
        return step.pool.rows.size * step.pool.columns.size * step.channels * _item(step.real)
    if isinstance(step, Map):
        return step.elements * _item(step.real)
    return step.rows * step.depth * _item(step.real)


def output_bytes(step: Step) -> int:
    """Bytes that a step writes."""
    if isinstance(step, Conv):
        rows, columns = (
            (step.pool.rows, step.pool.columns) if step.pool else (step.rows, step.columns)
        )
        return rows.count * columns.count * step.cout * _item(step.quant is None)
    if isinstance(step, Pooling):
        return step.pool.rows.count * step.pool.columns.count * step.channels * _item(step.real)
    if isinstance(step, Map):
        real = {"quantize": False, "dequantize": True, "activation": step.real}[step.kind]
        return step.elements * _item(real)
    return step.rows * step.depth * _item(step.real)


def _item(real: bool) -> int:
    return 4 if real else 1


def least_lead(step: Step) -> int:
    """How many bytes below the input the output must start so that nothing is lost.

    Derived from the order in which the emitted code works. A lead of the whole output is always
    enough.
    """
    if isinstance(step, Conv):
        lead = _conv_lead(step)
    elif isinstance(step, Pooling):
        lead = _pooling_lead(step)
    elif isinstance(step, Map):
        # element i is written after it was read, i + 1 is read later
        lead = max(0, output_bytes(step) - input_bytes(step))
    else:
        lead = 0  # rows in order, each value read for the last time as its own is written
    return _align(min(max(lead, 0), output_bytes(step)))


def _first_bytes(rows: Axis, columns: Axis, pixel: int) -> npt.NDArray[np.int64]:
    """(rows.count, columns.count): the lowest input byte that each window reads."""
    y = np.maximum(np.arange(rows.count) * rows.stride - rows.before, 0)
    x = np.maximum(np.arange(columns.count) * columns.stride - columns.before, 0)
    return (y[:, None] * columns.size + x[None, :]) * pixel


def _lead(first: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> int:
    """The largest excess of written bytes over those that this and later windows still read."""
    still_needed = np.minimum.accumulate(first.reshape(-1)[::-1])[::-1]
    return int((ends.reshape(-1) - still_needed).max())


def _conv_lead(step: Conv) -> int:
    # all channels of a pixel are written while its window is still read, and of several pixels at
    # a time (a tile) the first is written before the last is computed
    pixel_in = step.cin * _item(step.quant is None)
    pixel_out = step.cout * _item(step.quant is None)
    first = _first_bytes(step.rows, step.columns, pixel_in)
    if step.pool is not None:
        pool = step.pool
        first = first[:: pool.rows.stride, :: pool.columns.stride]
        first = first[: pool.rows.count, : pool.columns.count]
    ends = (np.arange(first.size) + 1).reshape(first.shape) * pixel_out
    if step.pool is None:
        # a tile writes up to its own end while it still reads from its own start
        width = tile(step).columns
        starts = np.minimum(np.arange(0, first.shape[1], width), first.shape[1] - width)
        first = first[:, starts]
        ends = ends[:, starts + width - 1]
    return _lead(first, ends)


def _pooling_lead(step: Pooling) -> int:
    # channel by channel: c of a pixel is written after c was read, c + 1 is read later
    item, pool = _item(step.real), step.pool
    first = _first_bytes(pool.rows, pool.columns, step.channels * item).reshape(-1)
    channel = np.arange(step.channels) * item
    reads = (first[:, None] + channel[None, :]).reshape(-1)
    later = np.append(reads[1:], np.iinfo(np.int64).max)
    later = np.minimum.accumulate(later[::-1])[::-1]
    ends = (np.arange(reads.size) + 1) * item
    return int((ends - later).max())


def scratch_offset(step: Step, start: int) -> int:
    """Where the scratch buffer of a step lies whose input is at ``start``: right after it."""
    return start + _align(input_bytes(step))


def _scratch(step: Step) -> int:
    return scratch(step).nbytes if isinstance(step, Conv) and step.gathered else 0


def layout(steps: Sequence[Step]) -> Layout:
    """Place every tensor between two steps in the smallest arena.

    A step's scratch buffer lies with its input. The first step reads the caller's buffer, so it
    has none. The possible offsets of a tensor depend only on the lowest and highest offset of the
    tensor before it, so one pass forwards decides exactly whether an arena of a given size works.
    """
    sizes = [_align(output_bytes(s)) + _scratch(t) for s, t in pairwise(steps)]
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
