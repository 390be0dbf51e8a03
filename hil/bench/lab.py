"""Everything outside the harness that a bench needs, behind one narrow port."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hil.bench.cells import Image
from hil.bench.flash import flash
from hil.boards.attached import find_attached
from hil.boards.session import open_board
from hil.boards.station import Station
from hil.engines import CompiledModel
from hil.link import Link
from hil.platformio import Footprint, build, footprint


@dataclass(frozen=True, slots=True)
class Firmware:
    """A built image. Sizes in bytes: ``flash`` is code and constants, ``ram`` static data.

    ``footprint`` attributes them to owners; None where there is no linked image to look into.
    ``compiled`` are the image's models as C code; empty where none were generated.
    """

    file: Path
    sha256: str
    toolchain: str
    flash: int
    ram: int
    footprint: Footprint | None = None
    compiled: tuple[CompiledModel, ...] = ()


class Lab(Protocol):
    """Builds firmware and opens boards."""

    def build(self, image: Image, project: Path) -> Firmware:
        """The firmware that embeds the networks of ``image``."""
        ...

    def open(
        self, station: Station, image: Image, firmware: Firmware
    ) -> AbstractContextManager[Link]:
        """A link to the board of ``station``, which runs ``firmware``."""
        ...

    def unobservable(self, station: Station) -> str:
        """Why firmware that shows its layers cannot be put on the board; empty: it can."""
        ...


@dataclass
class RealLab:
    """PlatformIO, emulators and serial ports.

    A board on a port must run the image already, unless ``flash`` says to put it there.
    """

    project: Path
    flash: bool = False
    # by station: the image that was flashed, and the port since then
    _flashed: dict[str, tuple[tuple[str, ...], str]] = field(default_factory=dict)
    _numbers: dict[str, str] = field(default_factory=dict)  # by station: its USB serial number

    def build(self, image: Image, project: Path) -> Firmware:
        """See `Lab.build`."""
        built = build(
            image.board.pio_env,
            [(network.name, network.graph) for network in image.networks],
            image.engine,
            project,
            layers=image.layers,
        )
        found = footprint(built.elf, [network.name for network in image.networks])
        return Firmware(
            built.elf,
            built.sha256,
            built.toolchain,
            found.flash,
            found.ram,
            found,
            built.compiled,
        )

    def open(
        self, station: Station, image: Image, firmware: Firmware
    ) -> AbstractContextManager[Link]:
        """See `Lab.open`."""
        port = station.port and self._port_now(station.name, station.port)
        if port and self.flash:
            port = self._flash(station.name, port, image)
        return open_board(station.board, firmware.file, port)

    def _port_now(self, station: str, port: str) -> str:
        """``port``, or the one where the board of this station is plugged in now: by its USB serial
        number, since a cable that was out may come back under another name."""
        attached = find_attached(self.project)
        if station not in self._numbers:
            here = str(Path(port).resolve())
            found = (one.serial for one in attached if str(Path(one.port).resolve()) == here)
            self._numbers[station] = next(found, "")
        number = self._numbers[station]
        ports = [one.port for one in attached if number and one.serial == number]
        return ports[0] if len(ports) == 1 else port

    def unobservable(self, station: Station) -> str:
        """See `Lab.unobservable`."""
        if not station.port or self.flash:
            return ""
        return (
            f"board {station.name} runs what was flashed, which shows no layers; "
            "run the same command with --flash"
        )

    def _flash(self, station: str, port: str, image: Image) -> str:
        """Flash ``image`` unless it is there; the port that the board is on afterwards."""
        key, now = self._flashed.get(station, ((), port))
        if key != image.key:
            _, now = flash(image, self.project, now)
            self._flashed[station] = (image.key, now)
        return now
