# SPDX-License-Identifier: Apache-2.0
"""Times as text, with the digits that the board's clock can give and no more."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from hil import stats
from hil.report.text import count, per_inference, plural, short
from hil.runs.cells import Cell
from hil.stats import Estimate
from hil.stats.series import Latencies

SIGNIFICANT: Final = 0.001  # p below which a drift is reported: a report tests many runs
MS: Final = 1000  # microseconds; a clock with this step or a larger one shows milliseconds
_MANY: Final = 8  # different times; that many show the step of their clock


def step_us(cell: Cell) -> float:
    """The smallest step of a latency in microseconds, at least 1: what the device measured, or the
    greatest common divisor of all its times, whichever is less.

    Both can only be too large: the device cannot see a step smaller than its loop, and times may
    share a divisor by chance. With fewer than eight different times and no measurement, it is the
    power of ten that divides them all.
    """
    measured = cell.end.clock_step if cell.end else None
    divisor = int(np.gcd.reduce(cell.times)) if cell.times.size else 0
    if np.unique(cell.times).size < _MANY:
        divisor = 0 if measured else _power_of_ten(divisor)
    found = [step for step in (measured, float(divisor)) if step]
    return max(min(found, default=1.0), 1.0)


def _power_of_ten(value: int) -> int:
    power = 1
    while value and value % (10 * power) == 0:
        power *= 10
    return power


def latency_words(value: float, step: float) -> tuple[str, str]:
    """Number and unit of a time in microseconds, without digits finer than ``step``.

    ("52", "ms ± 1 ms") if the clock counts milliseconds, ("52,104", "µs") if microseconds.
    """
    if step >= MS:
        return _rounded(value / MS, step / MS), f"ms ± {step / MS:.4g} ms"
    return _rounded(value, step), "µs" + (f" ± {step:.4g} µs" if step > 1 else "")


def _rounded(value: float, step: float) -> str:
    """Rounded to the decimal place of ``step``, and at least to an integer."""
    place = 10 ** max(math.floor(math.log10(step)), 0)
    return f"{round(value / place) * place:,}"


def amount(cell: Cell, value: float) -> str:
    """A value of the cell's clock with its unit, without digits that the clock cannot give."""
    if isinstance(cell.series, Latencies):
        return " ".join(latency_words(value, step_us(cell)))
    return f"{count(value)} {per_inference(cell.plan.clock.unit)}"


def interval_words(cell: Cell, found: Estimate) -> str:
    """Low to high; one value if both look the same, "no width" if nothing varies."""
    if found.low == found.high:
        return "no width"
    if isinstance(cell.series, Latencies):
        step = step_us(cell)
        low, high = latency_words(found.low, step)[0], latency_words(found.high, step)[0]
    else:
        low, high = count(found.low), count(found.high)
    return low if low == high else f"{low}–{high}"


def time_words(cell: Cell) -> tuple[str, ...]:
    """Median, unit, spread; the spread of a count that never varies is "constant"."""
    if cell.time is None:
        return ("no clock", "", "")
    if isinstance(cell.series, Latencies):
        return _latency_words(cell, cell.time)
    median = round(cell.time.point) if cell.time.point >= 1000 else cell.time.point
    unit = per_inference(cell.plan.clock.unit)
    if cell.time.method == "constant":
        return count(median), unit, f"constant over {plural(cell.time.n, 'answer')}"
    low, high = cell.spread()
    return count(median), unit, f"p5 {short(low)}, p95 {short(high)}"


def _latency_words(cell: Cell, median: Estimate) -> tuple[str, ...]:
    """The same for a board's time, with the digits that its clock can give."""
    step = step_us(cell)
    value, unit = latency_words(median.point, step)
    if median.method == "constant":
        return value, unit, f"constant over {plural(median.n, 'answer')}"
    low, high = (latency_words(edge, step)[0] for edge in cell.spread())
    return value, unit, f"p5 {low}, p95 {high}"


