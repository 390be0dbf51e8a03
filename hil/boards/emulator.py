# SPDX-License-Identifier: Apache-2.0
"""Emulated boards: a process, and the port that it names or opens."""

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
from hil.link import Deadline

_POLL_S: Final = 0.005
_GRACE_S: Final = 2.0
_PREPARE_S: Final = 60.0
_LISTENS: Final = "0A"  # TCP_LISTEN, as /proc/net/tcp writes it


@dataclass(frozen=True, slots=True)
class RunningEmulator:
    """A started emulator, its port, and the file its output goes to."""

    process: subprocess.Popen[bytes]
    port: str
    log: Path
    command: Sequence[str] = field(default=(), repr=False)

    def stop(self) -> None:
        """End the process; asks first, then kills."""
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

    Unless detached, it is killed with this process, however that ends. ToolMissing when a program
    is not there; DeviceError, with the last line of its output, when it fails or takes too long.
    """
    folder = log.with_suffix(".run")
    folder.mkdir(parents=True, exist_ok=True)
    tcp = _free_port() if emulator.wants_tcp else 0
    for words in emulator.prepare:
        _prepare(emulator.fill(words, elf, folder, tcp), log)
    command = emulator.fill(emulator.command, elf, folder, tcp)
    _require(command[0], emulator.package)
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
            start_new_session=True,  # Ctrl-C is for the harness, which stops it in order
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
    """A raw pty until ``ours`` ends: the emulator's end, and the host's.

    The emulator inherits both. While it holds the host's end, no byte is lost before somebody
    opens the port, and reading does not fail when somebody closes it.
    """
    line, host = os.openpty()
    ours.callback(os.close, line)
    ours.callback(os.close, host)
    tty.setraw(host)
    return line, host


def _wait_for_port(running: RunningEmulator, emulator: Emulator, deadline: Deadline) -> str:
    """The port, once the output names it, or once it says ``ready`` and the port is there."""
    pattern = emulator.port_pattern
    while True:
        ended = running.process.poll() is not None
        said = running.log.read_text(errors="replace")
        if pattern and (match := re.search(pattern, said)):
            return match.group(1)
        ready = not pattern and re.search(emulator.ready, said) is not None
        if ready and not ended and _is_there(running.port):
            return running.port
        if ended or deadline.expired:
            how = "named no port" if pattern else f"opened no port {running.port}"
            if emulator.ready and not ready:
                how = f"did not say {emulator.ready!r}"
            raise _failed(running.command, "ended" if ended else how, said)
        time.sleep(_POLL_S)


def _is_there(port: str) -> bool:
    """Whether ``port`` can be opened: somebody listens at a URL, or a path exists.

    Nobody connects to find out: some emulators take one connection and no second.
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
    return any(row[1].endswith(f":{number}") and row[3] == _LISTENS for row in lines)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _prepare(command: Sequence[str], log: Path) -> None:
    """Run one preparing command to its end."""
    _require(command[0])
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


def _require(program: str, package: str = "") -> None:
    if not shutil.which(program):
        how = f": sudo apt-get install {package}" if package else ", or mend the board's [emulator]"
        raise ToolMissing(f"{program} is not installed", f"install it{how}")


def _failed(command: Sequence[str], how: str, said: str) -> DeviceError:
    last = (said.strip().splitlines() or ["nothing"])[-1]
    return DeviceError(
        f"{Path(command[0]).name} {how}; it said: {last[:200]}",
        f"try it by hand: {shlex.join(command)}",
    )


class Detached(msgspec.Struct, frozen=True):
    """A left-running emulator: its process, port and firmware."""

    pid: int
    port: str
    firmware: str
    started: str  # when, in the kernel's words


def start_detached(project: Path, board: Board, elf: Path) -> Detached:
    """Start ``board`` with ``elf``, in place of one that runs already."""
    if board.emulator is None:
        raise UsageError(
            f"board {board.name} is not emulated", f"flash it: pio run -e {board.pio_env} -t upload"
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
    found = Detached(pid=pid, port=running.port, firmware=str(elf), started=_started(pid))
    replace_file(_file(project, board.name), msgspec.json.encode(found))
    return found


def find_detached(project: Path, name: str) -> Detached | None:
    """The emulator of board ``name`` that is still running, if any."""
    try:
        found = msgspec.json.decode(_file(project, name).read_bytes(), type=Detached)
    except (OSError, *NO_RECORD):
        return None
    # A process id is used again some day: only one that began when ours did is ours.
    return found if found.started and _started(found.pid) == found.started else None


def stop_detached(project: Path, name: str) -> bool:
    """End the emulator of board ``name``; False when none was running."""
    found = find_detached(project, name)
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
