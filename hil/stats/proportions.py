"""Yes/no answers: shares, the difference of two over the same samples, and its exact test.

Proportions: Wilson's score interval (Wilson 1927). Differences of paired proportions: Newcombe's
square-and-add interval, method 10 of Newcombe, Statist. Med. 17, 2635 (1998). Paired yes/no
answers: McNemar's test, exact binomial form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from hil.stats.estimate import CONFIDENCE, Estimate


@dataclass(frozen=True, slots=True)
class McNemar:
    """Two yes/no answers a sample: in how many samples one alone is right, and the p-value."""

    only_first: int
    only_second: int
    n: int
    p: float


def proportion(successes: int, n: int, confidence: float = CONFIDENCE) -> Estimate:
    """Share of ``successes`` in ``n`` with Wilson's interval; ValueError unless 0 <= s <= n > 0."""
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} is not a proportion")
    interval = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    # rounding must not put the point outside at 0 and n
    point = successes / n
    low, high = min(float(interval.low), point), max(float(interval.high), point)
    return Estimate(point, low, high, "Wilson", n, confidence)


def mcnemar(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> McNemar:
    """Exact two-sided McNemar test of two (n,) booleans over the same samples, in order."""
    b, c = _discordant(first, second)
    p = float(binomtest(b, b + c, 0.5).pvalue) if b + c else 1.0
    return McNemar(b, c, first.size, p)


def paired_difference(
    first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_], confidence: float = CONFIDENCE
) -> Estimate:
    """Share of ``first`` minus share of ``second``, (n,) booleans over the same samples, in order.

    Newcombe's method 10: the Wilson limits of both shares, squared and added with their
    correlation phi, which is continuity-corrected when positive.
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
    """Correlation of a 2x2 table's two variables, corrected as method 10 asks."""
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    if margins == 0:
        return 0.0
    cross = float(a * d - b * c)
    if cross > 0:
        cross = max(cross - (a + b + c + d) / 2, 0.0)
    return cross / math.sqrt(margins)


def _discordant(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Samples in which the first alone, and the second alone, is true."""
    if first.shape != second.shape or first.ndim != 1 or first.size == 0:
        raise ValueError(f"not two equally long lists: {first.shape} and {second.shape}")
    return int(np.count_nonzero(first & ~second)), int(np.count_nonzero(second & ~first))
