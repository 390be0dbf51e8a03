"""Everything outside the harness that a bench needs, behind one narrow port."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hil.bench.cells import Image
from hil.boards.config import Board
from hil.boards.session import open_board
from hil.link import Link
from hil.platformio import build, sizes


@dataclass(frozen=True, slots=True)
class Firmware:
    """A built image. Sizes in bytes: ``flash`` is code and constants, ``ram`` static data."""

    file: Path
    sha256: str
    toolchain: str
    flash: int
    ram: int


class Lab(Protocol):
    """Builds firmware and opens boards."""

    def build(self, image: Image, project: Path) -> Firmware:
        """The firmware that embeds the networks of ``image``."""
        ...

    def open(
        self, board: Board, firmware: Firmware, port: str | None
    ) -> AbstractContextManager[Link]:
        """A link to a board that runs ``firmware``."""
        ...


class RealLab:
    """PlatformIO, emulators and serial ports."""

    def build(self, image: Image, project: Path) -> Firmware:
        """See `Lab.build`."""
        built = build(
            image.board.pio_env,
            [(network.name, network.path) for network in image.networks],
            image.engine,
            project,
        )
        size = sizes(built.elf)
        return Firmware(built.elf, built.sha256, built.toolchain, size.flash, size.ram)

    def open(
        self, board: Board, firmware: Firmware, port: str | None
    ) -> AbstractContextManager[Link]:
        """See `Lab.open`."""
        return open_board(board, firmware.file, port)
