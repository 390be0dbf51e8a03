# SPDX-License-Identifier: Apache-2.0
"""`hil train`: a recipe -> trained stages -> exported models, tested once, and what that shows.

    teacher.keras ───────────────┬─> student.keras ─> student_{float32,int8}.tflite
       └─> teacher_*.tflite      │
    student_alone.keras (same schedule, no teacher: the baseline of distillation)

and any other stages of the recipe, one after another in this process or side by side in workers.
Each leaves ``<key>.keras`` and then ``<key>.stage.json``, which has the hash of the former and all
inputs; a stage with unchanged inputs is kept. ``provenance.json`` is written last; ``card.md`` and
``history.svg`` are made from it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from hil.core import files, processes
from hil.core.errors import HilError, MachineError
from hil.core.processes import Ended, Worker
from hil.core.records import Dataset
from hil.datasets import Progress
from hil.reference import encode_inputs, litert
from hil.runs.load import StoredRun
from hil_train import card, networks, provenance, training
from hil_train.backend import known_warnings, one_thread, require
from hil_train.card import Correct
from hil_train.export import export, load_network
from hil_train.plan import (
    FoundRecipe,
    RecipeData,
    Split,
    TrainingPlan,
    find_recipe,
    load_data,
    plans,
    seed_keys,
)
from hil_train.provenance import (
    DataRecord,
    ModelFile,
    Provenance,
    StageInputs,
    StageRecord,
    Verdict,
)
from hil_train.recipe import Recipe, quickly
from hil_train.training import OnEvent, StageEvent, ignore

CACHE: Final = "cache"  # folder of the teachers' answers
_LOGS: Final = "logs"  # folder of TensorBoard's files


@known_warnings()
def train(
    recipe: str | FoundRecipe,
    out: Path,
    *,
    quick: bool = False,
    given: RecipeData | None = None,
    runs: Sequence[StoredRun] = (),
    jobs: int | None = None,
    on_event: OnEvent = ignore,
    progress: Progress | None = None,
) -> Provenance:
    """Train, distil and export the models of a recipe into ``out``.

    Args:
        recipe: a name, the path of a .toml file, or a found recipe.
        out: folder, created if missing; complete results in it are kept.
        quick: few epochs and samples, to see that it works.
        given: its data, if `prepare` has already loaded it.
        runs: stored runs of the bench, for the device figures of the card.
        jobs: see `train_stages`.
        on_event: called for each stage and epoch.
        progress: called during a download.

    Returns:
        The content of ``out/provenance.json``.

    Raises:
        ToolMissing: TensorFlow is not installed.
        UsageError: there is no such recipe, or it cannot work.
        DataError: the data set is missing, wrong or too small.
        TrainingFailed: a loss is not finite.
        MachineError: a worker was killed.
        StorageError: ``out`` cannot be written.
    """
    require()
    found = find_recipe(recipe) if isinstance(recipe, str) else recipe
    wanted = quickly(found.recipe) if quick else found.recipe
    given = given or prepare(found, quick=quick, progress=progress)
    records = train_stages(wanted, out, given, jobs=jobs, on_event=on_event)
    done = provenance.read(out / provenance.FILE, Provenance)
    if done is not None and _is_current(done, wanted, out, records):
        on_event(StageEvent("export", "kept"))
    else:
        on_event(StageEvent("export", "start"))
        done = _finish(found.name, quick, wanted, given, records, out)
        metrics = {name: file.test_accuracy for name, file in done.files.items()}
        on_event(StageEvent("export", "done", metrics=metrics))
    _write_changed(out / "card.md", card.card(done, runs))
    _write_changed(out / "history.svg", card.history_svg(done))
    return done


@known_warnings()
def train_stages(
    recipe: Recipe,
    out: Path,
    given: RecipeData,
    *,
    only: Collection[str] = (),
    jobs: int | None = None,
    on_event: OnEvent = ignore,
) -> dict[str, StageRecord]:
    """Train a recipe's stages, or keep those that are complete: the first half of `train`.

    Args:
        recipe: cut to its quick limits if wanted.
        out: folder for ``<key>.keras`` and ``<key>.stage.json``.
        given: its data.
        only: keys to train, including everything that these learn or start from; empty: all.
        jobs: how many at a time, each in a process with one thread; the weights do not depend on
            the number. None: one after another in this process, with TensorFlow's number of
            threads, on which the last digits of the weights may depend.
        on_event: called for each stage and epoch.

    Returns:
        A record for each key, in order; errors as `train`.
    """
    if given.note:
        on_event(StageEvent("data", "warning", text=given.note))
    _compare_sizes(recipe, given, on_event)
    place = _Workplace(out, given.split, recipe.validation_share)
    wanted = [each for each in plans(recipe) if not only or each.key in only]
    if jobs is not None:
        return _train_side_by_side(place, wanted, jobs, on_event)
    return {each.key: _keep_or_train(place, each, on_event) for each in wanted}


def prepare(
    found: FoundRecipe, *, quick: bool = False, progress: Progress | None = None
) -> RecipeData:
    """A recipe's data, with both splits downloaded; errors as `train`."""
    require()  # fail before a download
    samples = found.recipe.quick.samples if quick else 0
    given = load_data(found.recipe, found.folder, samples=samples, progress=progress)
    given.test()  # downloads it; nothing reads it before the end
    return given


