# SPDX-License-Identifier: Apache-2.0
"""What the restarts of a run have in common: a sample, a number of inferences, or a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hil.runs.schema import Restart

KEPT: Final = 50  # restarts that a run stores
FEWEST: Final = 3  # restarts that show a pattern
_NEAR: Final = 0.1  # share by which times that count as equal may vary
_SHORT_S: Final = 0.2  # times are not compared below this


def pattern(restarts: Sequence[Restart]) -> str:
    """When a board restarts, in words that follow "it restarts"; empty if nothing shows that.

    The causes are tried from the most exact one on: one sample, a number of inferences since the
    boot (a leak, a stack that grows), a time (a watchdog, or power).
    """
    if len(restarts) < FEWEST:
        return ""
    if len(restarts) > FEWEST:  # the first one came with several requests in flight
        restarts = restarts[1:]
    if len({one.sample for one in restarts}) == 1:
        return f"whenever it gets sample {restarts[0].sample}"
    if (n := after_every(restarts)) is not None:
        return f"after every {n:,} inferences"
    times = sorted(one.seconds for one in restarts)
    middle = times[len(times) // 2]
    if middle >= _SHORT_S and all(abs(one - middle) <= _NEAR * middle for one in times):
        return f"about {middle:.1f} s after each boot, whatever it computes"
    return ""


def after_every(restarts: Sequence[Restart]) -> int | None:
    """The number of inferences after which a board always restarts; None if it varies."""
    counts = {one.answered for one in restarts}
    return counts.pop() if len(counts) == 1 else None
