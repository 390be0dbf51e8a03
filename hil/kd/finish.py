"""The end of a recipe: export, then read the test set for the first and last time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hil import files
from hil.kd import export, plan, provenance, training
from hil.kd.data import Data
from hil.kd.provenance import ModelFile, Provenance, StageRecord, Verdict
from hil.kd.recipe import Recipe
from hil.kd.verdict import Right, verdict
from hil.records import Dataset
from hil.reference import encode_inputs, litert


def finish(
    name: str,
    quick: bool,
    recipe: Recipe,
    data: Data,
    records: dict[str, StageRecord],
    out: Path,
) -> Provenance:
    """Export the trained stages in ``out``, test every one of them, and write provenance.json.

    Raises:
        ModelError: a stage cannot be converted.
        StorageError: ``out`` cannot be written.
    """
    split = data.split
    paths: list[Path] = []
    for stage in recipe.export:
        paths += export.export(
            out / f"{stage}.keras",
            split.train,
            out,
            calibration=recipe.calibration,
            precisions=recipe.precisions,
        ).values()
    test = data.test()
    right = {key: training.right(export.load(out / f"{key}.keras"), test) for key in records}
    exported = {
        path.name: ModelFile(
            sha256=files.sha256(path),
            nbytes=path.stat().st_size,
            validation_accuracy=tflite_accuracy(path, split.validation),
            test_accuracy=tflite_accuracy(path, test),
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
        data=provenance.Data(
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
        test_accuracy={key: float(np.mean(each)) for key, each in right.items()},
        files=exported,
        verdict=_verdict(recipe, right, classes, majority),
        versions=provenance.versions(),
    )
    provenance.write(out / provenance.FILE, result)
    return result


def _verdict(recipe: Recipe, right: Mapping[str, Right], classes: int, majority: float) -> Verdict:
    roles = {"teacher": recipe.teacher, "student": recipe.student, "alone": recipe.alone}
    gains = [
        float(np.mean(right[ours]) - np.mean(right[theirs]))
        for ours, theirs in zip(
            plan.seeds(recipe, recipe.student), plan.seeds(recipe, recipe.alone), strict=False
        )
    ]
    return verdict(
        {role: right[stage] for role, stage in roles.items() if stage},
        classes=classes,
        majority=majority,
        control=recipe.control,
        gains=gains,
    )


def tflite_accuracy(path: Path, dataset: Dataset) -> float:
    """Share of samples that LiteRT, running a ``.tflite`` file, classifies right."""
    model = litert(path)
    outputs = model.predict(encode_inputs(dataset.x, model.graph.input))
    return float(np.mean(np.argmax(outputs, axis=1) == dataset.y))
