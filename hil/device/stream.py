# SPDX-License-Identifier: Apache-2.0
"""Many requests in flight, and what becomes of them on a line that loses some.

A board answers in the order in which it was asked, one frame for each that it received. So an
answer means that all that was sent before it, and is unanswered, was lost; and word of damage, the
board's or the host's own, means the oldest in flight. That one is sent again at once and no other.
Where damage turned one frame into two, the second word of it blames a request that is not lost: its
answer still counts, and only the sending was for nothing. Silence means that all was lost, and an
answer that was only late counts all the same. After an answer it is known exactly what is in
flight: all that was sent since. After much damage without one it is not, and nothing is sent until
silence.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from hil.device.line import END_OF_ALL, Line
from hil.device.pace import Pace
from hil.wire.frames import Frame, check_of, encode_request
from hil.wire.messages import Reply, Result

BABBLE: Final = 6  # damaged frames beyond two for each in flight, and none good between: no replies
UNSURE: Final = (
    32  # the same beyond four for each, since the last answer: who knows what is in flight
)
LATE: Final = 64  # sendings given up that an answer is still taken for
DEAF: Final = 2  # silences in a row at which a rate is given up


@dataclass(frozen=True, slots=True)
class Answer:
    """One RESULT, the number of its request, and how often that had to be sent.

    ``round_trip``: microseconds from before the last sending until the answer was read, so
    waiting behind others in flight included. ``disturbed``: something was damaged, repeated or late
    while it was in flight, or it was sent more than once: its round trip is no latency.
    """

    index: int
    result: Result
    attempts: int
    round_trip: int
    disturbed: bool = False


@dataclass(slots=True)
class Request:
    """One input, as it travels: ``packed`` or not."""

    index: int
    values: bytes
    packed: bool
    attempts: int = 0
    live: int = 0  # sendings that may be answered
    queued: bool = False  # to be sent again
    done: bool = False


@dataclass(slots=True)
class _Sending:
    request: Request
    seq: int
    sent: float
    length: int  # of its frame on the line
    noise: int  # of the line, then
    lost: bool = True  # for all that is known; its answer may come all the same


class Stream:
    """One `hil.device.device.Device.infer`. ``slower`` returns to the rate of boot."""

    def __init__(
        self,
        line: Line,
        pace: Pace,
        key: object,
        build: Callable[[int, Request], Frame],
        fresh: Iterator[Request],
        *,
        window: int,
        room: int | None,
        slower: Callable[[], bool],
    ) -> None:
        self._line = line
        self._pace = pace
        self._key = key
        self._build = build
        self._fresh = fresh
        self._window = window
        self._room = room
        self._slower = slower
        self._again: list[tuple[int, Request]] = []
        self._flying: deque[_Sending] = deque()
        self._checks: dict[int, int] = {}
        self._count = self._bytes = 0  # of those in flight that are not lost
        self._babble = self._damages = self._silences = 0
        self._holding = False
        self._over = False  # nothing fresh is left
        self._good = line.frames_in

    def answers(self, first: int) -> Iterator[Answer]:
        """All answers in order, from request number ``first`` on; raises as `Pace.judge`."""
        done: dict[int, Answer] = {}
        self._pace.begin()
        while True:
            if not self._holding:
                self._fill()
            if self._over and not self._again and not self._unanswered():
                return
            reply = self._wait()
            if reply is None:
                self._silent()
            elif isinstance(reply[1], Result):
                if (answer := self._landed(reply[0], reply[1])) is not None:
                    done[answer.index] = answer
                while first in done:
                    yield done.pop(first)
                    first += 1
            else:
                self._damaged()

    def _wait(self) -> tuple[int, Reply] | None:
        line, pace = self._line, self._pace
        if self._holding:
            return line.reply(line.timing.deadline(pace.quiet(self._key)), self._checks, Result)
        deadline = line.timing.deadline(pace.timeout(self._key))
        soon = deadline.sooner(pace.patience(self._key))
        reply = line.reply(soon, self._checks, Result)
        if reply is None and soon.at < deadline.at:
            line.write(END_OF_ALL)  # where a delimiter was lost, the board says so at once
            reply = line.reply(deadline, self._checks, Result)
        return reply

    def _fill(self) -> None:
        while self._count < self._window and (request := self._next()) is not None:
            seq = self._line.number()
            frame = self._build(seq, request)
            data = encode_request(frame)
            if self._count and self._room is not None and self._bytes + len(data) > self._room:
                self._queue(request)
                return
            sending = _Sending(request, seq, self._line.now(), len(data), self._line.noise)
            self._line.send(data, again=request.attempts > 0)
            request.attempts += 1
            self._flying.append(sending)
            self._checks[seq] = check_of(frame)
            self._revive(sending)

    def _next(self) -> Request | None:
        while self._again:
            _, request = heapq.heappop(self._again)
            request.queued = False
            if not request.done and not request.live:
                return request
        fresh = next(self._fresh, None)
        self._over = fresh is None
        return fresh

    def _unanswered(self) -> bool:
        return any(not sending.request.done for sending in self._flying)

    def _landed(self, seq: int, result: Result) -> Answer | None:
        """Everything sent before the request that is answered was lost, nothing since."""
        lost = self._pace.losses
        while (sending := self._flying[0]).seq != seq:
            if not sending.lost:
                self._lost(sending)
            self._off()
        request = sending.request
        if request.done or self._pace.losses > lost:
            self._line.noise += 1
        if not sending.lost:
            self._kill(sending)
        self._off()
        for other in self._flying:
            if other.lost:
                self._revive(other)
        self._babble = self._damages = self._silences = 0
        self._holding = False
        if request.done:
            return None
        request.done = True
        taken = self._line.now() - sending.sent
        disturbed = request.attempts > 1 or sending.noise != self._line.noise
        self._pace.answered(self._key, taken, disturbed=disturbed)
        return Answer(request.index, result, request.attempts, round(taken * 1e6), disturbed)

    def _damaged(self) -> None:
        """The oldest in flight was damaged, or its answer was."""
        sending = next((one for one in self._flying if not one.lost), None)
        if sending is not None:
            self._lost(sending)
        good = self._line.frames_in
        self._babble = self._babble + 1 if good == self._good else 0
        self._good = good
        self._damages += 1
        if self._babbles or self._damages > 4 * self._window + UNSURE:
            self._holding = True
        if self._flying:
            self._judge(self._flying[0].request)

    @property
    def _babbles(self) -> bool:
        return self._babble > 2 * self._window + BABBLE

    def _silent(self) -> None:
        if self._holding:
            self._line.write(END_OF_ALL)
        else:
            self._line.timed_out()
            self._pace.timed_out()
            self._silences += 1
        for sending in self._flying:
            if not sending.lost:
                self._lost(sending)
        while len(self._flying) > LATE:  # so many may still be answered
            self._off()
        if (self._babbles or self._silences >= DEAF) and self._slower():
            self._silences = 0
        self._babble = self._damages = 0
        self._holding = False

    def _off(self) -> None:
        del self._checks[self._flying.popleft().seq]

    def _revive(self, sending: _Sending) -> None:
        sending.lost = False
        sending.request.live += 1
        self._count += 1
        self._bytes += sending.length

    def _kill(self, sending: _Sending) -> None:
        sending.lost = True
        sending.request.live -= 1
        self._count -= 1
        self._bytes -= sending.length

    def _lost(self, sending: _Sending) -> None:
        self._kill(sending)
        request = sending.request
        if not request.done and not request.live:
            self._pace.lost()
            self._queue(request)
            self._judge(request)

    def _queue(self, request: Request) -> None:
        if not request.queued:
            request.queued = True
            heapq.heappush(self._again, (request.index, request))

    def _judge(self, request: Request) -> None:
        self._pace.judge(f"INFER of sample {request.index}", request.attempts)
