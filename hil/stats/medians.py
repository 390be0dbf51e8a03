"""Medians and percentiles without resampling.

The interval of a median lies between two order statistics and is exact (Conover 1999, 3.2).
"""

from __future__ import annotations

import numpy as np
from scipy.stats import binom

from hil.stats.estimate import CONFIDENCE, Estimate, Samples, finite


def median(samples: Samples, confidence: float = CONFIDENCE) -> Estimate:
    """Median with the exact order-statistic interval; ValueError on none or a non-finite sample.

    Fewer than six samples reach no 95 %: the interval is then their range and ``confidence``
    what that covers, 1 - 2^(1-n).
    """
    values = finite(samples)
    point = float(np.median(values))
    if values.min() == values.max():
        return Estimate(point, point, point, "constant", values.size, 1.0)
    # the rank-th value from either end: fewer than rank of n values fall beyond the median
    # with a chance below half of what is left over
    rank = int(binom.ppf((1 - confidence) / 2, values.size, 0.5))
    if rank == 0:
        rank, confidence = 1, 1.0 - 2.0 ** (1 - values.size)
    ordered = np.sort(values)
    low, high = float(ordered[rank - 1]), float(ordered[-rank])
    return Estimate(point, low, high, "order statistics", values.size, confidence)


def percentile(samples: Samples, percent: float) -> float:
    """Percentile 0..100, linear between order statistics (Hyndman and Fan's type 7)."""
    return float(np.percentile(finite(samples), percent))
