# SPDX-License-Identifier: Apache-2.0
"""The stages of a recipe: kept or trained, one after another here or side by side in workers.

Each leaves ``<key>.keras`` and then ``<key>.stage.json``, which has the hash of the former and all
inputs. A stage with unchanged inputs is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, cast

from hil.core import files, processes
from hil.core.errors import HilError, MachineError
from hil.core.processes import Ended, Worker
from hil_train import provenance, training
from hil_train.backend import known_warnings, one_thread, require
from hil_train.export import load_network
from hil_train.plan import Split, TrainingPlan
from hil_train.provenance import StageInputs, StageRecord
from hil_train.training import OnEvent, StageEvent

CACHE: Final = "cache"  # folder of the teachers' answers
_LOGS: Final = "logs"  # folder of TensorBoard's files


@dataclass(frozen=True, slots=True)
class Workplace:
    """What all stages of a recipe share. It can be sent to another process."""

    out: Path
    split: Split
    validation_share: float

    def keras_file(self, key: str) -> Path:
        return self.out / f"{key}.keras"

    def record_file(self, key: str) -> Path:
        return self.out / f"{key}.stage.json"


def keep_or_train(place: Workplace, plan: TrainingPlan, on_event: OnEvent) -> StageRecord:
    """The stage's record: an earlier one if its inputs were the same; errors as `train`."""
    return _kept(place, plan, on_event) or train(place, plan, on_event)


@known_warnings()
def train(place: Workplace, plan: TrainingPlan, on_event: OnEvent) -> StageRecord:
    """Train a stage; errors as `hil_train.training.fit`, and StorageError."""
    on_event(StageEvent(plan.key, "start", epochs=plan.schedule.epochs))
    inputs, model_file = _inputs(place, plan), place.keras_file(plan.key)
    fitted = training.fit(
        plan,
        place.split,
        teacher=_network(place, plan.teacher),
        start=_network(place, plan.start),
        cache=place.out / CACHE,
        logs=place.out / _LOGS / plan.key,
        on_event=on_event,
    )
    with files.replacing(model_file) as part:
        fitted.network.save(part, include_optimizer=False)
    record = StageRecord(
        inputs=inputs,
        keras_sha256=files.sha256(model_file),
        parameters=fitted.network.count_params(),
        seconds=round(fitted.seconds, 1),
        samples_per_second=round(fitted.rate),
        validation_accuracy=fitted.accuracy,
        history=fitted.history,
        versions=provenance.versions(),
    )
    provenance.write(place.record_file(plan.key), record)
    metrics = {"val_accuracy": record.validation_accuracy}
    on_event(StageEvent(plan.key, "done", fitted.epochs, fitted.epochs, metrics))
    return record


def train_side_by_side(
    place: Workplace, plans: Sequence[TrainingPlan], jobs: int, on_event: OnEvent
) -> dict[str, StageRecord]:
    """Keep or train stages, ``jobs`` of them at a time; a record for each, in their order.

    The weights do not depend on ``jobs``. An error, or the end of this process, ends all workers;
    complete stages stay.

    Args:
        place: shared by all stages.
        plans: including everything that they learn or start from.
        jobs: most processes, 1 or more; none is started if all stages are kept.
        on_event: called in this process for each stage and epoch.

    Raises:
        MachineError: a worker was killed.
        HilError: as `train`, of the first stage that failed.
    """
    crew = _Crew(place, plans, jobs, on_event)
    try:
        while crew.assign():
            crew.listen()
    finally:
        processes.stop(crew.workers)
    return {plan.key: crew.records[plan.key] for plan in plans}


@dataclass
class _Crew:
    place: Workplace
    plans: Sequence[TrainingPlan]
    jobs: int
    on_event: OnEvent
    records: dict[str, StageRecord] = field(default_factory=dict)
    workers: list[Worker] = field(default_factory=list)

    def __post_init__(self) -> None:
        needed = {key for plan in self.plans for key in (plan.teacher, plan.start)}
        # what others wait for comes first; a sort keeps the order of the rest
        self._waiting = sorted(self.plans, key=lambda plan: plan.key not in needed)
        self._busy: dict[Worker, TrainingPlan] = {}

    def assign(self) -> bool:
        """Assign the stages that can be trained now; return whether any is being trained."""
        ready = self._ready(self.jobs - len(self._busy))
        idle = [worker for worker in self.workers if worker not in self._busy]
        new = [processes.start(_main) for _ in ready[len(idle) :]]
        self.workers += new
        for worker, plan in zip((*idle, *new), ready, strict=False):
            self._busy[worker] = plan
            if worker in new:  # after all are started, because sending blocks until they listen
                self._send(worker, self.place)
            self._send(worker, plan)
        return bool(self._busy)

    def listen(self) -> None:
        """Wait for messages of the workers, and process them."""
        for worker, message in processes.receive(list(self._busy)):
            match message:
                case StageEvent():
                    self.on_event(message)
                case StageRecord():
                    self.records[self._busy.pop(worker).key] = message
                case HilError():
                    raise message
                case Ended(status):
                    raise self._died(worker, status)

    def _ready(self, most: int) -> list[TrainingPlan]:
        """Stages that must be trained and can be, since what they need is there."""
        found: list[TrainingPlan] = []
        for plan in tuple(self._waiting):
            if len(found) == most:
                break
            if not {plan.teacher, plan.start} <= {"", *self.records}:
                continue
            self._waiting.remove(plan)
            record = _kept(self.place, plan, self.on_event)
            if record is None:
                found.append(plan)
            else:
                self.records[plan.key] = record
        return found

    def _send(self, worker: Worker, what: Workplace | TrainingPlan) -> None:
        try:
            worker.pipe.send(what)
        except OSError:
            worker.process.join()
            raise self._died(worker, worker.process.exitcode) from None

    def _died(self, worker: Worker, status: int | None) -> MachineError:
        key = self._busy[worker].key
        what = f"the process that trained {key!r} died (exit status {status})"
        return MachineError(what, "run the same command to continue; fewer --jobs need less memory")


def _main(pipe: Connection) -> None:
    processes.serve(pipe, lambda: _work(pipe))


def _work(pipe: Connection) -> None:
    one_thread()
    place = cast(Workplace, pipe.recv())
    while True:
        plan = cast(TrainingPlan, pipe.recv())
        require().keras.utils.clear_session()  # names of layers, and memory, as in a new process
        pipe.send(train(place, plan, pipe.send))


def _kept(place: Workplace, plan: TrainingPlan, on_event: OnEvent) -> StageRecord | None:
    """The record that is there, if its inputs are the same; what it learns from must be there."""
    record = provenance.read(place.record_file(plan.key), StageRecord)
    # the hash finds a pair of files of which only one was written before an interruption
    if record is None or record.keras_sha256 != files.sha256(place.keras_file(plan.key)):
        return None
    if record.inputs != _inputs(place, plan):
        return None
    on_event(StageEvent(plan.key, "kept"))
    return record


def _inputs(place: Workplace, plan: TrainingPlan) -> StageInputs:
    samples = place.split.train
    return StageInputs(
        plan=plan,
        dataset=samples.name,
        fingerprint=samples.fingerprint,
        samples=len(samples),
        validation_share=place.validation_share,
        teacher_sha256=files.sha256(place.keras_file(plan.teacher)) if plan.teacher else "",
        start_sha256=files.sha256(place.keras_file(plan.start)) if plan.start else "",
    )


def _network(place: Workplace, key: str) -> Any:
    return load_network(place.keras_file(key)) if key else None
