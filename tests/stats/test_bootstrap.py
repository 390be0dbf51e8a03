# SPDX-License-Identifier: Apache-2.0
"""hil/stats/bootstrap.py: compared with SciPy's bootstrap and with all resamples; coverage."""

from __future__ import annotations

import itertools
import time
import tracemalloc

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap

from hil import stats
from hil.stats.bootstrap import _left_out, _medians, _paired_medians

Floats = npt.NDArray[np.float64]


def _ratio(one: Floats, other: Floats, axis: int = -1) -> Floats:
    return np.asarray(np.median(one, axis=axis) / np.median(other, axis=axis))


@pytest.mark.parametrize("n", [7, 50, 101, 400])
def test_median_agrees_with_scipys_bca(n: int) -> None:
    x = np.random.default_rng(n).gamma(3, 100, n)
    got = stats.bootstrap_median(x, resamples=99_999)
    want = bootstrap((x,), np.median, n_resamples=20_000, batch=500, rng=5).confidence_interval
    width = want.high - want.low
    assert got.low == pytest.approx(want.low, abs=0.06 * width)
    assert got.high == pytest.approx(want.high, abs=0.06 * width)
    assert (got.point, got.n, got.method) == (np.median(x), n, "BCa bootstrap")


@pytest.mark.parametrize("n", [7, 50, 401])
@pytest.mark.parametrize("paired", [True, False])
def test_ratio_agrees_with_scipys_bca(n: int, paired: bool) -> None:
    rng = np.random.default_rng(n)
    x = rng.gamma(3, 100, n)
    y = x * 0.4 + rng.gamma(3, 10, n)
    got = stats.ratio_of_medians(x, y, paired=paired, resamples=39_999)
    want = bootstrap(
        (x, y), _ratio, paired=paired, vectorized=True, n_resamples=20_000, batch=500, rng=5
    ).confidence_interval
    width = want.high - want.low
    assert got.low == pytest.approx(want.low, abs=0.06 * width)
    assert got.high == pytest.approx(want.high, abs=0.06 * width)
    assert got.method == "BCa bootstrap" + (", paired" if paired else "")


@pytest.mark.parametrize("n", [4, 5])
def test_resampled_medians_have_the_distribution_of_all_resamples(n: int) -> None:
    x = np.arange(1.0, n + 1) ** 2
    y = np.array([3.0, 1.0, 7.0, 2.0, 5.0])[:n]
    every = np.array(list(itertools.product(range(n), repeat=n)))
    rng = np.random.default_rng(3)
    ones, others = _paired_medians(x, y, rng, 60_000)
    alone = _medians(x, rng, 60_000)
    exact = np.median(x[every], axis=1)
    for value in np.unique(exact):
        share = (exact == value).mean()
        assert (alone == value).mean() == pytest.approx(share, abs=0.01)
        assert (ones == value).mean() == pytest.approx(share, abs=0.01)
    # jointly, too
    both = _ratio(x[every], y[every], axis=1)
    for value in np.unique(both):
        assert (np.isclose(ones / others, value)).mean() == pytest.approx(
            np.isclose(both, value).mean(), abs=0.01
        )


