"""Many requests in flight, and what becomes of them on a line that loses some.

A board answers in the order in which it was asked, one frame for each that it received. So an
answer means that all that was sent before it, and is unanswered, was lost; and word of damage, the
board's or the host's own, means the oldest in flight. That one is sent again at once and no other.
Where damage turned one frame into two, the second word of it blames a request that is not lost: its
answer still counts, and only the sending was for nothing. Silence means that all was lost.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from hil.device_line import Line
from hil.device_pace import Pace
from hil.wire.frames import Frame, check_of, encode
from hil.wire.messages import Result

BABBLE: Final = 6  # damaged frames beyond two for each in flight, and none good between: no replies
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
    done: bool = False


@dataclass(slots=True)
class _Sending:
    request: Request
    seq: int
    sent: float
    length: int  # of its frame on the line
    noise: int  # of the line, then
    lost: bool = False  # for all that is known; its answer may come all the same


class Stream:
    """One `hil.device.Device.infer`. ``slower`` returns to the rate of boot."""

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
        self._babble = self._silences = 0
        self._over = False  # nothing fresh is left
        self._good = line.frames_in

    def answers(self, first: int) -> Iterator[Answer]:
        """All answers in order, from request number ``first`` on; raises as `Pace.judge`."""
        done: dict[int, Answer] = {}
        self._pace.begin()
        while True:
            self._fill()
            if self._over and not self._again and not self._unanswered():
                return
            deadline = self._line.timing.deadline(self._pace.timeout(self._key))
            reply = self._line.reply(deadline, self._checks, Result)
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

    def _fill(self) -> None:
        while self._count < self._window and (request := self._next()) is not None:
            seq = self._line.number()
            frame = self._build(seq, request)
            data = encode(frame)
            if self._count and self._room is not None and self._bytes + len(data) > self._room:
                heapq.heappush(self._again, (request.index, request))
                return
            sending = _Sending(request, seq, self._line.now(), len(data), self._line.noise)
            self._line.send(data, again=request.attempts > 0)
            request.attempts += 1
            self._flying.append(sending)
            self._checks[seq] = check_of(frame)
            self._count += 1
            self._bytes += len(data)

    def _next(self) -> Request | None:
        while self._again:
            _, request = heapq.heappop(self._again)
            if not request.done:
                return request
        fresh = next(self._fresh, None)
        self._over = fresh is None
        return fresh

    def _unanswered(self) -> bool:
        return any(not sending.request.done for sending in self._flying)

    def _landed(self, seq: int, result: Result) -> Answer | None:
        """Everything sent before the request that is answered was lost."""
        passed = []
        while (sending := self._off()).seq != seq:
            if not sending.lost and not sending.request.done:
                passed.append(sending.request)
        if passed or sending.request.done:
            self._line.noise += 1
        for request in passed:
            self._resend(request)
        request = sending.request
        self._babble = self._silences = 0
        if request.done:
            return None
        request.done = True
        taken = self._line.now() - sending.sent
        disturbed = request.attempts > 1 or sending.noise != self._line.noise
        self._pace.answered(self._key, None if disturbed else taken)
        return Answer(request.index, result, request.attempts, round(taken * 1e6), disturbed)

    def _off(self) -> _Sending:
        sending = self._flying.popleft()
        del self._checks[sending.seq]
        if not sending.lost:
            self._count -= 1
            self._bytes -= sending.length
        return sending

    def _damaged(self) -> None:
        """The oldest in flight was damaged, or its answer was."""
        sending = next((one for one in self._flying if not one.lost), None)
        if sending is not None:
            sending.lost = True
            self._count -= 1
            self._bytes -= sending.length
            if not sending.request.done:
                self._resend(sending.request)
        good = self._line.frames_in
        self._babble = self._babble + 1 if good == self._good else 0
        self._good = good
        if self._babble > 2 * self._window + BABBLE:
            self._all_lost()
            self._line.quieten(self._line.timing.deadline(self._line.timing.reply))
            self._slow_down()

    def _silent(self) -> None:
        self._line.timed_out()
        self._pace.timed_out()
        self._silences += 1
        self._all_lost()
        if self._silences >= DEAF:
            self._slow_down()

    def _slow_down(self) -> None:
        self._babble = 0
        if self._slower():
            self._silences = 0

    def _all_lost(self) -> None:
        while self._flying:
            sending = self._off()
            if not sending.lost and not sending.request.done:
                self._resend(sending.request)

    def _resend(self, request: Request) -> None:
        heapq.heappush(self._again, (request.index, request))
        self._pace.lost()
        self._pace.judge(f"INFER of sample {request.index}", request.attempts)
