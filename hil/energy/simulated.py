# SPDX-License-Identifier: Apache-2.0
"""A simulated instrument: it records a board whose energy is known, with noise and faults.

It drives the tests from end to end, and `benchmarks/energy.py`. What it gives is never the energy
of a real board.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from hil.core.errors import UsageError
from hil.energy.instrument import Capabilities
from hil.energy.trace import Floats, Trace

_VOLTS: Final = (0.8, 5.0)  # what a PPK2 can supply


@dataclass(frozen=True, slots=True)
class Board:
    """A board that infers ``windows`` times: ``active`` watts for ``seconds`` each, ``pause``
    seconds of ``idle`` watts in between. ``jitter``: standard deviation of both times, as a share;
    ``spread``: of the active power.
    """

    windows: int
    active: float
    idle: float
    seconds: float
    pause: float
    jitter: float = 0.0
    spread: float = 0.0


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong. ``lost``: share of samples; ``clip``: largest current in amperes; ``drift``:
    of the idle power over the trace, as a share; ``clock``: how fast the instrument's clock runs,
    1 is right; ``bounce``: windows with a doubled edge.
    """

    lost: float = 0.0
    clip: float = np.inf
    drift: float = 0.0
    clock: float = 1.0
    bounce: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Injected:
    """The truth: (windows,) ``total`` joules and joules ``above_idle``, and ``seconds``."""

    total: Floats
    above_idle: Floats
    seconds: Floats


@dataclass(slots=True)
class Simulated:
    """An instrument at ``rate`` samples per second; ``noise``: standard deviation of its current in
    amperes; ``gate``: whether it has a digital input."""

    board: Board
    rate: float = 100_000
    noise: float = 0.0
    gate: bool = True
    seed: int = 0
    faults: Faults = Faults()
    volts: float = 3.3
    injected: Injected | None = None
    told: list[float] = field(default_factory=list)  # seconds of windows, instead of the board's
    log: list[str] = field(default_factory=list)  # what was done to it, in order

    @property
    def name(self) -> str:
        return "simulated instrument"

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(rate=self.rate, voltage=False, gate=self.gate, supply=True)

    def supply(self, volts: float) -> None:
        if not _VOLTS[0] <= volts <= _VOLTS[1]:
            raise UsageError(f"{volts:g} V cannot be supplied", f"choose {_VOLTS[0]} to 5 V")
        self.volts = volts
        self.log.append(f"supply {volts:g} V")

    def inferred(self, seconds: float) -> None:
        """The board was busy for so long; `told` windows replace those of the simulated board."""
        self.told.append(seconds)

    def start(self) -> None:
        self.told.clear()
        self.log.append("start")

    def stop(self) -> Trace:
        """The recording of all windows; what was `injected` is known from then on."""
        self.log.append("stop")
        random = np.random.default_rng(self.seed)
        board = self.board
        starts, ends = self._times(random)
        active = board.active * (1 + board.spread * random.standard_normal(len(starts)))
        length = (float(ends[-1]) if len(ends) else 0.0) + board.pause
        n = int(length * self.rate * self.faults.clock)
        at = (np.arange(n) + random.random()) / (self.rate * self.faults.clock)
        idle = board.idle * (1 + self.faults.drift * at / length)
        power = idle.copy()
        high = np.zeros(n, np.bool_)
        for start, end, watts in zip(starts, ends, active, strict=True):
            inside = slice(*np.searchsorted(at, (start, end)))
            power[inside] = watts
            high[inside] = True
        below = board.idle * (1 + self.faults.drift * (starts + ends) / 2 / length)
        seconds = ends - starts
        self.injected = Injected(active * seconds, (active - below) * seconds, seconds)
        current = power / self.volts + self.noise * random.standard_normal(n)
        clipped = current > self.faults.clip
        current = np.where(clipped, self.faults.clip, current)
        current[random.random(n) < self.faults.lost] = np.nan
        for window in self.faults.bounce:
            high[np.searchsorted(at, starts[window]) + 1] = False
        voltage = np.full(n, self.volts)
        gate = high if self.gate else None
        return Trace(self.name, self.rate, current, voltage, gate, clipped, simulated=True)

    def close(self) -> None:
        self.log.append("close")

    def _times(self, random: np.random.Generator) -> tuple[Floats, Floats]:
        """(windows,) seconds at which each window starts and ends."""
        board = self.board

        windows = len(self.told) or board.windows

        def lengths(typical: float) -> npt.NDArray[np.float64]:
            varied = 1 + board.jitter * random.standard_normal(windows)
            return np.asarray(typical * np.maximum(varied, 0.1))

        pauses = lengths(board.pause)
        inside = np.array(self.told) if self.told else lengths(board.seconds)
        ends = np.cumsum(pauses + inside)
        return ends - inside, ends
