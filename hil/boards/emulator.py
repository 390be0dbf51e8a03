"""Emulated boards: a process whose output names the port to open."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hil.boards.config import Emulator
from hil.errors import DeviceError, ToolMissing
from hil.link import Deadline

_POLL_S: Final = 0.005
_GRACE_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class RunningEmulator:
    """A started emulator, its port, and the file its output goes to."""

    process: subprocess.Popen[bytes]
    port: str
    log: Path

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
    """Start ``emulator`` with the firmware ``elf`` and wait until it names its port.

    Unless detached, it is killed with this process, however that ends.
    """
    command = [part.format(elf=elf) for part in emulator.command]
    if not shutil.which(command[0]):
        package = emulator.package or command[0]
        raise ToolMissing(
            f"{command[0]} is not installed", f"install it: sudo apt-get install {package}"
        )
    setpriv = shutil.which("setpriv")
    if setpriv and not detach:
        command = [setpriv, "--pdeathsig", "KILL", *command]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the harness, which stops it in order
        )
    running = RunningEmulator(process, "", log)
    try:
        return RunningEmulator(process, _wait_for_port(running, emulator, deadline), log)
    except BaseException:
        running.stop()
        raise


def _wait_for_port(running: RunningEmulator, emulator: Emulator, deadline: Deadline) -> str:
    pattern = re.compile(emulator.port_pattern)
    while True:
        ended = running.process.poll() is not None
        said = running.log.read_text(errors="replace")
        if match := pattern.search(said):
            return match.group(1)
        if ended or deadline.expired:
            last = (said.strip().splitlines() or ["nothing"])[-1]
            name = Path(emulator.command[0].format(elf=Path("the firmware"))).name
            how = "ended" if ended else "named no port"
            raise DeviceError(
                f"{name} {how}; it said: {last[:200]}", f"its output is in {running.log}"
            )
        time.sleep(_POLL_S)
