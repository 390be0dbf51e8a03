# SPDX-License-Identifier: Apache-2.0
"""Emulated boards: a process and its port. One may be left running between commands."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time
import tty
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from hil.boards.config import Board, Emulator
from hil.core.errors import DeviceError, ToolMissing, UsageError
from hil.core.files import NO_RECORD, replace_file
from hil.core.text import storable
from hil.firmware import firmware_tree
from hil.link import Deadline

_POLL_S: Final = 0.005
_GRACE_S: Final = 2.0  # from SIGTERM to SIGKILL
_DETACHED: Final = Path(".pio") / "hil"  # in the tree of the firmware
_PREPARE_S: Final = 60.0  # limit of each preparing command
_TCP_LISTEN: Final = "0A"  # in /proc/net/tcp


@dataclass(frozen=True, slots=True)
class RunningEmulator:
    """A started emulator, its port and its log."""

    process: subprocess.Popen[bytes]
    port: str
    log: Path
    command: Sequence[str] = field(default=(), repr=False)

    def stop(self) -> None:
        """End the process by SIGTERM, then SIGKILL."""
        self.process.terminate()
        try:
            self.process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start(
    emulator: Emulator, elf: Path, log: Path, deadline: Deadline, *, detach: bool = False
) -> RunningEmulator:
    """Start ``emulator`` with the firmware ``elf`` and wait until its port can be opened.

    Unless detached, it is killed when this process ends for any reason. ToolMissing if a program is
    not installed; DeviceError, with the last line of its output, if it fails or takes too long.
    """
    folder = log.with_suffix(".run")
    folder.mkdir(parents=True, exist_ok=True)
    tcp = _free_port() if emulator.wants_tcp else 0
    if emulator.npm and not emulator.npm.installed:
        raise ToolMissing(
            f"the npm package {emulator.npm} is not installed",
            "hil doctor --install, with --board and this board's name, installs it",
        )
    for words in emulator.prepare:
        filled = emulator.fill(words, elf, folder, tcp)
        _require(filled[0], emulator)
        _prepare(filled, log)
    command = emulator.fill(emulator.command, elf, folder, tcp)
    _require(command[0], emulator)
    setpriv = shutil.which("setpriv")
    before = [setpriv, "--pdeathsig", "KILL"] if setpriv and not detach else []
    (port,) = emulator.fill((emulator.port,), elf, folder, tcp)
    with log.open("wb") as output, ExitStack() as ours:
        line, host = _pty(ours) if emulator.stdio else (None, None)
        process = subprocess.Popen(
            [*before, *command],
            stdin=subprocess.DEVNULL if line is None else line,
            stdout=output if line is None else line,
            stderr=output,
            pass_fds=[] if host is None else [host],
            start_new_session=True,  # Ctrl-C reaches only the harness, which stops it
        )
        port = port if host is None else os.ttyname(host)
    running = RunningEmulator(process, port, log, command)
    try:
        found = _wait_for_port(running, emulator, deadline)
        return RunningEmulator(process, found, log, command)
    except BaseException:
        running.stop()
        raise


def _pty(ours: ExitStack) -> tuple[int, int]:
    """A raw pty, open until ``ours`` ends: the emulator's end, and the host's.

    The emulator inherits both. While it holds the host's end, no byte is lost before a program
    opens the port, and reading does not fail after one closes it.
    """
    line, host = os.openpty()
    ours.callback(os.close, line)
    ours.callback(os.close, host)
    tty.setraw(host)
    return line, host


def _wait_for_port(running: RunningEmulator, emulator: Emulator, deadline: Deadline) -> str:
    """The port: when the output names it, or matches ``ready`` and the port can be opened."""
    pattern = emulator.port_pattern
    while True:
        ended = running.process.poll() is not None
        said = running.log.read_text(errors="replace")
        if pattern and (match := re.search(pattern, said)):
            return match.group(1)
        ready = not pattern and re.search(emulator.ready, said) is not None
        if ready and not ended and _can_open(running.port):
            return running.port
        if ended or deadline.expired:
            how = "did not name a port" if pattern else f"did not open port {running.port}"
            if emulator.ready and not ready:
                how = f"did not print {emulator.ready!r}"
            raise _failed(running.command, "ended" if ended else how, said)
        time.sleep(_POLL_S)


def _can_open(port: str) -> bool:
    """Whether ``port`` can be opened: a process listens at the URL, or the path exists.

    Connecting would tell, too, but some emulators accept one connection only.
    """
    if "://" not in port:
        return Path(port).exists()
    number = f"{urlsplit(port).port:04X}"
    lines = [
        line.split()
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        if Path(table).exists()
        for line in Path(table).read_text().splitlines()[1:]
    ]
    return any(row[1].endswith(f":{number}") and row[3] == _TCP_LISTEN for row in lines)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _prepare(command: Sequence[str], log: Path) -> None:
    """Run one preparing command and wait for its end."""
    with log.open("wb") as output:
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=_PREPARE_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise _failed(command, f"took over {_PREPARE_S:.0f} s", "") from None
    if done.returncode:
        said = log.read_text(errors="replace")
        raise _failed(command, f"ended with {done.returncode}", said)


def _require(program: str, emulator: Emulator) -> None:
    if not shutil.which(program):
        if program in emulator.get:
            how = f"install it: {emulator.get[program]}"
        elif emulator.package and program == emulator.command[0]:
            how = f"install it: sudo apt-get install {emulator.package}"
        else:
            how = "install it, or correct the board's [emulator]"
        raise ToolMissing(f"{program} is not installed", how)


def _failed(command: Sequence[str], how: str, said: str) -> DeviceError:
    last = (said.strip().splitlines() or ["nothing"])[-1]
    return DeviceError(
        f"{Path(command[0]).name} {how}; its last output: {last[:200]}",
        f"run it by hand: {shlex.join(command)}",
    )


class Detached(msgspec.Struct, frozen=True):
    """An emulator that was left running."""

    pid: int
    port: str
    firmware: str
    started: str  # by the kernel's clock


def start_detached(project: Path, board: Board, elf: Path) -> Detached:
    """Start ``board`` with ``elf`` and leave it running; stop one that runs already."""
    if board.emulator is None:
        raise UsageError(
            f"board {board.name} is not emulated", f"flash it: hil flash --board {board.name}"
        )
    stop_detached(project, board.name)
    folder = _file(project, board.name).parent
    folder.mkdir(parents=True, exist_ok=True)
    running = start(
        board.emulator,
        elf.resolve(),
        folder / f"{board.name}.log",
        Deadline.after(board.timeouts.boot),
        detach=True,
    )
    pid = running.process.pid
    found = Detached(pid=pid, port=running.port, firmware=storable(str(elf)), started=_started(pid))
    replace_file(_file(project, board.name), msgspec.json.encode(found))
    return found


def find_detached(project: Path, name: str) -> Detached | None:
    """The emulator of board ``name`` that was left running; None if it has ended."""
    return _running(_file(project, name))


def runs_in(tree: Path) -> bool:
    """Whether an emulator was left running whose firmware was built in ``tree``."""
    return any(_running(file) for file in (tree / _DETACHED).glob("*.json"))


def _running(file: Path) -> Detached | None:
    try:
        found = msgspec.json.decode(file.read_bytes(), type=Detached)
    except (OSError, *NO_RECORD):
        return None
    # another process may have got its id since: it started at another time
    return found if found.started and _started(found.pid) == found.started else None


def stop_detached(project: Path, name: str) -> bool:
    """Stop the emulator of board ``name``; False if none was running."""
    found = find_detached(project, name)
    if found:
        os.kill(found.pid, signal.SIGTERM)
    _file(project, name).unlink(missing_ok=True)
    return found is not None


def _started(pid: int) -> str:
    """When process ``pid`` started, in ticks since boot; empty if it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    state, *rest = stat.rpartition(")")[2].split()  # the name before it may contain anything
    return "" if state == "Z" else rest[18]


def _file(project: Path, name: str) -> Path:
    return firmware_tree(project) / _DETACHED / f"{name}.json"
