"""Prepare -> open link -> release: one board, ready to talk, for the length of a `with`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hil.boards.config import Board
from hil.boards.emulator import start
from hil.errors import UsageError
from hil.link import Deadline, Link
from hil.link.serial_port import SerialLink


@contextmanager
def open_board(board: Board, elf: Path | None, port: str | None = None) -> Iterator[Link]:
    """A link to ``board``: on ``port`` when given, else on an emulator started with ``elf``."""
    if port is not None:
        yield from _link(board, port)
        return
    if board.emulator is None or elf is None:
        raise UsageError(
            f"board {board.name} needs a port", "name it with --port; `hil boards` lists the ports"
        )
    with tempfile.TemporaryDirectory(prefix="hil-") as folder:
        deadline = Deadline.after(board.timeouts.boot)
        running = start(board.emulator, elf, Path(folder) / "emulator.log", deadline)
        try:
            yield from _link(board, running.port)
        finally:
            running.stop()


def _link(board: Board, port: str) -> Iterator[Link]:
    link = SerialLink(port, board.serial.baud)
    try:
        yield link
    finally:
        link.close()
