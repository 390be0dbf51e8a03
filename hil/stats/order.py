"""What the order and the tails of measurements say: outliers and drift.

Outliers lie beyond Tukey's fences (Tukey 1977): mild beyond 1.5 interquartile ranges from the
quartiles, severe beyond 3, as criterion counts them. Drift is tested as Mann and Kendall do
(Mann, Econometrica 13, 245 (1945)): Kendall's tau-b of the values with their order, two-sided.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import kendalltau

from hil.stats.bootstrap import ratio_of_medians
from hil.stats.estimate import Estimate, Samples, finite

_PART = 4  # the first and the last quarter are compared
_FEWEST = 8


@dataclass(frozen=True, slots=True)
class Outliers:
    """How many samples of ``n`` lie beyond the fences, on either side. They are only counted:
    every other figure has them too."""

    mild: int
    severe: int
    n: int


@dataclass(frozen=True, slots=True)
class Drift:
    """``tau``: 1 where every sample is above all before it, -1 below. ``p``: the chance of as
    strong a trend where order means nothing. ``size``: median of the last quarter of the samples
    over that of the first; None where a sample is not positive."""

    tau: float
    p: float
    size: Estimate | None


def outliers(samples: Samples) -> Outliers:
    """ValueError on none or a non-finite sample."""
    values = finite(samples)
    low, high = np.percentile(values, (25, 75))
    beyond = np.maximum(low - values, values - high)
    severe = int((beyond > 3 * (high - low)).sum())
    return Outliers(int((beyond > 1.5 * (high - low)).sum()) - severe, severe, values.size)


def drift(samples: Samples) -> Drift | None:
    """None where all samples are equal, or too few to say (fewer than 8).

    ValueError on none or a non-finite sample.
    """
    values = finite(samples)
    if values.size < _FEWEST or values.min() == values.max():
        return None
    test = kendalltau(np.arange(values.size), values)
    part = values.size // _PART
    if not math.isfinite(test.statistic):
        return None
    size = None
    if values.min() > 0:
        size = ratio_of_medians(values[-part:], values[:part], paired=False)
    return Drift(float(test.statistic), float(test.pvalue), size)
