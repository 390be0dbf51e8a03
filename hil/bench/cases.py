# SPDX-License-Identifier: Apache-2.0
"""What a bench runs: networks in images of ours, or sketches of the user's own; a case per run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from hil.boards.config import Board
from hil.boards.station import Station
from hil.core.records import DType, Hello, ModelInfo, Precision
from hil.runs.schema import Conversion, Role, run_key
from hil.tflite import Graph

USER: Final = "user"  # the engine of every sketch


@dataclass(frozen=True, slots=True)
class Network:
    """One .tflite file, and its name in a firmware image.

    ``trained_on``: the data set of a network that `--dataset` chose; empty for a user's own file,
    which has a ``role`` if it is one of a pair. ``made``: how the bench made the file; None if it
    did not.
    """

    name: str
    path: Path
    graph: Graph
    trained_on: str = ""
    made: Conversion | None = None
    role: Role = ""


@dataclass(frozen=True, slots=True)
class Image:
    """Networks of one precision that one firmware embeds.

    ``layers``: firmware that answers layer by layer. ``fault``: layers that are broken on purpose;
    None: those that HIL_FAULT names. Images of one ``slot`` share a build folder, so that only what
    differs is compiled.
    """

    board: Board
    engine: str
    precision: Precision
    networks: tuple[Network, ...]
    layers: bool = False
    fault: str | None = None
    slot: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """Unique among the images of a plan."""
        names = (network.name for network in self.networks)
        special = (*(["layers"] if self.layers else []), *([self.fault] if self.fault else []))
        return (self.board.name, self.engine, self.precision, *special, *names)


@dataclass(frozen=True, slots=True)
class Case:
    """One run: one network of one image at one station."""

    image: Image
    network: Network
    station: Station

    @property
    def key(self) -> str:
        image = self.image
        return run_key(self.station.name, image.engine, self.network.name, image.precision)


@dataclass(frozen=True, slots=True)
class Sketch:
    """A user's own program, which speaks the protocol with the library TinymlHil.

    It is built from ``source``, or was linked as ``elf``; without both, the board runs it already,
    or ``elf`` only shows its memory. ``model`` is the network that it should compute, if one was
    named; ``tolerance`` the largest difference that is expected, if one was given.
    """

    board: Board
    source: Path | None = None
    elf: Path | None = None
    model: Network | None = None
    tolerance: float | None = None

    @property
    def key(self) -> tuple[str, ...]:
        """Unique among the programs of a plan."""
        return (self.board.name, USER)


@dataclass(frozen=True, slots=True)
class SketchCase:
    """One run: a sketch at one station. ``hello`` is what it reported, with exactly one model."""

    image: Sketch
    hello: Hello
    station: Station

    @property
    def info(self) -> ModelInfo:
        return self.hello.models[0]

    @property
    def network(self) -> Network | None:
        """The network that the host runs; None if none was named."""
        return self.image.model

    @property
    def name(self) -> str:
        """The sketch's name, as a part of a run's key: letters, digits, _ . and - only."""
        return re.sub(r"[^\w.-]+", "-", self.info.name).strip("-") or "sketch"

    @property
    def calls_itself(self) -> str:
        """The name and version that the sketch gives."""
        return sketch_of(self.hello) or self.name

    @property
    def precision(self) -> Precision:
        """That of the named network; without one, by the type of the sketch's output."""
        if self.network:
            return self.network.graph.precision
        return Precision.FLOAT32 if self.info.output.dtype is DType.FLOAT32 else Precision.INT8

    @property
    def key(self) -> str:
        return run_key(self.station.name, USER, self.name, self.precision)


def sketch_of(hello: Hello) -> str:
    """The name and version that a sketch gives, without the library's, which it adds to them."""
    return re.sub(r" \(tinyml-hil [^()]*\)$", "", hello.firmware).strip()


Program: TypeAlias = Image | Sketch  # what a board runs
AnyCase: TypeAlias = Case | SketchCase
