# SPDX-License-Identifier: Apache-2.0
"""Ports with a simulated ROM loader behind them: a pty, and RFC 2217, which has DTR and RTS."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import termios
import threading
import tty
from collections.abc import Callable, Iterator

from tests.support.flashing.rom import Rom
from tests.support.rfc2217 import PortState, Rfc2217Server

RATES = {getattr(termios, name): int(name[1:]) for name in dir(termios) if name[1:].isdigit()}


@contextlib.contextmanager
def on_pty(rom: Rom) -> Iterator[str]:
    """The name of a pty with ``rom`` behind it.

    A pty has no control lines. Instead closing the port restarts the chip, as with an auto-reset
    circuit: into the firmware once something was flashed, else into what ran before.
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


class AutoReset(PortState):
    """DTR and RTS on the usual two transistors: RTS alone holds EN low, DTR alone IO0.

    EN rises so slowly that IO0 is sampled after the second of the lines has changed. ``restarted``
    is called for each restart, with whether IO0 is low, so that the ROM loader starts.
    """

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


class Rfc2217Rom(Rfc2217Server):
    """``rom`` behind an RFC 2217 server, with an auto-reset circuit."""

    def __init__(self, rom: Rom) -> None:
        self.rom, self._reset = rom, AutoReset(self._restart)
        super().__init__(self._reset)

    def heard(self, data: bytes) -> bytes:
        if self._reset.held or self.port.baudrate != self.rom.baud:
            return b""
        return self.rom.feed(data)

    def _restart(self, io0_low: bool) -> None:
        self.say(self.rom.boot(download=io0_low))
