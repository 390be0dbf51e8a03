# SPDX-License-Identifier: Apache-2.0
"""Bootstrap intervals, bias-corrected and accelerated (BCa): medians, their ratios, and functions
of means.

BCa: Efron, J. Am. Stat. Assoc. 82, 171 (1987), as in `scipy.stats.bootstrap`, including the
multi-sample acceleration. Of medians, only the way of drawing differs, so that 9,999 resamples of
10,000 values take milliseconds: just the values near a resample's median are drawn. Their
distribution is exactly that of the plain bootstrap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from hil.stats.estimate import CONFIDENCE, Estimate, Samples, finite, median

RESAMPLES = 9999
TOO_FEW = "too few samples"
FEWEST = 6  # samples; with fewer, even the whole range misses the median in over 5% of cases
_SIGMAS = 6.5  # a resample's median is further from the middle once in 10^10
_BATCH = 1 << 21  # draws held at once

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def bootstrap_median(
    samples: Samples,
    confidence: float = CONFIDENCE,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Median with its BCa interval; ValueError if there is no sample or one is not finite.

    ``method`` is "BCa bootstrap"; "constant" if all samples are equal; "bias-corrected bootstrap"
    if leaving out any one sample does not change the median, so that there is no acceleration;
    "percentile bootstrap" if the bias is infinite; "order statistics", as in `median`, for fewer
    than `FEWEST` samples.
    """
    values = np.sort(finite(samples))
    if values[0] == values[-1] or values.size < FEWEST:
        return median(values, confidence)
    rng = np.random.default_rng(seed)
    drawn = _medians(values, rng, resamples)
    return _bca(float(np.median(values)), drawn, [_left_out(values)], confidence, values.size)


