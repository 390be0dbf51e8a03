# SPDX-License-Identifier: Apache-2.0
"""What int8 loses to float32, and samples that are not prepared as in training: found before a
build, and said with figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from hil import datasets
from hil.bench.convert import Converted
from hil.bench.loss import SAMPLES, Answers, weigh
from hil.core.records import Dataset, Precision
from hil.reference import encode_inputs, litert
from hil.tflite import read_model
from tests.support.conversions import MODELS, RECORD

FLOAT32, INT8 = MODELS / "student_float32.tflite", MODELS / "student_int8.tflite"
OTHER = MODELS.parent / "mnist" / "student_int8.tflite"  # int8, of another network


def made(int8: Path = INT8, float32: Path = FLOAT32) -> Converted:
    return Converted("my", {Precision.FLOAT32: float32, Precision.INT8: int8}, RECORD, Path())


def some() -> Dataset:
    return datasets.subset(datasets.load("digits", "test"), 300)


def right(file: Path, data: Dataset) -> float:
    """Share of right answers of LiteRT's reference kernels."""
    model = litert(file)
    answers = model.predict(encode_inputs(data.x, model.graph.input)).argmax(1)
    return float(np.mean(answers == data.y))


def test_a_good_conversion_gives_figures_without_a_warning() -> None:
    data = some()
    said = weigh(made(), data)
    assert said.figures == (
        f"my: right answers on the host: float32 {right(FLOAT32, data):.1%}, "
        f"int8 {right(INT8, data):.1%} of 300 samples"
    )
    assert said.warnings == ()


def test_a_loss_is_a_warning_with_figures_and_the_calibration() -> None:
    data = some()
    (warning,) = weigh(made(OTHER), data).warnings
    lost = 100 * (right(FLOAT32, data) - right(OTHER, data))
    assert lost > 1
    assert warning.startswith(f"my: int8 loses {lost:.1f} points to float32 (McNemar's p = ")
    assert "7 of 70 samples of mine (user), values from 0 to 1" in warning


def test_few_samples_do_not_prove_a_loss() -> None:
    data = some()
    model = litert(OTHER)
    answers = model.predict(encode_inputs(data.x, model.graph.input)).argmax(1)
    wrong, good = np.flatnonzero(answers != data.y)[:2], np.flatnonzero(answers == data.y)[:20]
    assert weigh(made(OTHER), datasets.sampling.take(data, np.r_[wrong, good])).warnings == ()


@pytest.mark.parametrize(
    ("fed", "rule", "says"),
    [
        (lambda x: x, "as-is", "with values from 0 to 1 on 9"),  # as 0..255
        (lambda x: 2 * x / 255 - 1, "scaled:-1:1", "with values from 0 to 1 on 9"),
        (lambda x: 2 * x / 255 - 1, "as-is", "with values from 0 to 1 on 9"),
        (lambda x: 1 - x / 255, "as-is", "with values from 0 to 1, inverted on 9"),
    ],
    ids=["0..255", "scaled to -1..1", "stored as -1..1", "inverted"],
)
def test_values_that_are_not_as_in_training_are_named(
    fed: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]], rule: str, says: str
) -> None:
    data = some()
    x = fed(data.x.astype(np.float32)).astype(np.float32)
    # MNIST's student: that of digits bears any scale
    network = made(OTHER, OTHER.with_name("student_float32.tflite"))
    (warning,) = (
        one for one in weigh(network, replace(data, x=x, input=rule)).warnings if says in one
    )
    # a rule of --input helps only if the data holds 0..255
    helps = x.max() > 1.5 or rule.startswith("scaled")
    assert warning.endswith("--input scaled" if helps else "prepare them so")


def test_labels_of_another_order_are_named() -> None:
    data = some()
    (warning,) = weigh(made(), replace(data, y=(data.y + 1) % 10)).warnings
    assert "which one constant answer would reach, too: check that labels" in warning


def test_without_labels_outputs_are_compared() -> None:
    data = replace(some(), y=np.full(300, -1))
    assert weigh(made(), data).warnings == ()
    said = weigh(made(OTHER), data)
    (warning,) = said.warnings
    assert "my: int8 is off by " in warning
    # by a formula of its own
    outputs = []
    for file in (FLOAT32, OTHER):
        model = litert(file)
        found = model.predict(encode_inputs(data.x, model.graph.input)).astype(np.float64)
        spec = model.graph.output
        outputs.append((found - spec.zero_point) * spec.scale if spec.scale else found)
    error = np.linalg.norm(outputs[0] - outputs[1]) / np.sqrt(outputs[0].size)
    assert f"int8 by {error:.3g} rms" in said.figures


def test_one_output_is_right_on_the_labels_side_of_its_threshold() -> None:
    y = np.array([0, 1, 1, 0])
    answers = Answers(made(), read_model(FLOAT32), some().x[:4], y, "", 0.5)
    outputs = np.array([[0.2], [0.5], [0.49], [0.9]], np.float32)
    assert answers.right(outputs).tolist() == [True, True, False, False]


def test_only_some_samples_are_compared() -> None:
    data = datasets.load("digits", "train")
    assert f"of {SAMPLES} samples" in weigh(made(), data).figures
