# SPDX-License-Identifier: Apache-2.0
"""An open link to one board, attached or emulated, and how to restart the board."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from hil.boards.config import Board
from hil.boards.emulator import start
from hil.core.errors import LinkError, UsageError
from hil.link import Deadline
from hil.link.serial_port import SerialLink


@contextmanager
def open_board(board: Board, elf: Path | None, port: str | None = None) -> Iterator[SerialLink]:
    """A link to ``board``: on ``port`` if given, else on an emulator started with ``elf``."""
    if port is not None:
        yield from _link(board, port)
        return
    if board.emulator is None or elf is None:
        raise UsageError(
            f"board {board.name} needs a port", "pass --port; `hil boards` lists the ports"
        )
    with tempfile.TemporaryDirectory(prefix="hil-") as folder:
        deadline = Deadline.after(board.timeouts.boot)
        running = start(board.emulator, elf, Path(folder) / "emulator.log", deadline)
        try:
            yield from _link(board, running.port)
        finally:
            running.stop()


def open_port(board: Board, port: str) -> SerialLink:
    """``port`` with the settings of ``board``; LinkError if it cannot be opened."""
    return SerialLink(port, board.serial.baud, dtr=board.serial.dtr, rts=board.serial.rts)


def _link(board: Board, port: str) -> Iterator[SerialLink]:
    link = open_port(board, port)
    try:
        yield link
    finally:
        link.close()


class HeldBoard:
    """A board whose port stays open, since opening it resets many boards."""

    def __init__(self, board: Board, elf: Path | None, port: str | None = None) -> None:
        self.board = board
        self._elf = elf
        self._port = port
        self._stack = ExitStack()
        self.link = self._open()

    def reset(self) -> None:
        """Restart the board: its emulator (``link`` is then a new one), or by its reset line.

        UsageError for a board on a port without such a line.
        """
        line = self.board.serial.reset
        if self._port is None:
            self.reopen()
        elif line != "none":
            self.link.pulse(line)
        else:
            raise UsageError(
                f"board {self.board.name} on {self._port} cannot be reset from here",
                "name its reset line in the board's file: [serial] reset",
            )

    def reopen(self) -> None:
        """Reopen the port or restart the emulator; ``link`` is then a new one."""
        with suppress(LinkError):
            self._stack.close()
        self.link = self._open()

    def close(self) -> None:
        """Close the port, and stop the emulator."""
        self._stack.close()

    def _open(self) -> SerialLink:
        return self._stack.enter_context(open_board(self.board, self._elf, self._port))
