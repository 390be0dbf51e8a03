"""Emulator processes: started, found out when they fail, ended in every case."""

import os
import sys
from pathlib import Path

import pytest

from hil.boards.config import Emulator
from hil.boards.emulator import start
from hil.errors import DeviceError, ToolMissing
from hil.link import Deadline

PRINTS_A_PORT = "import signal; print('port /dev/pts/99', flush=True); signal.pause()"


def emulator(code: str) -> Emulator:
    return Emulator(command=(sys.executable, "-c", code), port_pattern=r"port (\S+)")


def test_port_is_read_and_the_process_ends(tmp_path: Path) -> None:
    running = start(emulator(PRINTS_A_PORT), Path("x"), tmp_path / "log", Deadline.after(30))
    assert running.port == "/dev/pts/99"
    running.stop()
    assert running.process.returncode is not None


def test_emulator_that_ends_is_quoted(tmp_path: Path) -> None:
    broken = emulator("import sys; sys.exit('machine not found')")
    with pytest.raises(DeviceError, match="ended; it said: machine not found"):
        start(broken, Path("x"), tmp_path / "log", Deadline.after(30))


def test_emulator_that_says_nothing_is_stopped(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = f"import os, signal; open({str(pid_file)!r}, 'w').write(str(os.getpid())); "
    mute = emulator(code + "print('hello', flush=True); signal.pause()")

    class Patience(Deadline):
        """Passes as soon as the process has written its number."""

        @property
        def remaining(self) -> float:
            return 0.0 if pid_file.exists() and pid_file.read_text() else 1.0

    with pytest.raises(DeviceError, match="named no port"):
        start(mute, Path("x"), tmp_path / "log", Patience(0.0))
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def test_missing_emulator_names_the_package(tmp_path: Path) -> None:
    absent = Emulator(command=("qemu-system-absent",), port_pattern="", package="qemu-system-misc")
    with pytest.raises(ToolMissing, match="sudo apt-get install qemu-system-misc"):
        start(absent, Path("x"), tmp_path / "log", Deadline.after(1))
