# SPDX-License-Identifier: Apache-2.0
"""Samples -> estimates. Pure: no I/O, no runs, no boards, and randomness only from a seed.

estimate   shares, means, medians and percentiles; McNemar's test and paired differences
bootstrap  medians, their ratios and functions of means with bootstrap intervals
series     times: kinds that never mix, outliers, drift
metrics    outputs compared with a reference
errors     outputs compared with targets: rmse, mae, bias, R2
roc        area under the ROC curve
"""

from hil.stats.bootstrap import RESAMPLES, bootstrap_median, ratio_of_medians
from hil.stats.estimate import (
    CONFIDENCE,
    Estimate,
    McNemar,
    Samples,
    lost,
    mcnemar,
    mean,
    median,
    paired_difference,
    percentile,
    proportion,
)
from hil.stats.series import Drift, Outliers, drift, outliers

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
    "lost",
    "mcnemar",
    "mean",
    "median",
    "outliers",
    "paired_difference",
    "percentile",
    "proportion",
    "ratio_of_medians",
]
