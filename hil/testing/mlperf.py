# SPDX-License-Identifier: Apache-2.0
"""`FakeDut`: an MLPerf Tiny device in Python, and a link to it that may fail."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from hil.link import Deadline
from hil.mlperf.protocol import COMMAND, WRAP
from hil.testing.board import Fault

BOOT: Final = b"m-timestamp-mode-performance\r\nm-lap-us-17\r\nm-init-done\r\nm-ready\r\n"


def lost(_: bytes) -> bytes:
    """The reply never arrives."""
    return b""


def headless(reply: bytes) -> bytes:
    """The reply's first line is lost."""
    return reply.partition(b"\n")[2]


def twice(reply: bytes) -> bytes:
    """The reply comes a second time: its `m-ready` is stale."""
    return reply * 2


def rebooted(reply: bytes) -> bytes:
    """Boot text precedes the reply."""
    return BOOT + reply


@dataclass
class ManualClock:
    """A clock that is set by hand, in seconds."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class FakeDut:
    """Answers as docs/mlperf-tiny.md describes; ``infer(values)`` returns the results.

    An inference takes ``seconds`` of ``clock``. ``micros`` is what `m-lap-us` prints, modulo 2^32;
    by default it is the clock plus ``offset``. ``faults`` has one item per reply, None for none.
    """

    infer: Callable[[bytes], Sequence[float]]
    clock: ManualClock = field(default_factory=ManualClock)
    seconds: float = 0.0
    offset: int = 0  # microseconds
    micros: Callable[[], int] | None = None
    faults: Iterable[Fault | None] = ()
    vendor: str = "fake"
    model: str = "fake01"
    digits: int = 3  # decimals of a result
    commands: list[str] = field(default_factory=list)  # as they came

    def __post_init__(self) -> None:
        self._command = bytearray()
        self._wanted = 0
        self._values = bytearray()
        self._pending = iter(self.faults)

    def answer(self, data: bytes) -> bytes:
        """The bytes that come back for ``data``."""
        replies = bytearray()
        *commands, rest = (bytes(self._command) + data).split(b"%")
        self._command = bytearray(rest[:COMMAND])
        for command in commands:
            text = command.decode("ascii", "backslashreplace")
            self.commands.append(text)
            reply = "".join(f"{line}\r\n" for line in (*self._obey(text), "m-ready")).encode()
            fault = next(self._pending, None)
            replies += fault(reply) if fault else reply
        return bytes(replies)

    def _obey(self, command: str) -> Sequence[str]:
        match command.split(" "):
            case [""]:  # crashes MLCommons' parser; tests look for it in `commands`
                return []
            case ["name"]:
                return [f"m-name-dut-[{self.vendor}]"]
            case ["profile"]:
                return ["m-profile-[ULPMark for tinyML Firmware V0.0.1]", f"m-model-[{self.model}]"]
            case ["timestamp"]:
                return [self._lap()]
            case ["db", "load", count] if count.isdigit() and int(count):
                self._wanted = int(count)
                self._values.clear()
                return [f"m-[Expecting {count} bytes]"]
            case ["db", "print"]:
                rows = [self._values[i : i + 8] for i in range(0, len(self._values), 8)]
                return [f"m-buffer-{row.hex('-')}" for row in rows]
            case ["db", digits]:
                return self._fill(digits)
            case ["infer", times, warmups] if times.isdigit() and warmups.isdigit():
                return self._infer(int(times), int(warmups))
            case ["results"]:
                return [self._results()]
        return [f"e-[Unknown command: {command.split(' ')[0]}]"]

    def _fill(self, digits: str) -> Sequence[str]:
        if len(digits) % 2:
            return ["e-[Insufficent number of hex digits]"]
        for start in range(0, len(digits), 2):
            pair = digits[start : start + 2]
            try:
                self._values.append(int(pair, 16))
            except ValueError:
                return [f"e-[Invalid hex digit '{pair}']"]
            if len(self._values) == self._wanted:
                return ["m-load-done"]
        return []

    def _infer(self, times: int, warmups: int) -> Sequence[str]:
        self.clock.now += warmups * self.seconds
        start = self._lap()
        self.clock.now += times * self.seconds
        return [
            f"m-warmup-start-{warmups}",
            "m-warmup-done",
            f"m-infer-start-{times}",
            start,
            self._lap(),
            "m-infer-done",
            self._results(),
        ]

    def _results(self) -> str:
        values = self.infer(bytes(self._values[: self._wanted]))
        return f"m-results-[{','.join(f'{value:.{self.digits}f}' for value in values)}]"

    def _lap(self) -> str:
        micros = self.micros() if self.micros else round(self.clock.now * 1e6) + self.offset
        return f"m-lap-us-{micros % WRAP}"


@dataclass
class FakeDutLink:
    """A link to a `FakeDut`, on its clock, which advances when a read finds nothing.

    Until ``boots_at`` everything written is lost; then ``boot`` arrives. ``chatters``: the device
    is never silent.
    """

    dut: FakeDut
    boots_at: float = 0.0
    boot: bytes = BOOT
    chatters: bool = False
    name: str = "fake"
    baud: int = 115200
    closed: bool = False

    def __post_init__(self) -> None:
        self.clock = self.dut.clock
        self._coming: deque[tuple[float, bytes]] = deque()
        if self.boots_at:
            self._coming.append((self.boots_at, self.boot))

    def arrive(self, data: bytes, at: float = 0.0) -> None:
        """Put ``data`` on the line at the time ``at``, as if someone had sent it."""
        self._coming.append((at, data))

    def write(self, data: bytes) -> None:
        """See `hil.link.Link.write`."""
        if self.clock.now >= self.boots_at and (replies := self.dut.answer(data)):
            self._coming.append((self.clock.now, replies))

    def read(self, deadline: Deadline) -> bytes:
        """See `hil.link.Link.read`."""
        if self.chatters:
            self.clock.now += 0.01
            return b"~\r\n"
        if self._coming and self._coming[0][0] <= max(self.clock.now, deadline.at):
            at, data = self._coming.popleft()
            self.clock.now = max(self.clock.now, at)
            return data
        self.clock.now = max(self.clock.now, deadline.at)
        return b""

    def set_baud(self, baud: int) -> None:
        """See `hil.link.Link.set_baud`."""
        self.baud = baud

    def close(self) -> None:
        """See `hil.link.Link.close`."""
        self.closed = True
