# SPDX-License-Identifier: Apache-2.0
"""The area under the ROC curve: how well one score separates two classes, at any threshold.

It is the chance that a sample of class 1 has a larger score than one of class 0, ties counting half
(Hanley and McNeil, Radiology 143, 29 (1982)): the Mann-Whitney statistic over the number of pairs.
tests/stats/test_roc.py compares it with scikit-learn.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from hil.stats.estimate import CONFIDENCE, Estimate

Reals = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_EDGE = 1e-9  # the variance is 0 at 0 and 1


def auc(scores: Reals, labels: Ints, confidence: float = CONFIDENCE) -> Estimate | None:
    """AUC of (n,) finite scores with labels 0 and 1; None unless both occur.

    Interval: method 5 of Newcombe, Stat. Med. 25, 559 (2006), which solves for the areas whose
    Hanley-McNeil variance allows the observed one. It is asymmetric, within 0 and 1, and does not
    vanish at an area of 1, where those of DeLong and of the bootstrap do.
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    ones, zeros = int((labels == 1).sum()), int((labels == 0).sum())
    if not ones or not zeros:
        return None
    point = float(_placements(scores, labels)[0].mean())
    z = float(norm.ppf((1 + confidence) / 2))

    def beyond(area: float) -> float:
        """Positive where the variance at ``area`` does not allow the observed one."""
        return (area - point) ** 2 - z**2 * _variance(area, ones, zeros)

    within = min(max(point, _EDGE), 1 - _EDGE)
    low = float(brentq(beyond, 0.0, within)) if point > 0 else 0.0
    high = float(brentq(beyond, within, 1.0)) if point < 1 else 1.0
    return Estimate(
        point, min(low, point), max(high, point), "Newcombe (AUC)", len(labels), confidence
    )


def auc_difference(
    first: Reals, second: Reals, labels: Ints, confidence: float = CONFIDENCE
) -> Estimate | None:
    """AUC of ``first`` minus AUC of ``second``: two scores of the same samples.

    DeLong, DeLong and Clarke-Pearson, Biometrics 44, 837 (1988), by ranks (Sun and Xu, IEEE Signal
    Process. Lett. 21, 1389 (2014)). None unless each class has two samples.
    """
    from scipy.stats import norm

    ones, zeros = int((labels == 1).sum()), int((labels == 0).sum())
    if min(ones, zeros) < 2:
        return None
    one, other = _placements(first, labels), _placements(second, labels)
    point = float(one[0].mean() - other[0].mean())
    variance = sum(float((a - b).var(ddof=1)) / a.size for a, b in zip(one, other, strict=True))
    reach = float(norm.ppf((1 + confidence) / 2)) * math.sqrt(variance)
    low, high = max(point - reach, -1.0), min(point + reach, 1.0)
    return Estimate(point, low, high, "DeLong (paired)", len(labels), confidence)


def _placements(scores: Reals, labels: Ints) -> tuple[Reals, Reals]:
    """For each sample of class 1, the share of class 0 below it; for each of class 0, the share of
    class 1 above it. The mean of either is the AUC."""
    from scipy.stats import rankdata

    above, below = scores[labels == 1], scores[labels == 0]
    ranks = rankdata(np.concatenate((above, below)))
    one = (ranks[: above.size] - rankdata(above)) / below.size
    zero = 1 - (ranks[above.size :] - rankdata(below)) / above.size
    return np.asarray(one), np.asarray(zero)


def _variance(area: float, ones: int, zeros: int) -> float:
    """Hanley and McNeil's, with the mean of both class sizes as Newcombe's method 5 has it."""
    size = (ones + zeros) / 2 - 1
    spread = 1 + size * (1 - area) / (2 - area) + size * area / (1 + area)
    return area * (1 - area) * spread / (ones * zeros)
