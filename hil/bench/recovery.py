# SPDX-License-Identifier: Apache-2.0
"""What befell a run, added up over the links and the boots that it took."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, replace
from itertools import islice
from types import TracebackType
from typing import Final, TypeAlias

from msgspec import UNSET, UnsetType

from hil.bench.events import Emit, Restarted, Returned, Waiting
from hil.bench.greeting import IDLE, Greeted, address, check_result, greet
from hil.bench.lab import injected
from hil.bench.plan import wire_inputs
from hil.bench.prepare import Prepared
from hil.core.errors import HilError, LinkError, NoAnswer
from hil.core.records import Dataset, LineCounts, Status
from hil.device import Answer, Device
from hil.link import Link
from hil.runs.agreement import is_disturbed
from hil.runs.schema import Faults

_COUNTED: Final = ("damaged_out", "damaged_in", "unexpected", "timeouts")


class Tally:
    """Counts of one run; each `hil.device.Device` that it takes brings its own."""

    def __init__(self) -> None:
        self.resets = 0
        self.reopenings = 0
        self.injected: dict[str, int] = {}
        self._device: Device | None = None
        self._past: Counter[str] = Counter()
        self._stack = 0

    def take(self, device: Device) -> None:
        """Go on with ``device``."""
        self._past.update(_of(self._device))
        self._device = device

    def forgive(self, counts: LineCounts) -> None:
        """Of what this device counted, ``counts`` is what comes of opening a port."""
        self._past.subtract(_line(counts))

    def worst(self, status: Status) -> Status:
        """``status`` with the highest stack mark of all that were seen."""
        self._stack = max(self._stack, status.stack_used)
        return replace(status, stack_used=self._stack)

    @property
    def bytes_out(self) -> int:
        """Written."""
        return self._sum("bytes_out")

    @property
    def bytes_in(self) -> int:
        """Read."""
        return self._sum("bytes_in")

    @property
    def retries(self) -> int:
        """Requests that were sent once more."""
        return self._sum("retries")

    @property
    def faults(self) -> Faults | UnsetType:
        """The rest of it; UNSET when nothing happened."""
        found = Faults(
            resets=self.resets,
            reopenings=self.reopenings,
            injected=self.injected,
            **{name: self._sum(name) for name in _COUNTED},
        )
        return UNSET if found == Faults() else found

    def _sum(self, name: str) -> int:
        return self._past[name] + _of(self._device)[name]


def _of(device: Device | None) -> Counter[str]:
    if device is None:
        return Counter()
    counted = Counter(bytes_out=device.bytes_out, bytes_in=device.bytes_in, retries=device.retries)
    counted.update(_line(device.counts))
    return counted


def _line(counts: LineCounts) -> dict[str, int]:
    return {name: getattr(counts, name) for name in _COUNTED}


SETBACKS: Final = 6  # in a row, without an answer in between; then the run is given up
Opens: TypeAlias = Callable[[], AbstractContextManager[Link]]


@dataclass(frozen=True, slots=True)
class Patience:
    """How a bench waits for a port: it looks every ``every`` seconds."""

    every: float = 0.25
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class _Anew(Exception):
    """The board was found to have started anew."""


class Conversation:
    """A board, opened and greeted; anew whenever it has to be. ``tally`` counts what befell it.

    ``first`` is how it was greeted before the first digit, ``now`` the last time; ``link`` is its
    port as long as that is open. ``known``: the port was there before, and is waited for at once.
    """

    def __init__(
        self,
        prepared: Prepared,
        opens: Opens,
        data: Dataset,
        emit: Emit,
        patience: Patience,
        *,
        known: bool = False,
    ) -> None:
        self.tally = Tally()
        self._prepared, self._opens, self._data = prepared, opens, data
        self._emit, self._patience = emit, patience
        self._ports = ExitStack()
        self._name = prepared.case.station.port or prepared.case.station.name
        self._known = known
        self._before: dict[str, int] | None = None  # faults injected before this run
        self._served = 0  # answers since the board was greeted
        self._empty = 0  # requests that computed nothing, since then
        self._uptime = 0
        self._asked = 0  # the first that nobody was asked
        self._again: set[int] = set()  # those that were asked of a board that is no more
        self._said: HilError | None = None  # why it restarts, in its own words, since an answer

    def __enter__(self) -> Conversation:
        try:
            try:
                self._open()
                self._known = True
                self.now = self._greet(address(self._prepared, self.link))
            except LinkError as problem:
                if not self._known:
                    raise
                self._reopen(problem)
            self.first = self.now
            self.tally.forgive(self.first.heard)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(LinkError):
            if kind is None:
                self.now.device.slow_down()
        self._close()

    def answers(self, first: int) -> Iterator[tuple[Answer, bool]]:
        """Each sample's answer from ``first`` on, once and in order, and whether it was disturbed.

        Raises what cannot be mended: NoAnswer, LinkError (the port stayed away), WrongFirmware.
        """
        setbacks = 0
        while first < len(self._data):
            try:
                for answer in self._until_told(first):
                    first, setbacks, self._said = answer.index + 1, 0, None
                    yield answer, is_disturbed(answer) or answer.index in self._again
            except (_Anew, NoAnswer, LinkError) as problem:
                setbacks += 1
                self._again.update(range(first, self._asked))
                self._recover(problem, setbacks)

    def last_status(self) -> Status:
        """STATUS after the last answer, stack of the worst boot."""
        for setbacks in range(1, SETBACKS + 2):
            try:
                status = self._status()
            except (NoAnswer, LinkError) as problem:
                self._recover(problem, setbacks)
            else:
                self.tally.resets += self._is_anew(status)  # without a word lost
                for fault, times in injected(self.link).items():
                    self.tally.injected[fault] = times - (self._before or {}).get(fault, 0)
                return self.tally.worst(status)
        raise AssertionError("_recover gives up before")

    def _until_told(self, first: int) -> Iterator[Answer]:
        """Answers from ``first`` on, until one was disturbed and all in flight are here; those
        are given when the board is known to be the one that was greeted. _Anew when it is not."""
        now, held = self.now, list[Answer]()
        encoding, inputs = wire_inputs(self._data)

        def fed() -> Iterator[bytes]:
            for i, values in enumerate(islice(inputs, first, None), first):
                if held:
                    return
                self._asked = i + 1
                yield values

        window, room = now.hello.window, now.hello.room
        for answer in now.device.infer(
            now.number, encoding, fed(), first=first, window=window, room=room, pack=now.packs
        ):
            check_result(answer.result, now.number, self._prepared)
            self._served += 1
            if held or is_disturbed(answer):
                held.append(answer)
            else:
                yield answer
        if held and self._is_anew(self._status()):
            raise _Anew
        yield from held

    def _status(self) -> Status:
        status = self.now.device.status()
        self._empty += 1
        return self.tally.worst(status)

    def _is_anew(self, status: Status) -> bool:
        """Whether the board has counted less than it is known to have done, or its time went back.

        A reset right after the greeting, before as many answers as are in flight, may be missed:
        the answers are right then too, and told to be disturbed.
        """
        back = status.uptime_ms < self._uptime
        self._uptime = status.uptime_ms
        fewer = status.inferences < self._served or status.frames_ok < self._served + self._empty
        return back or fewer

    def _greet(self, device: Device) -> Greeted:
        self.tally.take(device)
        found = greet(self._prepared, device, self._data)
        self._served, self._empty = len(found.warm_up), IDLE
        self._uptime = found.before.uptime_ms
        return found

    def _recover(self, problem: Exception, setbacks: int) -> None:
        """Have a greeted board again; raises ``problem`` where that is in vain."""
        self._said = self.now.device.diagnosis() or self._said
        if setbacks > SETBACKS:
            raise self._unstable() if isinstance(problem, _Anew) else problem
        if not isinstance(problem, LinkError):
            if isinstance(problem, _Anew):
                self.tally.resets += 1
                self._emit(self._restarted())
            try:
                self._greet_anew(known=isinstance(problem, _Anew))
                return
            except (NoAnswer, LinkError) as silent:
                problem = silent
        self._reopen(problem)

    def _greet_anew(self, *, known: bool) -> None:
        served, empty, uptime = self._served, self._empty, self._uptime
        self.now = self._greet(address(self._prepared, self.link))
        before = self.now.before
        # what it had counted before it was greeted says whether it is the same boot
        fewer = before.inferences < served or before.frames_ok < served + empty
        if not known and (fewer or before.uptime_ms < uptime):
            self.tally.resets += 1
            self._emit(self._restarted())

    def _restarted(self) -> Restarted:
        return Restarted(self._prepared.plan.key, self._said.what if self._said else "")

    def _reopen(self, problem: Exception) -> None:
        """Let go of the port, and wait until it is back and a board behind it answers."""
        clock = self._patience.clock
        away = self._prepared.case.image.board.timeouts.away
        began, key = clock(), self._prepared.plan.key
        why = problem.what if isinstance(problem, HilError) else str(problem)
        self._emit(Waiting(key, self._name, away, why))
        gone, flaps, lost = began, 0, problem
        while True:
            self._close(lost)
            there = False
            try:
                self._open()
                there = True
                self.tally.reopenings += 1
                self._greet_anew(known=False)
            except (NoAnswer, LinkError) as again:
                lost = again
                if there and isinstance(again, LinkError) and flaps < SETBACKS:
                    gone, flaps = clock(), flaps + 1  # it was there, and went once more
                if clock() - gone >= away:
                    raise _stayed_away(self._said or again, self._name, away) from problem
                self._patience.sleep(self._patience.every)
            else:
                self._emit(Returned(key, self._name, clock() - began))
                return

    def _open(self) -> None:
        self.link = self._ports.enter_context(self._opens())
        if self._before is None:
            self._before = injected(self.link)
        self._name = self.link.name

    def _unstable(self) -> HilError:
        times = f"{self._prepared.plan.key}: {SETBACKS + 1} restarts without an answer in between"
        if self._said:
            return type(self._said)(f"{times}: {self._said.what}", self._said.hint)
        return NoAnswer(
            times,
            "look at its power and its watchdog, then run the same command with the same --out",
        )

    def _close(self, problem: Exception | None = None) -> None:
        """Let the port go, saying to whoever opened it what went wrong."""
        ports, self._ports = self._ports, ExitStack()
        with suppress(LinkError, NoAnswer):
            ports.__exit__(type(problem) if problem else None, problem, None)


def _stayed_away(problem: HilError, name: str, seconds: float) -> HilError:
    return type(problem)(
        f"{problem.what}; no board came back on {name} within {seconds:g} s",
        "plug the board in, and run the same command with the same --out",
    )
