# SPDX-License-Identifier: Apache-2.0
"""A fake board behind pyserial's own RFC 2217 server: control lines and rates over loopback."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from serial import rfc2217

from hil.testing.board import FakeBoard


@dataclass
class Line:
    """What the RFC 2217 server sets: the line as the board sees it."""

    baudrate: int = 9600
    bytesize: int = 8
    parity: str = "N"
    stopbits: int = 1
    rtscts: bool = False
    xonxoff: bool = False
    break_condition: bool = False
    rts: bool = True
    cts: bool = True
    dsr: bool = True
    ri: bool = False
    cd: bool = True
    levels: list[bool] = field(default_factory=list)
    on_dtr: Callable[[bool], None] = lambda _: None

    @property
    def dtr(self) -> bool:
        return self.levels[-1] if self.levels else True

    @dtr.setter
    def dtr(self, level: bool) -> None:
        self.levels.append(level)
        self.on_dtr(level)

    def reset_input_buffer(self) -> None:
        """Nothing is kept."""

    def reset_output_buffer(self) -> None:
        """Nothing is kept."""


class Rfc2217Board:
    """One board on a port of its own choice; ``awake`` says whether it hears what comes."""

    def __init__(self, board: FakeBoard, awake: Callable[[Line], bool] = lambda _: True) -> None:
        self.board, self.line, self._awake = board, Line(), awake
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"rfc2217://127.0.0.1:{self._server.getsockname()[1]}"
        self._connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        try:
            connection, _ = self._server.accept()
        except OSError:
            return  # closed before anyone came
        with connection:
            self._connection = connection
            manager = rfc2217.PortManager(self.line, self)
            while data := _receive(connection):
                plain = b"".join(manager.filter(data))
                if plain and self._awake(self.line):
                    self.write(b"".join(manager.escape(self._heard(plain))))

    def _heard(self, data: bytes) -> bytes:
        at, sender = self.board.baud, self.line.baudrate
        if sender == at <= self.board.carries:
            return self.board.answer(data)
        self.board.answer(b"\x55\0")
        return b"\xaa\xaa"

    def write(self, data: bytes) -> None:
        """What the RFC 2217 manager sends; the client may be gone already."""
        with contextlib.suppress(OSError):
            if self._connection is not None:
                self._connection.sendall(data)

    def close(self) -> None:
        for one in (self._server, self._connection):
            if one is not None:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)  # wakes the thread; close alone does not
        self._thread.join()
        self._server.close()


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(4096)
    except OSError:
        return b""
