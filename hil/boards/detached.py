"""An emulator that outlives the command that started it, as a flashed board would."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import msgspec

from hil.boards.config import Board
from hil.boards.emulator import start as start_emulator
from hil.config import NO_RECORD
from hil.errors import UsageError
from hil.files import replace_file
from hil.link import Deadline


class Detached(msgspec.Struct, frozen=True):
    """A left-running emulator: its process, port and firmware."""

    pid: int
    port: str
    firmware: str
    started: str  # when, in the kernel's words


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
    pid = running.process.pid
    found = Detached(pid=pid, port=running.port, firmware=str(elf), started=_started(pid))
    replace_file(_file(project, board.name), msgspec.json.encode(found))
    return found


def find(project: Path, name: str) -> Detached | None:
    """The emulator of board ``name`` that is still running, if any."""
    try:
        found = msgspec.json.decode(_file(project, name).read_bytes(), type=Detached)
    except (OSError, *NO_RECORD):
        return None
    # A process id is used again some day: only one that began when ours did is ours.
    return found if found.started and _started(found.pid) == found.started else None


def stop(project: Path, name: str) -> bool:
    """End the emulator of board ``name``; False when none was running."""
    found = find(project, name)
    if found:
        os.kill(found.pid, signal.SIGTERM)
    _file(project, name).unlink(missing_ok=True)
    return found is not None


def _started(pid: int) -> str:
    """When process ``pid`` began, in ticks since the machine's boot; empty when it is no more."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    state, *rest = stat.rpartition(")")[2].split()  # its name may hold anything
    return "" if state == "Z" else rest[18]


def _file(project: Path, name: str) -> Path:
    return project / ".pio" / "hil" / f"{name}.json"
