# SPDX-License-Identifier: Apache-2.0
"""Stations: the boards of one bench and where each of them is, by the values of ``--board``.

mps2                        an emulator, started by the bench
esp32dev                    the attached one
esp32dev@/dev/ttyUSB0       the one on that port (any pyserial URL)
esp32dev@0042               the one with that USB serial number
labgrid:PLACE               a place of a labgrid coordinator, held during the bench
auto                        an emulated Cortex-M7, or a process of this machine: see `choose_board`
all                         every emulated board whose tools are installed: see `choose_boards`
a,b                         both
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from hil.boards.attached import choose_attached, find_attached
from hil.boards.config import Board, board_files, load_board
from hil.boards.labgrid import SCHEME, hold
from hil.boards.needs import apt_command, tool_needs
from hil.core.errors import ToolMissing, UsageError

ALL: Final = "all"
AUTO: Final = "auto"


@dataclass(frozen=True, slots=True)
class Station:
    """One board of a bench: its kind, its name in the report, and its port.

    Without a port it is an emulator, started for every run.
    """

    board: Board
    name: str
    port: str | None = None
    where: str = ""  # its place, for the report

    @property
    def title(self) -> str:
        """Its title in the report."""
        return f"{self.board.title}, {self.where}" if self.where else self.board.title


def only_station(board: Board, port: str | None = None) -> Station:
    """The only board of its kind in a bench."""
    return Station(board, board.name, port, f"on {port}" if port else "")


@contextmanager
def stations(
    wanted: Sequence[str], project: Path | None = None, port: str | None = None
) -> Iterator[tuple[Station, ...]]:
    """The stations named by ``wanted``; lab places are held until the end of the ``with``.

    ``port`` is the port of the only one of them. UsageError if two have the same port, or a board
    cannot be told from another; NotAttached if it is not attached.
    """
    names = list(dict.fromkeys(wanted))
    if port and len(names) > 1:
        raise UsageError(
            "--port goes with one --board", "give each its port: --board NAME@PORT, repeatedly"
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
            return only_station(board)
        _, attached = choose_attached(project, board=kind)
        return Station(board, attached.serial or attached.port, attached.port, f"on {attached}")
    if not where:
        raise UsageError(f"--board {name} does not name a port", "write NAME@PORT or NAME@SERIAL")
    if any(one.serial == where for one in find_attached(project)):
        _, attached = choose_attached(project, board=kind, serial=where)
        return Station(board, where, attached.port, f"on {attached}")
    return Station(board, where, where, f"on {where}")


def _told_apart(found: Sequence[Station]) -> tuple[Station, ...]:
    """Stations named by their kind, and also by their place if there are several of a kind."""
    ports = Counter(one.port for one in found if one.port)
    if twice := [port for port, times in ports.items() if times > 1]:
        raise UsageError(f"two boards have port {twice[0]}", "give each board its own port")
    kinds = Counter(one.board.name for one in found)
    return tuple(
        replace(one, name=kind if kinds[kind] == 1 else f"{kind}@{_label(one.name)}")
        for one in found
        for kind in (one.board.name,)
    )


def _label(where: str) -> str:
    """``where`` for a run's key: without slashes and other special characters."""
    return re.sub(r"[^\w.:-]+", "-", where.removeprefix("/dev/")).strip("-")


def missing_tools(board: Board) -> list[str]:
    """Missing programs and files that are needed to build for ``board`` or to run it."""
    return [one for need in tool_needs(board) for one in need.missing]


def packages(board: Board) -> tuple[str, ...]:
    """The Debian packages that have these programs and files."""
    return tuple(dict.fromkeys(one for need in tool_needs(board) for one in need.packages))


def require_tools(board: Board) -> None:
    """ToolMissing, with the command that installs them, unless all of them are there."""
    lacking = [need for need in tool_needs(board) if need.missing]
    if missing := [one for need in lacking for one in need.missing]:
        one = len(missing) == 1
        # Debian's packages in one command, also those of what is there
        apt = all(need.source == "apt" for need in lacking)
        fixes = [apt_command(packages(board))] if apt else [need.fix for need in lacking]
        raise ToolMissing(
            f"{', '.join(missing)} {'is' if one else 'are'} not installed, and board {board.name} "
            f"needs {'it' if one else 'them'}",
            f"install {'it' if one else 'them'}: {'; '.join(dict.fromkeys(fixes))}",
        )


@dataclass(frozen=True, slots=True)
class Chosen:
    """Names of boards as `stations` takes them; ``notes`` on the choice, one sentence each.

    ``all``: whether every board was wanted. ``absent``: the boards left out then.
    """

    names: tuple[str, ...]
    notes: tuple[str, ...] = ()
    all: bool = False
    absent: tuple[Board, ...] = ()


def choose_boards(wanted: Sequence[str], project: Path | None = None) -> Chosen:
    """The boards that the values of ``--board`` name; "all" and "auto" are replaced.

    ToolMissing if all are wanted and none has its tools.
    """
    names: list[str] = []
    notes: list[str] = []
    absent: list[Board] = []
    words = [word.strip() for one in wanted for word in one.split(",") if word.strip()]
    for word in words:
        if word == ALL:
            known = every_board(project)
            emulated = [one for one in known if one.emulator and not one.optional]
            absent = [board for board in emulated if missing_tools(board)]
            names += [board.name for board in emulated if board not in absent]
        elif word == AUTO:
            name, note = choose_board(project)
            names.append(name)
            notes += [note] if note else []
        else:
            names.append(word)
    if not names:
        raise ToolMissing(
            "no emulated board has its compiler and emulator installed",
            "hil doctor lists the packages, and --install installs them",
        )
    return Chosen(tuple(dict.fromkeys(names)), tuple(notes), ALL in words, tuple(absent))


def every_board(project: Path | None = None) -> tuple[Board, ...]:
    """Every known board, by name."""
    return tuple(load_board(name, project) for name in sorted(board_files(project)))


def choose_board(project: Path | None = None) -> tuple[str, str]:
    """The emulated Cortex-M7 if its tools are installed, else the host process, with a note why."""
    missing = missing_tools(load_board("mps2", project))
    if not missing:
        return "mps2", ""
    return (
        "native",
        f"{' and '.join(missing)} not installed, so the firmware runs as a process of this "
        "machine (board native), without times; `hil doctor` shows how to install them",
    )