def method_words(found: Estimate) -> str:
    """The method, and the real coverage of an interval from few samples."""
    if found.method != "constant" and found.confidence != stats.CONFIDENCE:
        return f"{found.method}, {found.confidence:.0%}"
    return found.method


def drift_words(found: stats.Drift | None) -> str:
    """Size, interval and p of a drift; "none shown" if it is not significant."""
    if found is None:
        return "none"
    p = "p < 0.001" if found.p < 0.001 else f"p = {found.p:.2g}"
    if not drifted(found) or found.size is None:
        return f"none shown ({p})"
    low, high = (f"{100 * (value - 1):+.2g}" for value in (found.size.low, found.size.high))
    return f"{100 * (found.size.point - 1):+.2g}% ({low} to {high}; {p})".replace("-", "−")


def drifted(found: stats.Drift | None) -> bool:
    """Whether a drift is significant."""
    return found is not None and found.p < SIGNIFICANT


def step_words(cell: Cell) -> str:
    """The smallest step of the board's clock."""
    if isinstance(cell.series, Latencies):
        step = step_us(cell)
        return f"{step / MS:.4g} ms" if step >= MS else f"{step:.4g} µs"
    measured = cell.end.clock_step if cell.end else None
    seen = f" (at most {measured:.4g} seen)" if measured else ""
    return f"1 instruction{seen}"


# --- any duration: its unit by its size, its digits by its interval ---

_UNITS: Final = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"))
_MOST_DIGITS: Final = 4
_DIGITS: Final = 2  # of a value without an interval


def duration_words(found: Estimate, step: float = 1.0) -> tuple[str, str]:
    """("18.2 µs", "18.1–18.4 µs") of an estimate in nanoseconds; digits as `rounded_with`.

    ``step``: of the clock, in nanoseconds. If nothing varied, the second says "no width".
    """
    size, unit = _unit(found.point)
    point, interval = rounded_with(found, size, step)
    return f"{point} {unit}", interval if found.low == found.high else f"{interval} {unit}"


def duration(ns: float, digits: int = _DIGITS) -> str:
    """A single time in nanoseconds: "18 µs", "3.2 ms"."""
    if ns <= 0:
        return "0 ns"
    ns = round(ns, digits - 1 - _decade(ns))  # 999.9 µs is 1 ms
    size, unit = _unit(ns)
    return f"{_at_place(ns / size, _decade(ns / size) - digits + 1)} {unit}"


def spread_words(low: float, high: float, found: Estimate, step: float = 1.0) -> str:
    """Two percentiles in nanoseconds, in the unit and with the digits of their median."""
    size, unit = _unit(found.point)
    place = _place(found, size, step)
    return f"{_at_place(low / size, place)}–{_at_place(high / size, place)} {unit}"


def rounded_with(found: Estimate, size: float = 1.0, step: float = 0.0) -> tuple[str, str]:
    """An estimate over ``size`` and its interval, with the digits that the interval supports.

    The last digit is that of the interval's half-width, of ``step`` if that is larger, or the
    fourth; every value keeps one.
    """
    place = _place(found, size, step)
    low, high = (_at_place(end / size, place) for end in (found.low, found.high))
    interval = "no width" if found.low == found.high else low if low == high else f"{low}–{high}"
    return _at_place(found.point / size, place), interval


def _place(found: Estimate, size: float, step: float) -> int:
    """The power of ten of the last digit of ``found`` over ``size``."""
    point = found.point / size
    place = _decade(point) - _MOST_DIGITS + 1
    half = (found.high - found.low) / 2 / size
    if half > 0:
        place = max(place, min(_decade(half), _decade(found.low / size or point)))
    return max(place, min(_decade(step / size), _decade(point))) if step else place


def _unit(ns: float) -> tuple[float, str]:
    """The largest unit that ``ns`` reaches, in nanoseconds, and its symbol."""
    return next(((size, unit) for size, unit in _UNITS if ns >= size), (1.0, "ns"))


def _decade(value: float) -> int:
    return math.floor(math.log10(value)) if value > 0 else 0


def _at_place(value: float, place: int) -> str:
    return f"{round(value, -place):,.{max(-place, 0)}f}"
