# SPDX-License-Identifier: Apache-2.0
"""What a bench says while it runs, for whoever shows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from hil.runs.schema import RunEnd, Sample, TooLarge


@dataclass(frozen=True, slots=True)
class Building:
    """The firmware of one image is about to be built."""

    board: str
    precision: str
    engine: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A network that the board has no place for."""

    what: TooLarge


@dataclass(frozen=True, slots=True)
class Referencing:
    """The host computes what the answers should be; ``done`` of ``total`` samples."""

    run: str
    reference: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Streaming:
    """The board has answered ``done`` of ``total`` samples."""

    run: str
    done: int
    total: int
    retries: int


@dataclass(frozen=True, slots=True)
class Restarted:
    """The board started anew in the midst of a run, and is greeted anew: what it has not answered
    it is asked again. ``said``: its own words about why, where it had some."""

    run: str
    said: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The port is gone; the bench waits ``seconds`` at most for it to return. ``why`` as the link
    says it."""

    run: str
    port: str
    seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class Returned:
    """The board answers again after ``seconds``; its run goes on."""

    run: str
    port: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Observing:
    """A run's answers are not what they must be (or were asked to be explained): firmware that
    shows its layers is built, and asked about ``samples``."""

    run: str
    samples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Profiling:
    """Firmware that shows its layers is built, and asked what each takes on ``sample``."""

    run: str
    sample: str


@dataclass(frozen=True, slots=True)
class Finished:
    """One run of the matrix is complete."""

    run: str
    seconds: float


@dataclass(frozen=True, slots=True)
class BenchStored:
    """The whole bench is complete and stored."""

    folder: Path


Event: TypeAlias = (
    Building
    | LeftOut
    | Referencing
    | Streaming
    | Restarted
    | Waiting
    | Returned
    | Finished
    | Observing
    | Profiling
    | BenchStored
)
Emit: TypeAlias = Callable[[Event], None]


class Sink(Protocol):
    """Takes what a run brings. `hil.runs.log.RunLog` is one."""

    @property
    def done(self) -> Mapping[str, int]:
        """How many answers of each run are stored."""
        ...

    def append(self, sample: Sample) -> None:
        """Store one answer."""
        ...

    def finish(self, end: RunEnd) -> None:
        """Store how a run ended."""
        ...
