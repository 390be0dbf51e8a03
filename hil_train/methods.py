# SPDX-License-Identifier: Apache-2.0
"""The methods that a compression study compares: one list, how each makes its network, and where
that is done.

    teacher ─┬─> finetuned
             ├─> pruned ──┬─> pruned_tuned          at the student's parameters
             │            └─> pruned_distilled
             └─> thin ────┬─> thin_tuned            at the student's multiplications
                          └─> thin_distilled
    alone, student                                  from random weights

Every network is exported in float32 and int8, so each method is compared with and without
quantisation. All networks of the student's size are trained on its schedule with its seed: the same
number of steps over the same samples.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np

from hil.core import files
from hil.core.errors import UsageError
from hil.core.files import Config
from hil.core.records import Precision
from hil_train import compress, distillation, networks, pipeline, provenance, training
from hil_train.backend import known_warnings
from hil_train.compress import CRITERIA, Criterion
from hil_train.export import export, load_network
from hil_train.networks import Measure, Network, Shape
from hil_train.plan import RecipeData, TrainingPlan, plan_for
from hil_train.recipe import Recipe
from hil_train.training import OnEvent, StageEvent, ignore

_TUNING: Final = 7  # fine-tuning takes a seventh of the epochs, at a tenth of the rate


class Train(Config, frozen=True, tag="train"):
    """Train. ``plan.teacher`` and ``plan.start`` are keys of methods."""

    plan: TrainingPlan


class Prune(Config, frozen=True, tag="prune"):
    """Prune ``start``, a method's network, to the layers of ``wanted``, with the criterion that is
    best on the validation split before any fine-tuning."""

    start: str
    network: Network
    wanted: Network
    criteria: tuple[Criterion, ...] = CRITERIA


class Given(Config, frozen=True, tag="given"):
    """A network that was trained elsewhere."""

    network: Network
    sha256: str


Job: TypeAlias = Train | Prune | Given


@dataclass(frozen=True, slots=True)
class Method:
    """One network. ``job`` describes how to make it for samples of a shape; ``words`` is a noun
    phrase in lower case, for tables and sentences."""

    key: str
    words: str
    job: Callable[[Recipe, Shape], Job]
    note: str = ""


def methods() -> tuple[Method, ...]:
    """All methods, each after those that it needs."""
    return (
        Method("teacher", "teacher", _teacher, "the starting point: large, trained on the labels"),
        Method(
            "finetuned",
            "teacher + fine-tuning",
            _finetuned,
            f"the teacher, trained for another 1/{_TUNING} of its epochs at a tenth of its rate on "
            "the same data: what the write-up lists as fine-tuning, here without a new task",
        ),
        Method(
            "pruned",
            "pruned teacher",
            _pruned("parameters"),
            "pruned to the student's parameters, without fine-tuning",
        ),
        Method("pruned_tuned", "pruned teacher + fine-tuning", _after("pruned", taught=False)),
        Method(
            "pruned_distilled",
            "pruned teacher + distillation",
            _after("pruned", taught=True),
            "fine-tuned with the teacher's logits",
        ),
        Method(
            "thin",
            "thin teacher",
            _pruned("macs"),
            "pruned to the student's multiplications, without fine-tuning",
        ),
        Method("thin_tuned", "thin teacher + fine-tuning", _after("thin", taught=False)),
        Method(
            "thin_distilled",
            "thin teacher + distillation",
            _after("thin", taught=True),
            "fine-tuned with the teacher's logits",
        ),
        Method("alone", "student alone", _student(taught=False), "the baseline: labels only"),
        Method("student", "distilled student", _student(taught=True)),
    )


def job_of(method: Method, recipe: Recipe, shape: Shape) -> Job:
    """How a method's network is made.

    Raises:
        UsageError: the recipe has no teacher, or no student that learns from its logits.
    """
    if not recipe.teacher or not recipe.student:
        what = "the recipe does not name both a teacher and a student"
        raise UsageError(what, "a compression study needs both")
    return method.job(recipe, shape)


def needs(job: Job) -> tuple[str, ...]:
    """Keys of the methods that a job needs networks of."""
    match job:
        case Train(plan=used):
            return tuple(dict.fromkeys(key for key in (used.start, used.teacher) if key))
        case Prune():
            return (job.start,)
        case Given():
            return ()


def network_of(job: Job) -> Network:
    """The layers of the network that a job makes."""
    match job:
        case Train():
            return job.plan.network
        case Prune():
            return job.wanted
        case Given():
            return job.network


def _teacher(recipe: Recipe, shape: Shape) -> Job:
    del shape
    return Train(plan=_base(recipe, recipe.teacher, "teacher"))


def _finetuned(recipe: Recipe, shape: Shape) -> Job:
    del shape
    base = _base(recipe, recipe.teacher, "finetuned")
    gentle = msgspec.structs.replace(
        base.schedule,
        epochs=max(1, base.schedule.epochs // _TUNING),
        learning_rate=base.schedule.learning_rate / 10,
    )
    return Train(plan=msgspec.structs.replace(base, schedule=gentle, start="teacher"))


def _pruned(measure: Measure) -> Callable[[Recipe, Shape], Job]:
    def job(recipe: Recipe, shape: Shape) -> Job:
        whole = _base(recipe, recipe.teacher, "teacher").network
        small = networks.size(_base(recipe, recipe.student, "alone").network, shape)
        wanted = networks.widest(whole, shape, small.of(measure), measure)
        return Prune(start="teacher", network=whole, wanted=wanted)

    return job


def _after(start: str, *, taught: bool) -> Callable[[Recipe, Shape], Job]:
    """A pruned network, trained like the student."""
    measure: Measure = "parameters" if start == "pruned" else "macs"

    def job(recipe: Recipe, shape: Shape) -> Job:
        key = f"{start}_{'distilled' if taught else 'tuned'}"
        layers = network_of(_pruned(measure)(recipe, shape))
        base = _with_lesson(_base(recipe, recipe.student, key), recipe, taught)
        return Train(plan=msgspec.structs.replace(base, network=layers, start=start))

    return job


def _student(*, taught: bool) -> Callable[[Recipe, Shape], Job]:
    def job(recipe: Recipe, shape: Shape) -> Job:
        del shape
        key = "student" if taught else "alone"
        return Train(plan=_with_lesson(_base(recipe, recipe.student, key), recipe, taught))

    return job


def _base(recipe: Recipe, stage: str, key: str) -> TrainingPlan:
    """A stage's training from random weights and on the labels only, under a method's key."""
    found = plan_for(recipe, stage, recipe.seeds[0])
    return msgspec.structs.replace(found, key=key, stage=key, loss=None, teacher="", start="")


def _with_lesson(base: TrainingPlan, recipe: Recipe, taught: bool) -> TrainingPlan:
    """The training, with the student's teacher and loss if it is ``taught``."""
    if not taught:
        return base
    loss = plan_for(recipe, recipe.student, recipe.seeds[0]).loss
    if loss is None or loss.kind == "feature":
        what = f"the recipe's stage {recipe.student!r} does not learn from its teacher's logits"
        raise UsageError(what, "a compression study needs a student with such a loss")
    return msgspec.structs.replace(base, loss=loss, teacher="teacher")


