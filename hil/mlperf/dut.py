# SPDX-License-Identifier: Apache-2.0
"""`Dut`: a device under test behind a link; one command at a time, every line of a reply checked.

The protocol has neither sequence numbers nor checksums. Replies and commands stay in step because
each reply must be exactly what its command allows; anything else counts as a link fault, after
which the two are synchronised again (`Dut.find`) and the sample is loaded again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
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

ATTEMPTS: Final = 10  # per sample or query
_LONGEST_S: Final = 300.0  # `db print` of 27,648 bytes at 9600 baud takes 115 s
FAULTS: Final = (NoAnswer, WrongReply, DeviceRefused)  # worth another attempt
_ADVICE: Final = "check the baud rate, and that the firmware speaks MLPerf Tiny's protocol"


@dataclass(frozen=True)
class DutTiming:
    """How long to wait, in seconds; ``clock`` is monotonic.

    ``silence``: after this long without a byte, nothing more is on its way. ``boot``: until the
    device has answered `name`; ``name``: for one such answer. ``quiet``: longest pause within any
    other reply. ``reply``: for the reply to `infer`, in addition to its inferences.
    """

    silence: float = 0.3
    boot: float = 30.0
    name: float = 1.0
    quiet: float = 2.0
    reply: float = 30.0
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """How the device identifies itself: untrusted text, not safe for a terminal or a path."""

    vendor: str
    profile: str
    model: str


@dataclass(frozen=True, slots=True)
class Inference:
    """One `infer`. By the device's clock: ``start`` and ``end`` in us, ``us`` between them.

    By the host's clock, in seconds: ``whole`` from the command to the arrival of ``end``, ``gap``
    from the arrival of ``start`` to that of ``end``.

    ``by_pin``: the firmware marks times on a pin, for energy mode, and sends none. Then the three
    are the host's, from the lines before and after the inferences.
    """

    values: tuple[float, ...]
    start: int
    end: int
    us: int
    whole: float
    gap: float
    by_pin: bool = False

    def by_host(self) -> Inference:
        """The same, by the host's clock alone."""
        return replace(self, us=round(self.gap * 1e6), by_pin=True)


@dataclass(frozen=True, slots=True)
class _HeardLine:
    line: str
    record: Record
    at: float  # by the host's clock


