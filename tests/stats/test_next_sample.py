# SPDX-License-Identifier: Apache-2.0
"""hil.stats.estimate.next_sample: the interval holds the next sample as often as it says."""

from __future__ import annotations

import numpy as np
import pytest

from hil.stats.estimate import next_sample


@pytest.mark.parametrize("n", [2, 6, 30])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_it_covers_the_next_sample(n: int, confidence: float) -> None:
    random = np.random.default_rng(n)
    trials = 2_000
    inside = 0
    for values in random.normal(3.0, 0.5, (trials, n + 1)):
        found = next_sample(values[:n], confidence)
        inside += found.low <= values[n] <= found.high
    error = 4 * (confidence * (1 - confidence) / trials) ** 0.5
    assert abs(inside / trials - confidence) < error


@pytest.mark.parametrize("samples", [[], [1.0], [1.0, float("nan")]])
def test_too_few_samples_are_refused(samples: list[float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        next_sample(samples)
