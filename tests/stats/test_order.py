# SPDX-License-Identifier: Apache-2.0
"""Outliers and drift, against counting by hand and SciPy's Theil slopes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil import stats


def test_fences_by_hand() -> None:
    # quartiles 3 and 7 of 1..9: fences at -3 and 13, -9 and 19
    values = [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert stats.outliers(values) == stats.Outliers(0, 0, 9)
    # 13 values: quartiles 4 and 10, the fences 19 and 28
    values = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 19, 20, 29]
    assert stats.outliers(values) == stats.Outliers(1, 1, 13)
    assert stats.outliers([-v for v in values]) == stats.Outliers(1, 1, 13)
    assert stats.outliers([5, 5, 5, 5, 6]) == stats.Outliers(0, 1, 5)
    assert stats.outliers([5]) == stats.Outliers(0, 0, 1)


@settings(deadline=None)
@given(st.lists(st.integers(1, 60), min_size=8, max_size=40))
def test_drift_is_mann_and_kendalls(values: list[int]) -> None:
    got = stats.drift(values)
    if min(values) == max(values):
        assert got is None
        return
    pairs = [(i, j) for i in range(len(values)) for j in range(i)]
    s = sum(int(np.sign(values[i] - values[j])) for i, j in pairs)
    untied = sum(values[i] != values[j] for i, j in pairs)
    assert got is not None
    assert got.tau == pytest.approx(s / (len(pairs) * untied) ** 0.5)
    assert 0 <= got.p <= 1
    back = stats.drift(values[::-1])
    assert back is not None
    assert (back.tau, back.p) == pytest.approx((-got.tau, got.p))


def test_a_trend_is_found_and_sized() -> None:
    rng = np.random.default_rng(1)
    calm = rng.normal(1000, 5, 400)
    drifting = calm + np.linspace(0, 20, 400)
    found = stats.drift(drifting)
    assert found is not None
    assert found.p < 1e-6
    assert found.size is not None
    assert found.size.low < 1.015 < found.size.high < 1.02
    assert "BCa" in found.size.method


def test_chance_is_seldom_called_drift() -> None:
    rng = np.random.default_rng(2)
    found = [stats.drift(rng.normal(1000, 5, 60)) for _ in range(300)]
    assert 0.02 <= sum(d is not None and d.p < 0.05 for d in found) / 300 <= 0.09


def test_nothing_to_say() -> None:
    assert stats.drift([4] * 100) is None
    assert stats.drift([1, 2, 3, 4, 5, 6, 7]) is None
    zeros = stats.drift([0, 0, 0, 0, 1, 1, 1, 1])  # a clock that is too coarse
    assert zeros is not None
    assert zeros.size is None
    with pytest.raises(ValueError, match="finite"):
        stats.drift([])
