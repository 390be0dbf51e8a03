# SPDX-License-Identifier: Apache-2.0
"""A simulated power monitor and interface board for MLCommons' runner, on two ptys.

The monitor answers as an ST LPM01A, as far as the runner uses it: a thousand values of energy per
second, and an event for each falling edge of the device's pin. The interface board passes commands
on to the device. The device is our firmware for energy mode as a process, whose edges are lines of
a file (firmware/port/native): the simulated current follows them, in the process's own time.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hil.link import Deadline, Link
from tests.support.ptys import Pty, served_pty, silent_pty

ACTIVE, IDLE = 0.0312, 0.0045  # watts in a window and outside
BEHIND = 30_000  # microseconds that the recording lags, so that every edge of its time is known
PAUSE = 0.002  # seconds between two looks at the file


@dataclass
class Edges:
    """The edges that the firmware has written so far, by its clock in microseconds."""

    file: Path

    def __post_init__(self) -> None:
        lines = self.lines()
        # the file changed when its last line was written: that relates the two clocks
        self._boot = self.file.stat().st_mtime_ns / 1e3 - lines[-1][0]
        self.at_boot = len(self.falls())

    def lines(self) -> list[tuple[int, bool]]:
        whole = self.file.read_text().rpartition("\n")[0]
        return [(int(at), level == "1") for at, level in map(str.split, whole.splitlines())]

    def falls(self) -> list[int]:
        return [at for at, high in self.lines() if not high]

    def now(self) -> float:
        """The firmware's clock."""
        return time.time_ns() / 1e3 - self._boot


@dataclass
class Monitor:
    """The LPM01A. Times are the firmware's microseconds."""

    edges: Edges
    pty: Pty
    commands: list[str] = field(default_factory=list)
    sent: int = 0  # up to here, by the firmware's clock
    running: bool = False
    stopped: bool = False
    _half: bytes = b""
    _began: int = 0
    _events: int = 0

    def serve(self) -> None:
        """Answer and record, until `stopped`."""
        while not self.stopped:
            if select.select([self.pty.master], [], [], PAUSE)[0]:
                self._obey(os.read(self.pty.master, 4096))
            if self.running:
                self._record()

    def _obey(self, data: bytes) -> None:
        *whole, self._half = (self._half + data).split(b"\r\n")
        for line in whole:
            command = line.decode()
            self.commands.append(command)
            if command == "stop":
                self.running = False
                self._write("PowerShield > Acquisition completed")
                continue
            self._write(f"PowerShield > ack {command}")
            if command == "start":
                self._began = self.sent = int(self.edges.now())
                self._seen = len(self.edges.falls())
                self.running = True

    def _record(self) -> None:
        falls = self.edges.falls()
        until = int(self.edges.now()) - BEHIND
        while self.sent + 1000 <= until:
            while self._seen < len(falls) and falls[self._seen] < self.sent + 1000:
                self._write(f"event {self._events:02} ris")
                self._events = (self._events + 1) % 100
                self._seen += 1
            # odd: between the first and the second timestamp of an `infer`
            busy = (self._seen - self.edges.at_boot) % 2
            joules = (ACTIVE if busy else IDLE) / 1000
            self._write(f"{round(joules * 1e8):04}-08")
            self.sent += 1000
            if (self.sent - self._began) % 1_000_000 == 0:
                second = (self.sent - self._began) // 1_000_000
                self._write(f"TimeStamp: {second:03}s 000ms, buff 00%")

    def _write(self, line: str) -> None:
        self.pty.write(f"{line}\r\n".encode())

    def wait_for_all(self) -> None:
        """Until the runner has read everything up to now."""
        asked = self.edges.now()
        while self.running and self.sent < asked:
            time.sleep(PAUSE)
        while struct.unpack("i", fcntl.ioctl(self.pty.slave, termios.FIONREAD, bytes(4)))[0]:
            time.sleep(PAUSE)
        time.sleep(0.05)  # the last line's way through the runner's queue


@dataclass
class Interface:
    """The interface board: `dut COMMAND%` goes to the device behind ``link``."""

    link: Link
    recorded: Callable[[], None]
    commands: list[str] = field(default_factory=list)
    _half: bytes = b""

    def answer(self, data: bytes) -> bytes:
        *whole, self._half = (self._half + data).split(b"%")
        return b"".join(self._obey(command.decode()) for command in whole)

    def _obey(self, command: str) -> bytes:
        self.commands.append(command)
        word, _, rest = command.partition(" ")
        if word != "dut":
            return f"m-[{word}]\r\nm-ready\r\n".encode()
        self.link.write(f"{rest}%".encode())
        heard = b""
        while not heard.endswith(b"m-ready\r\n"):
            heard += self.link.read(Deadline.after(1))
        self.recorded()
        lines = heard.replace(b"\r\n", b"\r\n[dut]: ").removesuffix(b"[dut]: ")
        return b"m-[passthrough]\r\nm-ready\r\n[dut]: " + lines


@contextmanager
def bench(link: Link, edges: Path) -> Iterator[tuple[str, str, Monitor, Interface]]:
    """The ports of the interface board and of the monitor."""
    with silent_pty() as pty:
        monitor = Monitor(Edges(edges), pty)
        interface = Interface(link, monitor.wait_for_all)
        thread = threading.Thread(target=monitor.serve)
        thread.start()
        try:
            with served_pty(interface.answer) as board:
                yield board.name, pty.name, monitor, interface
        finally:
            monitor.stopped = True
            thread.join()
