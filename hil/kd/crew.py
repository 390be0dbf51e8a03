"""Stages side by side: each by one of a few worker processes, as soon as what it needs is there.

this process: what is next ── Place once, then a Plan at a time ──> workers: train
              on_event <── Events, then its StageRecord, or what went wrong ──┘
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import TypeAlias, cast

from hil.errors import HilError, MachineError
from hil.kd import processes, stage
from hil.kd.backend import require
from hil.kd.events import Event, OnEvent
from hil.kd.plan import Plan
from hil.kd.processes import Worker
from hil.kd.provenance import StageRecord
from hil.kd.stage import Place

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
        HilError: as `stage.train`, of the first that failed.
    """
    crew = _Crew(place, plans, jobs, on_event)
    try:
        while crew.deal():
            crew.listen()
    finally:
        processes.stop(crew.workers)
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
            self.workers.append(processes.start(_main))
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
            record = stage.kept(self.place, plan, self.on_event)
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
    processes.serve(pipe, lambda: _work(pipe))


def _work(pipe: Connection) -> None:
    place = cast(Place, pipe.recv())
    while True:
        plan = cast(Plan, pipe.recv())
        require().keras.utils.clear_session()  # layers are named, and memory is, as at the start
        pipe.send(stage.train(place, plan, pipe.send))
