# SPDX-License-Identifier: Apache-2.0
"""Emulator processes: started, diagnosed when they fail, and always stopped."""

import os
import sys
from pathlib import Path

import pytest

from hil.boards.config import Emulator
from hil.boards.emulator import start
from hil.core.errors import DeviceError, ToolMissing
from hil.link import Deadline
from hil.link.serial_port import SerialLink

PRINTS_A_PORT = "import signal; print('port /dev/pts/99', flush=True); signal.pause()"


def emulator(code: str) -> Emulator:
    return Emulator(command=(sys.executable, "-c", code), port_pattern=r"port (\S+)")


def test_the_port_is_read_from_the_output_and_the_process_ends(tmp_path: Path) -> None:
    running = start(emulator(PRINTS_A_PORT), Path("x"), tmp_path / "log", Deadline.after(30))
    assert running.port == "/dev/pts/99"
    running.stop()
    assert running.process.returncode is not None


def test_an_emulator_that_ends_is_quoted(tmp_path: Path) -> None:
    broken = emulator("import sys; sys.exit('machine not found')")
    with pytest.raises(DeviceError, match="ended; its last output: machine not found"):
        start(broken, Path("x"), tmp_path / "log", Deadline.after(30))


def test_an_emulator_without_a_port_is_stopped(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = f"import os, signal; open({str(pid_file)!r}, 'w').write(str(os.getpid())); "
    mute = emulator(code + "print('hello', flush=True); signal.pause()")

    class Patience(Deadline):
        """Passes as soon as the process has written its number."""

        @property
        def remaining(self) -> float:
            return 0.0 if pid_file.exists() and pid_file.read_text() else 1.0

    with pytest.raises(DeviceError, match="did not name a port"):
        start(mute, Path("x"), tmp_path / "log", Patience(0.0))
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def test_a_missing_emulator_names_its_package(tmp_path: Path) -> None:
    absent = Emulator(command=("qemu-system-absent",), port="/dev/a", package="qemu-system-misc")
    with pytest.raises(ToolMissing, match="sudo apt-get install qemu-system-misc"):
        start(absent, Path("x"), tmp_path / "log", Deadline.after(1))


LISTENS = """
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
first, _ = server.accept()
first.recv(1)  # pyserial drops what arrives before the link is ready
first.sendall(b"first")
server.accept()
"""


def test_the_harness_waits_for_a_free_tcp_port_without_connecting(tmp_path: Path) -> None:
    """The first connection that the emulator accepts is the link."""
    on_tcp = Emulator(
        command=(sys.executable, "-c", LISTENS, "{tcp}"), port="socket://127.0.0.1:{tcp}"
    )
    one = start(on_tcp, Path("x"), tmp_path / "a.log", Deadline.after(30))
    two = start(on_tcp, Path("x"), tmp_path / "b.log", Deadline.after(30))
    try:
        assert one.port != two.port
        for running in (one, two):
            link = SerialLink(running.port)
            link.write(b"?")
            said = b""
            while len(said) < 5 and (data := link.read(Deadline.after(30))):
                said += data
            assert said == b"first"
            link.close()
    finally:
        one.stop()
        two.stop()


ECHOES = """
import os, sys
os.set_blocking(0, False)
try:
    os.read(0, 1)  # an error if a port that is not open yet looks like a hangup
except BlockingIOError:
    os.set_blocking(0, True)
print("ready", file=sys.stderr, flush=True)
while data := os.read(0, 100):
    os.write(1, data)
"""
EVERY_BYTE = bytes(range(256))


def test_stdin_and_stdout_are_the_port(tmp_path: Path) -> None:
    """Every byte passes both ways, for one host after the other; stderr goes to the log."""
    on_stdio = Emulator(command=(sys.executable, "-c", ECHOES), stdio=True, ready="ready")
    running = start(on_stdio, Path("x"), tmp_path / "log", Deadline.after(30))
    try:
        for _ in range(2):
            link = SerialLink(running.port)
            link.write(EVERY_BYTE)
            said = b""
            while len(said) < len(EVERY_BYTE) and (data := link.read(Deadline.after(30))):
                said += data
            assert said == EVERY_BYTE
            link.close()
        assert (tmp_path / "log").read_text() == "ready\n"
    finally:
        running.stop()


def test_an_emulator_that_ends_before_it_is_ready_is_quoted(tmp_path: Path) -> None:
    """Its port, a pty, exists from the start and could be opened."""
    command = (sys.executable, "-c", "import sys; sys.exit('no such processor')")
    on_stdio = Emulator(command=command, stdio=True, ready="ready")
    with pytest.raises(DeviceError, match="ended; its last output: no such processor"):
        start(on_stdio, Path("x"), tmp_path / "log", Deadline.after(30))
    mute = Emulator(command=("sleep", "60"), stdio=True, ready="ready")
    with pytest.raises(DeviceError, match="sleep did not print 'ready'; its last output: nothing"):
        start(mute, Path("x"), tmp_path / "log", Deadline.after(0.1))


def test_bytes_are_kept_until_the_port_is_opened(tmp_path: Path) -> None:
    on_stdio = Emulator(command=(sys.executable, "-c", ECHOES), stdio=True, ready="ready")
    running = start(on_stdio, Path("x"), tmp_path / "log", Deadline.after(30))
    try:
        host = os.open(running.port, os.O_RDWR | os.O_NOCTTY)
        os.write(host, b"first")
        os.close(host)  # perhaps before it was read
        host = os.open(running.port, os.O_RDWR | os.O_NOCTTY)
        assert os.read(host, 5) == b"first"
        os.close(host)
    finally:
        running.stop()


def test_an_emulator_that_opens_no_port_is_an_error(tmp_path: Path) -> None:
    deaf = Emulator(command=("sleep", "{tcp}"), port="socket://127.0.0.1:{tcp}")
    with pytest.raises(DeviceError, match=r"sleep did not open port socket.*by hand: sleep \d+$"):
        start(deaf, Path("x"), tmp_path / "log", Deadline.after(0.1))
    gone = Emulator(command=("false",), port="socket://127.0.0.1:1")
    with pytest.raises(DeviceError, match="false ended; its last output: nothing"):
        start(gone, Path("x"), tmp_path / "log", Deadline.after(30))


def test_preparing_commands_run_first_in_order(tmp_path: Path) -> None:
    elf = tmp_path / "firmware.elf"
    elf.write_text("firmware")
    merged = Emulator(
        prepare=(("cp", "{elf}", "{run}/part"), ("cp", "{run}/part", "{run}/flash.bin")),
        command=(sys.executable, "-c", PRINTS_A_PORT, "{run}/flash.bin"),
        port_pattern=r"port (\S+)",
    )
    start(merged, elf, tmp_path / "log", Deadline.after(30)).stop()
    assert (tmp_path / "log.run" / "flash.bin").read_text() == "firmware"


def test_a_preparing_command_that_fails_is_quoted(tmp_path: Path) -> None:
    broken = Emulator(prepare=(("cp", "{elf}", "{run}/x"),), command=("cat",), port="/dev/a")
    with pytest.raises(
        DeviceError, match=r"cp ended with 1; its last output: cp: .*no-elf.*by hand: cp"
    ):
        start(broken, Path("no-elf"), tmp_path / "log", Deadline.after(30))
    absent = Emulator(prepare=(("esptool-absent",),), command=("cat",), port="/dev/a")
    with pytest.raises(ToolMissing, match=r"esptool-absent is not installed; .* \[emulator\]"):
        start(absent, Path("x"), tmp_path / "log", Deadline.after(30))
