"""An emulator that outlives the command that started it, as a flashed board would."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import msgspec

from hil.boards.config import Board
from hil.boards.emulator import start as start_emulator
from hil.errors import UsageError
from hil.files import replace_file
from hil.link import Deadline


class Detached(msgspec.Struct, frozen=True):
    """A left-running emulator: its process, port and firmware."""

    pid: int
    port: str
    firmware: str


def start(project: Path, board: Board, elf: Path) -> Detached:
    """Start ``board`` with ``elf``, in place of one that runs already."""
    if board.emulator is None:
        raise UsageError(
            f"board {board.name} is not emulated", f"flash it: pio run -e {board.pio_env} -t upload"
        )
    stop(project, board.name)
    folder = _file(project, board.name).parent
    folder.mkdir(parents=True, exist_ok=True)
    running = start_emulator(
        board.emulator,
        elf.resolve(),
        folder / f"{board.name}.log",
        Deadline.after(board.timeouts.boot),
        detach=True,
    )
    found = Detached(pid=running.process.pid, port=running.port, firmware=str(elf))
    replace_file(_file(project, board.name), msgspec.json.encode(found))
    return found


def find(project: Path, name: str) -> Detached | None:
    """The emulator of board ``name`` that is still running, if any."""
    try:
        found = msgspec.json.decode(_file(project, name).read_bytes(), type=Detached)
        # A process id is used again some day: only one with our firmware in its words is ours.
        words = Path(f"/proc/{found.pid}/cmdline").read_bytes()
    except (OSError, msgspec.DecodeError):
        return None
    return found if Path(found.firmware).name.encode() in words else None


def stop(project: Path, name: str) -> bool:
    """End the emulator of board ``name``; False when none was running."""
    found = find(project, name)
    if found:
        os.kill(found.pid, signal.SIGTERM)
    _file(project, name).unlink(missing_ok=True)
    return found is not None


def _file(project: Path, name: str) -> Path:
    return project / ".pio" / "hil" / f"{name}.json"
