# SPDX-License-Identifier: Apache-2.0
"""Sums of int8 values, four at a time, from values that were widened to 16 bits.

They use `hil_sums1` of kernels/pairs.h, where two weights share a word, and `hil_gates` of
kernels/fours.h where that is not exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hil.engines.aot.source import Array, read

FOUR = 4
_ORDER = (0, 2, 1, 3)  # of four values, see kernels/pairs.h
_PAIRED = 1 << 23  # of a sum that shares its register with another one
_SAFE = (1 << 30) - 2  # numbers up to here can be doubled and rounded without overflow

Scale = tuple[int, int]  # multiplier and shift


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """``weights`` (blocks, 4, values), ``bias`` (blocks, 4).

    Biases of int8 contain the zero point's share. ``scales``: of the four sums of every block.
    """

    weights: npt.NDArray[np.generic]
    bias: npt.NDArray[np.generic]
    scales: tuple[Scale, ...] = ()

    @property
    def values(self) -> int:
        return int(self.weights.shape[2])

    @property
    def groups(self) -> int:
        """Groups of four values; the last one is filled with zeros."""
        return -(-self.values // FOUR)

    @property
    def largest(self) -> npt.NDArray[np.int64]:
        """Bounds of the sums, (blocks, 4)."""
        weights = np.abs(self.weights.astype(np.int64)).sum(axis=2)
        found: npt.NDArray[np.int64] = 128 * weights + np.abs(self.bias.astype(np.int64))
        return found

    @property
    def paired(self) -> bool:
        """Whether two weights fit one word."""
        return bool((self.weights != -128).all() and self.largest.max() < _PAIRED)

    @property
    def ctype(self) -> str:
        """Of the weights in flash."""
        return "int16_t" if self.paired else "int8_t"

    @property
    def block(self) -> int:
        """Elements of the weights of a block."""
        return self.groups * (2 * FOUR if self.paired else FOUR * FOUR)

    def array(self, name: str, what: str) -> Array:
        """The weights in the order of their use."""
        blocks = self.weights.shape[0]
        whole = np.zeros((blocks, FOUR, FOUR * self.groups), np.int16)
        whole[:, :, : self.values] = self.weights
        taps = whole.reshape(blocks, FOUR, -1, FOUR)[..., _ORDER]
        if not self.paired:
            each = taps.reshape(blocks, FOUR, -1).transpose(0, 2, 1)
            return Array(name, np.ascontiguousarray(each).astype("<i1"), f"{what}, four per value")
        words = 256 * taps[:, 0::2] + taps[:, 1::2]  # (block, pair of sums, group, value)
        pairs = words.reshape(blocks, 2, -1, 2, 2).transpose(0, 2, 3, 1, 4)
        note = f"{what}: 256 * even + odd, in blocks of four"
        return Array(name, np.ascontiguousarray(pairs).astype("<i2"), note)

    def call(self, values: str, weights: str, sums: str) -> str:
        """The C statement that adds the products of a block to its four sums."""
        kernel = "hil_sums1" if self.paired else "hil_gates"
        return f"{kernel}({values}, {weights}, {sums}, {self.groups}u);"


def four_biases(pointer: str, first: int = 0) -> str:
    """The C initialiser of four sums."""
    return ", ".join(read("int32_t", pointer, first + i) for i in range(FOUR))


def scaled(value: str, scale: Scale, largest: int, zero: int = 0) -> str:
    """``value``, at most ``largest`` in size, times a multiplier, plus a zero point, in C."""
    multiplier, shift = scale
    if shift < 0 and largest <= _SAFE:
        return f"hil_requant_right({value}, {multiplier}, {-1 - shift}, {zero})"
    plus = f" + {zero}" if zero else ""
    return f"hil_requant({value}, {multiplier}, {shift}){plus}"
