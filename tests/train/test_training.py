# SPDX-License-Identifier: Apache-2.0
"""One training: schedule, losses, repeatability, logs, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from hil.core.errors import TrainingFailed, UsageError
from hil_train import distillation, networks, training
from hil_train.backend import require
from hil_train.batches import Warp
from hil_train.networks import Dense, Dropout, Network, Softmax
from hil_train.plan import Split
from hil_train.recipe import Loss
from hil_train.training import Fitted, StageEvent
from tests.support.training import SMALL, bars, blobs, build, needs_tensorflow, plan, tutorial

pytestmark = needs_tensorflow


KD = Loss()


def weights(network: Any) -> bytes:
    return b"".join(w.tobytes() for w in network.get_weights())


def test_the_tutorial_s_networks_are_built() -> None:
    teacher, student = build(tutorial("teacher")), build(tutorial("student"))
    assert (teacher.count_params(), student.count_params()) == (225_034, 21_898)
    for network in (teacher, student):
        assert network.input_shape == (None, 28, 28, 1)
        assert network.output_shape == (None, 10)
        # a softmax would silently break distillation
        assert not networks.gives_probabilities(network)


@pytest.mark.parametrize("decay", ["cosine", "none"])
def test_the_learning_rate_warms_up_and_decays(decay: str) -> None:
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
    with pytest.raises(UsageError, match="'net' warms up for 12 of 12 steps"):
        training.fit(plan(epochs=12, batch=8, warmup=12), Split(bars(8), bars(4, 1)))


def test_weight_decay_is_decoupled() -> None:
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


@pytest.fixture(scope="module")
def split() -> Split:
    return Split(bars(200), bars(60, seed=1, split="validation"))


@pytest.fixture(scope="module")
def first(split: Split) -> Fitted:
    """A small network that is trained once for several tests."""
    return training.fit(plan(epochs=4, learning_rate=1e-2), split)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("loss", [None, Loss(temperature=1.0, alpha=0.0)])
def test_a_quantised_stage_trains_a_plain_network(
    loss: Loss | None, split: Split, first: Fitted, tmp_path: Path
) -> None:
    made = plan(loss=loss, epochs=1, learning_rate=1e-3, warp=Warp(views=2))
    finish = msgspec.structs.replace(made, quantised=50)
    finished, again = (
        training.fit(finish, split, teacher=first.network, start=first.network, cache=tmp_path)
        for _ in range(2)
    )
    assert weights(finished.network) == weights(again.network) != weights(first.network)
    assert [type(x) for x in finished.network.layers] == [type(x) for x in first.network.layers]
    assert finished.accuracy > 0.9
    # a different gradient than without int8's rounding
    plain = training.fit(made, split, teacher=first.network, start=first.network)
    assert weights(plain.network) != weights(finished.network)


@pytest.mark.timeout(900)
def test_training_is_repeatable_and_learns(split: Split, tmp_path: Path) -> None:
    events: list[StageEvent] = []
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
    # with and without a cache
    assert runs[0] == runs[1]
    assert student.accuracy > 0.9
    assert student.accuracy == student.history["val_accuracy"][-1]
    assert [(e.kind, e.epoch, e.epochs) for e in events[:4]] == [
        ("epoch", epoch, 4) for epoch in (1, 2, 3, 4)
    ]
    assert {"accuracy", "val_accuracy", "loss", "val_loss"} <= set(events[-1].metrics)


def test_the_teacher_s_answers_are_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    real = distillation.ask

    def ask(network: Any, x: Any, reach: int = 0, layer: str = "") -> Any:
        asked.append(len(x))
        return real(network, x, reach, layer)

    def was_asked(teacher: Any, seed: int = 0, layer: str = "") -> bool:
        asked.clear()
        distillation.answers(teacher, bars(24, seed), layer=layer, cache=tmp_path)
        return bool(asked)

    monkeypatch.setattr(distillation, "ask", ask)
    teacher, split = build(SMALL), Split(bars(24), bars(10, 1))
    training.fit(plan(loss=KD), split, teacher=teacher, cache=tmp_path)
    # both splits once, and the student for its own accuracy
    assert asked == [24, 10, 10]
    assert not was_asked(teacher)
    for other in ({"layer": "hidden"}, {"seed": 5}):
        assert was_asked(teacher, **other)
        assert not was_asked(teacher, **other)
    # another teacher, and a damaged file
    network = build(SMALL)
    network.layers[-1].set_weights([w + 1 for w in network.layers[-1].get_weights()])
    assert was_asked(network)
    for file in tmp_path.glob("*.npy"):
        file.write_bytes(file.read_bytes()[:100])
    assert was_asked(network)


def test_a_teacher_that_gives_probabilities_is_refused() -> None:
    keras, _ = require()
    split = Split(bars(24), bars(10, 1))
    softmaxed = Network(layers=(*SMALL.layers, Softmax()))
    activated = Network(layers=(*SMALL.layers[:-1], Dense(units=2, activation="softmax")))
    nested = keras.Sequential([keras.Input((28, 28, 1)), build(softmaxed)])
    for teacher in (build(softmaxed), build(activated), nested):
        with pytest.raises(UsageError, match="ends in softmax"):
            training.fit(plan(loss=Loss()), split, teacher=teacher)


def test_unsuitable_teachers_and_losses_are_refused() -> None:
    split = Split(bars(24), bars(10, 1))
    wide = build(Network(layers=(*SMALL.layers[:-1], Dense(units=3))))
    with pytest.raises(UsageError, match="teacher has 3 classes, the student 2"):
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
def test_a_loss_that_is_not_finite_ends_training(loss: Loss | None) -> None:
    data = blobs(64)
    broken = data.x.copy()
    broken[5] = np.inf
    split = Split(replace(data, x=broken), blobs(9, 1))
    network = Network(layers=(Dense(units=3),))
    epochs: list[StageEvent] = []
    with pytest.raises(TrainingFailed, match=r"the loss of 'net' is nan in epoch 1, step \d"):
        training.fit(
            plan(network, loss=loss, epochs=3),
            split,
            teacher=build(network, (4,)) if loss else None,
            on_event=epochs.append,
        )
    assert epochs == []


def test_patience_ends_training_with_the_best_epoch() -> None:
    """With random labels, validation gets worse while training gets better."""
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


def test_training_can_start_from_another_s_weights() -> None:
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
