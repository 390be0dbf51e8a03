# SPDX-License-Identifier: Apache-2.0
"""The gate's time beside the device's own: which window is which answer, and whether they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from hil.core.errors import DataError
from hil.energy.trace import Floats
from hil.energy.windows import Window

MOST: Final = 0.01  # difference of both clocks; more is a fault of the window
_ENOUGH: Final = 0.5  # share of windows that must agree, or the trace is of another run
_MOST_EXTRA: Final = 1000  # windows before the first answer: warm-up


@dataclass(frozen=True, slots=True)
class Aligned:
    """``windows`` with the fault "clock" where both clocks disagree. ``first``: the window of the
    first answer. ``ratio``: median of the gate's time over the device's."""

    windows: tuple[Window, ...]
    first: int
    ratio: float


def align(windows: Sequence[Window], rate: float, device: Sequence[float], where: str) -> Aligned:
    """Which window belongs to the first of the ``device``'s times (seconds, in order).

    The firmware also marks inferences before the first answer (warm-up). The windows of the answers
    are where most of the times agree; DataError if too few do anywhere.
    """
    times = np.asarray(device, np.float64)
    gate: Floats = np.array([one.samples for one in windows]) / rate
    extra = len(gate) - len(times)
    if extra < 0:
        raise DataError(
            f"{where}: {len(gate):,} windows, and the run has {len(times):,} answers",
            "record all of the run, from before its first inference",
        )
    # one sample at either edge is what the gate cannot resolve
    allowed = MOST * times + 2 / rate
    best = max(
        range(min(extra, _MOST_EXTRA) + 1),
        key=lambda k: int((np.abs(gate[k : k + len(times)] - times) <= allowed).sum()),
    )
    chosen = gate[best : best + len(times)]
    agree = np.abs(chosen - times) <= allowed
    ratio = float(np.median(chosen / times))
    if agree.mean() < _ENOUGH:
        hint = "name the run that this trace was recorded in"
        if np.ptp(chosen / times) < 2 * MOST * ratio:
            hint = f"all differ by the same factor: is its sample rate {rate * ratio:,.6g} Hz?"
        raise DataError(
            f"{where}: the gate was high for {float(np.median(chosen)) * 1e3:.4g} ms, and the "
            f"device measured {float(np.median(times)) * 1e3:.4g} ms",
            hint,
        )
    marked = tuple(
        one if one.fault or fine else replace(one, fault="clock")
        for one, fine in zip(windows[best : best + len(times)], agree, strict=True)
    )
    return Aligned((*windows[:best], *marked, *windows[best + len(times) :]), best, ratio)
