"""Which board the options mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from hil.boards.attached import Attached, choose_attached
from hil.boards.config import Board, load_board
from hil.errors import UsageError
from hil.platformio import find_project


@dataclass(frozen=True, slots=True)
class Chosen:
    """A board, and where it is: None for an emulated one that has yet to be started."""

    board: Board
    where: Attached | str | None
    project: Path


def choose(config: pytest.Config) -> Chosen:
    """The board of ``--hil-board`` and ``--hil-port``, or the one that is plugged in.

    NotAttached when there is none, UsageError when there is more than one.
    """
    project = find_project(config.rootpath)
    name = config.getoption("--hil-board")
    port = config.getoption("--hil-port")
    if port:
        if not name:
            raise UsageError("--hil-port needs the board's name", "add --hil-board NAME")
        return Chosen(load_board(name, project), port, project)
    if name and (board := load_board(name, project)).emulator:
        return Chosen(board, None, project)
    found, where = choose_attached(project, board=name, serial=config.getoption("--hil-serial"))
    return Chosen(found, where, project)