class Dut:
    """One device. ``tell`` is called with every line that arrives, for a log.

    A damaged character in a line that stays well-formed is detected only with ``read_back``: then
    the device prints the bytes that it has loaded, and its results twice, and both must match.
    """

    def __init__(
        self,
        link: Link,
        timing: DutTiming = DutTiming(),
        tell: Callable[[str], None] = lambda _: None,
        *,
        read_back: bool = False,
    ) -> None:
        self._link, self._timing, self._tell = link, timing, tell
        self._read_back = read_back
        self._lines = Lines()
        self._heard: deque[_HeardLine] = deque()
        self._vendor = ""
        self.retries = 0  # samples and queries that were repeated

    def find(self) -> str:
        """The device's vendor name, once a query and its answer certainly belong together.

        Waits for silence, asks `name`, and accepts only exactly one name followed by silence: boot
        text and replies to earlier queries lead to another try. NoAnswer when none comes within
        ``boot`` seconds, WrongReply when it differs from the one before.
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
                other = name.vendor  # another device, or the same with a damaged letter
            last = f"`name` was answered with {words([one.line for one in heard])}"
        if other:
            raise WrongReply(
                f"the device was [{shown(self._vendor)}] and is now [{shown(other)}]",
                "start again with a single device on the port",
            )
        raise NoAnswer(
            f"no MLPerf Tiny device answered on {self._link.name} within {timing.boot:g} s"
            + (f" ({last})" if last else ""),
            _ADVICE,
        )

    def identify(self) -> Identity:
        """`find`, then the reply to `profile`."""
        vendor = self.find()
        text, model = self._again(self._profile)
        return Identity(vendor, text, model)

    def run(
        self,
        values: bytes,
        iterations: int = 1,
        warmups: int = 0,
        seconds: float = 0.0,
        loaded: Callable[[], None] = lambda: None,
    ) -> Inference:
        """Load ``values``, warm up, infer; ``seconds``: how long the inferences may take.

        ``loaded`` is called between the two, so that it can start an instrument. After a fault all
        of it is done again, so that no time spans a retry.
        WrongReply, DeviceRefused or NoAnswer when ten attempts fail.
        """

        def once() -> Inference:
            self.load(values)
            loaded()
            seen = self.infer(iterations, warmups, seconds)
            if self._read_back:
                self._expect("results", (Results(seen.values), DONE))
            return seen

        return self._again(once)

    def load(self, values: bytes) -> None:
        """Load a sample, without retries; a fault is raised."""
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
                raise WrongReply("the device did not load the bytes that were sent", _ADVICE)

    def infer(self, iterations: int = 1, warmups: int = 0, seconds: float = 0.0) -> Inference:
        """One `infer` of the loaded sample, without retries; a fault is raised."""
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
                    raise WrongReply(str(problem), "fix the firmware's timestamp") from None
                return Inference(found, start, end, us, at[1] - sent, at[1] - at[0])
            case [
                Count("m-warmup-start", warm),
                mark_warm,
                Count("m-infer-start", count),
                mark_done,
                Results(found),
                _,
            ] if (warm, count, mark_warm, mark_done) == (warmups, iterations, WARM, INFERRED):
                begin, done = heard[2].at, heard[3].at
                start, end = round(begin * 1e6), round(done * 1e6)
                return Inference(
                    found, start, end, end - start, done - sent, done - begin, by_pin=True
                )
        raise _unexpected(command, heard)

    def _profile(self) -> tuple[str, str]:
        heard = self._ask("profile", self._timing.quiet)
        match [one.record for one in heard]:
            case [Profile(text), Model(model), _] | [Model(model), Profile(text), _]:
                return text, model
        raise _unexpected("profile", heard)

    def _again(self, action: Callable[[], T]) -> T:
        """``action``, repeated after synchronising again as long as the link fails."""
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

    def _ask(self, command: str, quiet: float, most: float = _LONGEST_S) -> list[_HeardLine]:
        """The lines of the reply, of which `m-ready` is the last.

        NoAnswer when nothing comes for ``quiet`` seconds, or no `m-ready` within ``most``.
        """
        # an empty command crashes MLCommons' parser
        assert 0 < len(command) <= COMMAND
        assert END not in command
        if self._heard or self._lines.half:
            late = [one.line for one in self._heard] or [self._lines.half]
            raise WrongReply(f"unexpected before `{command[:20]}`: {words(late)}", _ADVICE)
        self._link.write((command + END).encode("ascii"))
        deadline = Deadline.after(most, self._timing.clock)
        came = True
        reply: list[_HeardLine] = []
        while True:
            while self._heard:
                reply.append(self._heard.popleft())
                if reply[-1].record == DONE:
                    return reply
            if len(reply) > MAX_LINES:
                raise WrongReply(
                    f"the reply to `{command[:20]}` has more than {MAX_LINES:,} lines", _ADVICE
                )
            if not came or deadline.expired:
                half = self._lines.half
                lines = words([*(one.line for one in reply), *([half] if half else [])])
                waited = f"in {min(quiet, most):g} s after `{command[:20]}`"
                raise NoAnswer(f"no m-ready {waited}; received: {lines}", _ADVICE)
            came = self._listen(deadline.sooner(quiet))

    def _listen(self, deadline: Deadline) -> bool:
        """Receive what arrives; False when ``deadline`` passes first."""
        data = self._link.read(deadline)
        at = self._timing.clock()
        for line in self._lines.feed(data):
            self._tell(line)
            if line:
                self._heard.append(_HeardLine(line, parse(line), at))
        return bool(data)

    def _drain(self, deadline: Deadline) -> bool:
        """Discard everything until silence or ``deadline``; whether there was anything."""
        found = bool(self._heard or self._lines.half)
        while self._listen(deadline.sooner(self._timing.silence)) and not deadline.expired:
            found = True
            self._heard.clear()
        self._heard.clear()
        self._lines.clear()
        return found


def _unexpected(command: str, heard: Sequence[_HeardLine]) -> WrongReply | DeviceRefused:
    """The error for an unexpected reply."""
    refusals = [one.record.text for one in heard if isinstance(one.record, Refusal)]
    if refusals:
        return DeviceRefused(f"the device refused `{command[:20]}`: {shown(refusals[0])}", _ADVICE)
    lines = [one.line for one in heard]
    return WrongReply(f"`{command[:20]}` was answered with {words(lines)}", _ADVICE)
