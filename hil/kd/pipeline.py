"""Teacher, student alone, student distilled, export, and one look at the test set.

    teacher.keras ───────────────┬─> student.keras ─> student_{float32,int8}.tflite
       └─> teacher_*.tflite      │
    student_alone.keras (same schedule, no teacher: what distillation has to win against)

Every stage leaves ``<stage>.keras`` and ``<stage>.stage.json``; one whose recipe has not
changed is kept. ``provenance.json`` comes last and says that the rest is complete.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hil import datasets, files
from hil.datasets import Progress
from hil.kd import export, networks, provenance, training
from hil.kd.backend import known_warnings, require
from hil.kd.events import Event, OnEvent, ignore
from hil.kd.provenance import Data, ModelFile, Provenance, Recipe, StageRecord
from hil.kd.settings import Schedule, Settings, for_dataset
from hil.records import Dataset
from hil.reference import encode_inputs, litert

STAGES = ("teacher", "student_alone", "student")
EXPORTED = ("teacher", "student")


@dataclass(frozen=True, slots=True)
class _Run:
    """What the stages share."""

    settings: Settings
    out: Path
    train: Dataset
    validation: Dataset
    on_event: OnEvent


@known_warnings()
def train(
    dataset: str,
    out: Path,
    *,
    quick: bool = False,
    settings: Settings | None = None,
    on_event: OnEvent = ignore,
    progress: Progress | None = None,
) -> Provenance:
    """Train, distil and export the models of a data set into ``out``.

    Args:
        dataset: ``mnist`` or ``digits``.
        out: folder, made when missing; what is complete in it is kept.
        quick: few epochs, to see that it works.
        settings: instead of the built-in ones.
        on_event: told of each stage and epoch.
        progress: told of a download.

    Returns:
        What ``out/provenance.json`` holds.

    Raises:
        ToolMissing: no TensorFlow.
        DataError: the data set is missing or wrong.
        StorageError: ``out`` cannot be written.
    """
    require()  # before a download: cheap to refuse
    settings = settings or for_dataset(dataset, quick=quick)
    whole = datasets.load(settings.dataset, "train", progress=progress)
    fitting, validation = datasets.split_validation(whole, settings.validation_share)
    run = _Run(settings, out, fitting, validation, on_event)
    records = {"teacher": _stage(run, "teacher", networks.teacher, settings.teacher)}
    for stage in ("student_alone", "student"):
        records[stage] = _stage(run, stage, networks.student, settings.student)

    done = provenance.read(out / "provenance.json", Provenance)
    if done is not None and _is_current(done, run, records):
        on_event(Event("export", "kept"))
        return done
    return _finish(run, records, progress)


def _stage(run: _Run, stage: str, build: Callable[[], Any], schedule: Schedule) -> StageRecord:
    """Train a stage, or keep what is there when it came from the same recipe."""
    distils = stage == "student"
    teacher_file = run.out / "teacher.keras"
    recipe = Recipe(
        stage=stage,
        schedule=schedule,
        dataset=run.train.name,
        fingerprint=run.train.fingerprint,
        validation_share=run.settings.validation_share,
        distillation=run.settings.distillation if distils else None,
        teacher_sha256=files.sha256(teacher_file) if distils else "",
    )
    model_file, record_file = run.out / f"{stage}.keras", run.out / f"{stage}.stage.json"
    record = provenance.read(record_file, StageRecord)
    # the hash tells a pair that an interruption left apart
    if record and record.recipe == recipe and record.keras_sha256 == files.sha256(model_file):
        run.on_event(Event(stage, "kept"))
        return record

    run.on_event(Event(stage, "start", epochs=schedule.epochs))
    start = time.monotonic()
    network, history = training.fit(
        stage,
        build,
        run.train,
        run.validation,
        schedule,
        teacher=export.load(teacher_file) if distils else None,
        distillation=recipe.distillation,
        on_event=run.on_event,
    )
    seconds = time.monotonic() - start
    with files.replacing(model_file) as part:
        network.save(part, include_optimizer=False)
    record = StageRecord(
        recipe=recipe,
        keras_sha256=files.sha256(model_file),
        parameters=network.count_params(),
        seconds=round(seconds, 1),
        validation_accuracy=training.accuracy(network, run.validation),
        history=history,
        versions=provenance.versions(),
    )
    provenance.write(record_file, record)
    metrics = {"val_accuracy": record.validation_accuracy}
    run.on_event(Event(stage, "done", schedule.epochs, schedule.epochs, metrics))
    return record


def _is_current(done: Provenance, run: _Run, records: dict[str, StageRecord]) -> bool:
    """Whether a provenance is of these records, and all its files are there, unchanged."""
    same = done.settings == run.settings and done.stages == records
    return same and all(files.sha256(run.out / n) == f.sha256 for n, f in done.files.items())


def _finish(run: _Run, records: dict[str, StageRecord], progress: Progress | None) -> Provenance:
    """Export, then read the test set for the first and last time."""
    run.on_event(Event("export", "start"))
    paths: list[Path] = []
    for stage in EXPORTED:
        source, samples = run.out / f"{stage}.keras", run.settings.calibration
        paths += export.export(source, run.train, run.out, calibration=samples).values()
    test = datasets.load(run.settings.dataset, "test", progress=progress)
    exported = {
        path.name: ModelFile(
            sha256=files.sha256(path),
            nbytes=path.stat().st_size,
            validation_accuracy=tflite_accuracy(path, run.validation),
            test_accuracy=tflite_accuracy(path, test),
        )
        for path in paths
    }
    result = Provenance(
        schema=provenance.SCHEMA,
        settings=run.settings,
        data=Data(
            name=run.settings.dataset,
            train=len(run.train),
            validation=len(run.validation),
            test=len(test),
            train_fingerprint=run.train.fingerprint,
            test_fingerprint=test.fingerprint,
        ),
        stages=records,
        test_accuracy={
            stage: training.accuracy(export.load(run.out / f"{stage}.keras"), test)
            for stage in STAGES
        },
        files=exported,
        versions=provenance.versions(),
    )
    provenance.write(run.out / "provenance.json", result)
    metrics = {name: file.test_accuracy for name, file in exported.items()}
    run.on_event(Event("export", "done", metrics=metrics))
    return result


def tflite_accuracy(path: Path, dataset: Dataset) -> float:
    """Share of samples that LiteRT, running a ``.tflite`` file, classifies right."""
    model = litert(path)
    outputs = model.predict(encode_inputs(dataset.x, model.graph.input))
    return float(np.mean(np.argmax(outputs, axis=1) == dataset.y))
