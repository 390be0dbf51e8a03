"""Fitting one network: its data, its loss, its schedule."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hil.kd.backend import require
from hil.kd.events import Event, OnEvent
from hil.kd.settings import Distillation, Schedule
from hil.records import Dataset

History = dict[str, list[float]]


def as_input(x: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """What a network sees: pixels / 255 in float32, as the firmware scales them."""
    if x.dtype == np.uint8:
        return x.astype(np.float32) / np.float32(255)
    return x.astype(np.float32, copy=False)


def shifted_batches(train: Dataset, schedule: Schedule) -> Any:
    """A ``keras.utils.PyDataset`` of (pixels / 255, labels), each digit moved at random.

    Order and shifts follow from the seed and the epoch alone. The last, partial batch of
    an epoch is dropped; which digits that hits changes from epoch to epoch.
    """
    keras, _ = require()
    reach = schedule.shift
    side = train.x.shape[1:3]
    padded = np.pad(train.x[..., 0], ((0, 0), (reach, reach), (reach, reach)))
    # (n, 2 reach + 1, 2 reach + 1, height, width), without a copy
    views = np.lib.stride_tricks.sliding_window_view(padded, side, axis=(1, 2))
    labels = train.y.astype(np.int32)
    size = min(schedule.batch, len(train))

    class Shifted(keras.utils.PyDataset):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.epoch = 0
            self.shuffle()

        def shuffle(self) -> None:
            random = np.random.default_rng((schedule.seed, self.epoch))
            self.order = random.permutation(len(labels))
            self.moves = random.integers(0, 2 * reach + 1, (len(labels), 2))

        def __len__(self) -> int:
            return len(labels) // size

        def __getitem__(self, index: int) -> tuple[Any, Any]:
            rows = self.order[index * size : (index + 1) * size]
            down, right = self.moves[rows].T
            return as_input(views[rows, down, right][..., None]), labels[rows]

        def on_epoch_end(self) -> None:
            self.epoch += 1
            self.shuffle()

    return Shifted()


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
    build: Any,
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
    network = build()
    batches = shifted_batches(train, schedule)
    model = network
    if teacher is not None and distillation is not None:
        model = distiller(teacher, network, distillation)
    rate = keras.optimizers.schedules.CosineDecay(
        schedule.learning_rate, schedule.epochs * len(batches)
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
        batches,
        epochs=schedule.epochs,
        validation_data=(as_input(validation.x), validation.y.astype(np.int32)),
        validation_batch_size=1000,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=tell)],
        verbose=0,
    )
    values = {name: [float(v) for v in column] for name, column in history.history.items()}
    return network, values


def accuracy(network: Any, dataset: Dataset) -> float:
    """Share of samples that a Keras network classifies right."""
    logits = network.predict(as_input(dataset.x), batch_size=1000, verbose=0)
    return float(np.mean(np.argmax(logits, axis=1) == dataset.y))
