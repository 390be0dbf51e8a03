"""Which board the options mean."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from hil.boards.attached import Attached, choose_attached
from hil.boards.config import Board, load_board
from hil.boards.labgrid import SCHEME
from hil.boards.station import Station, plain, stations
from hil.errors import UsageError
from hil.platformio import find_project


@dataclass(frozen=True, slots=True)
class Chosen:
    """A station, and where it is for flashing: None for an emulator that has yet to start."""

    station: Station
    where: Attached | str | None
    project: Path

    @property
    def board(self) -> Board:
        return self.station.board


def choose(config: pytest.Config) -> Chosen:
    """The board of ``--hil-board`` and ``--hil-port``, or the one that is plugged in.

    A place of a lab is held until pytest ends. NotAttached when there is no board, UsageError
    when there is more than one.
    """
    project = find_project(config.rootpath)
    name = config.getoption("--hil-board")
    port = config.getoption("--hil-port")
    if port and not name:
        raise UsageError("--hil-port needs the board's name", "add --hil-board NAME")
    if name and (port or "@" in name or name.startswith(SCHEME)):
        held = ExitStack()
        config.add_cleanup(held.close)
        (station,) = held.enter_context(stations([name], project, port))
        return Chosen(station, station.port, project)
    if name and (board := load_board(name, project)).emulator:
        return Chosen(plain(board), None, project)
    found, where = choose_attached(project, board=name, serial=config.getoption("--hil-serial"))
    return Chosen(plain(found, where.port), where, project)
