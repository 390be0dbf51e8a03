# SPDX-License-Identifier: Apache-2.0
"""A device under test behind a link: one command at a time, and every line of every reply checked.

The protocol has neither sequence numbers nor check sums. What keeps replies and commands together
is that each reply must be exactly the one that its command has; anything else is a fault of the
line, after which the start is found anew (`Dut.find`) and the sample loaded once more.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from hil.core.errors import DeviceRefused, NoAnswer, WrongReply
from hil.link import Deadline, Link
from hil.mlperf.protocol import (
    COMMAND,
    DONE,
    END,
    INFERRED,
    LOADED,
    MAX_LINES,
    WARM,
    Buffer,
    Count,
    Expecting,
    Lap,
    Lines,
    Model,
    Name,
    Profile,
    Record,
    Refusal,
    Results,
    elapsed,
    load_commands,
    parse,
    shown,
    words,
)

T = TypeVar("T")

ATTEMPTS: Final = 10  # of a sample, and of a question
_LONGEST_S: Final = 300.0  # `db print` of 27,648 bytes at 9600 baud takes 115 s
FAULTS: Final = (NoAnswer, WrongReply, DeviceRefused)  # what another attempt may mend
_ADVICE: Final = "check the baud rate, and that the firmware speaks MLPerf Tiny's protocol"


@dataclass(frozen=True)
class Timing:
    """Seconds: ``silence`` after which nothing more is on its way, ``boot`` until the device
    must have answered `name`, ``name`` for one such answer, ``quiet`` without a byte of another
    reply, ``reply`` for that of `infer`, beyond what its inferences take."""

    silence: float = 0.3
    boot: float = 30.0
    name: float = 1.0
    quiet: float = 2.0
    reply: float = 30.0
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """What the device says it is: a stranger's words, not yet fit for a terminal or a path."""

    vendor: str
    profile: str
    model: str


@dataclass(frozen=True, slots=True)
class Inference:
    """One `infer`. ``start``, ``end``: the device's clock, us; ``us`` from the one to the other.

    By the host's clock, in seconds: ``whole`` from the command to the second of them, ``gap``
    from the first to the second.
    """

    values: tuple[float, ...]
    start: int
    end: int
    us: int
    whole: float
    gap: float


@dataclass(frozen=True, slots=True)
class _Heard:
    line: str
    record: Record
    at: float  # of the host's clock


