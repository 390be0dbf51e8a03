"""Fitting one network: alone, or with a teacher."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hil.kd import batches
from hil.kd.backend import require
from hil.kd.events import Event, OnEvent
from hil.kd.settings import Distillation, Schedule
from hil.records import Dataset

History = dict[str, list[float]]


def distiller(teacher: Any, student: Any, settings: Distillation) -> Any:
    """A ``keras.distillation.Distiller`` whose loss is what ``settings`` says (not compiled).

    Both networks must give logits.
    """
    keras, _ = require()
    # the loss as an object: its name (the default) becomes a function, and then Keras 3.15
    # leaves out softmax and T^2
    soft = keras.distillation.LogitsDistillation(
        temperature=settings.temperature, loss=keras.losses.KLDivergence()
    )
    return keras.distillation.Distiller(
        teacher=teacher,
        student=student,
        distillation_losses=soft,
        student_loss_weight=settings.alpha,
    )


def fit(
    stage: str,
    build: Callable[[], Any],
    train: Dataset,
    validation: Dataset,
    schedule: Schedule,
    *,
    teacher: Any = None,
    distillation: Distillation | None = None,
    on_event: OnEvent,
) -> tuple[Any, History]:
    """Train a fresh network.

    Args:
        stage: its name in the events.
        build: makes the network; called once the seeds are set.
        train, validation: (n, height, width, 1) uint8 pixels and labels.
        schedule: epochs, rate, shifts, batch and seed.
        teacher: a trained network of logits, to distil from; needs ``distillation``.
        on_event: told of each epoch.

    Returns:
        The network, and Keras's history: a list of one value an epoch for each metric.
    """
    keras, _ = require()
    keras.utils.set_random_seed(schedule.seed)
    model = network = build()
    held_out: Any = batches.as_input(validation.x)
    taught = None
    if teacher is not None and distillation is not None:
        taught = batches.logits(teacher, train.x, schedule.shift)
        held_out = {"image": held_out, "logits": batches.logits(teacher, validation.x)[:, 0, 0]}
        model = distiller(*_with_answers(network), distillation)
    data = batches.shifted(train, schedule, taught)
    rate = keras.optimizers.schedules.CosineDecay(
        schedule.learning_rate, schedule.epochs * len(data)
    )
    model.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )

    def tell(epoch: int, logs: dict[str, float]) -> None:
        metrics = {name: float(value) for name, value in logs.items()}
        on_event(Event(stage, "epoch", epoch + 1, schedule.epochs, metrics))

    history = model.fit(
        data,
        epochs=schedule.epochs,
        validation_data=(held_out, validation.y.astype(np.int32)),
        validation_batch_size=1000,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=tell)],
        verbose=0,
    )
    values = {n: [round(float(v), 6) for v in column] for n, column in history.history.items()}
    return network, values


def _with_answers(network: Any) -> tuple[Any, Any]:
    """A teacher that reads its logits from the inputs, and a student that leaves them alone."""
    keras, _ = require()
    inputs = {
        "image": keras.Input(network.input_shape[1:], name="image"),
        "logits": keras.Input(network.output_shape[1:], name="logits"),
    }
    teacher = keras.Model(inputs, keras.layers.Identity()(inputs["logits"]))
    return teacher, keras.Model(inputs, network(inputs["image"]))


def accuracy(network: Any, dataset: Dataset) -> float:
    """Share of uint8 samples that a Keras network classifies right."""
    answers = batches.logits(network, dataset.x)[:, 0, 0]
    return float(np.mean(np.argmax(answers, axis=1) == dataset.y))
