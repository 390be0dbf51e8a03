# SPDX-License-Identifier: Apache-2.0
"""Lines with a mock chip at the other end: a pty, and RFC 2217, which has DTR and RTS."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import termios
import threading
import tty
from collections.abc import Callable, Iterator

from serial import rfc2217

from tests.support.flashing.rom import Rom
from tests.support.rfc2217 import Line

RATES = {getattr(termios, name): int(name[1:]) for name in dir(termios) if name[1:].isdigit()}


@contextlib.contextmanager
def on_pty(rom: Rom) -> Iterator[str]:
    """The name of a pty with ``rom`` behind it.

    A pty has no control lines. As on a board with an auto-reset circuit, closing and opening the
    port restarts it: into the firmware once something was flashed, else as it was.
    """
    master, slave = os.openpty()
    tty.setraw(slave)
    name = os.ttyname(slave)
    os.close(slave)
    stop, wake = os.pipe()

    def serve() -> None:
        is_open = False
        poll = select.poll()
        poll.register(stop, select.POLLIN)
        poll.register(master, select.POLLIN)
        while True:
            ready = dict(poll.poll())
            if stop in ready:
                return
            try:
                data = os.read(master, 65536)
            except OSError as problem:
                if problem.errno != errno.EIO:
                    raise
                if is_open and rom.written:
                    rom.boot(download=False)
                is_open = False
                stopped, _, _ = select.select([stop], [], [], 0.005)  # nobody has it open
                if stopped:
                    return
                continue
            is_open = True
            if RATES.get(termios.tcgetattr(master)[5]) == rom.baud:
                os.write(master, rom.feed(data))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield name
    finally:
        os.write(wake, b"x")
        thread.join()
        for descriptor in (master, stop, wake):
            os.close(descriptor)


class Wires(Line):
    """DTR and RTS on the usual two transistors: RTS alone holds EN low, DTR alone IO0. EN rises so
    slowly that IO0 is sampled when the second of the lines has moved. A restart is told to
    ``restarted`` with IO0's level: is it the ROM that starts?"""

    def __init__(self, restarted: Callable[[bool], None]) -> None:
        self.held = False
        self._restarted = restarted
        super().__init__()

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name not in ("dtr", "rts") or not hasattr(self, "levels"):
            return
        if self.rts and not self.dtr:
            self.held = True
        elif self.held and not self.rts:
            self.held = False
            self._restarted(self.dtr)


class Rfc2217Rom:
    """``rom`` behind an RFC 2217 server, which takes one client after the other."""

    def __init__(self, rom: Rom) -> None:
        self.rom, self.wires = rom, Wires(self._restart)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"rfc2217://127.0.0.1:{self._server.getsockname()[1]}"
        self._client: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def __enter__(self) -> Rfc2217Rom:
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._server, self._client):
            if one is not None:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)  # wakes the thread; close alone does not
        self._thread.join()
        self._server.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._client, _ = self._server.accept()
                with self._client, contextlib.suppress(OSError):
                    self._talk(self._client)

    def _talk(self, client: socket.socket) -> None:
        self._manager = rfc2217.PortManager(self.wires, self)
        while data := client.recv(65536):
            plain = b"".join(self._manager.filter(data))
            if plain and not self.wires.held and self.wires.baudrate == self.rom.baud:
                self._say(self.rom.feed(plain))

    def _restart(self, io0_low: bool) -> None:
        self._say(self.rom.boot(download=io0_low))

    def _say(self, data: bytes) -> None:
        self.write(b"".join(self._manager.escape(data)))

    def write(self, data: bytes) -> None:
        """What the RFC 2217 manager sends; the client may be gone already."""
        with contextlib.suppress(OSError):
            if self._client is not None:
                self._client.sendall(data)
