# SPDX-License-Identifier: Apache-2.0
"""Errors against targets: points by scikit-learn, intervals by `scipy.stats.bootstrap`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import bootstrap
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from hil.stats.errors import NAMES, errors, finite_rows, per_sample, ratios
from tests.support.runs import known

Reals = npt.NDArray[np.float64]


def drawn(n: int, k: int, seed: int = 1) -> tuple[Reals, Reals]:
    """Targets far from zero, and errors with a bias."""
    rng = np.random.default_rng(seed)
    targets = 100 + rng.normal(size=(n, k)) * np.arange(1, k + 1)
    return targets + rng.normal(0.1, 0.3, (n, k)), targets


@pytest.mark.parametrize("k", [1, 3])
def test_points_are_those_of_scikit_learn(k: int) -> None:
    p, t = drawn(50, k)
    found = errors(p, t)
    assert known(found["mse"]).point == pytest.approx(mean_squared_error(t, p))
    assert known(found["rmse"]).point == pytest.approx(mean_squared_error(t, p) ** 0.5)
    assert known(found["mae"]).point == pytest.approx(mean_absolute_error(t, p))
    assert known(found["bias"]).point == pytest.approx((p - t).mean())
    wanted = r2_score(t, p, multioutput="variance_weighted")
    assert known(found["r2"]).point == pytest.approx(wanted)
    np.testing.assert_allclose(per_sample(p, t), ((p - t) ** 2).mean(axis=1))


FIGURES: dict[str, Callable[[Reals, Reals], float]] = {
    "mse": lambda p, t: float(((p - t) ** 2).mean()),
    "rmse": lambda p, t: float(((p - t) ** 2).mean() ** 0.5),
    "mae": lambda p, t: float(np.abs(p - t).mean()),
    "bias": lambda p, t: float((p - t).mean()),
    "r2": lambda p, t: float(1 - ((p - t) ** 2).sum() / ((t - t.mean()) ** 2).sum()),
}


@pytest.mark.parametrize("name", NAMES)
def test_intervals_are_those_of_scipy(name: str) -> None:
    p, t = drawn(40, 1)
    found = known(errors(p, t)[name])  # type: ignore[index]  # one of NAMES
    wanted = bootstrap(
        (p[:, 0], t[:, 0]),
        FIGURES[name],
        paired=True,
        vectorized=False,
        method="BCa",
        n_resamples=4000,
        rng=np.random.default_rng(5),
    ).confidence_interval
    wide = wanted.high - wanted.low
    assert found.method == "BCa bootstrap"
    assert found.low == pytest.approx(wanted.low, abs=0.06 * wide)
    assert found.high == pytest.approx(wanted.high, abs=0.06 * wide)


def test_a_ratio_is_paired() -> None:
    p, t = drawn(60, 2)
    worse = t + 1.1 * (p - t)
    for found in ratios((worse, t), (p, t)).values():
        one = known(found)
        assert one.point == pytest.approx(1.1)
        assert one.low == pytest.approx(1.1)
        assert one.high == pytest.approx(1.1)
    noisy = p + np.random.default_rng(2).normal(0, 0.05, p.shape)
    one = known(ratios((noisy, t), (p, t))["rmse"])
    assert one.low < one.point < one.high
    assert one.method == "BCa bootstrap, paired"
    assert ratios((p, t), (t, t)) == {"rmse": None, "mae": None}  # nothing to divide by


def test_what_is_not_defined_is_none() -> None:
    t = np.full((8, 1), 3.0)
    found = errors(t + np.arange(8.0)[:, None], t)
    assert found["r2"] is None  # the targets do not vary
    assert errors(*drawn(8, 2), spread=False)["r2"] is None


def test_a_perfect_prediction_is_constant() -> None:
    _, t = drawn(20, 1)
    found = errors(t, t)
    for name, point in (("rmse", 0.0), ("mae", 0.0), ("bias", 0.0), ("r2", 1.0)):
        one = known(found[name])  # type: ignore[index]  # one of NAMES
        assert (one.point, one.low, one.high, one.method) == (point, point, point, "constant")


def test_too_few_samples_have_no_interval() -> None:
    one = known(errors(*drawn(5, 1))["rmse"])
    assert (one.method, one.confidence) == ("too few samples", 0.0)
    assert one.low == one.high == one.point


def test_samples_that_are_not_finite_are_left_out() -> None:
    p, t = drawn(4, 2)
    p[1, 0] = np.nan
    t[3, 1] = np.inf
    assert finite_rows(p, t).tolist() == [True, False, True, False]
    with pytest.raises(ValueError, match="finite"):
        errors(p, np.ones_like(t))
    with pytest.raises(ValueError, match="shapes differ"):
        errors(p[:2], t)
