# SPDX-License-Identifier: Apache-2.0
"""Probes: short exchanges after a failure that show what a line does to which bytes and lengths.

A probe is a STATUS request with a payload that is too long. Firmware of every version answers it
with ERROR LENGTH, whatever its bytes are, and computes nothing, so a probe may contain any bytes
and have any length. All probes of one failure take a few seconds at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from hil.device.line import END_OF_ALL, REPLY, Line
from hil.device.verdict import CLASSES, REPEATS, SPECIAL, Evidence, Outcome
from hil.link import Deadline, Shared
from hil.wire.frames import Frame, decode, encode, encode_request
from hil.wire.messages import ErrorCode, Kind, pack_refusal

PROBES_S: Final = 6.0  # for all probes of one failure, at most
SHARE: Final = 0.3  # of the time that was waited for an answer, at most
WAITS_S: Final = 0.1, 1.0  # for an answer, beyond the time on the line: at least, at most
PLAIN: Final = 3
EACH: Final = 2  # probes of a class of bytes
SHORT: Final = 24  # bytes of payload
LONGEST: Final = 8192
_FILL: Final = 0x42
_STRIDE: Final = 0x40  # bytes of payload between two zeros, which keep COBS's own bytes ordinary
_NEAR: Final = 4  # bytes to which a limit is found
_BITS: Final = 10  # of a byte on the line


@dataclass
class _Heard:
    """What arrived during the probes."""

    blocks: list[bytes] = field(default_factory=list)  # not valid frames
    echoes: int = 0
    replies: int = 0


class Prober:
    """Probes one line. ``usual``: seconds of a short round trip, if known; ``waited``: seconds
    that were waited for the answer that did not come."""

    def __init__(self, line: Line, usual: float | None, waited: float) -> None:
        self._line = line
        least, most = WAITS_S
        self._wait = max(least, min(most, 2 * (usual or least)))
        self._deadline = line.timing.deadline(min(PROBES_S, SHARE * waited))
        self._heard = _Heard()
        self._outcomes: list[Outcome] = []
        self._pending = b""
        self._expected = [_COMPLAINT]

    def evidence(self) -> Evidence:
        """Probe the line, as long as that tells more."""
        line = self._line
        before = [block for block in line.blocks() if not isinstance(decode(block), Frame)]
        if (
            line.bytes_in and not self._deadline.expired
        ):  # else nothing is there, or nothing comes back
            came = line.bytes_in
            self._try("", SHORT)
            for _ in range(PLAIN - 1 if line.bytes_in > came else 0):
                self._try("", SHORT)
        if any(one.passed for one in self._outcomes):
            for kind in CLASSES:
                for _ in range(EACH):
                    self._try(kind, SHORT)
            self._find_limit(min(LONGEST, line.longest))
        return Evidence(
            probes=tuple(self._outcomes),
            heard=(*before, *self._heard.blocks),
            expected=tuple(self._expected),
            echoes=self._heard.echoes + line.echoes,
            replies=self._heard.replies + line.frames_in,
            longest=line.longest,
            baud=line.link.baud,
            others=line.link.others() if isinstance(line.link, Shared) else (),
        )

    def _find_limit(self, longest: int) -> None:
        """Bisect between the short probes and one as long as the longest request."""
        low, high = SHORT, longest
        if high <= 2 * low or all(self._try("", high) for _ in range(2)):
            return
        while high - low > _NEAR and not self._deadline.expired:
            middle = (low + high) // 2
            low, high = (middle, high) if self._try("", middle) else (low, middle)
        for _ in range(REPEATS):
            self._try("", low)
            self._try("", high)

    def _try(self, kind: str, size: int) -> bool:
        """Whether a probe of a class passes, with ``size`` bytes of payload."""
        if self._deadline.expired:
            return False
        frame = _probe(self._numbers(), kind, size)
        data = encode_request(frame)
        refusal = pack_refusal(ErrorCode.LENGTH, Kind.STATUS, 1, len(frame.payload))
        self._expected.append(encode(Frame(Kind.ERROR, frame.seq, refusal))[:-1])
        self._line.write(END_OF_ALL)
        self._line.write(data)
        on_line = (len(data) + 2 * SHORT) * _BITS / self._line.link.baud
        passed = self._answers(frame.seq, self._line.timing.deadline(self._wait + on_line))
        self._outcomes.append(Outcome(len(encode(frame)), kind, passed))
        return passed

    def _numbers(self) -> Iterator[int]:
        while True:
            yield self._line.number()

    def _answers(self, seq: int, deadline: Deadline) -> bool:
        """Read until the reply to ``seq``, a report of damage, or the deadline."""
        passed = False
        while not passed and (data := self._line.link.read(deadline)):
            self._line.bytes_in += len(data)
            *blocks, self._pending = (self._pending + data).split(b"\0")
            ended = False
            for block in filter(None, blocks):
                found = decode(block)
                if not isinstance(found, Frame):
                    self._heard.blocks.append(block)
                elif not found.type & REPLY:
                    self._heard.echoes += 1
                else:
                    self._heard.replies += 1
                    self._line.probed += 1
                    passed |= found.seq == seq
                    ended |= found.type == Kind.ERROR and found.seq == 0
            if deadline.expired:  # text that never ends
                break
            if ended and not passed:
                deadline = deadline.sooner(self._wait / 4)  # the reply may follow that report
        return passed


_COMPLAINT: Final = encode(Frame(Kind.ERROR, 0, pack_refusal(ErrorCode.FRAME)))[:-1]


def _probe(numbers: Iterator[int], kind: str, size: int) -> Frame:
    """A frame whose bytes on the line are ordinary, except at least two of class ``kind``."""
    allowed = CLASSES.get(kind, frozenset[int]())
    inner = (sorted(allowed) * 2)[:2]
    # COBS replaces zeros by distances, so long payloads contain some
    fill = bytes(_FILL if (i + 1) % _STRIDE else 0 for i in range(size))
    payload = bytes(fill[:2]) + bytes(inner) + fill[2 + len(inner) :]
    frame = Frame(Kind.STATUS, 1, payload)
    for tried, number in enumerate(numbers):
        frame = Frame(Kind.STATUS, number, payload + bytes([_FILL]) * (tried % 8))
        block = encode(frame)[:-1]
        if not SPECIAL.difference(allowed).intersection(block) or tried > _TRIES:
            return frame
    raise AssertionError("numbers never end")


_TRIES: Final = 4000
