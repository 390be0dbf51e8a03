"""Request and reply over a link: sequence numbers, retries, deadlines, requests in flight."""

from __future__ import annotations

import itertools
import secrets
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from hil.errors import DeviceRefused, LinkError, NoAnswer, WrongFirmware
from hil.link import Deadline, Link
from hil.records import ClockSteps, Encoding, Hello, Status
from hil.refusals import other_version, refused
from hil.wire.frames import PROTOCOL_VERSION, BadFrame, Decoder, Frame, encode_request
from hil.wire.messages import (
    ErrorCode,
    Malformed,
    Rate,
    Refusal,
    Reply,
    Result,
    baud_request,
    clock_request,
    hello_request,
    infer_request,
    parse_reply,
    status_request,
)
from hil.wire.packbits import pack

ATTEMPTS: Final = 5
RATE_S: Final = 0.5
RATE_PROOFS: Final = 3
QUIET_S: Final = 0.05
T = TypeVar("T")

# Damage on the line: the request itself was fine and is worth sending again.
_LINE_DAMAGE: Final = {ErrorCode.FRAME, ErrorCode.OVERSIZE}


@dataclass(frozen=True, slots=True)
class Timing:
    """How long to wait, in seconds; ``clock`` is monotonic."""

    boot: float = 10.0
    reply: float = 20.0
    hello_every: float = 0.5
    clock: Callable[[], float] | None = None

    def deadline(self, seconds: float) -> Deadline:
        return Deadline.after(seconds, self.clock) if self.clock else Deadline.after(seconds)


@dataclass(frozen=True, slots=True)
class Answer:
    """One RESULT, the number of its request, and how often that had to be sent.

    ``round_trip``: microseconds from before the last sending until the answer was read, so
    waiting behind others in flight included.
    """

    index: int
    result: Result
    attempts: int
    round_trip: int


@dataclass(frozen=True, slots=True)
class _Request:
    index: int
    values: bytes
    packed: bool
    attempts: int = 1
    sent: float = 0.0
    length: int = 0  # of its frame on the line


