"""Carries out the jobs of a study's methods: each network is made, exported and kept in a folder.

``<key>.keras``, ``<key>_float32.tflite``, ``<key>_int8.tflite`` and, written last, ``<key>.json``,
which names all that decided the outcome: a network of the same inputs is not made twice.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hil import files
from hil.errors import UsageError
from hil.kd import export, networks, provenance, pruning, sizing, teaching, training
from hil.kd.backend import known_warnings
from hil.kd.data import Data
from hil.kd.events import Event, OnEvent, ignore
from hil.kd.recipe import Recipe
from hil.records import Precision
from hil.study.methods import Given, Job, Prune, Train, needs, network_of


class Inputs(provenance.Stored, frozen=True):
    """All that decides how a network comes out."""

    job: Job
    dataset: str
    fingerprint: str
    samples: int
    validation_share: float
    calibration: int
    made_from: dict[str, str]  # key of each network it takes -> its fingerprint


class Made(provenance.Stored, frozen=True):
    """``<key>.json``. ``seconds``: processor time of the making, over all cores, without export;
    None where it was made elsewhere."""

    inputs: Inputs
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
    """Where networks are made and kept.

    ``teacher``: a .keras file to take instead of training the recipe's teacher.
    """

    recipe: Recipe
    data: Data
    folder: Path
    teacher: Path | None = None
    on_event: OnEvent = ignore

    @known_warnings()
    def make(self, key: str, job: Job) -> Made:
        """Carry a job out, or keep what is there; what it needs must have been made.

        Raises:
            ToolMissing, UsageError, ModelError, TrainingFailed, StorageError: as `hil train`.
        """
        train = self.data.split.train
        if key == "teacher" and self.teacher:
            job = Given(network=network_of(job), sha256=files.sha256(self.teacher))
        inputs = Inputs(
            job=job,
            dataset=train.name,
            fingerprint=train.fingerprint,
            samples=len(train),
            validation_share=self.recipe.validation_share,
            calibration=self.recipe.calibration,
            made_from={each: self._record(each).fingerprint for each in needs(job)},
        )
        record_file = self.folder / f"{key}.json"
        found = provenance.read(record_file, Made)
        if found is not None and found.inputs == inputs and self._whole(key, found):
            self.on_event(Event(key, "kept"))
            return found
        epochs = job.plan.schedule.epochs if isinstance(job, Train) else 0
        self.on_event(Event(key, "start", epochs=epochs))
        made = self._carry_out(key, job, inputs)
        provenance.write(record_file, made)
        metrics = {"val_accuracy": made.validation_accuracy}
        self.on_event(Event(key, "done", made.epochs, epochs, metrics))
        return made

    def file(self, key: str, precision: Precision) -> Path:
        """A network's .tflite file."""
        return self.folder / f"{key}_{precision}.tflite"

    def _carry_out(self, key: str, job: Job, inputs: Inputs) -> Made:
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
        exported = export.export(
            keras_file, self.data.split.train, self.folder, calibration=inputs.calibration
        )
        size = sizing.size(network_of(job), self.shape)
        return Made(
            inputs=inputs,
            keras_sha256=files.sha256(keras_file),
            fingerprint=networks.fingerprint(network),
            parameters=size.parameters,
            macs=size.macs,
            seconds=seconds,
            validation_accuracy=float(np.mean(training.right(network, validation))),
            tflite_sha256={p: files.sha256(path) for p, path in exported.items()},
            criterion=max(tried, key=tried.__getitem__) if tried else "",
            tried=tried,
            epochs=epochs,
            versions=provenance.versions(),
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample."""
        return self.data.split.train.x.shape[1:]

    def _train(self, job: Train) -> training.Fitted:
        plan = job.plan
        return training.fit(
            plan,
            self.data.split,
            teacher=self._load(plan.teacher) if plan.teacher else None,
            start=self._load(plan.start) if plan.start else None,
            cache=self.folder / "cache",
            on_event=self.on_event,
        )

    def _prune(self, key: str, job: Prune) -> tuple[Any, dict[str, float]]:
        """The best on validation of the criteria, the first of equals; and how each did."""
        whole, split = self._load(job.start), self.data.split
        samples = split.train.x[: max(self.recipe.calibration, 500)]
        cut = {
            criterion: pruning.prune(
                whole, job.network, job.wanted, criterion=criterion, samples=samples, name=key
            )
            for criterion in job.criteria
        }
        tried = {
            str(criterion): float(np.mean(training.right(network, split.validation)))
            for criterion, network in cut.items()
        }
        return cut[max(job.criteria, key=lambda each: tried[each])], tried

    def _given(self, job: Given) -> Any:
        assert self.teacher is not None
        network = export.load(self.teacher)
        ours = networks.build(job.network, self.shape, "teacher")
        same = [w.shape for w in network.get_weights()] == [w.shape for w in ours.get_weights()]
        if not same or tuple(network.input_shape[1:]) != self.shape:
            what = f"{self.teacher} has not the layers of the recipe's teacher"
            raise UsageError(what, "train one with: hil train --recipe")
        ours.set_weights(network.get_weights())
        some = self.data.split.validation.x[:100]
        if not np.allclose(teaching.ask(network, some), teaching.ask(ours, some), atol=1e-3):
            what = f"{self.teacher} answers otherwise than the recipe's layers with its weights"
            raise UsageError(what, "give a network of the same layers, without a softmax")
        return ours

    def _load(self, key: str) -> Any:
        return export.load(self.folder / f"{key}.keras")

    def _record(self, key: str) -> Made:
        found = provenance.read(self.folder / f"{key}.json", Made)
        if found is None:
            raise UsageError(f"{key!r} is needed and has not been made", "make it first")
        return found

    def _whole(self, key: str, made: Made) -> bool:
        """Whether the files are those that the record is of."""
        same = files.sha256(self.folder / f"{key}.keras") == made.keras_sha256
        return same and all(
            files.sha256(self.file(key, precision)) == digest
            for precision, digest in made.tflite_sha256.items()
        )
