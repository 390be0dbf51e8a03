# SPDX-License-Identifier: Apache-2.0
"""On boards with noisy times, unchanged re-runs raise no alarm and slower ones always do.

An alarm requires the whole interval beyond 3 %. If it only had to exclude 0, differences between
boots would raise alarms: they are counted, too.
"""

from __future__ import annotations

import pytest

from hil.compare import compare_stored
from hil.compare.limits import Growth, LimitsFile
from tests.support.compared import figure
from tests.support.timed_boards import Noise, bench

pytestmark = pytest.mark.thorough

RUNS = 200


@pytest.mark.timeout(1200)
def test_200_unchanged_reruns_raise_no_alarm() -> None:
    base = bench(0)
    found = [compare_stored(base, bench(seed)) for seed in range(1, RUNS + 1)]
    assert sum(one.regression for one in found) == 0
    words = [figure(one, "latency").word for one in found]
    assert words.count("worse") > 0, "there is too little noise if no interval excludes 0"
    strict = LimitsFile(compare=Growth(latency=0))
    alarms = sum(compare_stored(base, bench(seed), strict).regression for seed in range(1, 21))
    assert alarms > 0


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("noise", "runs"),
    [
        pytest.param(Noise(), RUNS, marks=pytest.mark.slow),
        (Noise(), 40),
        (Noise(jitter=0.03, late=0.1), 20),
    ],
)
def test_10_percent_slower_is_always_found(noise: Noise, runs: int) -> None:
    base = bench(0, noise=noise)
    slower = (bench(seed, micros=2200, noise=noise) for seed in range(1, runs + 1))
    assert all(compare_stored(base, one).regression for one in slower)


def test_too_much_noise_raises_no_alarm() -> None:
    wild = Noise(jitter=0.5)
    for seed in range(1, 21):
        found = compare_stored(bench(0, n=20, noise=wild), bench(seed, n=20, noise=wild))
        assert not found.regression