def ratio_of_medians(
    new: Samples,
    base: Samples,
    *,
    paired: bool = True,
    confidence: float = CONFIDENCE,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Median of ``new`` over the median of ``base``, with its BCa interval.

    ``paired``: both have the same inputs in the same order, and a resample takes both values of an
    input; otherwise each is resampled alone. ``n`` is the smaller size. ``method`` as in
    `bootstrap_median`, followed by ", paired"; for fewer than `FEWEST` samples it is "ranges", the
    ratios that the ranges of both allow. ValueError unless all are finite and positive and, if
    paired, of equal number.
    """
    one, other = finite(new), finite(base)
    if one.min() <= 0 or other.min() <= 0:
        raise ValueError("samples must be positive")
    if paired and one.size != other.size:
        raise ValueError(f"lengths differ: {one.size} and {other.size} samples")
    n = min(one.size, other.size)
    point = float(np.median(one) / np.median(other))
    if one.min() == one.max() and other.min() == other.max():
        return Estimate(point, point, point, "constant", n, 1.0)
    if n < FEWEST:
        low, high = float(one.min() / other.max()), float(one.max() / other.min())
        return Estimate(point, low, high, "ranges", n, max(1.0 - 2.0 ** (2 - n), 0.0))
    rng = np.random.default_rng(seed)
    if not paired:
        one, other = np.sort(one), np.sort(other)
        drawn = _medians(one, rng, resamples) / _medians(other, rng, resamples)
        middle_one, middle_other = float(np.median(one)), float(np.median(other))
        left_out = [_left_out(one) / middle_other, middle_one / _left_out(other)]
        return _bca(point, drawn, left_out, confidence, n)
    tops, bottoms = _paired_medians(one, other, rng, resamples)
    ratios = _left_out_unsorted(one) / _left_out_unsorted(other)
    return _bca(point, tops / bottoms, [ratios], confidence, n, ", paired")


def bootstrap_of_means(
    columns: Floats,
    statistic: Callable[[Floats], Floats],
    confidence: float = CONFIDENCE,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    suffix: str = "",
) -> tuple[Estimate | None, ...]:
    """Functions of column means, each with its BCa interval; all from the same resamples.

    ``columns`` is (n, c), one row per sample. ``statistic`` maps (m, c) means to (m, f) values; one
    that is not finite for the data themselves is None. ``method`` as in `bootstrap_median`, but
    with fewer than `FEWEST` samples `TOO_FEW`, without an interval (``confidence`` 0).
    ValueError if there is no sample or a value is not finite.
    """
    n = len(columns)
    if not n or not np.isfinite(columns).all():
        raise ValueError("expected at least one row of finite values")
    with np.errstate(divide="ignore", invalid="ignore"):
        points = statistic(columns.mean(axis=0)[None])[0]
        if n < FEWEST:
            return tuple(_without_interval(float(point), n) for point in points)
        left_out = statistic((columns.sum(axis=0) - columns) / (n - 1))
        rng = np.random.default_rng(seed)
        drawn = np.concatenate([statistic(m) for m in _resampled(columns, rng, resamples)])
    return tuple(
        _of_mean(float(point), drawn[:, i], left_out[:, i], confidence, n, suffix)
        for i, point in enumerate(points)
    )


def _without_interval(point: float, n: int) -> Estimate | None:
    return Estimate(point, point, point, TOO_FEW, n, 0.0) if math.isfinite(point) else None


def _of_mean(
    point: float, drawn: Floats, left_out: Floats, confidence: float, n: int, suffix: str
) -> Estimate | None:
    if not math.isfinite(point):
        return None
    drawn = drawn[np.isfinite(drawn)]  # as R2 of a resample of equal targets is not
    if not drawn.size:
        return _without_interval(point, n)
    if drawn.min() == drawn.max() == point:
        return Estimate(point, point, point, "constant", n, 1.0)
    known = [left_out] if np.isfinite(left_out).all() else [np.zeros(2)]
    return _bca(point, drawn, known, confidence, n, suffix)


def _resampled(columns: Floats, rng: np.random.Generator, resamples: int) -> Iterator[Floats]:
    """Batches of (rows, c) column means of resampled rows."""
    n = len(columns)
    rows = max(_BATCH // n, 1)
    for at in range(0, resamples, rows):
        size = min(rows, resamples - at)
        picked = rng.integers(0, n, (size, n)) + (np.arange(size) * n)[:, None]
        counts = np.bincount(picked.ravel(), minlength=size * n).reshape(size, n)
        yield counts @ columns / n


def _bca(
    point: float,
    drawn: Floats,
    left_out: Sequence[Floats],
    confidence: float,
    n: int,
    suffix: str = "",
) -> Estimate:
    """The interval, from the resampled statistic and from each sample's leave-one-out values."""
    from scipy.stats import norm

    below = (np.count_nonzero(drawn < point) + np.count_nonzero(drawn <= point)) / (2 * drawn.size)
    z0 = float(norm.ppf(below))
    a = _acceleration(left_out)
    method = "BCa bootstrap"
    if a is None:
        method, a = "bias-corrected bootstrap", 0.0
    if not math.isfinite(z0):
        method, z0, a = "percentile bootstrap", 0.0, 0.0
    ends = []
    for tail in ((1 - confidence) / 2, (1 + confidence) / 2):
        z = z0 + float(norm.ppf(tail))
        ends.append(100 * float(norm.cdf(z0 + z / (1 - a * z))))
    low, high = (float(x) for x in np.percentile(drawn, ends))
    return Estimate(point, min(low, point), max(high, point), method + suffix, n, confidence)


def _acceleration(left_out: Sequence[Floats]) -> float | None:
    """Skewness of the influence of single samples; None if none has any."""
    cubes = squares = 0.0
    for values in left_out:
        n = values.size
        influence = (n - 1) * (values.mean() - values)
        cubes += float((influence**3).sum()) / n**3
        squares += float((influence**2).sum()) / n**2
    return None if squares == 0 else cubes / (6 * squares**1.5)


def _medians(ordered: Floats, rng: np.random.Generator, resamples: int) -> Floats:
    """Medians of resamples: one or two middle order statistics of n uniform ranks.

    The k-th smallest of n uniforms is Beta(k, n - k + 1); the next one divides the rest of the
    unit interval like the smallest of n - k uniforms (Devroye 1986, V.3).
    """
    n = ordered.size
    lower = (n + 1) // 2
    u = rng.beta(lower, n - lower + 1, resamples)
    first = ordered[np.minimum((u * n).astype(np.int64), n - 1)]
    if n % 2:
        return np.asarray(first)
    u = u + (1 - u) * (1 - rng.random(resamples) ** (1 / (n - lower)))
    second = ordered[np.minimum((u * n).astype(np.int64), n - 1)]
    return np.asarray((first + second) / 2)


def _left_out(ordered: Floats) -> Floats:
    """(n,) sorted values -> (n,) medians without the first value, without the second, ..."""
    n = ordered.size
    ranks = np.arange(n)

    def other(k: int) -> Floats:
        """The k-th smallest of the remaining values."""
        return np.asarray(ordered[np.where(ranks <= k, k + 1, k)])

    return np.asarray((other((n - 2) // 2) + other((n - 1) // 2)) / 2)


def _left_out_unsorted(values: Floats) -> Floats:
    order = np.argsort(values, kind="stable")
    found = np.empty_like(values)
    found[order] = _left_out(values[order])
    return found


def _paired_medians(
    one: Floats, other: Floats, rng: np.random.Generator, resamples: int
) -> tuple[Floats, Floats]:
    """Medians of both over the same resampled pairs.

    Only pairs near either median are drawn one by one; for the others it matters only how many
    are on which side of both.
    """
    n = one.size
    orders = [np.argsort(v, kind="stable") for v in (one, other)]
    half = math.ceil(_SIGMAS * math.sqrt(n) / 2) + 1
    start, stop = max(n // 2 - half, 0), min(n // 2 + half, n)
    ranks = np.empty((2, n), np.int64)
    for rank, order in zip(ranks, orders, strict=True):
        rank[order] = np.arange(n)
    near = ((ranks >= start) & (ranks < stop)).any(axis=0)
    sides = np.bincount((2 * (ranks[0] < start) + (ranks[1] < start))[~near], minlength=4)
    columns = [np.argsort(rank[near], kind="stable") for rank in ranks]
    values = [v[near][column] for v, column in zip((one, other), columns, strict=True)]
    found: tuple[list[Floats], list[Floats]] = ([], [])
    for counts, rest in _draws(int(near.sum()), sides, n, rng, resamples):
        for which, below in enumerate((rest[:, 2] + rest[:, 3], rest[:, 1] + rest[:, 3])):
            # a pair near the other median may be far from this one; it is counted anyway
            found[which].append(_middle(counts[:, columns[which]], below, values[which], n))
    return np.concatenate(found[0]), np.concatenate(found[1])


def _draws(
    near: int, sides: npt.NDArray[np.int64], n: int, rng: np.random.Generator, resamples: int
) -> Iterator[tuple[npt.NDArray[np.int32], Ints]]:
    """Batches of resamples: how often each near pair and each of four groups was drawn."""
    rows = max(_BATCH // near, 1)
    shares = sides / max(n - near, 1)
    for at in range(0, resamples, rows):
        size = min(rows, resamples - at)
        inside = rng.binomial(n, near / n, size)
        rest = rng.multinomial(n - inside, shares) if n > near else np.zeros((size, 4), np.int64)
        row = np.repeat(np.arange(size) * near, inside)
        picked = row + rng.integers(0, near, row.size)
        counts = np.bincount(picked, minlength=size * near).astype(np.int32)
        yield counts.reshape(size, near), rest


def _middle(counts: npt.NDArray[np.int32], below: Ints, values: Floats, n: int) -> Floats:
    """Medians of (rows, near) counts in the order of ``values``, with ``below`` draws below."""
    reached = counts.cumsum(axis=1, dtype=np.int32)
    last = values.size - 1
    middle = np.zeros(len(counts))
    for k in ((n - 1) // 2, n // 2):
        # beyond the last only if _SIGMAS was too small
        place = np.count_nonzero(reached <= (k - below).astype(np.int32)[:, None], axis=1)
        middle += values[np.minimum(place, last)] / 2
        if n % 2:
            return 2 * middle
    return middle
