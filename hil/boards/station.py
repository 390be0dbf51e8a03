# SPDX-License-Identifier: Apache-2.0
"""Stations: the boards of one bench, and where each of them is.

mps2                        an emulator, started by the bench
esp32dev                    the one that is plugged in
esp32dev@/dev/ttyUSB0       that port (any pyserial URL)
esp32dev@0042               the one with that USB serial number
labgrid:PLACE               a place of a labgrid coordinator, held while the bench lasts
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from hil.boards.attached import choose_attached, find_attached
from hil.boards.config import Board, load_board
from hil.boards.labgrid import SCHEME, hold
from hil.core.errors import UsageError
from hil.firmware.toolchain import COMPILERS


@dataclass(frozen=True, slots=True)
class Station:
    """One board to bench: its kind, its name in the report, and its port.

    Without a port it is an emulator that is started for every run.
    """

    board: Board
    name: str
    port: str | None = None
    where: str = ""  # in words, when the name of the kind does not say it

    @property
    def title(self) -> str:
        """What the report calls it."""
        return f"{self.board.title}, {self.where}" if self.where else self.board.title


def plain(board: Board, port: str | None = None) -> Station:
    """The only board of its kind in a bench."""
    return Station(board, board.name, port, f"on {port}" if port else "")


@contextmanager
def stations(
    wanted: Sequence[str], project: Path | None = None, port: str | None = None
) -> Iterator[tuple[Station, ...]]:
    """The stations that ``wanted`` names, places of a lab held until the end of the ``with``.

    ``port`` is where the only one of them is. UsageError when two of them are one port, or a
    board cannot be told from another; NotAttached when it is not there.
    """
    names = list(dict.fromkeys(wanted))
    if port and len(names) > 1:
        raise UsageError(
            "--port goes with one --board", "say where each is: --board NAME@PORT, repeatedly"
        )
    with ExitStack() as places:
        found = [
            _place(places, name.removeprefix(SCHEME), project)
            if name.startswith(SCHEME)
            else _local(f"{name}@{port}" if port else name, project)
            for name in names
        ]
        yield _told_apart(found)


def _place(places: ExitStack, name: str, project: Path | None) -> Station:
    place = places.enter_context(hold(name))
    return Station(load_board(place.board, project), name, place.port, f"labgrid place {name}")


def _local(name: str, project: Path | None) -> Station:
    kind, at, where = name.partition("@")
    board = load_board(kind, project)
    if not at:
        if board.emulator:
            return plain(board)
        _, attached = choose_attached(project, board=kind)
        return Station(board, attached.serial or attached.port, attached.port, f"on {attached}")
    if not where:
        raise UsageError(f"--board {name} names no port", "write NAME@PORT or NAME@SERIAL")
    if any(one.serial == where for one in find_attached(project)):
        _, attached = choose_attached(project, board=kind, serial=where)
        return Station(board, where, attached.port, f"on {attached}")
    return Station(board, where, where, f"on {where}")


def _told_apart(found: Sequence[Station]) -> tuple[Station, ...]:
    """Stations named by their kind, and by where they are if there are several of it."""
    ports = Counter(one.port for one in found if one.port)
    if twice := [port for port, times in ports.items() if times > 1]:
        raise UsageError(f"two boards are said to be on port {twice[0]}", "name each port once")
    kinds = Counter(one.board.name for one in found)
    return tuple(
        replace(one, name=kind if kinds[kind] == 1 else f"{kind}@{_label(one.name)}")
        for one in found
        for kind in (one.board.name,)
    )


def _label(where: str) -> str:
    """``where`` as part of a run's key: no slashes, and nothing a file or a table minds."""
    return re.sub(r"[^\w.:-]+", "-", where.removeprefix("/dev/")).strip("-")


def missing_tools(board: Board) -> list[str]:
    """Programs and files that building or running ``board`` needs and this machine lacks."""
    missing = COMPILERS[board.pio_env].missing if board.pio_env in COMPILERS else []
    if board.emulator:
        programs = [words[0] for words in (board.emulator.command, *board.emulator.prepare)]
        missing += [tool for tool in programs if "{" not in tool and not shutil.which(tool)]
    return missing


def choose_board(project: Path | None = None) -> tuple[str, str]:
    """The emulated Cortex-M7 when it can be had, else the host process; with a note why."""
    missing = missing_tools(load_board("mps2", project))
    if not missing:
        return "mps2", ""
    return (
        "native",
        f"{' and '.join(missing)} not installed, so the firmware runs as a process of this "
        "machine (board native): answers, but no time; `hil doctor` says how to install them",
    )
