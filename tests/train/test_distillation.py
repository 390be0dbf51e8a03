# SPDX-License-Identifier: Apache-2.0
"""Every loss compared with NumPy, including sample weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from hil_train import distillation, training
from hil_train.backend import require
from hil_train.networks import Dense, Network
from hil_train.plan import Split
from hil_train.recipe import Loss
from tests.support.training import Floats, blobs, build, needs_tensorflow, plan

pytestmark = needs_tensorflow

T_LOGITS = np.array([[8.0, 1.0, -3.0], [-2.0, 6.0, 4.5], [0.5, -1.0, 3.0], [9.0, -9.0, 0.0]])
S_LOGITS = np.array([[1.0, 2.0, 0.0], [0.0, 3.0, -1.0], [-4.0, 1.0, 2.0], [2.0, 2.0, 2.0]])
LABELS = np.array([0, 1, 2, 0])


def softmax(z: Floats) -> Floats:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def reference(t: Floats, s: Floats, y: npt.NDArray[np.int64], loss: Loss) -> Floats:
    """(n,) losses, as their formulas are written in hil_train/distillation.py."""
    hard = -np.log(softmax(s)[np.arange(len(y)), y])
    if loss.kind == "softmax_over_t":
        t, s = softmax(t), softmax(s)
    p, q = softmax(t / loss.temperature), softmax(s / loss.temperature)
    soft = {
        "kd": loss.temperature**2 * (p * np.log(p / q)).sum(axis=1),
        "kl": (p * np.log(p / q)).sum(axis=1),
        "soft_ce": -(p * np.log(q)).sum(axis=1),
        "softmax_over_t": (p * np.log(p / q)).sum(axis=1),
    }[loss.kind]
    return np.asarray(loss.alpha * hard + (1 - loss.alpha) * soft)


def measured(t: Floats, s: Floats, y: npt.NDArray[np.int64], loss: Loss) -> Floats:
    floats = (t.astype(np.float32), s.astype(np.float32))
    return np.asarray(distillation.per_sample(loss, y, floats[1], floats[0]))


@pytest.mark.parametrize("kind", ["kd", "kl", "soft_ce", "softmax_over_t"])
@pytest.mark.parametrize("temperature", [1.0, 5.0, 20.0])
@pytest.mark.parametrize("alpha", [0.0, 0.1, 1.0])
def test_losses_match_their_formulas(kind: Any, temperature: float, alpha: float) -> None:
    loss = Loss(kind, temperature, alpha)
    expected = reference(T_LOGITS, S_LOGITS, LABELS, loss)
    np.testing.assert_allclose(
        measured(T_LOGITS, S_LOGITS, LABELS, loss), expected, rtol=2e-5, atol=1e-6
    )


def test_a_loss_matches_a_calculation_by_hand() -> None:
    """By hand, one sample, two classes: q = 1/2, p = sigmoid(10/5) = 0.880797.

    CE = ln 2 = 0.693147; KL = 0.880797 ln 1.761594 + 0.119203 ln 0.238406 = 0.327812;
    0.1 * 0.693147 + 0.9 * 25 * 0.327812 = 7.4451
    """
    t, s = np.array([[10.0, 0.0]]), np.array([[0.0, 0.0]])
    assert measured(t, s, np.array([0]), Loss()) == pytest.approx(7.4451, abs=2e-4)


def test_with_equal_logits_only_the_hard_loss_is_left() -> None:
    expected = 0.1 * reference(T_LOGITS, T_LOGITS, LABELS, Loss(alpha=1.0))
    np.testing.assert_allclose(measured(T_LOGITS, T_LOGITS, LABELS, Loss()), expected, atol=1e-5)


def test_kl_and_soft_cross_entropy_differ_by_the_teacher_s_entropy() -> None:
    """So their difference does not depend on the student."""
    kl, ce = Loss("kl", 3.0, 0.0), Loss("soft_ce", 3.0, 0.0)
    one = measured(T_LOGITS, S_LOGITS, LABELS, ce) - measured(T_LOGITS, S_LOGITS, LABELS, kl)
    other = measured(T_LOGITS, S_LOGITS[::-1], LABELS, ce)
    other = other - measured(T_LOGITS, S_LOGITS[::-1], LABELS, kl)
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_softmax_over_t_nearly_ignores_the_teacher() -> None:
    """Softmax of probabilities is almost flat: the loss of a student that is certain of another
    class is at most 0.12, but 27 with logits."""
    t, s = np.array([[9.0, -9.0, 0.0]]), np.array([[-9.0, 9.0, 0.0]])
    y = np.array([1])
    assert measured(t, s, y, Loss("softmax_over_t", 2.0, 0.0)) < 0.12
    assert measured(t, s, y, Loss("kd", 2.0, 0.0)) > 27


def features(x: Floats, kernel: Floats, bias: Floats) -> Floats:
    return np.asarray(np.maximum(x @ kernel + bias, 0))


def test_feature_distillation_maps_the_student_s_layer_onto_the_teacher_s() -> None:
    network = Network(layers=(Dense(name="hidden", units=5, activation="relu"), Dense(units=3)))
    loss = Loss("feature", 1.0, 0.25, teacher_layer="wide", student_layer="hidden")
    student = build(network, (4,))
    model = distillation.learner(student, loss, width=7)
    data = blobs(6)
    answer = np.random.RandomState(1).normal(size=(6, 7)).astype(np.float32)
    inputs = {"sample": data.x, "answer": answer}
    logits, mapped = model(inputs)
    value = float(model.compute_loss(x=inputs, y=data.y, y_pred=(logits, mapped)))

    hidden = features(data.x.astype(np.float64), *student.get_layer("hidden").get_weights())
    kernel, bias = student.layers[-1].get_weights()
    last = hidden @ kernel + bias
    [projection] = model.student.get_layer("map").get_weights()
    assert projection.shape == (5, 7)
    hard = -np.log(softmax(last)[np.arange(6), data.y])
    soft = ((hidden @ projection - answer) ** 2).mean(axis=1)
    assert value == pytest.approx((0.25 * hard + 0.75 * soft).mean(), rel=1e-5)
    # the map is trained, too, but is not part of the student
    assert len(model.trainable_variables) == len(student.trainable_variables) + 1


@pytest.mark.parametrize("kind", ["kd", None])
def test_sample_weights_scale_the_gradient(kind: Any) -> None:
    """One step of plain SGD subtracts the gradient of the weighted loss, which has a closed form
    for a single dense layer."""
    keras, _ = require()
    network = Network(layers=(Dense(name="only", units=3),))
    data = blobs(8)
    weight = np.array([0, 1, 2, 0.5, 0, 3, 1, 1], np.float32)
    teacher_logits = np.random.RandomState(2).normal(size=(8, 3)).astype(np.float32)
    student = build(network, (4,))
    kernel, bias = (w.copy() for w in student.get_weights())
    rate = 0.1
    loss = Loss("kd", 2.0, 0.3)
    if kind:
        model = distillation.learner(student, loss, 3)
        inputs: Any = {"sample": data.x, "answer": teacher_logits}
        model.compile(optimizer=keras.optimizers.SGD(rate))
    else:
        model, inputs = student, data.x
        hard = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer=keras.optimizers.SGD(rate), loss=hard)
    model.train_on_batch(inputs, data.y, sample_weight=weight)

    logits = data.x.astype(np.float64) @ kernel + bias
    gradient = softmax(logits) - np.eye(3)[data.y]
    if kind:
        # d/ds of T^2 KL(softmax(t/T) || softmax(s/T)) is T (softmax(s/T) - softmax(t/T))
        soft = 2.0 * (softmax(logits / 2) - softmax(teacher_logits.astype(np.float64) / 2))
        gradient = 0.3 * gradient + 0.7 * soft
    gradient = weight[:, None] * gradient / len(data)
    moved = student.get_weights()
    np.testing.assert_allclose(
        moved[0], kernel - rate * (data.x.T.astype(np.float64) @ gradient), atol=1e-6
    )
    np.testing.assert_allclose(moved[1], bias - rate * gradient.sum(axis=0), atol=1e-6)


@pytest.mark.parametrize("loss", [None, Loss()])
def test_samples_of_weight_0_do_not_matter(loss: Loss | None) -> None:
    """Samples with wrong labels and weight 0 do not change the training."""
    network = Network(layers=(Dense(units=3),))
    data = blobs(32)
    wrong = data.y.copy()
    wrong[:8] = (wrong[:8] + 1) % 3
    weight = np.ones(32, np.float32)
    weight[:8] = 0
    teacher = build(network, (4,)) if loss else None
    runs = []
    for labels in (data.y, wrong):
        split = Split(type(data)(data.name, "train", data.ids, data.x, labels, ""), blobs(9, 1))
        fitted = training.fit(
            plan(network, loss=loss), split, teacher=teacher, sample_weight=weight
        )
        runs.append(b"".join(w.tobytes() for w in fitted.network.get_weights()))
    assert runs[0] == runs[1]
