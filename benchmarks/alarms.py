# SPDX-License-Identifier: Apache-2.0
"""Counts the alarms of `hil compare` on noisy boards: the figures of docs/compare.md.

python -m benchmarks.alarms      # 1,320 runs on simulated boards; a minute
"""

from __future__ import annotations

from hil.compare import compare_stored
from tests.support.compared import figure
from tests.support.timed_boards import bench

BASES = range(1000, 1003)


def main() -> None:
    """Print one line for each percentage by which the board is slower."""
    for percent, runs in ((0, 200), (3, 60), (4, 60), (5, 60), (10, 60)):
        micros = 2000 * (1 + percent / 100)
        found = [
            compare_stored(bench(base), bench(seed, micros=micros))
            for base in BASES
            for seed in range(runs)
        ]
        alarms = sum(one.regression for one in found)
        apart = sum(figure(one, "latency").word in ("better", "worse") for one in found)
        print(f"+{percent} %: {alarms} alarms, {apart} intervals without 0, of {len(found)}")


if __name__ == "__main__":
    main()
