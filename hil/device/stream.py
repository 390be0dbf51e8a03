# SPDX-License-Identifier: Apache-2.0
"""Many requests in flight, and what happens to them on a line that loses some.

A board answers in the order of the requests, with one frame for each that it received. So an answer
means that every unanswered request sent before it was lost, and a report of damage, by the board or
by the host, is about the oldest one in flight. Only that one is sent again, at once. If damage
splits one frame into two, the second report blames a request that was not lost: its answer still
counts, and only the repetition was useless. Silence means that everything was lost; an answer that
is merely late still counts. An answer shows exactly what is in flight: all that was sent after its
request. After much damage without an answer that is unknown, and nothing is sent until silence.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from hil.device.line import END_OF_ALL, Line, refused
from hil.device.pace import Pace
from hil.link import Deadline
from hil.wire.frames import Frame, check_of, encode_request
from hil.wire.messages import ErrorCode, Refusal, Reply, Result

BABBLE: Final = 6  # damaged frames beyond two per request in flight, in a row: not replies
UNSURE: Final = 32  # beyond four per request since the last answer: what is in flight is unknown
LATE: Final = 64  # lost transmissions for which an answer is still accepted
DEAF: Final = 2  # silences in a row after which a rate is given up


@dataclass(frozen=True, slots=True)
class Answer:
    """One RESULT, the number of its request, and how often that was sent.

    ``round_trip``: microseconds from just before the last transmission until the answer was read,
    including the wait behind other requests in flight. ``disturbed``: something was damaged,
    repeated or late while it was in flight, or it was sent more than once, so that its round trip
    is not a latency.
    """

    index: int
    result: Result
    attempts: int
    round_trip: int
    disturbed: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """One inference that failed on the board, by its ERROR ENGINE. The rest is as in `Answer`."""

    index: int
    refusal: Refusal
    attempts: int
    round_trip: int
    disturbed: bool = False


@dataclass(slots=True)
class Request:
    """One input as it is sent, ``packed`` or not."""

    index: int
    values: bytes
    packed: bool
    attempts: int = 0
    live: int = 0  # transmissions that may be answered
    queued: bool = False  # to be sent again
    done: bool = False


@dataclass(slots=True)
class _Transmission:
    request: Request
    seq: int
    at: float  # when it was sent
    length: int  # bytes on the line
    noise: int  # `Line.noise` at that time
    lost: bool = True  # as far as is known; its answer may still come


class Stream:
    """One call of `Device.infer`. ``slower`` returns to the boot rate; False if it is in use."""

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
        self._retries: list[tuple[int, Request]] = []  # a heap, the earliest first
        self._in_flight: deque[_Transmission] = deque()
        self._checks: dict[int, int] = {}  # sequence number -> `check_of` its request
        self._count = self._bytes = 0  # in flight and not lost
        self._babble = 0  # damaged frames in a row
        self._damaged_since = 0  # damaged frames since the last answer
        self._silences = 0  # in a row
        self._holding = False  # send nothing until silence
        self._over = False  # all fresh requests were sent
        self._good = line.frames_in  # at the last report of damage

    def answers(self, first: int) -> Iterator[Answer | Failure]:
        """All answers in order, from request number ``first`` on; raises as `Pace.judge`."""
        done: dict[int, Answer | Failure] = {}
        self._pace.begin()
        while True:
            if not self._holding:
                self._fill()
            if self._over and not self._retries and not self._unanswered():
                return
            reply = self._wait()
            if reply is None:
                self._on_silence()
            elif isinstance(reply[1], Result | Refusal):
                if (answer := self._on_answer(reply[0], reply[1])) is not None:
                    done[answer.index] = answer
                while first in done:
                    yield done.pop(first)
                    first += 1
            else:
                self._on_damage()

    def _wait(self) -> tuple[int, Reply] | None:
        line, pace = self._line, self._pace
        if self._holding:
            return self._reply(line.timing.deadline(pace.quiet(self._key)))
        deadline = line.timing.deadline(pace.timeout(self._key))
        soon = deadline.sooner(pace.patience(self._key))
        reply = self._reply(soon)
        if reply is None and soon.at < deadline.at:
            line.write(END_OF_ALL)  # if a delimiter was lost, the board reports it at once
            reply = self._reply(deadline)
        return reply

    def _reply(self, deadline: Deadline) -> tuple[int, Reply] | None:
        return self._line.reply(deadline, self._checks, Result, failures=True)

    def _fill(self) -> None:
        while self._count < self._window and (request := self._next()) is not None:
            seq = self._line.number()
            frame = self._build(seq, request)
            data = encode_request(frame)
            if self._count and self._room is not None and self._bytes + len(data) > self._room:
                self._queue(request)
                return
            sent = _Transmission(request, seq, self._line.now(), len(data), self._line.noise)
            self._line.send(data, again=request.attempts > 0)
            request.attempts += 1
            self._in_flight.append(sent)
            self._checks[seq] = check_of(frame)
            self._mark_live(sent)

    def _next(self) -> Request | None:
        while self._retries:
            _, request = heapq.heappop(self._retries)
            request.queued = False
            if not request.done and not request.live:
                return request
        fresh = next(self._fresh, None)
        self._over = fresh is None
        return fresh

    def _unanswered(self) -> bool:
        return any(not sent.request.done for sent in self._in_flight)

    def _on_answer(self, seq: int, reply: Result | Refusal) -> Answer | Failure | None:
        """Handle an answer: everything sent before its request was lost, and nothing since."""
        lost = self._pace.losses
        while (sent := self._in_flight[0]).seq != seq:
            if not sent.lost:
                self._lose(sent)
            self._forget_oldest()
        request = sent.request
        if request.done or self._pace.losses > lost:
            self._line.noise += 1
        if not sent.lost:
            self._mark_lost(sent)
        self._forget_oldest()
        for other in self._in_flight:
            if other.lost:
                self._mark_live(other)
        self._babble = self._damaged_since = self._silences = 0
        self._holding = False
        if request.done:
            return None
        if isinstance(reply, Refusal) and reply.code == ErrorCode.STEP:
            raise refused(reply)  # of a request that is done, it would only be an old frame's
        request.done = True
        taken = self._line.now() - sent.at
        disturbed = request.attempts > 1 or sent.noise != self._line.noise
        micros = round(taken * 1e6)
        if isinstance(reply, Refusal):
            self._pace.answered(self._key, taken, disturbed=True)  # how long one takes is unknown
            return Failure(request.index, reply, request.attempts, micros, disturbed)
        self._pace.answered(self._key, taken, disturbed=disturbed)
        return Answer(request.index, reply, request.attempts, micros, disturbed)

    def _on_damage(self) -> None:
        """Handle a report of damage: to the oldest request in flight, or to its answer."""
        sent = next((one for one in self._in_flight if not one.lost), None)
        if sent is not None:
            self._lose(sent)
        good = self._line.frames_in
        self._babble = self._babble + 1 if good == self._good else 0
        self._good = good
        self._damaged_since += 1
        if self._babbles or self._damaged_since > 4 * self._window + UNSURE:
            self._holding = True
        if self._in_flight:
            self._judge(self._in_flight[0].request)

    @property
    def _babbles(self) -> bool:
        return self._babble > 2 * self._window + BABBLE

    def _on_silence(self) -> None:
        if self._holding:
            self._line.write(END_OF_ALL)
        else:
            self._line.timed_out()
            self._pace.timed_out()
            self._silences += 1
        for sent in self._in_flight:
            if not sent.lost:
                self._lose(sent)
        while len(self._in_flight) > LATE:
            self._forget_oldest()
        if (self._babbles or self._silences >= DEAF) and self._slower():
            self._silences = 0
        self._babble = self._damaged_since = 0
        self._holding = False

    def _forget_oldest(self) -> None:
        del self._checks[self._in_flight.popleft().seq]

    def _mark_live(self, sent: _Transmission) -> None:
        sent.lost = False
        sent.request.live += 1
        self._count += 1
        self._bytes += sent.length

    def _mark_lost(self, sent: _Transmission) -> None:
        sent.lost = True
        sent.request.live -= 1
        self._count -= 1
        self._bytes -= sent.length

    def _lose(self, sent: _Transmission) -> None:
        self._mark_lost(sent)
        request = sent.request
        if not request.done and not request.live:
            self._pace.lost()
            self._queue(request)
            self._judge(request)

    def _queue(self, request: Request) -> None:
        if not request.queued:
            request.queued = True
            heapq.heappush(self._retries, (request.index, request))

    def _judge(self, request: Request) -> None:
        self._pace.judge(f"INFER of sample {request.index}", request.attempts)
