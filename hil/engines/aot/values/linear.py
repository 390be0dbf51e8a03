# SPDX-License-Identifier: Apache-2.0
"""Quantised functions of one or two int8 values as a sum of products in 32 bits, where exact.

TFLite requantises each operand of an ADD and then their sum. `fit` looks for integers with which
(a * x + b * y + offset) >> shift gives the same int8 for all 256 or 65,536 inputs: it compares all
of them. Only where a tie between two results rounds differently there is no such sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Reals = npt.NDArray[np.floating[Any]]
Flags = npt.NDArray[np.bool_]

CODES: Integers = np.arange(-128, 128, dtype=np.int64)
_TRIES = (0, 1, -1, 2, -2)  # changes of a rounded factor
_LEAST = 8  # bits of a factor's fraction


@dataclass(frozen=True, slots=True)
class Linear:
    """(sum of factors[i] * value i + offset) >> shift.

    ``away``: halves are rounded away from zero. Then the sum starts at ``start``, so that it has
    the sign of the real result, and it is (sum + (sum >> 31) + offset) >> shift.
    """

    factors: tuple[int, ...]
    offset: int
    shift: int
    away: bool = False
    start: int = 0


def fit(
    results: Integers, limits: tuple[int, int], slopes: Sequence[float], zeros: Sequence[int]
) -> Linear | None:
    """The sum that gives ``results`` once it is clamped to ``limits``.

    Axis i of ``results`` has the 256 codes of value i. ``slopes``: about how much a result grows
    with each value. ``zeros``: the values that stand for 0.
    """
    results = results.clip(*limits)
    axes = [
        CODES.reshape([-1 if i == j else 1 for j in range(len(slopes))]) for i in range(len(slopes))
    ]
    reach = sum(abs(slope) * 256 for slope in slopes) + 256
    most = min(30, int(30 - np.floor(np.log2(reach))))
    for shift in range(most, max(most - 4, _LEAST - 1), -1):
        rounded = [round(slope * 2**shift) for slope in slopes]
        for changes in product(_TRIES, repeat=len(slopes)):
            factors = tuple(r + change for r, change in zip(rounded, changes, strict=True))
            found = _offset(results, limits, axes, factors, shift)
            if found is not None:
                return found
        start = -sum(f * zero for f, zero in zip(rounded, zeros, strict=True))
        found = _offset(results, limits, axes, tuple(rounded), shift, away=True, start=start)
        if found is not None:
            return found
    return None


def _offset(
    results: Integers,
    limits: tuple[int, int],
    axes: Sequence[Integers],
    factors: tuple[int, ...],
    shift: int,
    away: bool = False,
    start: int = 0,
) -> Linear | None:
    """The sum with these factors, if an offset exists with which it is exact in 32 bits."""
    partial: list[Integers] = []
    total = np.full((1,) * len(axes), start, np.int64)
    for values, factor in zip(axes, factors, strict=True):
        total = total + values * factor
        partial.append(total)
    if away:
        total = total + (total >> 31)
    least = ((results << shift) - total)[results > limits[0]]
    most = (((results + 1) << shift) - 1 - total)[results < limits[1]]
    if not least.size or not most.size:  # one result for all values
        return None
    bottom, top = int(least.max()), int(most.min())
    if bottom > top:
        return None
    offset = (bottom + top) // 2
    extra = 0 if away else offset
    sums = [np.array(start + extra), *(p + extra for p in partial), total + offset]
    if any(s.min() < -(2**31) or s.max() >= 2**31 for s in sums):
        return None
    return Linear(factors, offset, shift, away, start)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """(sum + offset) >> shift of one code x for each channel c: sum = factors[c] * x + offsets[c].

    ``below`` is added to a negative sum. ``above``: (factor, offset) of all channels for x of at
    least ``zero``. Exact for all 256 codes.
    """

    factors: Integers  # (channels,)
    offsets: Integers  # (channels,)
    shift: int
    offset: int = 0
    below: int = 0
    above: tuple[int, int] | None = None
    zero: int = 0

    @property
    def shared(self) -> bool:
        """Whether all channels have the same factor."""
        return bool((self.factors == self.factors[0]).all())


def fit_rows(results: Integers, limits: tuple[int, int], slopes: Reals, zero: int) -> Rows | None:
    """`fit` of functions of one value: ``results`` (channels, 256), ``slopes`` (channels,).

    ``zero``: the code at which all of them round in the other direction.
    """
    results = results.clip(*limits)
    for shift in _shifts(float(np.abs(slopes).max())):
        rounded = np.round(slopes * 2.0**shift).astype(np.int64)
        found = _straight(results, limits, rounded, shift)
        if found is not None:
            return Rows(*found, shift)
        starts = -zero * rounded
        totals = rounded[:, None] * CODES + starts[:, None]
        sides = [_shared_offset(results, limits, totals, shift, negative=n) for n in (False, True)]
        if sides[0] is not None and sides[1] is not None:
            return Rows(rounded, starts, shift, sides[0], sides[1] - sides[0])
    return None


def fit_bent(
    results: Integers,
    limits: tuple[int, int],
    zero: int,
    above: float,
    below: Reals,
) -> Rows | None:
    """The same of functions that bend at ``zero``, with the slope ``above`` in all channels."""
    results = results.clip(*limits)
    for shift in _shifts(max(above, float(np.abs(below).max()))):
        factor = np.round(np.array([above]) * 2.0**shift).astype(np.int64)
        high = _straight(results[:1], limits, factor, shift, zero <= CODES)
        rounded = np.round(below * 2.0**shift).astype(np.int64)
        low = _straight(results, limits, rounded, shift, zero > CODES)
        if high is not None and low is not None:
            pair = (int(high[0][0]), int(high[1][0]))
            return Rows(*low, shift, above=pair, zero=zero)
    return None


def _shifts(slope: float) -> range:
    """The shifts to try: sums of codes times ``slope``, and results, stay within 31 bits."""
    most = min(30, int(30 - np.floor(np.log2(slope * 256 + 256))))
    return range(most, max(most - 4, _LEAST - 1), -1)


def _between(
    results: Integers, limits: tuple[int, int], totals: Integers, shift: int, where: Flags
) -> tuple[Integers, Integers]:
    """(channels,): the least and the greatest offset with which the totals give the results."""
    none = 1 << 62
    least = np.where(where & (results > limits[0]), (results << shift) - totals, -none)
    most = ((results + 1) << shift) - 1 - totals
    most = np.where(where & (results < limits[1]), most, none)
    return least.max(axis=1), most.min(axis=1)


def _straight(
    results: Integers,
    limits: tuple[int, int],
    rounded: Integers,
    shift: int,
    where: Flags | None = None,
) -> tuple[Integers, Integers] | None:
    """Factors near ``rounded``, and offsets, one of each per channel; None if a channel has none.

    ``where``: the codes that count.
    """
    codes = np.ones(256, bool) if where is None else where
    factors, offsets = np.zeros_like(rounded), np.zeros_like(rounded)
    missing = np.ones(len(rounded), bool)
    for change in _TRIES:
        tried = rounded + change
        least, most = _between(results, limits, tried[:, None] * CODES, shift, codes)
        middle = (np.maximum(least, -(2**31)) + np.minimum(most, 2**31)) // 2
        sums = np.stack([middle, middle + 127 * tried, middle - 128 * tried])
        works = (least <= most) & (np.abs(sums).max(axis=0) < 2**31)
        if works.all():
            return tried, middle
        factors[works & missing] = tried[works & missing]
        offsets[works & missing] = middle[works & missing]
        missing &= ~works
    return None if missing.any() else (factors, offsets)


def _shared_offset(
    results: Integers, limits: tuple[int, int], totals: Integers, shift: int, *, negative: bool
) -> int | None:
    """One offset of all totals that are negative, or of all others; None if there is none."""
    least, most = _between(results, limits, totals, shift, (totals < 0) == negative)
    bottom, top = max(int(least.max()), -(2**31)), min(int(most.min()), 2**31)
    offset = (bottom + top) // 2
    fits = bottom <= top and int(np.abs(totals).max()) + abs(offset) < 2**31
    return offset if fits else None


def high_mul(x: Integers, multiplier: int) -> Integers:
    """`arithmetic.rounding_doubling_high_mul` of many values; the multiplier is not negative."""
    return (x * multiplier + (1 << 30)) >> 31


def divide_pot(x: Integers, exponent: int) -> Integers:
    """`arithmetic.rounding_divide_by_pot` of many values."""
    return x if exponent == 0 else (x - (x < 0) + (1 << (exponent - 1))) >> exponent
