# SPDX-License-Identifier: Apache-2.0
"""Where inferences are in a trace: by the gate, or by the power itself where there is no gate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np

from hil.core.errors import DataError
from hil.energy.trace import Bools, Floats, Trace

SHORTEST: Final = 10  # samples of a window; with fewer, its edges are more than 10 % of it
FAULTS: Final = {
    "cut": "the trace begins or ends within it",
    "short": f"it has fewer than {SHORTEST} samples",
    "lost": "the instrument lost samples in it",
    "clipped": "the current was at a limit of the instrument's range",
    "bounce": "the gate has an edge less than 3 samples from another",
    "clock": "the gate was high for another time than the device measured",
}
_BOUNCE: Final = 3  # samples; a shorter level is a doubled edge
_APART: Final = 4.0  # standard deviations between idle and active power
_SMOOTH: Final = 5  # samples of the running median, where there is no gate


@dataclass(frozen=True, slots=True)
class Window:
    """Samples ``start`` up to, not including, ``end``. ``fault``: of `FAULTS`, why it does not
    count; empty if it does."""

    start: int
    end: int
    fault: str = ""

    @property
    def samples(self) -> int:
        return self.end - self.start


def find_windows(trace: Trace) -> tuple[Window, ...]:
    """Every window in order. DataError if there is none.

    Without a gate, a window is where the power is above the middle of two levels that are at least
    four standard deviations apart.
    """
    high = trace.gate if trace.gate is not None else _by_power(trace)
    if not high.any() or high.all():
        level = "high" if high.all() else "low"
        what = "the gate" if trace.gate is not None else "the power"
        raise DataError(
            f"{trace.source}: {what} is {level} in all of the {trace.seconds:.3g} s",
            "check that the marker pin is connected, and that the firmware was built with "
            "HIL_MARKER_PIN",
        )
    found = tuple(_judged(one, trace) for one in _runs(high, bounces=trace.gate is not None))
    if all(one.fault == "cut" for one in found):
        raise DataError(
            f"{trace.source}: no window is whole", "start recording before the first inference"
        )
    return found


def marked(trace: Trace) -> Window:
    """The last window of a recording whose gate marks it by a level or by pulses; DataError if
    there is none.

    A gate that is low at first is high in the window. One that is high at first has a pulse, low
    for a moment, before and after the window, which then begins and ends at falling edges: so does
    firmware of MLPerf Tiny's energy mode.
    """
    if trace.gate is None or not trace.gate[0]:
        return find_windows(trace)[-1]
    falls = np.flatnonzero(np.diff(trace.gate.astype(np.int8)) < 0) + 1
    if len(falls) < 2:
        raise DataError(
            f"{trace.source}: the gate has {len(falls)} falling edges, and a window begins with "
            "one and ends with one",
            "check that the pin of the device's timestamps is connected",
        )
    return _judged(Window(int(falls[-2]), int(falls[-1])), trace)


def _runs(high: Bools, *, bounces: bool) -> list[Window]:
    """Runs of high samples. A level of less than three samples, if not at either end of the trace,
    is a doubled edge: what it separates is one window with the fault "bounce"."""
    edges = np.flatnonzero(np.diff(high.astype(np.int8))) + 1
    bounds = [0, *(int(edge) for edge in edges), len(high)]
    levels = [(a, b, bool(high[a])) for a, b in pairwise(bounds)]
    found: list[Window] = []
    joins = False  # whether the next high run belongs to the last window
    for a, b, is_high in levels:
        brief = bounces and b - a < _BOUNCE and a > 0 and b < len(high)
        if is_high:
            cut = "cut" if a == 0 or b == len(high) else ""
            if joins and found:
                found[-1] = replace(found[-1], end=b, fault="bounce")
            else:
                found.append(Window(a, b, cut or ("bounce" if brief else "")))
            joins = False
        else:
            joins = brief
    return found


def _judged(one: Window, trace: Trace) -> Window:
    """The window with its first fault."""
    if one.fault:
        return one
    if one.samples < SHORTEST:
        return replace(one, fault="short")
    inside = slice(one.start, one.end)
    if not np.isfinite(trace.power[inside]).all():
        return replace(one, fault="lost")
    if trace.clipped is not None and trace.clipped[inside].any():
        return replace(one, fault="clipped")
    return one


def _by_power(trace: Trace) -> Bools:
    """Whether the power is above the middle of its two levels, by a running median of five."""
    # a trace with a gate needs none of scipy
    from scipy.cluster.vq import kmeans2
    from scipy.ndimage import median_filter
    from scipy.stats import median_abs_deviation

    power = np.nan_to_num(trace.power, nan=float(np.nanmedian(trace.power)))
    smooth: Floats = median_filter(power, _SMOOTH, mode="nearest")
    lowest, highest = float(smooth.min()), float(smooth.max())
    if lowest < highest:
        means, nearest = kmeans2(smooth, np.array([lowest, highest]), minit="matrix")
        above = np.asarray(nearest == 1)
        # the median deviation, because edges do not disturb it
        spread = max(median_abs_deviation(smooth[one], scale="normal") for one in (above, ~above))
        if means[1] - means[0] > _APART * spread:
            return above
    raise DataError(
        f"{trace.source} has no gate, and its power does not have two levels that could be "
        "told apart",
        "connect the marker pin (HIL_MARKER_PIN) to the instrument's digital input",
    )
