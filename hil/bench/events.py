# SPDX-License-Identifier: Apache-2.0
"""The progress events of a bench, and the `Sink` that stores its answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from hil.core.records import Task
from hil.runs.schema import Conversion, Refused, RunEnd, Sample, TooLarge
from hil.runs.schema_checks import CheckFinding


@dataclass(frozen=True, slots=True)
class Converting:
    """A model is about to be converted with TensorFlow, which takes seconds to load."""

    source: str


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A model's .tflite files are in ``folder``, converted now or earlier. ``benched``: calibrated
    on the data that it is benched on."""

    record: Conversion
    folder: Path
    benched: bool = False


@dataclass(frozen=True, slots=True)
class Weighed:
    """What a converted model's integers cost: ``figures`` in words, and ``losses`` that are too
    large. ``misfit``: why the samples do not fit the model, in words; empty if they do."""

    figures: str
    losses: tuple[str, ...] = ()
    misfit: str = ""

    @property
    def warnings(self) -> tuple[str, ...]:
        return (*self.losses, *([self.misfit] if self.misfit else ()))


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the user should know about the bench."""

    text: str


@dataclass(frozen=True, slots=True)
class Downloading:
    """``done`` of ``total`` bytes of file ``name`` were downloaded; ``total`` is 0 if not known."""

    name: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Starting:
    """The bench is planned and about to run. ``what``: how many runs and samples, in words."""

    what: str
    folder: Path


@dataclass(frozen=True, slots=True)
class Building:
    """The firmware of one image is about to be built."""

    board: str
    precision: str
    engine: str


@dataclass(frozen=True, slots=True)
class BuildStep:
    """What the build that is going on does now, such as "compiling hil_image.c"."""

    what: str


@dataclass(frozen=True, slots=True)
class WithKernels:
    """The firmware was built, and the ``kernels`` of others compute its networks."""

    board: str
    engine: str
    kernels: str


@dataclass(frozen=True, slots=True)
class BuildingSketch:
    """A sketch of the user's own is about to be built."""

    board: str
    source: str


@dataclass(frozen=True, slots=True)
class Asking:
    """The sketch on ``where`` is about to be asked what it is."""

    where: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A network does not fit its board, or its engine cannot take it."""

    what: TooLarge | Refused


@dataclass(frozen=True, slots=True)
class OpenBatch:
    """A network's file leaves the batch open; it is taken as 1."""

    model: str


@dataclass(frozen=True, slots=True)
class Judged:
    """What the runs of a model are judged by, where that is not the largest output. ``why``: what
    decided it; ``threshold``: of one output that tells two classes apart."""

    model: str
    task: Task
    why: str
    threshold: float | None


@dataclass(frozen=True, slots=True)
class Implausible:
    """Before anything is built: the data does not fit the network called ``name``, and why."""

    name: str
    found: tuple[CheckFinding, ...]


@dataclass(frozen=True, slots=True)
class QuantChecking:
    """``done`` of ``total`` steps of ``what`` (layers or trials) of an int8 network are done."""

    model: str
    what: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Referencing:
    """The host has computed the expected answers to ``done`` of ``total`` samples."""

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
    """The board rebooted during a run and was initialised again; samples without an answer are
    sent again. ``said``: the reason that the board printed, if any."""

    run: str
    said: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The port vanished; the bench waits up to ``seconds`` for it to come back. ``why``: the link's
    error."""

    run: str
    port: str
    seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class Returned:
    """The board answers again after ``seconds``; its run continues."""

    run: str
    port: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Observing:
    """Firmware that shows its layers is about to run on ``samples``: their answers are wrong, or
    the user requested their layers."""

    run: str
    samples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Profiling:
    """Firmware that shows its layers is about to measure the time of each on ``sample``."""

    run: str
    sample: str


@dataclass(frozen=True, slots=True)
class CountingBlocks:
    """An emulator is about to count the instructions of ``run``'s firmware one by one."""

    run: str
    sample: str


@dataclass(frozen=True, slots=True)
class MeasuringPower:
    """``instrument`` is about to record ``run``'s board during ``windows`` inferences."""

    run: str
    windows: int
    instrument: str


@dataclass(frozen=True, slots=True)
class MeasuringLayers:
    """``instrument`` is about to record ``run``'s board during ``rounds`` profiled inferences."""

    run: str
    rounds: int
    instrument: str


@dataclass(frozen=True, slots=True)
class TimingHost:
    """LiteRT has been timed on ``done`` of ``total`` samples, on this computer."""

    model: str
    precision: str
    kernels: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Untimed:
    """LiteRT could not be timed on a model; the bench continues."""

    model: str
    precision: str
    why: str


@dataclass(frozen=True, slots=True)
class NoisyHost:
    """The host's times may not repeat. ``why``: in words."""

    why: str


@dataclass(frozen=True, slots=True)
class NotCounted:
    """``times`` lines of a sketch did not count as answers. ``example``: one of them, if known."""

    why: str
    times: int
    example: str


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
    Note
    | Downloading
    | Converting
    | Calibrated
    | Weighed
    | Starting
    | Building
    | BuildStep
    | WithKernels
    | BuildingSketch
    | Asking
    | LeftOut
    | OpenBatch
    | Judged
    | Implausible
    | Referencing
    | QuantChecking
    | Streaming
    | Restarted
    | Waiting
    | Returned
    | Finished
    | Observing
    | Profiling
    | CountingBlocks
    | MeasuringPower
    | MeasuringLayers
    | TimingHost
    | Untimed
    | NoisyHost
    | NotCounted
    | BenchStored
)
Emit: TypeAlias = Callable[[Event], None]


class Sink(Protocol):
    """Where the results of a run go, such as `hil.runs.log.RunLog`."""

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
