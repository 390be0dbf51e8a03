"""A pty behind which things go wrong, for a program that opens a port of its own."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import tty
from collections.abc import Iterator
from typing import Final

from hil.errors import LinkError
from hil.link.chaos import ChaosLink
from hil.link.deadline import Deadline

_SLICE_S: Final = 0.002  # how long either direction may wait for the other
_AT_ONCE: Final = 4096


@contextlib.contextmanager
def disturbed(link: ChaosLink) -> Iterator[str]:
    """The name of a pty whose other end is ``link``, for as long as the block lasts.

    A pty cannot be pulled: while the cable of ``link`` is out, bytes are lost in silence."""
    master, slave = os.openpty()
    tty.setraw(slave)
    stop = threading.Event()
    pump = threading.Thread(target=_carry, args=(master, link, stop), daemon=True)
    pump.start()
    try:
        yield os.ttyname(slave)
    finally:
        stop.set()
        pump.join()
        os.close(slave)
        os.close(master)


def _carry(master: int, link: ChaosLink, stop: threading.Event) -> None:
    while not stop.is_set():
        if select.select([master], [], [], 0)[0]:
            sent = os.read(master, _AT_ONCE)
            with contextlib.suppress(LinkError):
                link.write(sent)
        try:
            came = link.read(Deadline.after(_SLICE_S))
        except LinkError:
            stop.wait(_SLICE_S)
            continue
        if came:
            os.write(master, came)
