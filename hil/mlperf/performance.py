"""Inferences a second by MLPerf Tiny's rule: the median of exactly five windows of 10 s or more.

The windows are timed by the device. So that a wrong clock is found, what it says must fit what the
host saw: a window cannot have taken longer than from the command to its end, nor less than passed
between the arrival of its two marks. A 32-bit clock that wrapped once is made whole
(`hil.mlperf.protocol.elapsed`); one that wrapped more often does not fit.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hil.errors import WrongReply
from hil.mlperf.dut import Dut, Inference

WINDOWS: Final = 5
SHORTEST_S: Final = 10.0
WARMUPS: Final = 10
_AIM_S: Final = 10.5  # of a window, so that jitter does not make it too short
_TRIAL_S: Final = 1.0  # long enough for a clock of milliseconds
_ROUNDS: Final = 3  # of five windows, should one come out too short
_MOST: Final = 2**31 - 1  # devices read the count with atoi()
_SLACK: Final = 0.05  # two clocks, one of them perhaps an RC oscillator
_SLACK_S: Final = 0.5  # of a USB adapter and of this machine


@dataclass(frozen=True, slots=True)
class Window:
    """``iterations`` inferences in ``us`` of the device's clock; ``rate``: inferences/s."""

    iterations: int
    warmups: int
    inference: Inference

    @property
    def us(self) -> int:
        return self.inference.us

    @property
    def rate(self) -> float:
        return self.iterations / (self.us / 1e6)

    @property
    def long_enough(self) -> bool:
        return self.us >= SHORTEST_S * 1e6


@dataclass(frozen=True, slots=True)
class Performance:
    """``median``: inferences a second. ``valid``: five windows, each of 10 s or more."""

    windows: tuple[Window, ...]

    @property
    def median(self) -> float:
        return statistics.median(window.rate for window in self.windows)

    @property
    def valid(self) -> bool:
        return len(self.windows) == WINDOWS and all(one.long_enough for one in self.windows)


def measure(
    dut: Dut,
    samples: Sequence[bytes],
    done: Callable[[int, Window], None] = lambda _number, _window: None,
) -> Performance:
    """Five windows, window i with sample i (modulo their number), after a trial that finds how
    many inferences fill one. ``done`` is told of each.

    Windows that come out shorter than 10 s are all taken again with more inferences; when that
    does not help either the last five are returned, not valid.

    Raises:
        WrongReply: the device's clock stands still, or does not fit the host's.
        DeviceError: as `Dut.run`.
    """
    iterations = _fitting(dut, samples[0])
    found = Performance(())
    for _ in range(_ROUNDS):
        windows = []
        for number in range(WINDOWS):
            seconds = _AIM_S * (1 + WARMUPS / iterations) * 2
            seen = dut.run(samples[number % len(samples)], iterations, WARMUPS, seconds)
            _check(seen)
            windows.append(Window(iterations, WARMUPS, seen))
            done(number, windows[-1])
        found = Performance(tuple(windows))
        if found.valid:
            break
        iterations = _scaled(iterations, min(window.us for window in windows), _AIM_S)
    return found


def _fitting(dut: Dut, sample: bytes) -> int:
    """How many inferences take `_AIM_S`."""
    iterations, seconds = 1, 0.0
    while True:
        seen = dut.run(sample, iterations, 1, seconds)
        _check(seen)
        if seen.us >= _TRIAL_S * 1e6 or iterations == _MOST:
            break
        if not seen.us and seen.whole > 10 * _TRIAL_S:
            raise WrongReply(
                f"the device's clock did not move in {iterations:,} inferences", "mend m-lap-us"
            )
        # at most tenfold, for a short trial says little
        iterations = min(10 * iterations, _scaled(iterations, seen.us, 1.5 * _TRIAL_S))
        seconds = 20 * _TRIAL_S
    return _scaled(iterations, seen.us, _AIM_S)


def _scaled(iterations: int, us: int, seconds: float) -> int:
    """How many inferences take ``seconds``, where ``iterations`` took ``us``; more than those."""
    wanted = math.ceil(iterations * seconds * 1e6 / us) if us else 10 * iterations
    return min(_MOST, wanted)


def _check(seen: Inference) -> None:
    """WrongReply when the device's time cannot be."""
    said = seen.us / 1e6
    if said > seen.whole * (1 + _SLACK) + _SLACK_S:
        problem = f"took {said:.1f} s by the device's clock and at most {seen.whole:.1f} s by ours"
    elif seen.gap > said * (1 + _SLACK) + _SLACK_S:
        problem = f"took {said:.1f} s by the device's clock and at least {seen.gap:.1f} s by ours"
    else:
        return
    raise WrongReply(f"a window {problem}", "set right the clock behind m-lap-us")