class Dut:
    """One device. ``tell`` is given every line that comes, for a log.

    A damaged character that leaves a line well-formed cannot be seen, unless with ``read_back``:
    the device then prints what it has loaded and, a second time, its results, which must be equal.
    """

    def __init__(
        self,
        link: Link,
        timing: Timing = Timing(),
        tell: Callable[[str], None] = lambda _: None,
        *,
        read_back: bool = False,
    ) -> None:
        self._link, self._timing, self._tell = link, timing, tell
        self._read_back = read_back
        self._lines = Lines()
        self._heard: deque[_Heard] = deque()
        self._vendor = ""
        self.retries = 0  # samples and questions that were asked again

    def find(self) -> str:
        """The device's vendor name, once a question and its answer certainly belong together.

        Waits for silence, asks `name`, and takes only exactly one name with silence after it:
        boot text and replies to earlier questions lead to another try. NoAnswer when ``boot``
        seconds bring none, WrongReply when they bring another than before.
        """
        timing = self._timing
        deadline = Deadline.after(timing.boot, timing.clock)
        last = other = ""
        while not deadline.expired:
            self._drain(deadline)
            try:
                heard = self._ask("name", timing.name, timing.name)
            except FAULTS as problem:
                last = last or problem.what
                continue
            if [type(one.record) for one in heard] == [Name, type(DONE)] and not self._drain(
                deadline
            ):
                name = heard[0].record
                assert isinstance(name, Name)
                if self._vendor in ("", name.vendor):
                    self._vendor = name.vendor
                    return name.vendor
                other = name.vendor  # or the same, and a letter of it was damaged
            last = f"`name` was answered with {words([one.line for one in heard])}"
        if other:
            raise WrongReply(
                f"the device was [{shown(self._vendor)}] and is now [{shown(other)}]",
                "start again, with one device on the port",
            )
        raise NoAnswer(
            f"no device of MLPerf Tiny answers on {self._link.name} within {timing.boot:g} s"
            + (f" ({last})" if last else ""),
            _ADVICE,
        )

    def identify(self) -> Identity:
        """`find`, then what `profile` says."""
        vendor = self.find()
        text, model = self._again(self._profile)
        return Identity(vendor, text, model)

    def run(
        self, values: bytes, iterations: int = 1, warmups: int = 0, seconds: float = 0.0
    ) -> Inference:
        """Load ``values``, warm up, infer; ``seconds`` are what that may take beyond a reply.

        After a fault the sample is loaded and measured anew, so that no time spans a retry.
        WrongReply, DeviceRefused or NoAnswer when ten attempts fail.
        """

        def once() -> Inference:
            self.load(values)
            seen = self.infer(iterations, warmups, seconds)
            if self._read_back:
                self._expect("results", (Results(seen.values), DONE))
            return seen

        return self._again(once)

    def load(self, values: bytes) -> None:
        """Load a sample, once; a fault is raised."""
        first, *rest = load_commands(values)
        self._expect(first, (Expecting(len(values)), DONE))
        for number, command in enumerate(rest, 1):
            self._expect(command, (LOADED, DONE) if number == len(rest) else (DONE,))
        if self._read_back:
            heard = self._ask("db print", self._timing.quiet)
            rows = [one.record.values for one in heard if isinstance(one.record, Buffer)]
            if len(rows) != len(heard) - 1:
                raise _unexpected("db print", heard)
            if b"".join(rows) != values:
                raise WrongReply("the device holds other bytes than it was sent", _ADVICE)

    def infer(self, iterations: int = 1, warmups: int = 0, seconds: float = 0.0) -> Inference:
        """One `infer` of what is loaded, once; a fault is raised."""
        command = f"infer {iterations} {warmups}"
        sent = self._timing.clock()
        patience = self._timing.reply + seconds
        heard = self._ask(command, patience, patience)
        match [one.record for one in heard]:
            case [
                Count("m-warmup-start", warm),
                mark_warm,
                Count("m-infer-start", count),
                Lap(start),
                Lap(end),
                mark_done,
                Results(found),
                _,
            ] if (warm, count, mark_warm, mark_done) == (warmups, iterations, WARM, INFERRED):
                at = [one.at for one in heard if isinstance(one.record, Lap)]
                try:
                    us = elapsed(start, end)
                except ValueError as problem:
                    raise WrongReply(str(problem), "the firmware's timestamp is broken") from None
                return Inference(found, start, end, us, at[1] - sent, at[1] - at[0])
        raise _unexpected(command, heard)

    def _profile(self) -> tuple[str, str]:
        heard = self._ask("profile", self._timing.quiet)
        match [one.record for one in heard]:
            case [Profile(text), Model(model), _] | [Model(model), Profile(text), _]:
                return text, model
        raise _unexpected("profile", heard)

    def _again(self, action: Callable[[], T]) -> T:
        """``action``, tried again from a start found anew while the line is at fault."""
        for left in reversed(range(ATTEMPTS)):
            try:
                return action()
            except FAULTS:
                if not left:
                    raise
                self.retries += 1
                self.find()
        raise AssertionError("unreachable")

    def _expect(self, command: str, wanted: Sequence[Record]) -> None:
        heard = self._ask(command, self._timing.quiet)
        if [one.record for one in heard] != list(wanted):
            raise _unexpected(command, heard)

    def _ask(self, command: str, quiet: float, most: float = _LONGEST_S) -> list[_Heard]:
        """The lines of the reply, `m-ready` the last of them.

        NoAnswer when nothing comes for ``quiet`` seconds, or `m-ready` not within ``most``.
        """
        # a bare % crashes MLCommons' own parser
        assert 0 < len(command) <= COMMAND
        assert END not in command
        if self._heard or self._lines.half:
            late = [one.line for one in self._heard] or [self._lines.half]
            raise WrongReply(f"before `{command[:20]}`, uncalled for: {words(late)}", _ADVICE)
        self._link.write((command + END).encode("ascii"))
        deadline = Deadline.after(most, self._timing.clock)
        came = True
        reply: list[_Heard] = []
        while True:
            while self._heard:
                reply.append(self._heard.popleft())
                if reply[-1].record == DONE:
                    return reply
            if len(reply) > MAX_LINES:
                raise WrongReply(f"`{command[:20]}` was answered with no end of lines", _ADVICE)
            if not came or deadline.expired:
                half = self._lines.half
                lines = words([*(one.line for one in reply), *([half] if half else [])])
                waited = f"in {min(quiet, most):g} s after `{command[:20]}`"
                raise NoAnswer(f"no m-ready {waited}; came: {lines}", _ADVICE)
            came = self._listen(deadline.sooner(quiet))

    def _listen(self, deadline: Deadline) -> bool:
        """Take in what comes; False when ``deadline`` passes first."""
        data = self._link.read(deadline)
        at = self._timing.clock()
        for line in self._lines.feed(data):
            self._tell(line)
            if line:
                self._heard.append(_Heard(line, parse(line), at))
        return bool(data)

    def _drain(self, deadline: Deadline) -> bool:
        """Throw away what comes until nothing has for a while; whether there was anything.

        A device that never falls silent ends with ``deadline``.
        """
        found = bool(self._heard or self._lines.half)
        while self._listen(deadline.sooner(self._timing.silence)) and not deadline.expired:
            found = True
            self._heard.clear()
        self._heard.clear()
        self._lines.clear()
        return found


def _unexpected(command: str, heard: Sequence[_Heard]) -> WrongReply | DeviceRefused:
    """What is wrong with a reply."""
    refusals = [one.record.text for one in heard if isinstance(one.record, Refusal)]
    if refusals:
        return DeviceRefused(f"the device refused `{command[:20]}`: {shown(refusals[0])}", _ADVICE)
    lines = [one.line for one in heard]
    return WrongReply(f"`{command[:20]}` was answered with {words(lines)}", _ADVICE)
