# SPDX-License-Identifier: Apache-2.0
"""Estimates with intervals: medians, shares, and paired comparisons of yes/no answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.95

Samples: TypeAlias = Sequence[int] | Sequence[float] | npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval. ``point``, ``low`` and ``high`` are in the samples' unit.

    ``confidence`` is what the interval really reaches: less than requested if ``n`` samples cannot
    give more, and 1.0 for method ``constant``, when all samples are equal.
    """

    point: float
    low: float
    high: float
    method: str
    n: int
    confidence: float


def finite(samples: Samples) -> npt.NDArray[np.float64]:
    """The samples as a one-dimensional array; ValueError if there is none or one is not finite."""
    values = np.asarray(samples, dtype=np.float64)
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
        raise ValueError("expected a list of at least one finite sample")
    return values


def median(samples: Samples, confidence: float = CONFIDENCE) -> Estimate:
    """Median with the exact order-statistic interval; ValueError as `finite`.

    Fewer than six samples do not reach 95%: the interval is then their range, and ``confidence``
    is what that covers, 1 - 2^(1-n).
    """
    from scipy.stats import binom

    values = finite(samples)
    point = float(np.median(values))
    if values.min() == values.max():
        return Estimate(point, point, point, "constant", values.size, 1.0)
    # the rank-th value from either end: the chance that fewer than rank of n values are on one
    # side of the median is less than half of 1 - confidence
    rank = int(binom.ppf((1 - confidence) / 2, values.size, 0.5))
    if rank == 0:
        rank, confidence = 1, 1.0 - 2.0 ** (1 - values.size)
    ordered = np.sort(values)
    low, high = float(ordered[rank - 1]), float(ordered[-rank])
    return Estimate(point, low, high, "order statistics", values.size, confidence)


def mean(samples: Samples, confidence: float = CONFIDENCE) -> Estimate:
    """Mean with Student's t interval; ValueError as `finite`. One sample has no interval: its ends
    are the sample, and ``confidence`` is 0."""
    from scipy.stats import t

    values = finite(samples)
    point = float(values.mean())
    if values.size == 1:
        return Estimate(point, point, point, "one sample", 1, 0.0)
    error = float(values.std(ddof=1)) / math.sqrt(values.size)
    if error == 0:
        return Estimate(point, point, point, "constant", values.size, 1.0)
    half = float(t.ppf((1 + confidence) / 2, values.size - 1)) * error
    return Estimate(point, point - half, point + half, "Student's t", values.size, confidence)


def next_sample(samples: Samples, confidence: float = CONFIDENCE) -> Estimate:
    """Student's prediction interval of one further sample of the same normal distribution, around
    the mean of these; ValueError as `finite`, and for fewer than two."""
    from scipy.stats import t

    values = finite(samples)
    if values.size < 2:
        raise ValueError("expected at least two samples")
    point = float(values.mean())
    error = float(values.std(ddof=1)) * math.sqrt(1 + 1 / values.size)
    half = float(t.ppf((1 + confidence) / 2, values.size - 1)) * error
    return Estimate(point, point - half, point + half, "Student's t", values.size, confidence)


def percentile(samples: Samples, percent: float) -> float:
    """Percentile 0..100, linear between order statistics (Hyndman and Fan's type 7)."""
    return float(np.percentile(finite(samples), percent))


def proportion(successes: int, n: int, confidence: float = CONFIDENCE) -> Estimate:
    """Share of ``successes`` in ``n`` with Wilson's interval; ValueError unless 0 <= s <= n > 0."""
    from scipy.stats import binomtest

    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} are not a proportion")
    interval = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    # rounding must not put the point outside at 0 and n
    point = successes / n
    low, high = min(float(interval.low), point), max(float(interval.high), point)
    return Estimate(point, low, high, "Wilson", n, confidence)


LOST: Final = 0.01  # a smaller share of right answers matters to nobody
LEVEL: Final = 0.05


@dataclass(frozen=True, slots=True)
class McNemar:
    """Two yes/no answers per sample: in how many samples only one is yes, and the p-value."""

    only_first: int
    only_second: int
    n: int
    p: float


def mcnemar(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> McNemar:
    """Exact two-sided McNemar test of two (n,) boolean arrays over the same samples."""
    from scipy.stats import binomtest

    b, c = _discordant(first, second)
    p = float(binomtest(b, b + c, 0.5).pvalue) if b + c else 1.0
    return McNemar(b, c, first.size, p)


def lost(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> McNemar | None:
    """McNemar's test if ``second`` is right less often than ``first``: by at least `LOST` of the
    samples, with a p-value below `LEVEL`; None if not."""
    test = mcnemar(first, second)
    share = (test.only_first - test.only_second) / test.n
    return test if share >= LOST and test.p < LEVEL else None


def paired_difference(
    first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_], confidence: float = CONFIDENCE
) -> Estimate:
    """Share of ``first`` minus share of ``second``, (n,) boolean arrays over the same samples.

    Method 10 of Newcombe, Stat. Med. 17, 2635 (1998): the Wilson limits of both shares, squared and
    added with their correlation phi, which is continuity-corrected if positive.
    """
    b, c = _discordant(first, second)
    n = first.size
    a = int(np.count_nonzero(first & second))
    d = n - a - b - c
    one, two = proportion(a + b, n, confidence), proportion(a + c, n, confidence)
    point = (b - c) / n
    phi = _phi(a, b, c, d)
    down, up = one.point - one.low, two.high - two.point
    low = point - math.sqrt(max(down**2 - 2 * phi * down * up + up**2, 0.0))
    up, down = one.high - one.point, two.point - two.low
    high = point + math.sqrt(max(up**2 - 2 * phi * up * down + down**2, 0.0))
    return Estimate(point, low, high, "Newcombe (paired)", n, confidence)


def _phi(a: int, b: int, c: int, d: int) -> float:
    """Correlation of a 2x2 table's two variables, corrected as method 10 requires."""
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    if margins == 0:
        return 0.0
    cross = float(a * d - b * c)
    if cross > 0:
        cross = max(cross - (a + b + c + d) / 2, 0.0)
    return cross / math.sqrt(margins)


def _discordant(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Numbers of samples in which only the first and only the second is true."""
    if first.shape != second.shape or first.ndim != 1 or first.size == 0:
        raise ValueError(f"shapes differ or are empty: {first.shape} and {second.shape}")
    return int(np.count_nonzero(first & ~second)), int(np.count_nonzero(second & ~first))
