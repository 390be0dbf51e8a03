# SPDX-License-Identifier: Apache-2.0
"""Runs in parallel: runs that must happen one after another form a lane, with its own process.

The runs of a board on a port are one lane. Each run on an emulator starts its own emulator, so it
is a lane by itself; the number of emulators at once is limited. Only the parent process writes to
the run's folder: lanes send their answers and events through a pipe.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Final, TypeAlias

from hil.bench.events import Emit, Event, Sink, Streaming
from hil.bench.prepare import Prepared
from hil.core.errors import DeviceRefused, HilError, MachineError, StorageError, WrongFirmware
from hil.core.processes import Ended, Worker, receive, serve, start, stop
from hil.runs.schema import RunEnd, Sample

_TELL_S: Final = 0.05  # between two progress messages of a run

Lane: TypeAlias = tuple[Prepared, ...]
Carry: TypeAlias = Callable[[Prepared, Sink, Emit], None]  # carries out one run; can be pickled
Message: TypeAlias = Sample | RunEnd | Event


def lanes(prepared: Sequence[Prepared]) -> list[Lane]:
    """Lanes of runs that cannot happen at the same time, in order."""
    found: dict[str, Lane] = {}
    for item in prepared:
        station = item.case.station
        name = station.name if station.port else item.plan.key
        found[name] = (*found.get(name, ()), item)
    return list(found.values())


def carry_out(waiting: Sequence[Lane], carry: Carry, sink: Sink, emit: Emit, jobs: int) -> None:
    """Run all lanes, with at most ``jobs`` emulators at once.

    A single job or lane runs in this process. If a run fails, the others continue, except those on
    the same port if its board does not answer; the error (the first of several) is raised when they
    are done. A StorageError ends all of them.
    """
    if jobs == 1 or len(waiting) == 1:
        _one_by_one(waiting, carry, sink, emit)
    else:
        _Crew(list(waiting), carry, sink, emit, jobs).work()


def _one_by_one(waiting: Sequence[Lane], carry: Carry, sink: Sink, emit: Emit) -> None:
    failed = [_carry_lane(lane, carry, sink, emit) for lane in waiting]
    _raise([problem for problem in failed if problem])


def _carry_lane(lane: Lane, carry: Carry, sink: Sink, emit: Emit) -> HilError | None:
    """The first error of the runs of a lane. Only a board that refuses an image, or runs another
    one, is tried with the next."""
    first: HilError | None = None
    for item in lane:
        try:
            carry(item, sink, emit)
        except StorageError:
            raise
        except HilError as problem:
            first = first or problem
            if not isinstance(problem, DeviceRefused | WrongFirmware):
                break
    return first


@dataclass
class _Crew:
    """The worker processes, each with its lane."""

    waiting: list[Lane]
    carry: Carry
    sink: Sink
    emit: Emit
    jobs: int
    _working: dict[Worker, Lane] = field(default_factory=dict)
    _reported: set[Worker] = field(default_factory=set)  # whose error has arrived
    _failed: list[HilError] = field(default_factory=list)

    def work(self) -> None:
        try:
            while self._start() or self._working:
                for worker, message in receive(self._working):
                    self._take(worker, message)
        finally:
            stop(self._working)
        _raise(self._failed)

    def _start(self) -> bool:
        """Start what may start now; False when nothing is waiting."""
        for lane in list(self.waiting):
            station = lane[0].case.station
            emulators = sum(not busy[0].case.station.port for busy in self._working.values())
            if station.port or emulators < self.jobs:
                self.waiting.remove(lane)
                self._send_off(lane)
        return bool(self.waiting)

    def _send_off(self, lane: Lane) -> None:
        worker = start(_main)
        self._working[worker] = lane
        done = {item.plan.key: self.sink.done[item.plan.key] for item in lane}
        with suppress(OSError):  # it died: `receive` reports that
            worker.pipe.send((lane, self.carry, done))

    def _take(self, worker: Worker, message: list[Message] | HilError | Ended) -> None:
        if isinstance(message, Ended):
            lane = self._working.pop(worker)
            worker.pipe.close()
            if message.status and worker not in self._reported:
                self._failed.append(
                    MachineError(
                        f"the process that ran {lane[0].case.station.name} ended with code "
                        f"{message.status}",
                        "run the same command with the same --out to continue",
                    )
                )
        elif isinstance(message, HilError):
            self._failed.append(message)
            self._reported.add(worker)
        else:
            for one in message:
                self._pass_on(one)

    def _pass_on(self, message: Message) -> None:
        if isinstance(message, Sample):
            self.sink.append(message)
        elif isinstance(message, RunEnd):
            self.sink.finish(message)
        else:
            self.emit(message)


def _raise(failed: Sequence[HilError]) -> None:
    for problem in failed:
        raise problem


class _Pipe:
    """The sink of a lane: sends everything to the parent, many messages at a time."""

    def __init__(self, done: Mapping[str, int], pipe: Connection) -> None:
        self.done = done
        self._pipe = pipe
        self._messages: list[Message] = []
        self._sent = time.monotonic()

    def append(self, sample: Sample) -> None:
        self._messages.append(sample)

    def finish(self, end: RunEnd) -> None:
        self._messages.append(end)

    def tell(self, event: Event) -> None:
        """Send ``event`` with all that is waiting; progress events at most every `_TELL_S`."""
        frequent = isinstance(event, Streaming) and event.done < event.total
        if not frequent or time.monotonic() - self._sent > _TELL_S:
            self._messages.append(event)
            self.flush()

    def flush(self) -> None:
        self._pipe.send(self._messages)
        self._messages = []
        self._sent = time.monotonic()


def _main(pipe: Connection) -> None:
    """A lane's process."""
    serve(pipe, lambda: _work(pipe))


def _work(pipe: Connection) -> None:
    lane, carry, done = pipe.recv()
    sink = _Pipe(done, pipe)
    try:
        failed = _carry_lane(lane, carry, sink, sink.tell)
    except StorageError as problem:
        failed = problem
    sink.flush()  # before `serve` sends the error
    if failed:
        raise failed
