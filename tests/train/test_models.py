# SPDX-License-Identifier: Apache-2.0
"""The committed models are the ones that their provenance describes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hil import datasets
from hil.core import files
from hil.core.records import DType
from hil.datasets import mnist
from hil.reference import encode_inputs, litert
from hil.tflite import read_model
from hil_train.plan import find, seeds
from hil_train.provenance import Provenance, load
from hil_train.provenance_v1 import ProvenanceV1

MODELS = Path(__file__).parents[2] / "models"
COMMITTED = sorted(path.parent.name for path in MODELS.glob("*/provenance.json"))
DRAWN = ("mnist", "digits")  # the main job's two networks
LARGE = 1_000_000  # bytes: such files are left to `hil train` to make (models/.gitignore)


def provenance(recipe: str) -> Provenance | ProvenanceV1:
    return load(MODELS / recipe / "provenance.json")


@pytest.mark.parametrize("dataset", COMMITTED)
def test_files_and_provenance_agree(dataset: str) -> None:
    record = provenance(dataset)
    assert sorted(record.files) == sorted(
        f"{stage}_{precision}.tflite"
        for stage in find(dataset).recipe.export
        for precision in ("float32", "int8")
    )
    for name, file in record.files.items():
        path = MODELS / dataset / name
        if file.nbytes > LARGE and dataset == "cifar10":
            continue
        assert files.sha256(path) == file.sha256
        assert path.stat().st_size == file.nbytes
        graph = read_model(path)
        if dataset in DRAWN:
            assert (graph.input.shape, graph.output.shape) == ((1, 28, 28, 1), (1, 10))
        wanted = DType.INT8 if "int8" in name else DType.FLOAT32
        assert (graph.input.dtype, graph.output.dtype) == (wanted, wanted)
        if wanted is DType.INT8 and dataset in DRAWN:
            assert (graph.input.scale, graph.input.zero_point) == (float(np.float32(1 / 255)), -128)


@pytest.mark.parametrize("dataset", COMMITTED)
def test_provenance_is_of_today_s_recipe(dataset: str) -> None:
    record, recipe = provenance(dataset), find(dataset).recipe
    if isinstance(record, Provenance):
        assert record.recipe == recipe
        assert not record.quick
        for each in record.stages.values():
            assert len(each.history["loss"]) <= each.inputs.plan.schedule.epochs
    else:
        settings = record.settings
        assert (settings.dataset, settings.validation_share, settings.calibration) == (
            recipe.dataset,
            recipe.validation_share,
            recipe.calibration,
        )
        for name, old in (("teacher", settings.teacher), ("student", settings.student)):
            now = recipe.schedules[name]
            assert (old.epochs, old.learning_rate, old.shift, old.batch, (old.seed,)) == (
                now.epochs,
                now.learning_rate,
                now.shift,
                now.batch,
                recipe.seeds,
            )
            assert (now.decay, now.patience) == ("cosine", 0)
        loss = recipe.stages[-1].loss
        assert loss is not None
        old_loss = settings.distillation
        assert (old_loss.temperature, old_loss.alpha) == (loss.temperature, loss.alpha)
    if dataset in DRAWN:
        assert record.stages["teacher"].parameters == 225_034
        assert record.stages["student"].parameters == 21_898
    # nothing in a committed file leads to the machine that trained
    assert "/home/" not in (MODELS / dataset / "provenance.json").read_text()


@pytest.mark.parametrize("stage", ["student", "teacher"])
def test_digits_models_are_as_accurate_as_they_say(stage: str) -> None:
    record, test = provenance("digits"), datasets.load("digits", "test")
    assert record.data.test_fingerprint == test.fingerprint
    name = f"{stage}_int8.tflite"
    model = litert(MODELS / "digits" / name)
    outputs = model.predict(encode_inputs(test.x, model.graph.input))
    assert np.mean(outputs.argmax(axis=1) == test.y) == record.files[name].test_accuracy


def test_mnist_models_reach_what_was_wanted() -> None:
    record = provenance("mnist")
    assert isinstance(record, Provenance)
    assert record.test_accuracy["teacher"] >= 0.995
    keys = seeds(record.recipe, "student")
    assert len(keys) == 5
    assert np.mean([record.test_accuracy[key] for key in keys]) >= 0.988
    for stage in ("teacher", "student"):
        int8 = record.files[f"{stage}_int8.tflite"].test_accuracy
        assert int8 == pytest.approx(record.test_accuracy[stage], abs=0.001)


@pytest.mark.thorough
def test_mnist_student_is_as_accurate_as_it_says() -> None:
    if not mnist.found("test"):
        pytest.skip("MNIST is not on this machine")
    record, test = provenance("mnist"), datasets.load("mnist", "test")
    assert record.data.test_fingerprint == test.fingerprint
    model = litert(MODELS / "mnist" / "student_int8.tflite")
    outputs = model.predict(encode_inputs(test.x, model.graph.input))
    accuracy = np.mean(outputs.argmax(axis=1) == test.y)
    assert accuracy == record.files["student_int8.tflite"].test_accuracy
