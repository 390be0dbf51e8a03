"""Samples -> estimates. Pure: no I/O, nothing of a run or a board, randomness only by seed.

Yes/no answers in `proportions`, medians in `medians`, and with bootstrap intervals, ratios
included, in `bootstrap`, what order and tails say in `order`.
"""

from hil.stats.bootstrap import RESAMPLES, bootstrap_median, ratio_of_medians
from hil.stats.estimate import CONFIDENCE, Estimate, Samples
from hil.stats.medians import median, percentile
from hil.stats.order import Drift, Outliers, drift, outliers
from hil.stats.proportions import McNemar, mcnemar, paired_difference, proportion

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
