"""One network, the image that embeds it, and the run that both make."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hil.boards.config import Board
from hil.boards.station import Station
from hil.records import Precision
from hil.tflite import Graph


@dataclass(frozen=True, slots=True)
class Network:
    """One .tflite file under the name that a firmware image gives it."""

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
        """What tells it from the other images of a plan."""
        names = (network.name for network in self.networks)
        special = ("layers",) if self.layers else ()
        return (self.board.name, self.engine, self.precision, *special, *names)


@dataclass(frozen=True, slots=True)
class Cell:
    """One network of one image at one station: one run."""

    image: Image
    network: Network
    station: Station

    @property
    def key(self) -> str:
        image = self.image
        return f"{self.station.name}/{image.engine}/{self.network.name}/{image.precision}"
