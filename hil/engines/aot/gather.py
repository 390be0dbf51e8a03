"""Which layers widen their inputs to 16 bits in a buffer before they multiply them.

Then a kernel widens nothing but weights, and of those one word in two taps of two channels
(`kernels`). It takes RAM, so a layer does it where that is free or saves enough work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from hil.engines.aot.memory import layout
from hil.engines.aot.steps import Conv, Step
from hil.engines.aot.tiles import GATHERED_CHANNELS, tile

WORTH = 128  # instructions saved, for each byte by which the arena grows
_SAVED = 0.5  # instructions a multiplication, on a Cortex-M7
_PORTIONS = 4
_LIMIT = 1 << 23  # of a sum that shares its register with another


def choose_gathered(steps: Sequence[Step]) -> tuple[Step, ...]:
    """``steps``, with `Conv.gathered` set where it pays."""
    chosen = list(steps)
    for i, step in enumerate(steps):
        # the first step's input is the caller's: no place beside it
        if i == 0 or not isinstance(step, Conv) or not _possible(step):
            continue
        trial = [*chosen[:i], replace(step, gathered=True), *chosen[i + 1 :]]
        grown = layout(trial).arena - layout(chosen).arena
        if _SAVED * products(step) >= WORTH * max(grown, 0):
            chosen = trial
    return tuple(chosen)


def _possible(conv: Conv) -> bool:
    """Whether two channels fit one word, and a tile of them one register each."""
    return (
        conv.quant is not None
        and not conv.depthwise
        and not tile(conv).patch
        and conv.cout % GATHERED_CHANNELS == 0
        and bool((conv.weights != -128).all())
        and bool(portions(conv))
    )


def portions(conv: Conv) -> list[int]:
    """How many groups of four taps to sum at a time, so that no sum of a portion, the bias in the
    first one included, reaches 2^23; empty when that takes more than `_PORTIONS`."""
    assert conv.quant is not None
    padded = filled_rows(conv)
    heavy = np.abs(padded.astype(np.int64)).reshape(conv.cout, -1, 4).sum(axis=2)
    for count in range(1, _PORTIONS + 1):
        size = -(-heavy.shape[1] // count)
        cuts = range(0, heavy.shape[1], size)
        sums = np.stack([128 * heavy[:, cut : cut + size].sum(axis=1) for cut in cuts])
        sums[0] += np.abs(conv.quant.bias)
        if sums.max() < _LIMIT:
            return [min(size, heavy.shape[1] - cut) for cut in cuts]
    return []


def filled_rows(conv: Conv) -> npt.NDArray[np.int16]:
    """The weights (cout, window rows, taps): rows filled up with zeros to whole groups of four."""
    height, length = conv.rows.window, conv.columns.window * conv.cin
    rows = np.zeros((conv.cout, height, -(-length // 4) * 4), np.int16)
    rows[:, :, :length] = conv.weights.reshape(conv.cout, height, length)
    return rows


def products(conv: Conv) -> int:
    """Multiplications of an inference, without those of sums that a pooling leaves out."""
    points = conv.rows.count * conv.columns.count
    if conv.pool:
        rows, columns = conv.pool.rows, conv.pool.columns
        points = rows.count * rows.window * columns.count * columns.window
    return points * conv.weights.size
