# SPDX-License-Identifier: Apache-2.0
"""A board during one run: initialise it, send samples, recover from resets and disconnects.

An answer counts only if the board has not rebooted since it was initialised. Samples that have no
answer when it reboots, or when its port vanishes, are sent again afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final, TypeAlias

from hil.bench.cases import SketchCase
from hil.bench.events import Emit, Restarted, Returned, Waiting
from hil.bench.identity import check_result, check_room, find_model
from hil.bench.inputs import Inputs, taken_on
from hil.bench.lab import connect, injected
from hil.bench.prepare import Prepared
from hil.bench.totals import Totals
from hil.bench.user import did_not_return, failure
from hil.core.errors import (
    BoardCrashed,
    DeviceError,
    DeviceRefused,
    HilError,
    LinkError,
    NoAnswer,
    NotRunning,
    SketchHangs,
    StateLost,
)
from hil.core.records import (
    ClockSteps,
    Dataset,
    Hello,
    LineCounts,
    ModelInfo,
    Status,
)
from hil.device import Answer, Device, Failure
from hil.link import Link
from hil.runs.agreement import is_disturbed
from hil.runs.tensors import is_sequence, output_bytes

WARM_UP: Final = 3  # inferences
IDLE: Final = 5  # requests that compute nothing
SETBACKS: Final = 6  # in a row, without an answer in between; one more fails the run
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


@dataclass(frozen=True, slots=True)
class Ready:
    """A board that is ready for samples, and what it reported during initialisation.

    ``number``: of the run's model in the image. ``before``: its STATUS before the counters were
    reset. ``idle``: microseconds of an empty round trip. ``heard``: the line's counts up to the
    reply to HELLO, boot text included. ``empty``: requests since then that computed nothing.
    """

    device: Device
    hello: Hello
    number: int
    model: ModelInfo
    before: Status
    idle: int
    steps: ClockSteps | None
    heard: LineCounts
    warm_up: tuple[Answer, ...]
    empty: int = IDLE


def initialise(prepared: Prepared, link: Link, inputs: Inputs, totals: Totals) -> Ready:
    """Wait until the board has booted, check that it runs the image of this run, and warm it up.

    Raises WrongFirmware, DataError, and what `hil.device.Device` raises; DeviceRefused for a sketch
    that fails on each of the first samples.
    """
    board = prepared.case.image.board
    device = connect(board, link)
    totals.continue_with(device)
    hello = device.hello()
    heard = device.counts
    device.speed_up(board.serial.faster)
    number, model = find_model(hello, prepared)
    check_room(hello, inputs)
    before = device.status(reset=True)
    idle, steps = device.idle_round_trip(IDLE), device.clock_steps()
    some = [inputs[i] for i in range(min(WARM_UP, len(inputs)))]
    ready = Ready(device, hello, number, model, before, idle, steps, heard, ())
    try:
        if isinstance(prepared.case, SketchCase):
            return _warm_up_sketch(ready, prepared, prepared.case, inputs, some)
        return replace(ready, warm_up=_warm_up(ready, inputs, some))
    except NoAnswer as problem:
        if _restarted(ready):
            raise restarts_when(prepared.plan.key, "whenever it infers", problem) from problem
        raise


def _restarted(ready: Ready) -> bool:
    """Whether the board has restarted since it got ready."""
    try:
        status = ready.device.status()
    except DeviceError:
        return False
    return status.frames_ok < ready.empty or status.uptime_ms < ready.before.uptime_ms


def restarts_when(key: str, when: str, problem: NoAnswer) -> BoardCrashed:
    """The error of a board that restarts instead of answering, with what it prints."""
    crashed = isinstance(problem, BoardCrashed)
    said = f": {problem.what}" if crashed else ""
    return BoardCrashed(
        f"{key}: the board restarts {when}{said}",
        problem.hint
        if crashed
        else "check its power, its watchdog, and the size of its stack; `pio device monitor` shows "
        "what it prints",
    )


def _warm_up(ready: Ready, inputs: Inputs, some: Sequence[bytes]) -> tuple[Answer, ...]:
    """The answers to ``some``; the state that they leave is reset before the first sample."""
    sequence, device = ready.model.stateful, ready.device
    for left in reversed(range(SETBACKS)):
        try:
            if sequence:
                device.reset_state(ready.number)
            asked = device.infer(
                ready.number, inputs.encoding, some, pack=ready.hello.unpacks, sequence=sequence
            )
            return tuple(asked)
        except StateLost:  # it rebooted meanwhile, or the line repeated an old request
            if not left:
                raise
    raise AssertionError("the last attempt returns or raises")


def _warm_up_sketch(
    ready: Ready, prepared: Prepared, case: SketchCase, inputs: Inputs, some: Sequence[bytes]
) -> Ready:
    asked = ready.device.attempt(ready.number, inputs.encoding, some, pack=ready.hello.unpacks)
    found: list[Answer | Failure] = []
    try:
        found.extend(asked)
    except NoAnswer as problem:
        raise _in_words(problem, case, inputs.data.ids[len(found)]) from problem
    why = [failure(one, prepared.plan) for one in found]
    if all(why):
        raise DeviceRefused(
            f"{case.key}: the sketch {case.calls_itself} failed on each of the first {len(why)} "
            f"samples: {', '.join(dict.fromkeys(why))}",
            "correct the sketch, then run the same command again",
        )
    right = tuple(one for one in found if isinstance(one, Answer))
    # a sketch may allocate when it runs for the first time, which is not a leak
    before = replace(ready.before, heap_used=ready.device.status().heap_used)
    empty = ready.empty + len(found) - len(right) + 1
    return replace(ready, warm_up=right, before=before, empty=empty)


def _in_words(problem: NoAnswer, case: SketchCase, sample: str) -> NoAnswer:
    """A sketch's silence; ``problem`` itself where the board's text tells more."""
    known = isinstance(problem, NotRunning | BoardCrashed)
    return problem if known else did_not_return(case, sample)


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
        self._next = 0  # the first sample that was never sent
        self._sequence = is_sequence(prepared.plan)
        nbytes = output_bytes(prepared.plan)
        self._most = max(1, WAITING // (nbytes + nbytes // 254 + ANSWER_OVERHEAD))  # in flight
        self._step: int | None = None  # the next one of the board's sequence; None: reset it first
        self._repeated: set[int] = set()  # samples that were in flight when a board was lost
        self._diagnosis: HilError | None = None  # why it reboots, by its text since the last answer

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
        while first < len(self._inputs):
            try:
                for answer in self._until_doubt(first):
                    first, setbacks, restarts, self._diagnosis = answer.index + 1, 0, 0, None
                    yield answer, is_disturbed(answer) or answer.index in self._repeated
            except (_Rebooted, NoAnswer, LinkError, StateLost) as caught:
                problem: Exception = caught
                case = self._prepared.case
                if isinstance(caught, NoAnswer) and fatal == first:
                    where = f"whenever it gets sample {self._inputs.data.ids[first]}"
                    raise restarts_when(self._prepared.plan.key, where, caught) from caught
                if isinstance(caught, NoAnswer) and isinstance(case, SketchCase):
                    problem = _in_words(caught, case, self._inputs.data.ids[first])
                    if silent == first:  # the second time: this input never gets an answer
                        raise problem from caught
                    silent, self._diagnosis = first, problem
                again = self._sequence and self._step  # it answered, if only what is known already
                setbacks, restarts = 1 if again else setbacks + 1, restarts + 1
                if restarts > RESTARTS:
                    raise problem from caught
                self._repeated.update(range(first, self._next))
                before = self.totals.resets
                self._recover(problem, setbacks)
                sketch = isinstance(case, SketchCase)  # it has words of its own for that
                if isinstance(caught, NoAnswer) and self.totals.resets > before and not sketch:
                    fatal = first

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

        def fed() -> Iterator[bytes]:
            for i in range(start, len(self._inputs)):
                if held:
                    return
                self._next = i + 1
                yield self._inputs[i]

        for answer in ask(
            now.number,
            self._inputs.encoding,
            fed(),
            first=start,
            window=min(now.hello.window, self._most),
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
        self._uptime = status.uptime_ms
        return back or self._counted_less(status)

    def _counted_less(self, status: Status) -> bool:
        return status.inferences < self._answered or status.frames_ok < self._answered + self._empty

    def _initialise(self) -> Status:
        """Make the board ready; its STATUS before its counters were reset."""
        self.now = initialise(self._prepared, self.link, self._inputs, self.totals)
        self._answered, self._empty = len(self.now.warm_up), self.now.empty
        self._uptime = self.now.before.uptime_ms
        self._step = None
        return self.now.before

    def _recover(self, problem: Exception, setbacks: int) -> None:
        """Make the board ready again; raises ``problem`` if that fails."""
        self._diagnosis = self.now.device.diagnosis() or self._diagnosis
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
        answered, empty, uptime = self._answered, self._empty, self._uptime
        before = self._initialise()
        fewer = before.inferences < answered or before.frames_ok < answered + empty
        if not counted and (fewer or before.uptime_ms < uptime):
            self._count_reset()

    def _count_reset(self) -> None:
        self.totals.resets += 1
        said = self._diagnosis.what if self._diagnosis else ""
        self._emit(Restarted(self._prepared.plan.key, said))

    def _reopen(self, problem: Exception) -> None:
        """Close the port, and wait until it is back and a board answers on it."""
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
                self.totals.reopenings += 1
                self._initialise_again(counted=False)
            except (NoAnswer, LinkError) as again:
                lost = again
                if there and isinstance(again, LinkError) and flaps < SETBACKS:
                    gone, flaps = clock(), flaps + 1  # it was back, and vanished once more
                if clock() - gone >= away:
                    raise _stayed_away(self._diagnosis or again, self._name, away) from problem
                self._patience.sleep(self._patience.every)
            else:
                self._emit(Returned(key, self._name, clock() - began))
                return

    def _open(self) -> None:
        self.link = self._ports.enter_context(self._opens())
        if self._before is None:
            self._before = injected(self.link)
        self._name = self.link.name

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