def _compare_sizes(recipe: Recipe, given: RecipeData, on_event: OnEvent) -> None:
    """Build every network once, to refuse wrong ones now; warn about students larger than their
    teachers."""
    shape = given.split.train.x.shape[1:]
    sizes = {
        name: networks.build(network, shape, name).count_params()
        for name, network in recipe.networks.items()
    }
    sizes_of = {each.name: sizes[each.network] for each in recipe.stages}
    for each in recipe.stages:
        if each.teacher and sizes_of[each.name] > sizes_of[each.teacher]:
            text = (
                f"{each.name!r} ({sizes_of[each.name]:,} parameters) is larger than its "
                f"teacher {each.teacher!r} ({sizes_of[each.teacher]:,})"
            )
            on_event(StageEvent(each.name, "warning", text=text))


@dataclass(frozen=True, slots=True)
class _Workplace:
    """What all stages of a recipe share. It can be sent to another process."""

    out: Path
    split: Split
    validation_share: float

    def keras_file(self, key: str) -> Path:
        return self.out / f"{key}.keras"

    def record_file(self, key: str) -> Path:
        return self.out / f"{key}.stage.json"


def _keep_or_train(place: _Workplace, plan: TrainingPlan, on_event: OnEvent) -> StageRecord:
    """The stage's record: an earlier one if its inputs were the same; errors as `_train_stage`."""
    return _kept_record(place, plan, on_event) or _train_stage(place, plan, on_event)


@known_warnings()
def _train_stage(place: _Workplace, plan: TrainingPlan, on_event: OnEvent) -> StageRecord:
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


