# SPDX-License-Identifier: Apache-2.0
"""Batches, a teacher's answers, and fitting."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from hil.core.errors import TrainingFailed, UsageError
from hil_train import batches, distillation, networks, training
from hil_train.backend import Event, require
from hil_train.batches import Warp
from hil_train.networks import Dense, Dropout, Network, Softmax
from hil_train.recipe import Loss
from hil_train.training import Split
from tests.support.training import SMALL, bars, blobs, build, needs_tensorflow, plan, tutorial

pytestmark = needs_tensorflow


KD = Loss()


def weights(network: Any) -> bytes:
    return b"".join(w.tobytes() for w in network.get_weights())


def test_the_networks_are_the_tutorial_s() -> None:
    teacher, student = build(tutorial("teacher")), build(tutorial("student"))
    assert (teacher.count_params(), student.count_params()) == (225_034, 21_898)
    for network in (teacher, student):
        assert network.input_shape == (None, 28, 28, 1)
        assert network.output_shape == (None, 10)
        # logits: a softmax here would silently spoil distillation
        assert not networks.gives_probabilities(network)


def test_batches_move_whole_pictures_within_reach() -> None:
    data = bars(50)
    two = replace(data, x=np.concatenate([data.x, 255 - data.x], axis=3))  # of two channels
    epoch = batches.batches(two, batch=16, shift=2, seed=1)
    assert len(epoch) == 3
    padded = np.pad(two.x, ((0, 0), (2, 2), (2, 2), (0, 0))).astype(np.float32) / 255
    seen, moves = [], set()
    for images, labels in (epoch[i] for i in range(3)):
        assert (images.shape, images.dtype) == ((16, 28, 28, 2), np.float32)
        for image, label in zip(images, labels, strict=True):
            origin = [
                (i, down, right)
                for i in range(50)
                for down in range(5)
                for right in range(5)
                if np.array_equal(padded[i, down : down + 28, right : right + 28], image)
            ]
            assert origin
            assert any(data.y[i] == label for i, _, _ in origin)
            seen.append(origin[0][0])
            moves |= {(down, right) for _, down, right in origin}
    assert len(moves) > 10
    assert len(set(seen)) > 40


def test_a_teacher_s_answers_and_weights_stay_with_their_samples() -> None:
    network, data = build(SMALL), bars(40)
    taught = distillation.ask(network, data.x, 1)
    assert taught.shape == (40, 3, 3, 2)
    own = np.arange(40, dtype=np.float32)
    epoch = batches.batches(data, batch=20, shift=1, seed=1, weight=own, answers=taught)
    for inputs, labels, weight in (epoch[i] for i in range(2)):
        live = network(inputs["sample"], training=False).numpy()
        np.testing.assert_allclose(inputs["answer"], live, atol=1e-5)
        assert len(set(map(bytes, inputs["answer"]))) > 15
        np.testing.assert_array_equal(data.y[weight.astype(int)], labels)


def test_a_teacher_s_answers_stay_with_their_warped_views(tmp_path: Path) -> None:
    network, data, warp = build(SMALL), bars(40), Warp(views=5)
    taught = distillation.answers(network, data, cache=tmp_path, warp=warp)
    shown = distillation.shown(data, 0, warp, cache=tmp_path)
    assert (taught.shape, shown.shape) == ((40, 5, 1, 2), (40, 5, 1, 28, 28, 1))
    assert len(list(tmp_path.glob("*.npy"))) == 2
    np.testing.assert_array_equal(shown, distillation.shown(data, 0, warp, cache=None))
    np.testing.assert_array_equal(
        taught, distillation.answers(network, data, cache=None, warp=warp)
    )
    epoch = batches.batches(data, batch=20, shift=0, seed=1, answers=taught, shown=shown)
    rows = {view.tobytes(): (i, j) for i in range(40) for j, view in enumerate(shown[i, :, 0])}
    chosen = set()
    for inputs, labels in (epoch[i] for i in range(2)):
        live = network(inputs["sample"], training=False).numpy()
        np.testing.assert_allclose(inputs["answer"], live, atol=1e-5)
        pixels = np.rint(inputs["sample"] * 255).astype(np.uint8)
        found = [rows[picture.tobytes()] for picture in pixels]
        np.testing.assert_array_equal(labels, [data.y[i] for i, _ in found])
        chosen |= {j for _, j in found}
    assert chosen == set(range(5))


def test_fresh_views_are_new_each_epoch_and_the_same_again() -> None:
    data, warp = bars(32), Warp(views=0)
    first, again = (batches.batches(data, batch=32, shift=0, seed=1, fresh=warp) for _ in range(2))
    seen = []
    for _ in range(2):
        images, labels = first[0]
        same, same_labels = again[0]
        np.testing.assert_array_equal(images, same)
        np.testing.assert_array_equal(labels, same_labels)
        seen.append({image.tobytes() for image in images})
        first.on_epoch_end()
        again.on_epoch_end()
    assert not seen[0] & seen[1]


@pytest.mark.parametrize("decay", ["cosine", "none"])
def test_the_rate_rises_and_falls_as_the_recipe_says(decay: str) -> None:
    keras, _ = require()
    rates: list[float] = []

    def note(*_: object) -> None:
        rates.append(float(watch.model.optimizer.learning_rate))

    watch = keras.callbacks.LambdaCallback(on_epoch_end=note)
    # 8 samples in one step: an epoch is a step
    made = plan(epochs=12, batch=8, learning_rate=0.02, warmup=4, decay=decay, weight_decay=0.1)
    fitted = training.fit(made, Split(bars(8), bars(4, 1)), extra=[watch])
    assert fitted.epochs == 12
    # after step s the optimizer gives the rate of step s: s / 4 of it, then a half cosine of 8
    step = np.arange(1, 13)
    falls = 0.5 * (1 + np.cos(np.pi * (step - 4) / 8)) if decay == "cosine" else np.ones(12)
    np.testing.assert_allclose(rates, 0.02 * np.where(step < 4, step / 4, falls), atol=1e-7)
    with pytest.raises(UsageError, match="'net' warms up for 12 steps of 12"):
        training.fit(plan(epochs=12, batch=8, warmup=12), Split(bars(8), bars(4, 1)))


def test_weights_decay_by_the_rate_times_their_share() -> None:
    split = Split(bars(8), bars(4, 1))
    told: dict[str, Any] = {"epochs": 1, "batch": 8, "learning_rate": 0.05, "decay": "none"}
    start = build(SMALL)
    plain = training.fit(plan(**told), split, start=start).network
    decayed = training.fit(plan(**told, weight_decay=0.3), split, start=start).network
    for first, one, other in zip(
        start.get_weights(), plain.get_weights(), decayed.get_weights(), strict=True
    ):
        # decoupled: one Adam step apart from w -= rate * share * w, whatever the gradient
        np.testing.assert_allclose(one - other, 0.05 * 0.3 * first, atol=1e-6)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("loss", [None, Loss(temperature=1.0, alpha=0.0)])
def test_a_quantised_stage_goes_on_under_int8_and_leaves_a_plain_network(
    loss: Loss | None, tmp_path: Path
) -> None:
    split = Split(bars(200), bars(60, seed=1, split="validation"))
    first = training.fit(plan(epochs=4, learning_rate=1e-2), split)
    made = plan(loss=loss, epochs=1, learning_rate=1e-3, warp=Warp(views=2))
    finish = msgspec.structs.replace(made, quantised=50)
    finished, again = (
        training.fit(finish, split, teacher=first.network, start=first.network, cache=tmp_path)
        for _ in range(2)
    )
    assert weights(finished.network) == weights(again.network) != weights(first.network)
    assert [type(x) for x in finished.network.layers] == [type(x) for x in first.network.layers]
    assert finished.accuracy > 0.9
    # another gradient than without int8's rounding
    plain = training.fit(made, split, teacher=first.network, start=first.network)
    assert weights(plain.network) != weights(finished.network)


def test_without_shift_an_epoch_is_a_permutation() -> None:
    data = bars(48)
    epoch = batches.batches(data, batch=16, shift=0, seed=1)
    first = np.concatenate([epoch[i][0] for i in range(3)])
    epoch.on_epoch_end()
    second = np.concatenate([epoch[i][0] for i in range(3)])
    expected = sorted(row.tobytes() for row in batches.as_input(data.x))
    assert sorted(row.tobytes() for row in first) == expected
    assert sorted(row.tobytes() for row in second) == expected
    assert not np.array_equal(first, second)


def test_pixels_are_scaled_as_the_firmware_scales_them() -> None:
    levels = np.arange(256, dtype=np.uint8)
    expected = np.array([np.float32(v) / np.float32(255) for v in range(256)])
    np.testing.assert_array_equal(batches.as_input(levels), expected)
    real = np.array([-1.5, 300.0], np.float32)
    assert batches.as_input(real) is real


def test_class_weights_are_scikit_learn_s() -> None:
    from sklearn.utils.class_weight import compute_sample_weight

    y = np.array([0, 0, 0, 1, 2, 2])
    balanced = batches.weights(y, "balanced")
    assert balanced is not None
    np.testing.assert_allclose(balanced, compute_sample_weight("balanced", y), rtol=1e-6)
    own = np.array([1, 2, 3, 4, 5, 6], np.float32)
    both = batches.weights(y, (1.0, 0.5, 2.0), own)
    np.testing.assert_array_equal(both, [1, 2, 3, 2, 10, 12])
    assert batches.weights(y, "") is None


@pytest.mark.timeout(900)
def test_training_is_repeatable_and_learns(tmp_path: Path) -> None:
    split = Split(bars(200), bars(60, seed=1, split="validation"))
    events: list[Event] = []
    schedule: dict[str, Any] = {"epochs": 4, "learning_rate": 1e-2, "shift": 1, "seed": 3}
    runs = []
    for cache in (None, tmp_path):
        teacher = training.fit(plan(**schedule), split, on_event=events.append)
        student = training.fit(
            plan(loss=Loss(), **schedule),
            split,
            teacher=teacher.network,
            cache=cache,
            on_event=events.append,
        )
        runs.append([weights(teacher.network), weights(student.network)])
        assert len(student.history["val_accuracy"]) == student.epochs == 4
    # whether the answers came from a cache or not
    assert runs[0] == runs[1]
    assert student.accuracy > 0.9
    assert student.accuracy == student.history["val_accuracy"][-1]
    assert [(e.kind, e.epoch, e.epochs) for e in events[:4]] == [
        ("epoch", epoch, 4) for epoch in (1, 2, 3, 4)
    ]
    assert {"accuracy", "val_accuracy", "loss", "val_loss"} <= set(events[-1].metrics)


def test_the_teacher_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    real = distillation.ask

    def ask(network: Any, x: Any, reach: int = 0, layer: str = "") -> Any:
        asked.append(len(x))
        return real(network, x, reach, layer)

    monkeypatch.setattr(distillation, "ask", ask)
    split = Split(bars(24), bars(10, 1))
    teacher = build(SMALL)

    def fit(teacher: Any, seed: int = 1, split: Split = split, loss: Loss = KD) -> None:
        asked.clear()
        training.fit(plan(loss=loss, seed=seed), split, teacher=teacher, cache=tmp_path)
        asked.remove(len(split.validation))  # the student, for its own accuracy

    fit(teacher)
    assert asked == [24, 10]  # five times in two epochs without it
    fit(teacher, seed=2)
    assert asked == []
    fit(teacher, loss=Loss("feature", teacher_layer="hidden", student_layer="hidden"))
    assert asked == [24, 10]
    fit(teacher, split=Split(bars(24, seed=5), split.validation))
    assert asked == [24]
    # another teacher, and a damaged file
    network = build(SMALL)
    network.layers[-1].set_weights([w + 1 for w in network.layers[-1].get_weights()])
    fit(network)
    assert asked == [24, 10]
    for file in tmp_path.iterdir():
        file.write_bytes(file.read_bytes()[:100])
    fit(network)
    assert asked == [24, 10]


def test_a_teacher_that_gives_probabilities_is_refused() -> None:
    keras, _ = require()
    split = Split(bars(24), bars(10, 1))
    softmaxed = Network(layers=(*SMALL.layers, Softmax()))
    activated = Network(layers=(*SMALL.layers[:-1], Dense(units=2, activation="softmax")))
    nested = keras.Sequential([keras.Input((28, 28, 1)), build(softmaxed)])
    for teacher in (build(softmaxed), build(activated), nested):
        with pytest.raises(UsageError, match="ends in softmax"):
            training.fit(plan(loss=Loss()), split, teacher=teacher)


def test_what_cannot_be_distilled_is_refused() -> None:
    split = Split(bars(24), bars(10, 1))
    wide = build(Network(layers=(*SMALL.layers[:-1], Dense(units=3))))
    with pytest.raises(UsageError, match="teacher tells 3 classes apart, the student 2"):
        training.fit(plan(loss=Loss()), split, teacher=wide)
    with pytest.raises(UsageError, match="no teacher"):
        training.fit(plan(loss=Loss()), split)
    for wrong in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(UsageError, match="the temperature is"):
            training.fit(plan(loss=Loss(temperature=wrong)), split, teacher=build(SMALL))
    for wrong in (-0.1, 1.1, math.nan):
        with pytest.raises(UsageError, match="alpha is"):
            training.fit(plan(loss=Loss(alpha=wrong)), split, teacher=build(SMALL))


@pytest.mark.parametrize("loss", [None, Loss()])
def test_a_loss_that_is_no_number_ends_it_at_once(loss: Loss | None) -> None:
    data = blobs(64)
    broken = data.x.copy()
    broken[5] = np.inf
    split = Split(replace(data, x=broken), blobs(9, 1))
    network = Network(layers=(Dense(units=3),))
    epochs: list[Event] = []
    with pytest.raises(TrainingFailed, match=r"the loss of 'net' is nan in epoch 1, step \d"):
        training.fit(
            plan(network, loss=loss, epochs=3),
            split,
            teacher=build(network, (4,)) if loss else None,
            on_event=epochs.append,
        )
    assert epochs == []


def test_patience_ends_training_and_keeps_the_best_epoch() -> None:
    """Labels without any sense: validation gets worse while training gets better."""
    data = blobs(60)
    random = np.random.RandomState(0)
    split = Split(replace(data, y=random.randint(0, 3, 60)), blobs(30, 1))
    network = Network(layers=(Dense(units=32, activation="relu"), Dense(units=3)))
    fitted = training.fit(
        plan(network, epochs=60, learning_rate=0.05, decay="none", patience=3), split
    )
    losses = fitted.history["val_loss"]
    best = int(np.argmin(losses))
    assert fitted.epochs == best + 4 < 60
    assert fitted.accuracy == pytest.approx(fitted.history["val_accuracy"][best], abs=1e-6)


def test_training_goes_on_from_another_s_weights() -> None:
    split = Split(blobs(60), blobs(30, 1))
    network = Network(layers=(Dense(units=3), Dropout(rate=0.1), Dense(units=3)))
    first = training.fit(plan(network, learning_rate=1e-2), split)
    still = training.fit(plan(network, learning_rate=1e-9, epochs=1), split, start=first.network)
    fresh = training.fit(plan(network, learning_rate=1e-9, epochs=1), split)
    for one, other in zip(first.network.get_weights(), still.network.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert not np.allclose(fresh.network.get_weights()[0], first.network.get_weights()[0], 1e-3)


def test_tensorboard_can_read_the_logs(tmp_path: Path) -> None:
    _, tf = require()
    fitted = training.fit(plan(), Split(bars(24), bars(10, 1)), logs=tmp_path)
    [file] = tmp_path.iterdir()
    found: dict[str, list[float]] = {}
    for event in tf.compat.v1.train.summary_iterator(str(file)):
        for value in event.summary.value:
            assert value.metadata.plugin_data.plugin_name in ("scalars", "")
            found.setdefault(value.tag, []).append(float(tf.make_ndarray(value.tensor)))
    assert found.keys() == fitted.history.keys()
    for name, values in fitted.history.items():
        np.testing.assert_allclose(found[name], values, atol=1e-5)