class Device:
    """One board behind one link."""

    def __init__(
        self, link: Link, timing: Timing | None = None, boot_baud: int | None = None
    ) -> None:
        self.link = link
        self._boot_baud = boot_baud or link.baud
        self.timing = timing or Timing()
        self.bytes_out = 0
        self.bytes_in = 0
        self.retries = 0
        self._now = self.timing.clock or time.perf_counter
        self._decoder = Decoder()
        self._arrived: deque[Frame | BadFrame] = deque()
        # Anywhere in the circle: a late answer to an earlier program must not look like ours.
        start = secrets.randbelow(0xFFFF)  # 0 is for damaged frames
        self._numbers = (1 + n % 0xFFFF for n in itertools.count(start))

    def hello(self) -> Hello:
        """What the board says of itself; asked again and again until it has booted."""
        deadline = self.timing.deadline(self.timing.boot)
        while not deadline.expired:
            self.link.write(b"\0")  # ends whatever half a frame the board may hold
            seq = self._send(hello_request)
            attempt = deadline.sooner(self.timing.hello_every)
            while (reply := self._reply(attempt, {seq})) is not None:
                if isinstance(reply[1], Hello):
                    self._quieten(deadline)
                    return reply[1]
        if self.bytes_in:
            raise WrongFirmware(
                f"port {self.link.name} talks, but not this protocol",
                "flash the firmware of this project: `pio run -e <board> -t upload`",
            )
        raise NoAnswer(
            f"nothing answered on port {self.link.name} within {self.timing.boot:g} s",
            "is it the right port, and does the firmware run? `hil boards` lists the ports",
        )

    def speed_up(self, rates: Iterable[int]) -> int:
        """Climb to the fastest of ``rates`` (baud) that carries frames; the rate in the end.

        Firmware that knows no BAUD, and a rate that fails, end the climb; neither is an error.
        """
        for rate in sorted(rates):
            if rate > self.link.baud and not self._try_rate(rate):
                break
        return self.link.baud

    def slow_down(self) -> None:
        """Back to the rate of boot, so that whoever opens the port next is understood."""
        if self.link.baud != self._boot_baud:
            self._ask_rate(0)  # a board that does not answer returns by itself
            self.link.set_baud(self._boot_baud)

    def _try_rate(self, rate: int) -> bool:
        before = self.link.baud
        try:
            if self._ask_rate(rate):
                self.link.set_baud(rate)
            if self.link.baud == rate and all(self._proves_rate() for _ in range(RATE_PROOFS)):
                return True
        except DeviceRefused:
            return False
        except LinkError:
            pass  # this end cannot do it: the board returns by itself
        self._return_to_boot_rate()
        if before != self._boot_baud:  # it carried frames: go there again, no higher
            self._try_rate(before)
        return False

    def _ask_rate(self, rate: int) -> bool:
        seq = self._send(lambda seq: baud_request(seq, rate))
        reply = self._reply(self.timing.deadline(RATE_S), {seq})
        return reply is not None and reply[1] == Rate(rate)

    def _proves_rate(self) -> bool:
        seq = self._send(hello_request)
        reply = self._reply(self.timing.deadline(RATE_S), {seq})
        return reply is not None and isinstance(reply[1], Hello)

    def _return_to_boot_rate(self) -> None:
        """The board does the same when frames break; HELLO is repeated until it has."""
        self.link.set_baud(self._boot_baud)
        self.hello()

    def status(self, *, reset: bool = False) -> Status:
        """Memory marks and counters; ``reset`` starts both anew afterwards."""
        for _ in range(ATTEMPTS):
            seq = self._send(lambda seq: status_request(seq, reset=reset))
            reply = self._reply(self.timing.deadline(self.timing.reply), {seq})
            if reply is not None and isinstance(reply[1], Status):
                return reply[1]
            self.retries += 1
        raise self._silent("STATUS")

    def clock_steps(self) -> ClockSteps | None:
        """How finely the board's clocks tick; None from firmware that knows no CLOCK."""
        for _ in range(ATTEMPTS):
            seq = self._send(clock_request)
            try:
                reply = self._reply(self.timing.deadline(self.timing.reply), {seq})
            except DeviceRefused as refusal:
                if refusal.code == ErrorCode.TYPE:
                    return None
                raise
            if reply is not None and isinstance(reply[1], ClockSteps):
                return reply[1]
            self.retries += 1
        raise self._silent("CLOCK")

    def idle_round_trip(self, rounds: int = 5) -> int:
        """Shortest of ``rounds`` round trips of STATUS, in microseconds: the link's own share."""
        shortest = 0
        for done in range(rounds):
            started = self._now()
            self.status()
            taken = self._since(started)
            shortest = min(shortest, taken) if done else taken
        return shortest

    def _since(self, started: float) -> int:
        """Microseconds."""
        return round((self._now() - started) * 1e6)

    def infer(
        self,
        model: int,
        encoding: Encoding,
        inputs: Iterable[bytes],
        *,
        window: int = 1,
        room: int | None = None,
        pack: bool = False,
        first: int = 0,
    ) -> Iterator[Answer]:
        """Stream ``inputs`` to model number ``model``, at most ``window`` in flight.

        ``room``: bytes that all in flight may take on the line together; one alone always goes.
        ``pack``: each input travels in PackBits where that is shorter, for a board that unpacks.
        Answers come in order; numbering starts at ``first``. Raises DeviceRefused when
        the board says no, NoAnswer when a request stays without a valid answer.
        """
        fresh = (_request(i, values, pack) for i, values in enumerate(inputs, first))
        again: deque[_Request] = deque()
        flying: dict[int, _Request] = {}
        done: dict[int, Answer] = {}
        while True:
            while len(flying) < window:
                request = again.popleft() if again else next(fresh, None)
                if request is None:
                    break
                seq = next(self._numbers)
                packed, values = request.packed, request.values
                data = encode_request(infer_request(seq, model, encoding, values, packed=packed))
                if flying and room is not None:
                    on_line = sum(other.length for other in flying.values())
                    if on_line + len(data) > room:
                        again.appendleft(request)
                        break
                flying[seq] = replace(request, sent=self._now(), length=len(data))
                self._write(data)
            if not flying:
                return
            reply = self._reply(self.timing.deadline(self.timing.reply), flying.keys())
            if reply is None or not isinstance(reply[1], Result):
                again.extendleft(reversed(self._lost(flying)))
                continue
            request = flying.pop(reply[0])
            taken = self._since(request.sent)
            done[request.index] = Answer(request.index, reply[1], request.attempts, taken)
            while first in done:
                yield done.pop(first)
                first += 1

    def insist(self, ask: Callable[[int], Frame], kind: type[T], what: str) -> T:
        """The reply of ``kind`` to a request that may be sent again; raises as `infer` does."""
        for _ in range(ATTEMPTS):
            seq = self._send(ask)
            reply = self._reply(self.timing.deadline(self.timing.reply), {seq})
            if reply is not None and isinstance(reply[1], kind):
                return reply[1]
            self._quieten(self.timing.deadline(self.timing.reply))
            self.retries += 1
        raise self._silent(what)

    def _lost(self, flying: dict[int, _Request]) -> list[_Request]:
        """After damage or silence: everything in flight, to be sent once more."""
        self._quieten(self.timing.deadline(self.timing.reply))
        lost = sorted(flying.values(), key=lambda request: request.index)
        flying.clear()
        self.retries += len(lost)
        if lost[0].attempts >= ATTEMPTS - 2 and self.link.baud != self._boot_baud:
            self._return_to_boot_rate()
        if lost[0].attempts >= ATTEMPTS:
            raise self._silent(f"INFER of sample {lost[0].index}")
        return [replace(request, attempts=request.attempts + 1) for request in lost]

    def _quieten(self, deadline: Deadline) -> None:
        """Throw away what still comes (answers to repeated HELLOs, boot chatter) until silence."""
        while not deadline.expired and self._receive(deadline.sooner(QUIET_S)) is not None:
            pass
        self._decoder.reset()
        self._arrived.clear()

    def _send(self, build: Callable[[int], Frame]) -> int:
        seq = next(self._numbers)
        self._write(encode_request(build(seq)))
        return seq

    def _write(self, data: bytes) -> None:
        self.link.write(data)
        self.bytes_out += len(data)

    def _receive(self, deadline: Deadline) -> Frame | BadFrame | None:
        while not self._arrived:
            data = self.link.read(deadline)
            if not data:
                return None
            self.bytes_in += len(data)
            self._arrived.extend(self._decoder.feed(data))
        return self._arrived.popleft()

    def _reply(self, deadline: Deadline, expected: Collection[int]) -> tuple[int, Reply] | None:
        """The next reply to one of ``expected``, or word of damage; None at the deadline."""
        while (frame := self._receive(deadline)) is not None:
            if isinstance(frame, BadFrame):
                return 0, Malformed(frame.reason)
            if frame.version != PROTOCOL_VERSION:
                raise other_version(self.link.name, frame.version)
            reply = parse_reply(frame)
            if isinstance(reply, Refusal) and reply.code in _LINE_DAMAGE:
                return 0, Malformed("the board received damage")
            if frame.seq not in expected:
                continue  # a late answer to something already asked again
            if isinstance(reply, Refusal):
                raise refused(reply)
            return frame.seq, reply
        return None

    def _silent(self, what: str) -> NoAnswer:
        return NoAnswer(
            f"{what}: no valid answer on port {self.link.name} in {ATTEMPTS} attempts",
            "check the cable and the baud rate, or reset the board",
        )


def _request(index: int, values: bytes, pack_it: bool) -> _Request:
    if pack_it and len(packed := pack(values)) < len(values):
        return _Request(index, packed, True)
    return _Request(index, values, False)
