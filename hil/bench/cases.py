# SPDX-License-Identifier: Apache-2.0
"""What a bench runs: networks, the images that embed them, and one case per run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hil.boards.config import Board
from hil.boards.station import Station
from hil.core.records import Precision
from hil.runs.schema import run_key
from hil.tflite import Graph


@dataclass(frozen=True, slots=True)
class Network:
    """One .tflite file, and its name in a firmware image."""

    name: str
    path: Path
    graph: Graph


@dataclass(frozen=True, slots=True)
class Image:
    """Networks of one precision that one firmware embeds."""

    board: Board
    engine: str
    precision: Precision
    networks: tuple[Network, ...]
    layers: bool = False  # firmware that answers layer by layer

    @property
    def key(self) -> tuple[str, ...]:
        """Unique among the images of a plan."""
        names = (network.name for network in self.networks)
        special = ("layers",) if self.layers else ()
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
