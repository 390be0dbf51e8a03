# SPDX-License-Identifier: Apache-2.0
"""Lines of MLPerf Tiny's serial protocol <-> records (the table in docs/mlperf-tiny.md).

Pure: no port, no clock. A command is ASCII and ends in `%`; a reply is CRLF lines, of which
`m-ready` is the last. Devices are not trusted: the number of lines, their length and the number of
values in a line are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from hil.core.text import printable, shorten

LINE: Final = 37  # bytes of a sample in one `db`: "db " and 74 digits are 77 of 80 characters
COMMAND: Final = 80  # size of a device's command buffer, without the `%`
END: Final = "%"
READY: Final = "m-ready"
NO_TIME: Final = "m-lap-us is no time"  # our emulated boards say so in their name
MAX_LINE: Final = 65_536  # characters; a thousand classes take about 12,000
MAX_LINES: Final = 4_096  # of one reply; the longest is that of `db print`
MAX_VALUES: Final = 10_000  # of one result
LARGEST: Final = 1e12  # absolute value in a result, so that sums and quotients stay finite
WRAP: Final = 1 << 32  # microseconds after which a 32-bit clock wraps: 71.6 minutes


@dataclass(frozen=True, slots=True)
class Name:
    vendor: str


@dataclass(frozen=True, slots=True)
class Profile:
    text: str


@dataclass(frozen=True, slots=True)
class Model:
    id: str


@dataclass(frozen=True, slots=True)
class Lap:
    """A time of the device's clock, in microseconds; usually of 32 bits (`elapsed`)."""

    us: int


@dataclass(frozen=True, slots=True)
class Expecting:
    count: int  # bytes


@dataclass(frozen=True, slots=True)
class Mark:
    """A line without a value: `LOADED` and similar ones."""

    text: str


@dataclass(frozen=True, slots=True)
class Count:
    """`m-warmup-start-W` and `m-infer-start-N`."""

    text: str
    count: int


@dataclass(frozen=True, slots=True)
class Results:
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Buffer:
    """A line of `db print`: eight bytes, or fewer in the last one."""

    values: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error line, `e-[...]`."""

    text: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Any other line: boot text, a part of a line, or more values than allowed."""

    text: str


LOADED: Final = Mark("m-load-done")
WARM: Final = Mark("m-warmup-done")
INFERRED: Final = Mark("m-infer-done")
DONE: Final = Mark(READY)
Record: TypeAlias = (
    Name | Profile | Model | Lap | Expecting | Mark | Count | Results | Buffer | Refusal | Unknown
)

_MARKS: Final = {mark.text: mark for mark in (LOADED, WARM, INFERRED, DONE)}
_NAME: Final = re.compile(r"m-name-dut-\[([^\]]+)\]")
_PROFILE: Final = re.compile(r"m-profile-\[([^\]]+)\]")
_MODEL: Final = re.compile(r"m-model-\[([^\]]+)\]")
_LAP: Final = re.compile(r"m-lap-us-([0-9]{1,20})")
_EXPECTING: Final = re.compile(r"m-\[Expecting ([0-9]{1,10}) bytes\]")
_COUNT: Final = re.compile(r"(m-warmup-start|m-infer-start)-([0-9]{1,10})")
_RESULTS: Final = re.compile(r"m-results-\[([^\]]*)\]")
_BUFFER: Final = re.compile(r"m-buffer-((?:[0-9a-fA-F]{2}-){0,7}[0-9a-fA-F]{2})")
_REFUSAL: Final = re.compile(r"e-\[(.*)\]")
_FLOAT: Final = re.compile(
    r"[+-]?(?:[0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?"
)


def parse(line: str) -> Record:
    """The record in one line, given without its CRLF; `Unknown` for any other line."""
    if line in _MARKS:
        return _MARKS[line]
    if found := _RESULTS.fullmatch(line):
        values = _values(found[1])
        return Results(values) if values else Unknown(line)
    if found := _LAP.fullmatch(line):
        return Lap(int(found[1]))
    if found := _COUNT.fullmatch(line):
        return Count(found[1], int(found[2]))
    if found := _EXPECTING.fullmatch(line):
        return Expecting(int(found[1]))
    if found := _BUFFER.fullmatch(line):
        return Buffer(bytes.fromhex(found[1].replace("-", "")))
    if found := _NAME.fullmatch(line):
        return Name(found[1])
    if found := _PROFILE.fullmatch(line):
        return Profile(found[1])
    if found := _MODEL.fullmatch(line):
        return Model(found[1])
    if found := _REFUSAL.fullmatch(line):
        return Refusal(found[1])
    return Unknown(line)


def _values(text: str) -> tuple[float, ...]:
    """Numbers separated by commas; () for anything else."""
    words = text.split(",")
    if words[-1].strip() == "":  # MLCommons' reference devices may end the list with a comma
        words.pop()
    if not 0 < len(words) <= MAX_VALUES or not all(_FLOAT.fullmatch(w.strip()) for w in words):
        return ()
    values = tuple(float(word) for word in words)
    return values if all(abs(value) <= LARGEST for value in values) else ()


@dataclass
class Lines:
    """Bytes as they arrive -> whole lines.

    A line ends in LF. CR and NUL are dropped; what is not ASCII becomes `\\xNN`. A line is cut at
    `MAX_LINE`.
    """

    _line: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> Iterator[str]:
        """The lines that ``data`` completes, of at most `MAX_LINE` bytes each."""
        *whole, rest = data.split(b"\n")
        for piece in whole:
            self._add(piece)
            yield self._text()
            self._line.clear()
        self._add(rest)

    @property
    def half(self) -> str:
        """The start of the line that has not ended yet."""
        return self._text()

    def clear(self) -> None:
        """Discard the line that has not ended."""
        self._line.clear()

    def _add(self, piece: bytes) -> None:
        room = MAX_LINE - len(self._line)
        self._line += piece[:room]

    def _text(self) -> str:
        raw = bytes(self._line).replace(b"\r", b"").replace(b"\0", b"")
        return raw.decode("ascii", "backslashreplace")


def load_commands(values: bytes) -> Iterator[str]:
    """The commands that load ``values``, without the `%`; ValueError when empty."""
    if not values:
        raise ValueError("nothing to load")
    yield f"db load {len(values)}"
    for start in range(0, len(values), LINE):
        yield f"db {values[start : start + LINE].hex()}"


def elapsed(start: int, end: int) -> int:
    """Microseconds from ``start`` to ``end`` of a device's clock, which may have wrapped once.

    ValueError when a clock of more than 32 bits went backwards.
    """
    if end >= start:
        return end - start
    if start >= WRAP:
        raise ValueError(f"the device's clock went backwards, from {start} to {end} us")
    return end + WRAP - start


def shown(text: str, limit: int = 60) -> str:
    """Untrusted text for a message: one short line without control characters."""
    return shorten(printable(text), limit)


def words(lines: Sequence[str]) -> str:
    """A reply for an error message."""
    few = ", ".join(shown(line) for line in lines[:3])
    return f"{few or 'nothing'}{f' and {len(lines) - 3} more lines' if len(lines) > 3 else ''}"
