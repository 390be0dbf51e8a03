# SPDX-License-Identifier: Apache-2.0
"""Fake boards behind pyserial's own RFC 2217 server: control lines and baud rates, on loopback."""

from __future__ import annotations

import contextlib
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from serial import rfc2217

from hil.testing.board import FakeBoard


@dataclass
class PortState:
    """What the client sets on the port, as the board sees it; ``levels``: those DTR has had."""

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

    @property
    def dtr(self) -> bool:
        return self.levels[-1] if self.levels else True

    @dtr.setter
    def dtr(self, level: bool) -> None:
        self.levels.append(level)

    def reset_input_buffer(self) -> None:
        """Nothing is buffered."""

    def reset_output_buffer(self) -> None:
        """Nothing is buffered."""


class Rfc2217Server(ABC):
    """Serves one client after another on a free port, in a thread; ``url`` is the port to open."""

    def __init__(self, port: PortState) -> None:
        self.port = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"rfc2217://127.0.0.1:{self._server.getsockname()[1]}"
        self._client: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @abstractmethod
    def heard(self, data: bytes) -> bytes:
        """The board's answer to ``data``, which the client has sent."""

    def say(self, data: bytes) -> None:
        """Send ``data`` as the board would."""
        self.write(b"".join(self._manager.escape(data)))

    def write(self, data: bytes) -> None:
        """What pyserial's manager calls to send; the client may be gone already."""
        with contextlib.suppress(OSError):
            if self._client is not None:
                self._client.sendall(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._server, self._client):
            if one is not None:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)  # wakes the thread; close alone does not
        self._thread.join()
        self._server.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                self._client, _ = self._server.accept()
                with self._client, contextlib.suppress(OSError):
                    self._talk(self._client)

    def _talk(self, client: socket.socket) -> None:
        self._manager = rfc2217.PortManager(self.port, self)
        while data := client.recv(65536):
            if plain := b"".join(self._manager.filter(data)):
                self.say(self.heard(plain))


class Rfc2217Board(Rfc2217Server):
    """A `FakeBoard` at the other end; ``awake`` decides by the port's state whether it listens."""

    def __init__(
        self, board: FakeBoard, awake: Callable[[PortState], bool] = lambda _: True
    ) -> None:
        self.board, self._awake = board, awake
        super().__init__(PortState())

    def heard(self, data: bytes) -> bytes:
        if not self._awake(self.port):
            return b""
        if self.port.baudrate == self.board.baud <= self.board.carries:
            return self.board.answer(data)
        self.board.answer(b"\x55\0")
        return b"\xaa\xaa"
