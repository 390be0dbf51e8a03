"""How finely a board's clock ticks, what digits that allows, and whether its times can be true."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from hil.report.cells import Cell
from hil.report.text import count, per_inference, plural
from hil.series import Latencies
from hil.stats import Estimate

_SLOPPY = 0.01  # how far two clocks may part: a ceramic resonator's tolerance, twice over
_LATE_US = 20_000  # what a USB serial converter may hold an answer back
_MANY = 8  # different times; from so many the step of their clock can be told


def step_us(cell: Cell) -> float:
    """The smallest step of a latency in microseconds, at least 1: what the device measured, or
    what divides all its times, whichever is less.

    Both can only be too large: the device cannot see a step smaller than its loop, and times may
    share a divisor by chance. Of fewer than eight different times, and with nothing measured, the
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
    """Number and unit of a time in microseconds, with no digit finer than ``step`` allows.

    ("52", "ms ± 1 ms") where the clock has milliseconds, ("52,104", "µs") where it has
    microseconds.
    """
    if step >= 1000:
        return _rounded(value / 1000, step / 1000), f"ms ± {step / 1000:.4g} ms"
    return _rounded(value, step), "µs" + (f" ± {step:.4g} µs" if step > 1 else "")


def _rounded(value: float, step: float) -> str:
    """To the decimal place of ``step``, and never finer than a whole."""
    place = 10 ** max(math.floor(math.log10(step)), 0)
    return f"{round(value / place) * place:,}"


def amount(cell: Cell, value: float) -> str:
    """A value of the cell's clock with its unit, and no digit that the clock cannot give."""
    if isinstance(cell.series, Latencies):
        return " ".join(latency_words(value, step_us(cell)))
    return f"{count(value)} {per_inference(cell.plan.clock.unit)}"


def interval_words(cell: Cell, found: Estimate) -> str:
    """Low to high; one value for both where nothing varies."""
    if found.low == found.high:
        return "no width"
    if isinstance(cell.series, Latencies):
        step = step_us(cell)
        low, high = latency_words(found.low, step)[0], latency_words(found.high, step)[0]
    else:
        low, high = count(found.low), count(found.high)
    return low if low == high else f"{low}–{high}"


def contradictions(cells: Sequence[Cell]) -> Iterator[str]:
    """Where a board's own times cannot be: one line each. Latencies alone can be held against the
    host's clock; an emulator's counts have nothing to do with it."""
    for cell in cells:
        if isinstance(cell.series, Latencies):
            yield from _contradictions(cell, cell.series)


def _contradictions(cell: Cell, series: Latencies) -> Iterator[str]:
    allowed = step_us(cell)
    if cell.round_trips is not None and cell.clocked is not None:
        trips = cell.round_trips[cell.clocked]
        above = series.values > trips * (1 + _SLOPPY) + allowed
        if above.any():
            i = int(np.argmax(series.values / np.maximum(trips, 1)))
            yield (
                f"{cell.name}: {plural(int(above.sum()), 'answer')} took the device longer, by its "
                f"own clock, than this computer waited for it (at worst {count(series.values[i])} "
                f"of {count(trips[i])} µs): the device's clock is wrong."
            )
    end = cell.end
    if end is None:
        return
    if end.answered and end.seconds and cell.clocked is not None:
        timed = int(cell.clocked[-end.answered :].sum())
        total = float(series.values[series.values.size - timed :].sum())
        if total > end.seconds * 1e6 * (1 + _SLOPPY) + allowed * timed:
            yield (
                f"{cell.name}: its answers took {total / 1e6:.3g} s together by the device's "
                f"clock, {end.seconds:.3g} s by this computer's: the device's clock is wrong."
            )
    if end.answered and end.baud and end.alone_us is not None and end.idle_us is not None:
        # 10 bits a byte, of the request and the answer of one sample
        line = 1e7 * (end.bytes_out + end.bytes_in) / end.answered / end.baud
        unexplained = end.alone_us - end.idle_us - line
        if unexplained > 1.5 * float(series.values.max()) + _LATE_US:
            yield (
                f"{cell.name}: an inference takes {count(round(unexplained))} µs longer to answer "
                f"than an empty request, and the device says {count(series.values.max())} µs at "
                "most: its clock may be slow."
            )