class JobInputs(provenance.Stored, frozen=True):
    """Everything that decides the result of a job."""

    job: Job
    dataset: str
    fingerprint: str
    samples: int
    validation_share: float
    calibration: int
    made_from: dict[str, str]  # key of each network that it needs -> its fingerprint


class MadeNetwork(provenance.Stored, frozen=True):
    """``<key>.json``. ``seconds``: processor time over all cores, without export; None if it was
    made elsewhere."""

    inputs: JobInputs
    keras_sha256: str
    fingerprint: str  # of layers and weights
    parameters: int
    macs: int
    seconds: float | None
    validation_accuracy: float
    tflite_sha256: dict[Precision, str]
    criterion: str  # of a pruned network
    tried: dict[str, float]  # each criterion's accuracy on validation
    epochs: int
    versions: dict[str, str]


@dataclass
class Workshop:
    """Makes networks in a folder, or keeps those that are there.

    ``teacher``: a .keras file to use instead of training the recipe's teacher.
    """

    recipe: Recipe
    data: RecipeData
    folder: Path
    teacher: Path | None = None
    on_event: OnEvent = ignore

    @known_warnings()
    def make(self, key: str, job: Job) -> MadeNetwork:
        """Make a network, or keep it if its inputs were the same; what it needs must be there.

        Raises:
            ToolMissing, UsageError, ModelError, TrainingFailed, StorageError: as `hil train`.
        """
        train = self.data.split.train
        if key == "teacher" and self.teacher:
            job = Given(network=network_of(job), sha256=files.sha256(self.teacher))
        inputs = JobInputs(
            job=job,
            dataset=train.name,
            fingerprint=train.fingerprint,
            samples=len(train),
            validation_share=self.recipe.validation_share,
            calibration=self.recipe.calibration,
            made_from={each: self._record(each).fingerprint for each in needs(job)},
        )
        record_file = self.folder / f"{key}.json"
        found = provenance.read(record_file, MadeNetwork)
        if found is not None and found.inputs == inputs and self._whole(key, found):
            self.on_event(StageEvent(key, "kept"))
            return found
        epochs = job.plan.schedule.epochs if isinstance(job, Train) else 0
        self.on_event(StageEvent(key, "start", epochs=epochs))
        made = self._carry_out(key, job, inputs)
        provenance.write(record_file, made)
        metrics = {"val_accuracy": made.validation_accuracy}
        self.on_event(StageEvent(key, "done", made.epochs, epochs, metrics))
        return made

    def file(self, key: str, precision: Precision) -> Path:
        """A network's .tflite file."""
        return self.folder / f"{key}_{precision}.tflite"

    def _carry_out(self, key: str, job: Job, inputs: JobInputs) -> MadeNetwork:
        began = time.process_time()
        tried: dict[str, float] = {}
        epochs = 0
        match job:
            case Train():
                fitted = self._train(job)
                network, epochs = fitted.network, fitted.epochs
            case Prune():
                network, tried = self._prune(key, job)
            case Given():
                network = self._given(job)
        seconds = None if isinstance(job, Given) else time.process_time() - began
        validation = self.data.split.validation
        keras_file = self.folder / f"{key}.keras"
        with files.replacing(keras_file) as part:
            network.save(part, include_optimizer=False)
        exported = export(
            keras_file, self.data.split.train, self.folder, calibration=inputs.calibration
        )
        size = networks.size(network_of(job), self.shape)
        return MadeNetwork(
            inputs=inputs,
            keras_sha256=files.sha256(keras_file),
            fingerprint=networks.fingerprint(network),
            parameters=size.parameters,
            macs=size.macs,
            seconds=seconds,
            validation_accuracy=float(np.mean(training.correct(network, validation))),
            tflite_sha256={p: files.sha256(path) for p, path in exported.items()},
            criterion=max(tried, key=tried.__getitem__) if tried else "",
            tried=tried,
            epochs=epochs,
            versions=provenance.versions(),
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return self.data.split.train.x.shape[1:]

    def _train(self, job: Train) -> training.Fitted:
        plan = job.plan
        return training.fit(
            plan,
            self.data.split,
            teacher=self._load(plan.teacher) if plan.teacher else None,
            start=self._load(plan.start) if plan.start else None,
            cache=self.folder / pipeline.CACHE,
            on_event=self.on_event,
        )

    def _prune(self, key: str, job: Prune) -> tuple[Any, dict[str, float]]:
        """The network of the criterion that is best on validation, and the accuracy of each."""
        whole, split = self._load(job.start), self.data.split
        samples = split.train.x[: max(self.recipe.calibration, 500)]
        cut = {
            criterion: compress.prune(
                whole, job.network, job.wanted, criterion=criterion, samples=samples, name=key
            )
            for criterion in job.criteria
        }
        tried = {
            str(criterion): float(np.mean(training.correct(network, split.validation)))
            for criterion, network in cut.items()
        }
        return cut[max(job.criteria, key=lambda each: tried[each])], tried

    def _given(self, job: Given) -> Any:
        assert self.teacher is not None
        network = load_network(self.teacher)
        ours = networks.build(job.network, self.shape, "teacher")
        same = [w.shape for w in network.get_weights()] == [w.shape for w in ours.get_weights()]
        if not same or tuple(network.input_shape[1:]) != self.shape:
            what = f"{self.teacher} does not have the layers of the recipe's teacher"
            raise UsageError(what, "train one with: hil train --recipe")
        ours.set_weights(network.get_weights())
        some = self.data.split.validation.x[:100]
        if not np.allclose(
            distillation.ask(network, some), distillation.ask(ours, some), atol=1e-3
        ):
            what = f"{self.teacher} and the recipe's layers with its weights give different outputs"
            raise UsageError(what, "give a network of the same layers, without a softmax")
        return ours

    def _load(self, key: str) -> Any:
        return load_network(self.folder / f"{key}.keras")

    def _record(self, key: str) -> MadeNetwork:
        found = provenance.read(self.folder / f"{key}.json", MadeNetwork)
        if found is None:
            raise UsageError(f"{key!r} is needed but has not been made", "make it first")
        return found

    def _whole(self, key: str, made: MadeNetwork) -> bool:
        """Whether the files are those of the record."""
        same = files.sha256(self.folder / f"{key}.keras") == made.keras_sha256
        return same and all(
            files.sha256(self.file(key, precision)) == digest
            for precision, digest in made.tflite_sha256.items()
        )
