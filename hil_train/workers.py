# SPDX-License-Identifier: Apache-2.0
"""Worker processes with a TensorFlow of one thread each: started, listened to, ended.

One thread: as many workers as cores saturate them, and what a worker computes does not depend
on how many there are.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, Final, TypeAlias, cast

from hil.core.errors import HilError, MachineError
from hil_train import export
from hil_train.backend import Event, OnEvent, require
from hil_train.export import Place
from hil_train.plan import Plan
from hil_train.provenance import StageRecord

TERMINATED: Final = 143
_STOP_S: Final = 20.0
_SPAWN: Final = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork


@dataclass(frozen=True, slots=True)
class Worker:
    """A process, and this end of its pipe: it sends what went wrong, a `HilError`, last."""

    process: BaseProcess
    pipe: Connection


def start(main: Callable[..., None], *given: Any) -> Worker:
    """A process that calls ``main(*given, pipe)``, which should `serve`; not from a thread."""
    # workers do not hear Ctrl-C: this process does, and ends them
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        ours, theirs = _SPAWN.Pipe()
        process = _SPAWN.Process(target=main, args=(*given, theirs), daemon=True)
        process.start()
        theirs.close()
    finally:
        signal.signal(signal.SIGINT, before)
    return Worker(process, ours)


def serve(pipe: Connection, work: Callable[[], None]) -> None:
    """In a worker: do ``work``, until it ends, fails, or this process or its parent is ended."""
    signal.signal(signal.SIGTERM, _end)
    sys.unraisablehook = _end_from_callback
    threading.Thread(target=_follow_parent, daemon=True).start()
    try:
        _, tf = require()
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        work()
    except HilError as problem:
        pipe.send(problem)
    except (EOFError, OSError):
        parent = parent_process()
        if parent is None or parent.is_alive():
            raise


def stop(workers: Iterable[Worker]) -> None:
    """End them, whatever they do."""
    ending = tuple(workers)
    for worker in ending:
        worker.process.terminate()
    end = time.monotonic() + _STOP_S
    for worker in ending:
        worker.process.join(max(0.0, end - time.monotonic()))
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.pipe.close()


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0))


def _follow_parent() -> None:
    """End when the parent was killed: nobody would look at the result."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _end_from_callback(ignored: sys.UnraisableHookArgs) -> None:
    """The signal came while a weak reference's callback ran, where Python drops exceptions."""
    if isinstance(ignored.exc_value, SystemExit):
        os._exit(TERMINATED)
    sys.__unraisablehook__(ignored)


def _end(_: int, __: FrameType | None) -> None:
    raise SystemExit(TERMINATED)


_Message: TypeAlias = Event | StageRecord | HilError


def train(
    place: Place, plans: Sequence[Plan], jobs: int, on_event: OnEvent
) -> dict[str, StageRecord]:
    """Train these, or keep what is there, ``jobs`` at once; a record for each, in their order.

    The weights do not depend on ``jobs``. An error, or an end of this process, ends all
    workers; stages that were complete stay.

    Args:
        place: where.
        plans: with all that they learn or go on from.
        jobs: processes at most, 1 or more; none is started where all is kept.
        on_event: told of each stage and epoch, in this process.

    Raises:
        MachineError: a worker was killed.
        HilError: as `export.train`, of the first that failed.
    """
    crew = _Crew(place, plans, jobs, on_event)
    try:
        while crew.deal():
            crew.listen()
    finally:
        stop(crew.workers)
    return {plan.key: crew.records[plan.key] for plan in plans}


@dataclass
class _Crew:
    place: Place
    plans: Sequence[Plan]
    jobs: int
    on_event: OnEvent
    records: dict[str, StageRecord] = field(default_factory=dict)
    workers: list[Worker] = field(default_factory=list)

    def __post_init__(self) -> None:
        needed = {key for plan in self.plans for key in (plan.teacher, plan.start)}
        # what others wait for comes first; a sort keeps the order of the rest
        self._waiting = sorted(self.plans, key=lambda plan: plan.key not in needed)
        self._at: dict[Connection, Plan] = {}  # what the busy workers train

    def deal(self) -> bool:
        """Give out what can be trained now; whether any is being trained."""
        free = self.jobs - len(self._at)
        given = self._next(free)
        idle = [worker for worker in self.workers if worker.pipe not in self._at]
        old = len(self.workers)
        for _ in given[len(idle) :]:
            self.workers.append(start(_main))
        fresh = self.workers[old:]
        for worker, plan in zip((*idle, *fresh), given, strict=False):
            self._at[worker.pipe] = plan
            if worker in fresh:  # after all are started: sending waits until they listen
                self._send(worker, self.place)
            self._send(worker, plan)
        return bool(self._at)

    def listen(self) -> None:
        """Wait for any worker's word, and pass it on."""
        for pipe in wait(list(self._at)):
            worker = next(worker for worker in self.workers if worker.pipe is pipe)
            try:
                message = cast(_Message, worker.pipe.recv())
            except (EOFError, OSError):
                raise self._died(worker) from None
            if isinstance(message, HilError):
                raise message
            if isinstance(message, Event):
                self.on_event(message)
            else:
                self.records[self._at.pop(worker.pipe).key] = message

    def _next(self, free: int) -> list[Plan]:
        """At most so many plans that are to be trained and can be; others may prove kept."""
        found: list[Plan] = []
        for plan in tuple(self._waiting):
            if len(found) == free:
                break
            if not {plan.teacher, plan.start} <= {"", *self.records}:
                continue
            self._waiting.remove(plan)
            record = export.kept(self.place, plan, self.on_event)
            if record is None:
                found.append(plan)
            else:
                self.records[plan.key] = record
        return found

    def _send(self, worker: Worker, what: Place | Plan) -> None:
        try:
            worker.pipe.send(what)
        except OSError:
            raise self._died(worker) from None

    def _died(self, worker: Worker) -> MachineError:
        worker.process.join()
        key = self._at[worker.pipe].key
        what = f"the process that trained {key!r} died (exit status {worker.process.exitcode})"
        return MachineError(what, "the same command goes on; fewer --jobs need less memory")


def _main(pipe: Connection) -> None:
    serve(pipe, lambda: _work(pipe))


def _work(pipe: Connection) -> None:
    place = cast(Place, pipe.recv())
    while True:
        plan = cast(Plan, pipe.recv())
        require().keras.utils.clear_session()  # layers are named, and memory is, as at the start
        pipe.send(export.train(place, plan, pipe.send))
