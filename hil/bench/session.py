# SPDX-License-Identifier: Apache-2.0
"""A board during one run: initialise it, send samples, recover from resets and disconnects.

An answer counts only if the board has not rebooted since it was initialised. Samples that have no
answer when it reboots, or when its port vanishes, are sent again afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, TypeAlias

from hil.bench.cases import SketchCase
from hil.bench.events import Emit, Note, Restarted, Returned, Waiting
from hil.bench.identity import check_result
from hil.bench.inputs import Inputs, taken_on
from hil.bench.lab import injected
from hil.bench.prepare import Prepared
from hil.bench.ready import SETBACKS, in_words, initialise
from hil.bench.restarts import CAREFUL, Restarts, last_request, restarts_when, with_details
from hil.bench.totals import Totals
from hil.core.errors import (
    BoardCrashed,
    HilError,
    LinkError,
    NoAnswer,
    NotRunning,
    SketchHangs,
    StateLost,
)
from hil.core.records import Dataset, Status
from hil.device import Answer, Device, Failure
from hil.link import Link, Shared, clock_of
from hil.runs.agreement import is_disturbed
from hil.runs.tensors import is_sequence, output_bytes

# bytes of answers that may wait while the host writes: a pty holds 4,095, and a board that cannot
# send its answer does not read either
WAITING: Final = 4000
ANSWER_OVERHEAD: Final = 32  # bytes of a RESULT frame beside its outputs
RESTARTS: Final = 100  # of a sequence, in a row, without a new answer; one more fails the run
Opens: TypeAlias = Callable[[], AbstractContextManager[Link]]


@dataclass(frozen=True, slots=True)
class Patience:
    """How a bench waits for a port: it looks every ``every`` seconds."""

    every: float = 0.25
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class _Rebooted(Exception):
    """The board was found to have rebooted."""


class Session:
    """A board that is opened and initialised, again whenever that is needed; ``totals`` counts.

    ``first`` is the state of the board before the first sample, ``now`` that after the latest
    initialisation; ``link`` is its port while that is open. ``known``: the port was there before,
    so wait for it if it is missing at the start.
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
        self.totals = Totals()
        self._prepared, self._opens = prepared, opens
        self._inputs = Inputs(data, taken_on(prepared.case))
        self._emit, self._patience = emit, patience
        self._ports = ExitStack()
        self._name = prepared.case.station.port or prepared.case.station.name
        self._known = known
        self._before: dict[str, int] | None = None  # faults injected before this run
        self._answered = 0  # since the board was initialised
        self._empty = 0  # requests that computed nothing, since then
        self._uptime = 0
        self._since_boot = 0  # inferences, as the latest STATUS says
        self._next = 0  # the first sample that was never sent
        self._sequence = is_sequence(prepared.plan)
        nbytes = output_bytes(prepared.plan)
        self._most = max(1, WAITING // (nbytes + nbytes // 254 + ANSWER_OVERHEAD))  # in flight
        self._step: int | None = None  # the next one of the board's sequence; None: reset it first
        self._repeated: set[int] = set()  # samples that were in flight when a board was lost
        self._diagnosis: HilError | None = None  # why it reboots, by its text since the last answer
        self._restarts = Restarts(prepared, self._inputs)
        self._first = 0  # the first sample without an answer
        self._careful = 0  # samples before this one are sent one at a time
        self._printed = ""  # the board's text before it was made ready again
        self._vanished = False  # whether the port did, not only the board's answers
        self._device: Device | None = None  # since it was ready for the first time
        self._lived = 0, 0.0  # inferences and seconds that the boot before has lived

    def __enter__(self) -> Session:
        try:
            try:
                self._open()
                self._known = True
                self._initialise()
            except LinkError as problem:
                if not self._known:
                    raise
                self._reopen(problem)
            self.first = self.now
            self.totals.discount(self.first.heard)
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

    def answers(self, first: int) -> Iterator[tuple[Answer | Failure, bool]]:
        """Each sample's answer from ``first`` on, once and in order, and whether it was disturbed.

        Raises if recovery fails: NoAnswer, LinkError (the port did not come back), WrongFirmware.
        Only sketches send a `Failure`. A network with state gets all samples from 0 on, once more
        whenever the board may have lost its state; the answers before ``first`` are left out.
        """
        setbacks = restarts = 0
        silent: int | None = None  # the sample after which a sketch sent nothing
        fatal: int | None = None  # the sample that the board restarted at instead of answering
        survived = False  # whether the boot before that computed more than its warm-up
        while first < len(self._inputs):
            try:
                for answer in self._until_doubt(first):
                    first, setbacks, restarts, self._diagnosis = answer.index + 1, 0, 0, None
                    self._first = first
                    self._restarts.answered(clock_of(self.link))
                    yield answer, is_disturbed(answer) or answer.index in self._repeated
            except (_Rebooted, NoAnswer, LinkError, StateLost) as caught:
                problem: Exception = caught
                case = self._prepared.case
                if isinstance(caught, NoAnswer) and fatal == first:
                    raise self._fatal(first, caught, survived=survived) from caught
                if isinstance(caught, NoAnswer) and isinstance(case, SketchCase):
                    problem = in_words(caught, case, self._inputs.data.ids[first])
                    if silent == first:  # the second time: this input never gets an answer
                        raise problem from caught
                    silent, self._diagnosis = first, problem
                again = self._sequence and self._step  # it answered, if only what is known already
                setbacks, restarts = 1 if again else setbacks + 1, restarts + 1
                if restarts > RESTARTS:
                    raise problem from caught
                self._repeated.update(range(first, self._next))
                before = self.totals.resets
                warm_up = len(self.now.warm_up)
                self._recover(problem, setbacks)
                if self.totals.resets == before:
                    continue
                self._careful = first + CAREFUL
                key, left = self._prepared.plan.key, len(self._inputs) - first
                if hopeless := self._restarts.hopeless(key, left, warm_up):
                    raise hopeless from caught
                sketch = isinstance(case, SketchCase)  # it has words of its own for that
                if isinstance(caught, NoAnswer) and not sketch:
                    fatal, survived = first, self._lived[0] > warm_up

    def _fatal(self, first: int, problem: NoAnswer, *, survived: bool) -> NoAnswer:
        """The error of a board that restarted twice instead of answering sample ``first``.

        ``survived``: it has answered others that came as late after its boot.
        """
        n = len(self.now.warm_up)
        sample = f"whenever it gets sample {self._inputs.data.ids[first]}"
        count = f"at inference {n + 1} after it has booted"
        if not self._sequence and first < n:  # it has just answered that sample
            when = count
        else:
            when = sample if survived or self._sequence else f"{sample}, or {count}"
        device, prepared = self.now.device, self._prepared
        error = restarts_when(prepared.plan.key, when, problem)
        last = last_request(prepared, self._inputs, first)
        return with_details(error, prepared.firmware, device.printed, last)

    def last_status(self) -> Status:
        """STATUS after the last answer, with the stack of the worst boot."""
        for setbacks in range(1, SETBACKS + 2):
            try:
                status = self._status()
            except (NoAnswer, LinkError) as problem:
                self._recover(problem, setbacks)
            else:
                self.totals.resets += self._has_rebooted(status)  # after the last answer
                for fault, times in injected(self.link).items():
                    self.totals.injected[fault] = times - (self._before or {}).get(fault, 0)
                return self.totals.worst(status)
        raise AssertionError("_recover gives up before")

    def _until_doubt(self, first: int) -> Iterator[Answer | Failure]:
        """Answers from ``first`` on, until one was disturbed and all in flight have arrived.

        The disturbed one and those after it are yielded only if the board has not rebooted;
        otherwise _Rebooted is raised.
        """
        now, held = self.now, list[Answer | Failure]()
        sketch = isinstance(self._prepared.case, SketchCase)
        ask = now.device.attempt if sketch else now.device.infer
        start = self._start_at(first)
        careful = first < self._careful
        end = min(len(self._inputs), self._careful) if careful else len(self._inputs)

        def fed() -> Iterator[bytes]:
            for i in range(start, end):
                if held:
                    return
                self._next = i + 1
                yield self._inputs[i]

        for answer in ask(
            now.number,
            self._inputs.encoding,
            fed(),
            first=start,
            window=1 if careful else min(now.hello.window, self._most),
            room=now.hello.room,
            pack=now.hello.unpacks,
            sequence=self._sequence,
        ):
            self._step = answer.index + 1
            if isinstance(answer, Answer):
                check_result(answer.result, now.number, self._prepared)
                self._answered += 1
            else:
                self._empty += 1  # the board does not count it as an inference
            if answer.index < first:  # it only restored the state
                continue
            if held or is_disturbed(answer):
                held.append(answer)
            else:
                yield answer
        if held and self._has_rebooted(self._status()):
            raise _Rebooted
        yield from held

    def _start_at(self, first: int) -> int:
        """The sample to send next, so that ``first`` is answered in its turn."""
        if not self._sequence:
            return first
        if self._step is not None and self._step <= first:
            return self._step
        self.now.device.reset_state(self.now.number)
        self._empty += 1
        return 0

    def _status(self) -> Status:
        status = self.now.device.status()
        self._empty += 1
        return self.totals.worst(status)

    def _has_rebooted(self, status: Status) -> bool:
        """Whether the board counts less than it has certainly done, or its uptime went back.

        A reset right after initialisation, before as many answers as are in flight, may be missed:
        the answers are right then too, and marked as disturbed.
        """
        back = status.uptime_ms < self._uptime
        self._uptime, self._since_boot = status.uptime_ms, status.inferences
        return back or self._counted_less(status)

    def _counted_less(self, status: Status) -> bool:
        return status.inferences < self._answered or status.frames_ok < self._answered + self._empty

    def _initialise(self) -> Status:
        """Make the board ready; its STATUS before its counters were reset."""
        self.now = initialise(self._prepared, self.link, self._inputs, self.totals)
        self._device = self.now.device
        self._answered, self._empty = len(self.now.warm_up), self.now.empty
        self._uptime = self.now.before.uptime_ms
        self._restarts.ready(clock_of(self.link))
        self._step = None
        return self.now.before

    def _recover(self, problem: Exception, setbacks: int) -> None:
        """Make the board ready again; raises ``problem`` if that fails."""
        self._diagnosis = self.now.device.diagnosis() or self._diagnosis
        self._printed = self.now.device.printed
        self._vanished = isinstance(problem, LinkError)
        since = self._since_boot if isinstance(problem, _Rebooted) else 0
        self._lived = max(0, self._answered - since), self._restarts.seconds
        if setbacks > SETBACKS:
            raise self._unstable() if isinstance(problem, _Rebooted) else problem
        if not isinstance(problem, LinkError):
            if isinstance(problem, _Rebooted):
                self._count_reset()
            try:
                self._initialise_again(counted=isinstance(problem, _Rebooted))
                return
            except (NoAnswer, LinkError) as silent:
                problem = silent
        self._reopen(problem)

    def _initialise_again(self, *, counted: bool) -> None:
        """Make the board ready; count a reboot that it had meanwhile, unless it is ``counted``."""
        answered, uptime = self._answered, self._uptime
        empty = self._empty + (self._device.probed if self._device else 0)
        before = self._initialise()
        fewer = before.inferences < answered or before.frames_ok < answered + empty
        if not counted and (fewer or before.uptime_ms < uptime):
            self._count_reset()

    def _count_reset(self) -> None:
        self.totals.resets += 1
        said = ""
        if self._diagnosis or not self._vanished:  # not for a cable that comes out
            restart = self._restarts.add(self._first, *self._lived, self._diagnosis, self._printed)
            self.totals.restarts = self._restarts.kept
            said = self._restarts.words(restart, self._first)
        self._emit(Restarted(self._prepared.plan.key, said))

    def _reopen(self, problem: Exception) -> None:
        """Close the port, and wait until it is back and a board answers on it."""
        clock = self._patience.clock
        away = self._prepared.case.image.board.timeouts.away
        began, key = clock(), self._prepared.plan.key
        why = problem.what if isinstance(problem, HilError) else str(problem)
        self._emit(Waiting(key, self._name, away, why))
        gone, flaps, lost, crashed = began, 0, problem, isinstance(problem, BoardCrashed)
        while True:
            self._close(lost)
            there = False
            try:
                self._open()
                there = True
                self.totals.reopenings += 1
                self._initialise_again(counted=False)
            except (NoAnswer, LinkError) as again:
                lost = again
                if there and isinstance(again, LinkError) and flaps < SETBACKS:
                    gone, flaps = clock(), flaps + 1  # it was back, and vanished once more
                if there and isinstance(again, BoardCrashed | NotRunning):
                    if crashed:  # it is there, and has said twice why it does not start
                        raise self._does_not_start(again) from problem
                    crashed = True
                if clock() - gone >= away:
                    raise _stayed_away(self._diagnosis or again, self._name, away) from problem
                self._patience.sleep(self._patience.every)
            else:
                self._emit(Returned(key, self._name, clock() - began))
                return

    def _does_not_start(self, problem: NoAnswer) -> NoAnswer:
        what = f"{self._prepared.plan.key}: {problem.what}; it does not start any more"
        last = last_request(self._prepared, self._inputs, min(self._first, len(self._inputs) - 1))
        error = type(problem)(what, problem.hint)
        return with_details(error, self._prepared.firmware, self._printed, last)

    def _open(self) -> None:
        self.link = self._ports.enter_context(self._opens())
        if self._before is None:
            self._before = injected(self.link)
        self._name = self.link.name
        others = self.link.others() if isinstance(self.link, Shared) else ()
        for other in others:
            self._emit(Note(f"{other} also has {self._name} open, and takes bytes from it"))

    def _close(self, problem: Exception | None = None) -> None:
        """Close the port, passing ``problem`` to the context manager that opened it."""
        ports, self._ports = self._ports, ExitStack()
        with suppress(LinkError, NoAnswer):
            ports.__exit__(type(problem) if problem else None, problem, None)

    def _unstable(self) -> HilError:
        times = f"{self._prepared.plan.key}: {SETBACKS + 1} restarts without an answer in between"
        if self._diagnosis:
            return type(self._diagnosis)(f"{times}: {self._diagnosis.what}", self._diagnosis.hint)
        return NoAnswer(
            times,
            "check its power and its watchdog, then run the same command with the same --out",
        )


def _stayed_away(problem: HilError, name: str, seconds: float) -> HilError:
    hint = "plug the board in, then run the same command with the same --out"
    if isinstance(problem, SketchHangs):
        hint = problem.hint
    what = f"{problem.what}; no board came back on {name} within {seconds:g} s"
    return type(problem)(what, hint)
