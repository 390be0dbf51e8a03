# SPDX-License-Identifier: Apache-2.0
"""The known boards, the ports of this computer, and what is on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hil.api.records import BoardsOutput, BoardState, PortState, State
from hil.bench.cases import sketch_of
from hil.bench.lab import ask, is_sketch
from hil.boards.attached import Attached, InBootloader, find_attached, find_bootloaders
from hil.boards.config import Board, board_files, load_board
from hil.boards.emulator import find_detached
from hil.boards.station import missing_tools
from hil.core.errors import DeviceError

PROBE_S: Final = 4.0  # opening the port may reset the board, which then boots in up to 3 s


def list_boards(project: Path, *, probe: bool = False) -> BoardsOutput:
    """Every known board by name, and every serial port. ``probe``: ask what they run, which may
    reset a board."""
    attached = find_attached(project)
    bootloaders = find_bootloaders(project)
    boards = [load_board(name, project) for name in sorted(board_files(project))]
    return BoardsOutput(
        boards=tuple(_board(one, project, attached, bootloaders, probe=probe) for one in boards),
        ports=tuple(_port(one, project, bootloaders, probe=probe) for one in attached),
    )


def _board(
    board: Board,
    project: Path,
    attached: Sequence[Attached],
    bootloaders: Sequence[InBootloader],
    *,
    probe: bool,
) -> BoardState:
    state: State
    ports: tuple[str, ...] = ()
    where = said = ""
    missing = tuple(missing_tools(board))
    waiting = [one for one in bootloaders if board.name in one.boards]
    if running := find_detached(project, board.name):
        state, ports = "running", (running.port,)
        said = _probe(board, running.port) if probe else ""
    elif missing:
        state = "tools missing"
    elif board.emulator:
        state = "ready"
    elif ports := tuple(one.port for one in attached if board.name in one.boards):
        state = "attached"
    elif waiting:
        state, where = "bootloader", str(waiting[0])
    else:
        state = "absent"
    return BoardState(
        name=board.name,
        title=board.title,
        clock=board.clock.unit,
        emulated=board.emulator is not None,
        state=state,
        optional=board.optional,
        ports=ports,
        missing=missing,
        where=where,
        said=said,
    )


def _port(
    one: Attached, project: Path, bootloaders: Sequence[InBootloader], *, probe: bool
) -> PortState:
    same = [boot for boot in bootloaders if (boot.usb, boot.serial) == (one.usb, one.serial)]
    asked = probe and bool(one.boards)
    return PortState(
        port=one.port,
        boards=tuple(one.boards),
        description=one.description,
        usb=one.usb,
        serial=one.serial,
        bootloader_of=tuple(same[0].boards) if same else (),
        said=_probe(load_board(one.boards[0], project), one.port) if asked else "",
    )


def _probe(board: Board, port: str) -> str:
    """What a board reports about itself, or why it does not, in one line."""
    try:
        hello = ask(board, port, PROBE_S)
    except DeviceError as problem:
        return str(problem)
    if is_sketch(hello):
        return f"{hello.board} runs user: {sketch_of(hello)}"
    runs = ", ".join(f"{one.name} {one.sha256[:12]} ({one.engine})" for one in hello.models)
    return f"{hello.board} runs {hello.firmware}: {runs or 'no model'}"
