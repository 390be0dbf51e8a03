"""The rate of a line: climbed as far as frames pass, left when they do not (docs/protocol.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from hil.device_line import Line
from hil.errors import DeviceRefused, LinkError
from hil.records import Hello
from hil.wire.frames import Frame, check_of, encode_request
from hil.wire.messages import Rate, Reply, baud_request, hello_request

RATE_S: Final = 0.5
RATE_PROOFS: Final = 3


class Rates:
    """Goes up and down from the rate of boot; ``hello`` waits until the board is heard again."""

    def __init__(self, line: Line, boot_baud: int | None, hello: Callable[[], object]) -> None:
        self._line = line
        self._boot_baud = boot_baud or line.link.baud
        self._hello = hello

    def speed_up(self, rates: Iterable[int]) -> int:
        """See `hil.device.Device.speed_up`."""
        for rate in sorted(rates):
            if rate > self._line.link.baud and not self._try(rate):
                break
        return self._line.link.baud

    def slow_down(self) -> None:
        """See `hil.device.Device.slow_down`."""
        if self._line.link.baud != self._boot_baud:
            self._ask(0)  # a board that does not answer returns by itself
            self._line.link.set_baud(self._boot_baud)

    def leave(self) -> bool:
        """Back to the rate of boot, where frames do not pass at this one; False when it is that.

        The board does the same when frames break; HELLO is repeated until it has."""
        if self._line.link.baud == self._boot_baud:
            return False
        self._line.link.set_baud(self._boot_baud)
        self._hello()
        return True

    def _try(self, rate: int) -> bool:
        before = self._line.link.baud
        try:
            if self._ask(rate):
                self._line.link.set_baud(rate)
            if self._line.link.baud == rate and all(self._proves() for _ in range(RATE_PROOFS)):
                return True
        except DeviceRefused:
            return False
        except LinkError:
            pass  # this end cannot do it: the board returns by itself
        self._line.link.set_baud(self._boot_baud)
        self._hello()
        if before != self._boot_baud:  # it carried frames: go there again, no higher
            self._try(before)
        return False

    def _ask(self, rate: int) -> bool:
        reply = self._once(baud_request(self._line.number(), rate), Rate)
        return reply == Rate(rate)

    def _proves(self) -> bool:
        return self._once(hello_request(self._line.number()), Hello) is not None

    def _once(self, frame: Frame, kind: type[object]) -> Reply | None:
        self._line.send(encode_request(frame))
        deadline = self._line.timing.deadline(RATE_S)
        reply = self._line.reply(deadline, {frame.seq: check_of(frame)}, kind)
        return reply[1] if reply is not None and isinstance(reply[1], kind) else None