def _train_side_by_side(
    place: _Workplace, plans: Sequence[TrainingPlan], jobs: int, on_event: OnEvent
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
        HilError: as `_train_stage`, of the first stage that failed.
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
    place: _Workplace
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
            record = _kept_record(self.place, plan, self.on_event)
            if record is None:
                found.append(plan)
            else:
                self.records[plan.key] = record
        return found

    def _send(self, worker: Worker, what: _Workplace | TrainingPlan) -> None:
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
    place = cast(_Workplace, pipe.recv())
    while True:
        plan = cast(TrainingPlan, pipe.recv())
        require().keras.utils.clear_session()  # names of layers, and memory, as in a new process
        pipe.send(_train_stage(place, plan, pipe.send))


def _kept_record(place: _Workplace, plan: TrainingPlan, on_event: OnEvent) -> StageRecord | None:
    """The record that is there, if its inputs are the same; what it learns from must be there."""
    record = provenance.read(place.record_file(plan.key), StageRecord)
    # the hash finds a pair of files of which only one was written before an interruption
    if record is None or record.keras_sha256 != files.sha256(place.keras_file(plan.key)):
        return None
    if record.inputs != _inputs(place, plan):
        return None
    on_event(StageEvent(plan.key, "kept"))
    return record


def _inputs(place: _Workplace, plan: TrainingPlan) -> StageInputs:
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


def _network(place: _Workplace, key: str) -> Any:
    return load_network(place.keras_file(key)) if key else None


def _is_current(
    done: Provenance, recipe: Recipe, out: Path, records: dict[str, StageRecord]
) -> bool:
    """Whether a provenance is of these records, and all its files are there and unchanged."""
    same = done.recipe == recipe and done.stages == records
    return same and all(files.sha256(out / n) == f.sha256 for n, f in done.files.items())


def _write_changed(path: Path, text: str) -> None:
    """Write a file unless it already has this content."""
    content = text.encode()
    if not path.is_file() or path.read_bytes() != content:
        files.replace_file(path, content)


def _finish(
    name: str,
    quick: bool,
    recipe: Recipe,
    data: RecipeData,
    records: dict[str, StageRecord],
    out: Path,
) -> Provenance:
    """Export the trained stages in ``out``, test all of them, and write provenance.json.

    Raises:
        ModelError: a stage cannot be converted.
        StorageError: ``out`` cannot be written.
    """
    split = data.split
    paths: list[Path] = []
    for stage in recipe.export:
        paths += export(
            out / f"{stage}.keras",
            split.train,
            out,
            calibration=recipe.calibration,
            precisions=recipe.precisions,
        ).values()
    test = data.test()
    correct = {key: training.correct(load_network(out / f"{key}.keras"), test) for key in records}
    exported = {
        path.name: ModelFile(
            sha256=files.sha256(path),
            nbytes=path.stat().st_size,
            validation_accuracy=_tflite_accuracy(path, split.validation),
            test_accuracy=_tflite_accuracy(path, test),
        )
        for path in paths
    }
    majority = float(np.bincount(test.y).max() / len(test))
    classes = int(split.train.y.max()) + 1
    result = Provenance(
        schema=provenance.SCHEMA,
        name=name,
        quick=quick,
        recipe=recipe,
        data=DataRecord(
            name=split.train.name,
            train=len(split.train),
            validation=len(split.validation),
            test=len(test),
            classes=classes,
            majority=majority,
            train_fingerprint=split.train.fingerprint,
            test_fingerprint=test.fingerprint,
            note=data.note,
        ),
        stages=records,
        test_accuracy={key: float(np.mean(each)) for key, each in correct.items()},
        files=exported,
        verdict=_verdict(recipe, correct, classes, majority),
        versions=provenance.versions(),
    )
    provenance.write(out / provenance.FILE, result)
    return result


def _verdict(
    recipe: Recipe, correct: Mapping[str, Correct], classes: int, majority: float
) -> Verdict:
    roles = {"teacher": recipe.teacher, "student": recipe.student, "alone": recipe.alone}
    pairs = zip(seed_keys(recipe, recipe.student), seed_keys(recipe, recipe.alone), strict=False)
    return card.verdict(
        {role: correct[stage] for role, stage in roles.items() if stage},
        classes=classes,
        majority=majority,
        control=recipe.control,
        gains=[float(np.mean(correct[a]) - np.mean(correct[b])) for a, b in pairs],
    )


def _tflite_accuracy(path: Path, dataset: Dataset) -> float:
    """Share of samples that LiteRT classifies correctly with a ``.tflite`` file."""
    model = litert(path)
    outputs = model.predict(encode_inputs(dataset.x, model.graph.input))
    return float(np.mean(np.argmax(outputs, axis=1) == dataset.y))
