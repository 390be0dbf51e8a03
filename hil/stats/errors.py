# SPDX-License-Identifier: Apache-2.0
"""How far outputs are from their targets: rmse, mae, bias, R2, with intervals over the samples.

Predictions p and targets t are (n, k) real values; e = p - t:

    mse   mean(e^2), over all n x k values        bias  mean(e)
    rmse  sqrt(mse)                               mae   mean(|e|)
    r2    1 - sum(e^2) / sum((t - mean(t))^2), mean(t) of each output

``r2`` is scikit-learn's `r2_score(multioutput="variance_weighted")`, for one output its default.
Intervals: BCa bootstrap over samples (`hil.stats.bootstrap`); the k values of a sample stay
together, since they are not independent. tests/stats/test_errors.py compares points with
scikit-learn and intervals with `scipy.stats.bootstrap`.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from hil.stats.bootstrap import bootstrap_of_means
from hil.stats.estimate import Estimate

Reals = npt.NDArray[np.float64]
Name = Literal["mse", "rmse", "mae", "bias", "r2"]
NAMES: Final[tuple[Name, ...]] = ("mse", "rmse", "mae", "bias", "r2")
_LARGEST: Final = float(np.finfo(np.float32).max)
_OF_TWO: Final = ("rmse", "mae")  # of which there is a ratio


def finite_rows(predicted: Reals, targets: Reals) -> npt.NDArray[np.bool_]:
    """(n,) samples of which all values on both sides are within float32's range; the others, with
    NaN or infinity, are in no figure. The cubes of their squares stay within float64's."""
    return np.asarray(
        (np.abs(predicted) <= _LARGEST).all(axis=1) & (np.abs(targets) <= _LARGEST).all(axis=1)
    )


def per_sample(predicted: Reals, targets: Reals) -> Reals:
    """(n,) mean squared error of each sample."""
    return np.asarray(((predicted - targets) ** 2).mean(axis=1))


def errors(predicted: Reals, targets: Reals, *, spread: bool = True) -> dict[Name, Estimate | None]:
    """Every figure of finite (n, k) arrays; None where it is not defined, as R2 of equal targets.

    ``spread``: False saves the time that R2 takes, which is then None.
    ValueError unless the shapes are equal and n > 0.
    """
    if predicted.shape != targets.shape or predicted.ndim != 2 or not predicted.size:
        raise ValueError(f"shapes differ or are empty: {predicted.shape} and {targets.shape}")
    k = predicted.shape[1]
    columns = _moments(predicted - targets)
    if spread:
        # deviations from a fixed point keep the sums of squares exact for targets far from 0
        away = targets - targets.mean(axis=0)
        columns = np.column_stack((columns, (away**2).sum(axis=1), away))

    def statistic(means: Reals) -> Reals:
        mse, mae, bias = means[:, :3].T
        r2 = _r2(k * mse, means[:, 3:]) if spread else np.full(len(means), np.nan)
        return np.column_stack((mse, np.sqrt(mse), mae, bias, r2))

    found = bootstrap_of_means(columns, statistic)
    return dict(zip(NAMES, found, strict=True))


def ratios(new: tuple[Reals, Reals], base: tuple[Reals, Reals]) -> dict[str, Estimate | None]:
    """rmse and mae of ``new`` over those of ``base``, each (predictions, targets) of the same
    samples in the same order; None where the base's is 0. BCa bootstrap, paired."""
    columns = np.column_stack([_moments(p - t)[:, :2] for p, t in (new, base)])

    def statistic(means: Reals) -> Reals:
        return np.column_stack((np.sqrt(means[:, 0] / means[:, 2]), means[:, 1] / means[:, 3]))

    found = bootstrap_of_means(columns, statistic, suffix=", paired")
    return dict(zip(_OF_TWO, found, strict=True))


def _moments(e: Reals) -> Reals:
    """(n, 3) mean squared, mean absolute and mean error of each sample."""
    return np.column_stack(((e**2).mean(axis=1), np.abs(e).mean(axis=1), e.mean(axis=1)))


def _r2(squares: Reals, means: Reals) -> Reals:
    """From (m,) sums of squared errors, and (m, 1 + k) means of squared deviations and deviations;
    NaN where the targets do not vary."""
    total = means[:, 0] - (means[:, 1:] ** 2).sum(axis=1)
    varies = total > 1e-12 * means[:, 0]  # less is rounding
    return np.asarray(np.where(varies, 1 - squares / np.where(varies, total, 1.0), np.nan))
