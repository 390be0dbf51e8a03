# SPDX-License-Identifier: Apache-2.0
"""Samples -> estimates. Pure: no I/O, nothing of a run or a board, randomness only by seed.

Yes/no answers in `proportions`, medians in `medians`, and with bootstrap intervals, ratios
included, in `bootstrap`, what order and tails say in `order`.
"""

from hil.stats.bootstrap import (
    RESAMPLES,
    Drift,
    Outliers,
    bootstrap_median,
    drift,
    outliers,
    ratio_of_medians,
)
from hil.stats.estimate import (
    CONFIDENCE,
    Estimate,
    McNemar,
    Samples,
    mcnemar,
    median,
    paired_difference,
    percentile,
    proportion,
)

__all__ = [
    "CONFIDENCE",
    "RESAMPLES",
    "Drift",
    "Estimate",
    "McNemar",
    "Outliers",
    "Samples",
    "bootstrap_median",
    "drift",
    "mcnemar",
    "median",
    "outliers",
    "paired_difference",
    "percentile",
    "proportion",
    "ratio_of_medians",
]
