# SPDX-License-Identifier: Apache-2.0
"""How values and weights of a gathered layer lie in memory, and how many are summed at a time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hil.engines.aot.weighted.conv import Conv, Scratch, Tile

_PORTIONS = 4
_LIMIT = 1 << 23  # of a sum that shares its register with another one


def portions(conv: Conv) -> list[int]:
    """How many groups of four taps to sum at a time, so that no sum of a portion (of the first one
    with the bias) reaches 2^23. Empty if that takes more than `_PORTIONS`."""
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
    """The weights (cout, window rows, taps), rows padded with zeros to whole groups of four."""
    height, length = conv.rows.window, conv.columns.window * conv.cin
    rows = np.zeros((conv.cout, height, -(-length // 4) * 4), np.int16)
    rows[:, :, :length] = conv.weights.reshape(conv.cout, height, length)
    return rows


def products(conv: Conv) -> int:
    """Multiplications of an inference, without those of sums that the pooling does not use."""
    points = conv.rows.count * conv.columns.count
    if conv.pool:
        rows, columns = conv.pool.rows, conv.pool.columns
        points = rows.count * rows.window * columns.count * columns.window
    return points * conv.weights.size


_ORDER = (0, 2, 1, 3)  # of four taps: widening four bytes pairs 0 with 2, 1 with 3


def pack_pairs(conv: Conv, tile: Tile, *, apart: bool = False) -> npt.NDArray[np.int16]:
    """The weights in order of use: blocks of four channels, rows, pairs of taps, pairs of channels.

    A value is 256 * (a weight of the even channel) + (one of the odd channel), or ``apart`` one
    byte of each. Rows are those of `filled_rows`.
    """
    height = conv.rows.window
    taps = filled_rows(conv).reshape(conv.cout, height, -1, 4)[..., _ORDER]
    odd = taps[1::2]
    words = 256 * taps[0::2] + (odd & 255 if apart else odd)  # (channel pair, row, group, tap)
    pairs = words.reshape(conv.cout // tile.channels, tile.channels // 2, height, -1, 2, 2)
    return np.ascontiguousarray(pairs.transpose(0, 2, 3, 4, 1, 5)).reshape(-1)


def step(groups: int, points: int) -> str:
    """The values from a group of four taps to the one that is ``groups`` later, as C text."""
    return str(4 * groups) if points == 1 else f"{groups} * HIL_GROUP2"


def beside(buffer: Scratch) -> str:
    """The values from a tap of the first point to the same tap of the second one, as C text."""
    return f"HIL_BESIDE({4 * buffer.rows * buffer.groups})"
