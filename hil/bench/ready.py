# SPDX-License-Identifier: Apache-2.0
"""A board before its first sample: it has booted, runs the right image, and is warmed up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from hil.bench.cases import SketchCase
from hil.bench.identity import check_room, find_model
from hil.bench.inputs import Inputs
from hil.bench.lab import connect
from hil.bench.prepare import Prepared
from hil.bench.restarts import last_request, restarts_when, with_details
from hil.bench.totals import Totals
from hil.bench.user import did_not_return, failure
from hil.core.errors import (
    BoardCrashed,
    DeviceError,
    DeviceRefused,
    NoAnswer,
    NotRunning,
    StateLost,
)
from hil.core.records import ClockSteps, Hello, LineCounts, ModelInfo, Status
from hil.device import Answer, Device, Failure
from hil.link import Link
from hil.wire.panics import reboots

WARM_UP: Final = 3  # inferences
IDLE: Final = 5  # requests that compute nothing
SETBACKS: Final = 6  # in a row, without an answer in between; one more fails the run
TRIES: Final = 3  # to warm up a board whose text says that it crashed, when it has not
IDLE_LOOKS: Final = 6  # at the uptime of a board that restarts, between requests
IDLE_LOOK_S: Final = 0.5  # between two of them


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
    if isinstance(prepared.case, SketchCase):
        return _warm_up_sketch(ready, prepared, prepared.case, inputs, some)
    found: list[Answer] = []
    retries = device.retries
    for left in reversed(range(TRIES)):
        try:
            _warm_up(ready, inputs, some, found)
            break
        except NoAnswer as problem:
            printed = device.printed  # the panic, before the next boot's text replaces it
            when = _restarts(ready, found, repeated=device.retries > retries, printed=printed)
            if isinstance(problem, BoardCrashed) and not when and left:
                continue  # that text was not of this boot, or not the board's
            error = restarts_when(prepared.plan.key, when, problem) if when else problem
            last = last_request(prepared, inputs, len(found))
            raise with_details(error, prepared.firmware, printed, last) from problem
    return replace(ready, warm_up=tuple(found))


def _restarts(ready: Ready, found: Sequence[Answer], *, repeated: bool, printed: str) -> str:
    """When the board restarts, after it did not answer the inference after those ``found``; empty
    if it has not restarted since it got ready.

    ``repeated``: some requests were sent again, so that it may have computed more.
    """
    device, answered = ready.device, len(found)
    try:
        device.hello()  # waits until it has booted
        status = device.status()
        least = ready.empty + device.probed + 1  # HELLO
        continues = status.frames_ok >= least and status.uptime_ms >= ready.before.uptime_ms
        if continues and not reboots(printed):
            return ""
        longest = status.uptime_ms
        for _ in range(IDLE_LOOKS):  # does it restart without an inference, too?
            device.rest(IDLE_LOOK_S)
            uptime = device.status().uptime_ms
            if uptime < longest:
                return f"by itself, {longest / 1000:.1f} s after it has booted or sooner"
            longest = uptime
    except DeviceError:
        return ""
    if not answered:
        return "whenever it infers"
    if repeated:
        return f"while it infers, after {answered} answers"
    return f"at inference {answered + 1} after it has booted"


def _warm_up(ready: Ready, inputs: Inputs, some: Sequence[bytes], found: list[Answer]) -> None:
    """Put the answers to ``some`` into ``found``; the state that they leave is reset before the
    first sample."""
    sequence, device = ready.model.stateful, ready.device
    for left in reversed(range(SETBACKS)):
        found.clear()
        try:
            if sequence:
                device.reset_state(ready.number)
            asked = device.infer(
                ready.number, inputs.encoding, some, pack=ready.hello.unpacks, sequence=sequence
            )
            found.extend(asked)
            return
        except StateLost:  # it rebooted meanwhile, or the line repeated an old request
            if not left:
                raise


def _warm_up_sketch(
    ready: Ready, prepared: Prepared, case: SketchCase, inputs: Inputs, some: Sequence[bytes]
) -> Ready:
    asked = ready.device.attempt(ready.number, inputs.encoding, some, pack=ready.hello.unpacks)
    found: list[Answer | Failure] = []
    try:
        found.extend(asked)
    except NoAnswer as problem:
        raise in_words(problem, case, inputs.data.ids[len(found)]) from problem
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


def in_words(problem: NoAnswer, case: SketchCase, sample: str) -> NoAnswer:
    """A sketch's silence; ``problem`` itself where the board's text tells more."""
    known = isinstance(problem, NotRunning | BoardCrashed)
    return problem if known else did_not_return(case, sample)
