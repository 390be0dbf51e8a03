# SPDX-License-Identifier: Apache-2.0
"""The area under the ROC curve: points by scikit-learn, intervals by repetition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from hil.stats.roc import auc, auc_difference
from tests.support.runs import known

LABELS = np.repeat([0, 1], [30, 20])


@pytest.mark.parametrize("steps", [None, 1.0])
def test_the_area_is_that_of_scikit_learn(steps: float | None) -> None:
    scores = np.random.default_rng(1).normal(size=50) + LABELS
    if steps:
        scores = np.round(scores / steps)  # ties, as int8 outputs have
    found = known(auc(scores, LABELS))
    assert found.point == pytest.approx(roc_auc_score(LABELS, scores))
    assert 0 < found.low < found.point < found.high < 1
    assert (found.method, found.n) == ("Newcombe (AUC)", 50)


@pytest.mark.parametrize("shift", [0.5, 1.5, 3.0])
def test_intervals_cover_the_true_area(shift: float) -> None:
    """Of two normal distributions, the area is known: Phi(shift / sqrt(2))."""
    rng = np.random.default_rng(2)
    true = float(norm.cdf(shift / np.sqrt(2)))
    found = [known(auc(rng.normal(size=50) + shift * LABELS, LABELS)) for _ in range(600)]
    covered = np.mean([one.low <= true <= one.high for one in found])
    assert 0.92 < covered <= 0.995


def test_a_perfect_separation_is_not_certain() -> None:
    found = known(auc(LABELS.astype(float), LABELS))
    assert found.point == found.high == 1.0
    assert 0.8 < found.low < 1
    found = known(auc(-LABELS.astype(float), LABELS))
    assert found.point == found.low == 0.0
    assert found.high > 0
    assert known(auc(np.zeros(50), LABELS)).point == 0.5


def test_one_class_has_no_area() -> None:
    assert auc(np.arange(5.0), np.zeros(5, np.int64)) is None
    assert auc_difference(np.arange(3.0), np.arange(3.0), np.array([0, 0, 1])) is None


def test_a_difference_is_paired() -> None:
    rng = np.random.default_rng(3)
    first = rng.normal(size=50) + 2 * LABELS
    second = first + rng.normal(size=50)
    found = known(auc_difference(first, second, LABELS))
    assert found.point == pytest.approx(
        roc_auc_score(LABELS, first) - roc_auc_score(LABELS, second)
    )
    same = known(auc_difference(first, 2 * first + 1, LABELS))
    assert same.low == same.point == same.high == 0
    assert found.method == "DeLong (paired)"


def test_differences_of_equals_cover_zero() -> None:
    rng = np.random.default_rng(4)
    covered = []
    for _ in range(600):
        common = rng.normal(size=50) + 1.2 * LABELS
        one, other = (common + rng.normal(0, 0.5, 50) for _ in range(2))
        found = known(auc_difference(one, other, LABELS))
        covered.append(found.low <= 0 <= found.high)
    assert 0.92 < np.mean(covered) <= 0.98


def test_the_variance_is_that_of_delong() -> None:
    """By its definition, over all pairs, instead of by ranks."""
    rng = np.random.default_rng(5)
    first, second = (np.round(rng.normal(size=50) + LABELS, 1) for _ in range(2))

    def structural(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gaps = scores[LABELS == 1][:, None] - scores[LABELS == 0][None]
        wins = (gaps > 0) + 0.5 * (gaps == 0)
        return wins.mean(axis=1), wins.mean(axis=0)

    (a1, a0), (b1, b0) = structural(first), structural(second)
    variance = np.var(a1 - b1, ddof=1) / 20 + np.var(a0 - b0, ddof=1) / 30
    found = known(auc_difference(first, second, LABELS))
    assert found.high - found.point == pytest.approx(norm.ppf(0.975) * np.sqrt(variance))
