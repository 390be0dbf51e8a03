# SPDX-License-Identifier: Apache-2.0
"""`TextDevice`: a sketch behind a link that takes a sample as plain text or bytes and prints lines.

There is neither a check sum nor a sequence number. So one sample is asked at a time, whatever
arrived before it was sent is discarded, and nothing that comes too late is taken for an answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from hil.core.errors import NoAnswer
from hil.core.text import printable, shorten
from hil.link import Deadline, Link
from hil.wire.lines import Line, Reader, Splitter, TextAnswer
from hil.wire.patterns import Patterns

Format: TypeAlias = Literal["csv", "json", "bytes"]
FORMATS: Final[tuple[Format, ...]] = ("csv", "json", "bytes")

UNASKED: Final = "answers that came before they were asked for"
OTHER_SAMPLE: Final = "answers to another sample"
SECOND: Final = "second answers to one sample"
_AT_ONCE: Final = 1 << 20  # bytes that are discarded at most: a sketch may never be silent


def encode_sample(values: npt.NDArray[np.generic], form: Format, end: bytes) -> bytes:
    """One sample as it is sent: numbers in one line, a JSON array, or raw little-endian bytes.

    float32 values have as many digits as give the same float32 again.
    """
    if form == "bytes":
        return np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
    words = ",".join(_word(value) for value in values.reshape(-1))
    text = words if form == "csv" else f"[{words}]"
    return text.encode("ascii") + end


def _word(value: np.generic) -> str:
    if isinstance(value, np.floating):
        return np.format_float_positional(value, unique=True, trim="0")
    return str(int(value))


@dataclass(frozen=True, slots=True)
class TextTiming:
    """How long to wait, in seconds; ``clock`` is monotonic.

    ``answer``: from sending a sample to the whole answer. ``silence``: after this long without a
    byte, nothing more is on its way. ``boot``: until the first sample is answered.
    """

    answer: float = 10.0
    silence: float = 0.3
    boot: float = 15.0
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer, and the microseconds on the host from before its sample was sent."""

    answer: TextAnswer
    round_trip: int


class TextDevice:
    """One sketch on ``link``. ``reader.dropped`` counts what does not count."""

    def __init__(self, link: Link, reader: Reader, timing: TextTiming = TextTiming()) -> None:
        self.link, self.reader, self.timing = link, reader, timing
        self._splitter = Splitter()
        self.bytes_out = self.bytes_in = 0
        self.timeouts = 0
        self._index = -1  # of the last answer

    @property
    def patterns(self) -> Patterns:
        return self.reader.patterns

    def start(self, request: bytes) -> Heard:
        """The first answer: ``request`` is sent again until it comes, since opening a port resets
        many boards. NoAnswer when none comes within ``boot`` seconds."""
        deadline = Deadline.after(self.timing.boot, self.timing.clock)
        self.settle()
        while True:
            try:
                found = self.ask(request, within=min(self.timing.answer, deadline.remaining))
            except NoAnswer:
                if deadline.expired:
                    raise
                continue
            self.settle()  # a request that was sent while the board booted may be answered, too
            return found

    def ask(self, request: bytes, within: float | None = None) -> Heard:
        """Send a sample and wait for its answer.

        An answer with a group ``index`` counts only if that is larger than the one before: a sketch
        that numbers its answers shows so which one is late. NoAnswer when no whole answer comes
        within ``within`` seconds (default: as timed).
        """
        self._discard()
        began = self.timing.clock()
        seconds = self.timing.answer if within is None else within
        self.link.write(request)
        self.bytes_out += len(request)
        deadline = Deadline.after(seconds, self.timing.clock)
        last = ""
        while True:
            data = self._read(deadline.sooner(self.timing.silence))
            lines = list(self._splitter.feed(data))
            last = next((line.text for line in reversed(lines) if line.text), last)
            quiet = not data and self.reader.counts
            found = list(self.reader.flush()) if quiet else list(self._answers(lines))
            ours = [one for one in found if self._is_new(one.index)]
            self._drop(OTHER_SAMPLE, len(found) - len(ours))
            if ours:
                self._drop(SECOND, len(ours) - 1)
                self._index = max((one.index for one in found if one.index is not None), default=-1)
                return Heard(ours[0], round((self.timing.clock() - began) * 1e6))
            if deadline.expired:
                self.timeouts += 1
                raise self._silent(seconds, last)

    def settle(self, most: float | None = None) -> None:
        """Discard everything until silence, for ``most`` seconds at most (default: as timed)."""
        deadline = Deadline.after(self.timing.answer if most is None else most, self.timing.clock)
        while data := self._read(deadline.sooner(self.timing.silence)):
            self._refuse(data)
            if deadline.expired:
                break
        self._forget()

    def wait_out(self) -> None:
        """After a timeout: give a late answer time to come, and discard it."""
        self._refuse(self._read(Deadline.after(self.timing.answer, self.timing.clock)))
        self.settle()
        self._index = -1  # the board may have rebooted

    def _is_new(self, index: int | None) -> bool:
        return index is None or index > self._index

    def _discard(self) -> None:
        """Discard what has arrived, without waiting unless it ends within a line.

        The rest of that line must not be taken for a line; but a prompt, such as "next: ", never
        ends.
        """
        left = _AT_ONCE
        while left > 0 and (data := self._read(Deadline.after(0.0, self.timing.clock))):
            left -= len(data)
            self._refuse(data)
        if self._splitter.half:
            self.settle()
        self._forget()

    def _refuse(self, data: bytes) -> None:
        self._drop(UNASKED, len(list(self._answers(self._splitter.feed(data)))))

    def _forget(self) -> None:
        self._splitter.discard()
        if self.reader.discard():
            self._drop(UNASKED, 1)

    def _answers(self, lines: Iterator[Line] | list[Line]) -> Iterator[TextAnswer]:
        for line in lines:
            yield from self.reader.take(line)

    def _read(self, deadline: Deadline) -> bytes:
        data = self.link.read(deadline)
        self.bytes_in += len(data)
        return data

    def _drop(self, why: str, times: int) -> None:
        for _ in range(times):
            self.reader.drop(why)

    def _silent(self, seconds: float, last: str) -> NoAnswer:
        half = self._splitter.half
        said = f"; the last line has no end: {_shown(half)}" if half else ""
        if not half and last:
            said = f"; the last line was {_shown(last)}"
        return NoAnswer(
            f"no answer on {self.link.name} within {seconds:g} s{said or '; nothing arrived'}",
            "check --baud, --pattern and what the sketch reads; --timeout waits longer",
        )


def _shown(text: str) -> str:
    return repr(shorten(printable(text), 60))