def test_drawing_only_near_the_median_changes_no_distribution() -> None:
    """Of 3,000 pairs most are only counted by side; compared with complete resamples."""
    rng = np.random.default_rng(11)
    x, y = rng.normal(100, 5, (2, 3000))
    y += 0.5 * (x - 100)
    ones, others = _paired_medians(x, y, rng, 20_000)
    which = rng.integers(0, 3000, (2000, 3000))
    slow_x, slow_y = np.median(x[which], axis=1), np.median(y[which], axis=1)
    for fast, slow in ((ones, slow_x), (others, slow_y), (ones / others, slow_x / slow_y)):
        assert fast.mean() == pytest.approx(slow.mean(), abs=5 * slow.std() / 2000**0.5)
        assert fast.std() == pytest.approx(slow.std(), rel=0.08)
    fast, slow = np.corrcoef(ones, others)[0, 1], np.corrcoef(slow_x, slow_y)[0, 1]
    assert fast == pytest.approx(slow, abs=0.08)


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=30))
def test_leaving_one_out_gives_the_median_of_the_others(numbers: list[int]) -> None:
    values = np.sort(np.array(numbers, float))
    want = [np.median(np.delete(values, i)) for i in range(values.size)]
    assert _left_out(values).tolist() == want


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=40))
def test_samples_with_ties(numbers: list[int]) -> None:
    got = stats.bootstrap_median(numbers, resamples=500)
    assert min(numbers) <= got.low <= got.point <= got.high <= max(numbers)
    same = stats.ratio_of_medians(numbers, numbers, resamples=500)
    assert same.low <= same.point == 1.0 <= same.high
    if len(numbers) >= 6:
        assert same.low == same.high == 1.0  # the same inputs, so no chance is involved


def test_equal_and_few_samples_have_their_own_methods() -> None:
    assert stats.bootstrap_median([7] * 9).method == "constant"
    assert stats.bootstrap_median([1, 2, 3]) == stats.median([1, 2, 3])
    assert stats.ratio_of_medians([8] * 9, [2] * 9) == stats.Estimate(4, 4, 4, "constant", 9, 1)
    few = stats.ratio_of_medians([8, 9, 10], [2, 3, 2])
    assert few == stats.Estimate(4.5, 8 / 3, 5, "ranges", 3, 0.5)
    # one value in a hundred differs: leaving out any sample does not move the median
    tied = stats.bootstrap_median([5] * 99 + [9])
    assert (tied.low, tied.high, tied.method) == (5, 5, "bias-corrected bootstrap")


def test_pairing_removes_the_variation_that_both_share() -> None:
    base = np.random.default_rng(2).gamma(2, 100, 300) + 1
    paired = stats.ratio_of_medians(base * 3, base)
    loose = stats.ratio_of_medians(base * 3, base, paired=False)
    assert paired.low == pytest.approx(3) == paired.high
    assert loose.low < 2.8
    assert loose.high > 3.2


def test_the_same_seed_gives_the_same_interval() -> None:
    x = np.random.default_rng(0).gamma(2, 100, 60)
    assert stats.bootstrap_median(x) == stats.bootstrap_median(x.copy())
    assert stats.bootstrap_median(x) == stats.bootstrap_median(x[::-1])  # order does not matter
    assert stats.bootstrap_median(x, resamples=99) != stats.bootstrap_median(x, resamples=98)


@pytest.mark.parametrize(("new", "base"), [([1, 2], [1]), ([], []), ([1], [0]), ([-1], [1])])
def test_invalid_samples_have_no_ratio(new: list[int], base: list[int]) -> None:
    with pytest.raises(ValueError, match=r"lengths differ|at least one|positive"):
        stats.ratio_of_medians(new, base)


def test_intervals_cover_the_truth() -> None:
    """Simulated: about 19 of 20 contain the truth; bootstrapped medians may miss a little more."""
    rng = np.random.default_rng(4)
    truth = 100 * float(np.log(2))
    runs = 400
    hits = ratio_hits = 0
    for _ in range(runs):
        x, y = rng.exponential(100, (2, 60))
        got = stats.bootstrap_median(x, resamples=999)
        hits += got.low <= truth <= got.high
        ratio = stats.ratio_of_medians(x, y, resamples=999)
        ratio_hits += ratio.low <= 1 <= ratio.high
    assert 0.90 <= hits / runs <= 0.99
    assert 0.90 <= ratio_hits / runs <= 0.99


def test_ten_thousand_samples_take_seconds_and_little_memory() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.gamma(3, 100, (2, 10_000))
    started = time.process_time()
    tracemalloc.start()
    try:
        stats.bootstrap_median(x)
        stats.ratio_of_medians(x, y)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.process_time() - started < 5
    assert most < 200e6
