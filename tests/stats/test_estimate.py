# SPDX-License-Identifier: Apache-2.0
"""hil/stats/estimate.py: every estimate compared with a number computed in another way."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil import stats


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        # Newcombe 1998 (one proportion), table I, method 3: to four places
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_equals_newcombes_table(k: int, n: int, low: float, high: float) -> None:
    got = stats.proportion(k, n)
    assert (round(got.low, 4), round(got.high, 4)) == (low, high)
    assert got.point == k / n
    assert (got.method, got.n, got.confidence) == ("Wilson", n, 0.95)


@settings(deadline=None)  # the machine may be busy
@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_solves_its_own_equation(kn: tuple[int, int]) -> None:
    """A limit is the share p from which the observed share is z standard errors away."""
    k, n = kn
    got = stats.proportion(k, n)
    z = 1.959963984540054
    assert 0.0 <= got.low <= got.point <= got.high <= 1.0
    for p in (got.low, got.high):
        if 1e-9 < p < 1 - 1e-9:
            assert abs(got.point - p) == pytest.approx(z * math.sqrt(p * (1 - p) / n), rel=1e-6)


@pytest.mark.parametrize(("k", "n"), [(0, 0), (-1, 5), (6, 5), (0, -1)])
def test_impossible_counts_are_refused(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="not a proportion"):
        stats.proportion(k, n)


def _coverage(n: int, rank: int) -> Fraction:
    """Chance that the median lies between the rank-th smallest and rank-th largest of n."""
    tail = sum((Fraction(math.comb(n, i), 2**n) for i in range(rank)), Fraction(0))
    return 1 - 2 * tail


@pytest.mark.parametrize("n", [6, 7, 8, 19, 20, 100, 251])
def test_median_interval_is_the_tightest_pair_of_ranks_that_covers(n: int) -> None:
    ranks = [r for r in range(1, n // 2 + 1) if _coverage(n, r) >= Fraction(95, 100)]
    got = stats.median(list(range(1, n + 1))[::-1])
    assert (got.low, got.high) == (max(ranks), n + 1 - max(ranks))
    assert got.point == (n + 1) / 2
    assert got.method == "order statistics"


def test_median_of_few_samples_states_its_real_confidence() -> None:
    got = stats.median([3, 1, 2, 9])
    assert (got.point, got.low, got.high, got.confidence) == (2.5, 1, 9, 1 - 2 / 16)


def test_equal_samples_are_constant() -> None:
    assert stats.median([864_612] * 40) == stats.Estimate(864612, 864612, 864612, "constant", 40, 1)
    assert stats.median([5]).method == "constant"


@pytest.mark.parametrize("bad", [[], [1.0, math.nan], [math.inf]])
def test_median_refuses_no_samples_and_non_finite_ones(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        stats.median(bad)


def test_percentiles_by_hand() -> None:
    # type 7: position 1 + (n-1) * q; for 1..5 the 5th percentile is 1 + 4 * 0.05
    assert stats.percentile([5, 4, 3, 2, 1], 5) == pytest.approx(1.2)
    assert stats.percentile([5, 4, 3, 2, 1], 95) == pytest.approx(4.8)
    assert stats.percentile([7], 95) == 7


def _pairs(a: int, b: int, c: int, d: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    first = np.array([True] * (a + b) + [False] * (c + d))
    second = np.array([True] * a + [False] * b + [True] * c + [False] * d)
    return first, second


@settings(deadline=None)  # the machine may be busy
@given(st.integers(0, 12), st.integers(0, 12))
def test_mcnemar_equals_the_sum_over_all_sign_patterns(b: int, c: int) -> None:
    n = b + c
    worse = sum(math.comb(n, i) for i in range(n + 1) if math.comb(n, i) <= math.comb(n, b))
    got = stats.mcnemar(*_pairs(3, b, c, 2))
    assert (got.only_first, got.only_second, got.n) == (b, c, n + 5)
    assert got.p == pytest.approx(worse / 2**n)


def test_mcnemar_needs_pairs() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        stats.mcnemar(np.array([True]), np.array([True, False]))
    with pytest.raises(ValueError, match="shapes differ"):
        stats.paired_difference(np.array([], bool), np.array([], bool))


@pytest.mark.parametrize(
    ("cells", "low", "high"),
    [
        # Newcombe 1998 (paired), table II, method 10: to four places
        ((36, 12, 2, 0), 0.0569, 0.3404),
        ((20, 12, 2, 16), 0.0562, 0.3292),
    ],
)
def test_paired_difference_equals_newcombes_table(
    cells: tuple[int, int, int, int], low: float, high: float
) -> None:
    got = stats.paired_difference(*_pairs(*cells))
    assert (round(got.low, 4), round(got.high, 4)) == (low, high)
    assert (got.point, got.n) == ((cells[1] - cells[2]) / 50, 50)


def test_no_observed_difference_still_has_an_interval() -> None:
    got = stats.paired_difference(*_pairs(50, 0, 0, 50))
    assert got.low < 0 == got.point < got.high


def test_paired_difference_covers_the_truth() -> None:
    """Simulated: 19 of 20 intervals contain the truth."""
    rng = np.random.default_rng(7)
    n, cells = 300, np.array([0.93, 0.04, 0.02, 0.01])
    hits = 0
    tables = rng.multinomial(n, cells, size=1500)
    for table in tables:
        got = stats.paired_difference(*_pairs(*(int(x) for x in table)))
        hits += got.low <= 0.02 <= got.high
    assert 0.935 <= hits / len(tables) <= 0.975


def test_paired_difference_changes_sign_with_its_arguments() -> None:
    first, second = _pairs(80, 9, 4, 7)
    one, two = stats.paired_difference(first, second), stats.paired_difference(second, first)
    assert (one.low, one.point, one.high) == pytest.approx((-two.high, -two.point, -two.low))
    assert one.point == pytest.approx(0.05)
