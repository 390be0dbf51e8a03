# SPDX-License-Identifier: Apache-2.0
"""How far estimated cycles are from measured ones: calibration.toml, and the error it supports.

Each row of that table is a program whose cycles somebody published after measuring them on a chip,
and whose source was built here, run in QEMU and estimated. Of one core, the logarithms of estimate
/ measured are taken as a sample of a normal distribution: their mean is the bias of the model, and
Student's t gives the interval in which the ratio of a further program lies.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

from hil.core.errors import UsageError
from hil.core.files import Config, read_toml
from hil.core.records import EstimatedCycles, EstimatedTime
from hil.stats.estimate import CONFIDENCE, next_sample

PROGRAMS: Final = 6  # on that many, measured on so many boards, a calibration rests at least
BOARDS: Final = 2
_HERTZ: Final = {"hz": 1.0, "khz": 1e3, "mhz": 1e6, "ghz": 1e9}
_CLOCK: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kMG]?Hz)", re.IGNORECASE)


class _Program(Config, frozen=True):
    """``measured``, ``estimated``: cycles. ``network``: whether it is a neural network."""

    name: str
    measured: float
    estimated: float
    network: bool = False


class Source(Config, frozen=True):
    """Programs that were measured on one board. ``code``, ``compiler``, ``memory``: of the
    measured program; ``figures``: how its cycles follow from what was published."""

    core: str
    title: str
    board: str
    mhz: float
    compiler: str
    memory: str
    figures: str
    url: str
    code: str
    programs: tuple[_Program, ...]


class _File(Config, frozen=True):
    """``llvm``: the first and the last major version whose models give these estimates."""

    llvm: tuple[int, int]
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Measurement:
    """A row of the table: ``measured`` and ``estimated`` cycles of one program."""

    core: str
    board: str
    program: str
    network: bool
    measured: float
    estimated: float

    @property
    def ratio(self) -> float:
        return self.estimated / self.measured


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the measurements on a core support.

    ``ratio``: estimate / measured, geometric mean; ``low``, ``high``: between these the ratio of a
    further program lies with ``confidence``. ``spread``: of the ratios, a factor (exp of one
    standard deviation). ``networks``: how many of the ``programs`` are neural networks.
    """

    core: str
    ratio: float
    spread: float
    low: float
    high: float
    confidence: float
    programs: int
    networks: int
    boards: int

    def time(self, cycles: EstimatedCycles, hertz: float) -> EstimatedTime:
        """How long a core takes for ``cycles`` at this clock."""
        ratios = (self.ratio, self.high, self.low)
        return EstimatedTime(*(round(1e9 * cycles.count / one / hertz) for one in ratios))


@dataclass(frozen=True, slots=True)
class Uncalibrated:
    """``why`` there is no calibration, in words."""

    why: str


@cache
def _read() -> _File:
    return read_toml(Path(str(resources.files("hil.cycles"))) / "calibration.toml", _File)


def sources() -> tuple[Source, ...]:
    """The table, by board."""
    return _read().sources


def measurements(core: str) -> Iterator[Measurement]:
    """The rows of a core."""
    for source in sources():
        for one in source.programs if source.core == core else ():
            yield Measurement(
                core, source.board, one.name, one.network, one.measured, one.estimated
            )


def calibration(core: str, llvm: int) -> Calibration | Uncalibrated:
    """Of estimates for ``core`` with that major version of LLVM."""
    rows = list(measurements(core))
    boards = len({one.board for one in rows})
    if len(rows) < PROGRAMS or boards < BOARDS:
        return Uncalibrated(
            f"{_count(len(rows), 'program')} with published cycles on {_count(boards, 'board')}, "
            f"and a calibration needs {PROGRAMS} on {BOARDS}"
        )
    first, last = _read().llvm
    if not first <= llvm <= last:
        return Uncalibrated(
            f"the estimates of the measured programs are those of LLVM {first} to {last}, and this "
            f"is LLVM {llvm}"
        )
    logs = [math.log(one.ratio) for one in rows]
    found = next_sample(logs)
    return Calibration(
        core=core,
        ratio=math.exp(found.point),
        spread=math.exp(statistics.stdev(logs)),
        low=math.exp(found.low),
        high=math.exp(found.high),
        confidence=CONFIDENCE,
        programs=len(rows),
        networks=sum(one.network for one in rows),
        boards=boards,
    )


def hertz_of(text: str) -> float:
    """A clock, as "480MHz"; UsageError if it is not one."""
    found = _CLOCK.fullmatch(text.strip())
    hertz = float(found[1]) * _HERTZ[found[2].lower()] if found else 0.0
    if hertz <= 0:
        raise UsageError(f"--clock {text} is not a clock", "write it as --clock 480MHz")
    return hertz


def _count(n: int, what: str) -> str:
    return f"{n or 'no'} {what}{'' if n == 1 else 's'}"
