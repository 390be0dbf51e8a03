# SPDX-License-Identifier: Apache-2.0
"""The committed models match their provenance, cards and drawings."""

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
from hil_train.card import card, history_svg
from hil_train.plan import find_recipe, seed_keys
from hil_train.provenance import Provenance, read
from tests.support.drawings import texts

MODELS = Path(__file__).parents[2] / "models"
COMMITTED = sorted(path.parent.name for path in MODELS.glob("*/provenance.json"))
DRAWN = ("mnist", "digits")  # the main job's two networks
LARGE = 1_000_000  # bytes: larger files are not committed (models/.gitignore)


def provenance(recipe: str) -> Provenance:
    found = read(MODELS / recipe / "provenance.json", Provenance)
    assert found is not None
    return found


@pytest.mark.parametrize("dataset", COMMITTED)
def test_files_and_provenance_agree(dataset: str) -> None:
    record = provenance(dataset)
    assert sorted(record.files) == sorted(
        f"{stage}_{precision}.tflite"
        for stage in find_recipe(dataset).recipe.export
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
def test_provenance_is_of_the_current_recipe(dataset: str) -> None:
    record = provenance(dataset)
    assert record.recipe == find_recipe(dataset).recipe
    assert not record.quick
    for each in record.stages.values():
        assert len(each.history["loss"]) <= each.inputs.plan.schedule.epochs
    if dataset in DRAWN:
        assert record.stages["teacher"].parameters == 225_034
        assert record.stages["student"].parameters == 21_898
    # nothing in a committed file leads to the machine that trained
    assert "/home/" not in (MODELS / dataset / "provenance.json").read_text()


@pytest.mark.parametrize("dataset", COMMITTED)
def test_cards_are_up_to_date(dataset: str) -> None:
    """Except for the section on devices, which comes from runs that are not here."""
    stored = (MODELS / dataset / "card.md").read_text()
    made = card(provenance(dataset))

    def parts(text: str) -> tuple[str, str]:
        before, rest = text.split("## On devices")
        return before, rest.split("## Limits")[1]

    assert parts(stored) == parts(made)


@pytest.mark.parametrize("dataset", COMMITTED)
def test_drawings_are_up_to_date(dataset: str) -> None:
    stored = (MODELS / dataset / "history.svg").read_text("utf-8")
    assert texts(stored) == texts(history_svg(provenance(dataset)))


@pytest.mark.parametrize("stage", ["student", "teacher"])
def test_digits_models_have_the_recorded_accuracy(stage: str) -> None:
    record, test = provenance("digits"), datasets.load("digits", "test")
    assert record.data.test_fingerprint == test.fingerprint
    name = f"{stage}_int8.tflite"
    model = litert(MODELS / "digits" / name)
    outputs = model.predict(encode_inputs(test.x, model.graph.input))
    assert np.mean(outputs.argmax(axis=1) == test.y) == record.files[name].test_accuracy


def test_mnist_models_reach_the_target_accuracy() -> None:
    record = provenance("mnist")
    assert record.test_accuracy["teacher"] >= 0.995
    keys = seed_keys(record.recipe, "student")
    assert len(keys) == 5
    assert np.mean([record.test_accuracy[key] for key in keys]) >= 0.988
    for stage in ("teacher", "student"):
        int8 = record.files[f"{stage}_int8.tflite"].test_accuracy
        assert int8 == pytest.approx(record.test_accuracy[stage], abs=0.001)


@pytest.mark.thorough
def test_the_mnist_student_has_the_recorded_accuracy() -> None:
    if not mnist.found("test"):
        pytest.skip("MNIST is not on this machine")
    record, test = provenance("mnist"), datasets.load("mnist", "test")
    assert record.data.test_fingerprint == test.fingerprint
    model = litert(MODELS / "mnist" / "student_int8.tflite")
    outputs = model.predict(encode_inputs(test.x, model.graph.input))
    accuracy = np.mean(outputs.argmax(axis=1) == test.y)
    assert accuracy == record.files["student_int8.tflite"].test_accuracy
