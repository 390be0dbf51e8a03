"""Samples -> estimates. Pure: no I/O, nothing of a run or a board, randomness only by seed.

Yes/no answers in `proportions`, medians in `medians`, and with bootstrap intervals, ratios
included, in `bootstrap`.
"""

from hil.stats.bootstrap import RESAMPLES, bootstrap_median, ratio_of_medians
from hil.stats.estimate import CONFIDENCE, Estimate, Samples
from hil.stats.medians import median, percentile
from hil.stats.proportions import McNemar, mcnemar, paired_difference, proportion

__all__ = [
    "CONFIDENCE",
    "RESAMPLES",
    "Estimate",
    "McNemar",
    "Samples",
    "bootstrap_median",
    "mcnemar",
    "median",
    "paired_difference",
    "percentile",
    "proportion",
    "ratio_of_medians",
]
