# SPDX-License-Identifier: Apache-2.0
"""Runs side by side: a lane is what must happen one after the other, a process each.

A board on a port is one lane. Every run on an emulator starts an emulator of its own, so it is a
lane of its own, and only as many of those as there are cores run at once. The parent alone
writes: a lane sends what it has to store and to say through a pipe.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Final, TypeAlias

from hil.bench.events import Emit, Event, Sink, Streaming
from hil.bench.prepare import Prepared
from hil.core.errors import HilError, MachineError, StorageError
from hil.runs.schema import RunEnd, Sample

_TELL_S: Final = 0.05  # between two words on how far a run is
_STOP_S: Final = 10.0
# not forked from this process: it would inherit the locks of the threads that draw bars
_PROCESSES: Final = multiprocessing.get_context("forkserver")


Lane: TypeAlias = tuple[Prepared, ...]
Carry: TypeAlias = Callable[[Prepared, Sink, Emit], None]  # carries out one run; can be pickled
Word: TypeAlias = Sample | RunEnd | Event | HilError


def lanes(prepared: Sequence[Prepared]) -> list[Lane]:
    """Runs that exclude each other, together and in order."""
    found: dict[str, Lane] = {}  # by what may run one at a time
    for item in prepared:
        station = item.case.station
        name = station.name if station.port else item.plan.key
        found[name] = (*found.get(name, ()), item)
    return list(found.values())


def carry_out(waiting: Sequence[Lane], carry: Carry, sink: Sink, emit: Emit, jobs: int) -> None:
    """All lanes, at most ``jobs`` emulators at once; with one job, or one lane, in this process.

    A station that fails keeps none of the others from going on: its error (the first, if there
    are several) is raised when they are done. A folder that cannot be written ends them all.
    """
    if jobs == 1 or len(waiting) == 1:
        _one_by_one(waiting, carry, sink, emit)
    else:
        _Crew(list(waiting), carry, sink, emit, jobs).work()


def _one_by_one(waiting: Sequence[Lane], carry: Carry, sink: Sink, emit: Emit) -> None:
    failed: dict[str, HilError] = {}
    for lane in waiting:
        for item in lane:
            if item.case.station.name not in failed:
                try:
                    carry(item, sink, emit)
                except StorageError:
                    raise
                except HilError as problem:
                    failed[item.case.station.name] = problem
    _raise(failed)


@dataclass
class _Crew:
    """The processes at work, each behind its pipe."""

    waiting: list[Lane]
    carry: Carry
    sink: Sink
    emit: Emit
    jobs: int
    _working: dict[Connection, tuple[BaseProcess, Lane]] = field(default_factory=dict)
    _failed: dict[str, HilError] = field(default_factory=dict)

    def work(self) -> None:
        try:
            while self._start() or self._working:
                for pipe in wait(list(self._working)):
                    assert isinstance(pipe, Connection)
                    self._hear(pipe)
        finally:
            self._stop()
        _raise(self._failed)

    def _start(self) -> bool:
        """Start what may start now; False when nothing waits any more."""
        for lane in list(self.waiting):
            station = lane[0].case.station
            if station.name in self._failed:
                self.waiting.remove(lane)
                continue
            emulators = sum(not busy[0].case.station.port for _, busy in self._working.values())
            if station.port or emulators < self.jobs:
                self.waiting.remove(lane)
                self._send_off(lane)
        return bool(self.waiting)

    def _send_off(self, lane: Lane) -> None:
        ours, theirs = _PROCESSES.Pipe(duplex=False)
        done = {item.plan.key: self.sink.done[item.plan.key] for item in lane}
        process = _PROCESSES.Process(target=_work, args=(lane, self.carry, done, theirs))
        process.start()
        theirs.close()  # so that the pipe ends when the process does
        self._working[ours] = (process, lane)

    def _hear(self, pipe: Connection) -> None:
        process, lane = self._working[pipe]
        try:
            words: list[Word] = pipe.recv()
        except (EOFError, OSError):
            del self._working[pipe]
            pipe.close()
            process.join()
            name = lane[0].case.station.name
            if process.exitcode and name not in self._failed:
                self._failed[name] = MachineError(
                    f"the process that ran {name} ended with code {process.exitcode}",
                    "run the same command with the same --out to go on",
                )
            return
        for word in words:
            self._take(word, lane)

    def _take(self, word: Word, lane: Lane) -> None:
        if isinstance(word, Sample):
            self.sink.append(word)
        elif isinstance(word, RunEnd):
            self.sink.finish(word)
        elif isinstance(word, HilError):
            self._failed[lane[0].case.station.name] = word
        else:
            self.emit(word)

    def _stop(self) -> None:
        """End what still works: each lets go of its board."""
        for process, _ in self._working.values():
            process.terminate()
        for pipe, (process, _) in self._working.items():
            pipe.close()
            process.join(_STOP_S)
            if process.exitcode is None:
                process.kill()
                process.join()
        self._working.clear()


def _raise(failed: Mapping[str, HilError]) -> None:
    for problem in failed.values():
        raise problem


class _Pipe:
    """The sink of a lane: everything travels to the parent, many words at a time."""

    def __init__(self, done: Mapping[str, int], pipe: Connection) -> None:
        self.done = done
        self._pipe = pipe
        self._words: list[Word] = []
        self._sent = time.monotonic()

    def append(self, sample: Sample) -> None:
        self._words.append(sample)

    def finish(self, end: RunEnd) -> None:
        self._words.append(end)

    def tell(self, event: Event) -> None:
        """Pass ``event`` on, and what waits with it; progress only now and then."""
        frequent = isinstance(event, Streaming) and event.done < event.total
        if not frequent or time.monotonic() - self._sent > _TELL_S:
            self._words.append(event)
            self.flush()

    def fail(self, problem: HilError) -> None:
        self._words.append(problem)

    def flush(self) -> None:
        self._pipe.send(self._words)
        self._words = []
        self._sent = time.monotonic()


def _work(lane: Lane, carry: Carry, done: Mapping[str, int], pipe: Connection) -> None:
    """A lane's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which asks us to end
    signal.signal(signal.SIGTERM, _end)
    sink = _Pipe(done, pipe)
    with contextlib.suppress(BrokenPipeError):  # the parent is gone: nobody to tell
        try:
            for item in lane:
                carry(item, sink, sink.tell)
        except HilError as problem:
            sink.fail(problem)
        finally:
            sink.flush()
    pipe.close()


def _end(_: int, __: FrameType | None) -> None:
    raise SystemExit(0)
