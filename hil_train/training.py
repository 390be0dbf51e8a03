# SPDX-License-Identifier: Apache-2.0
"""Fitting one network: alone, with a teacher, or on from where another training ended."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hil import datasets
from hil.core.errors import ConfigError, TrainingFailed, UsageError
from hil.core.records import Dataset
from hil.datasets import Progress, subset
from hil_train import distillation, networks
from hil_train import plan as checks
from hil_train.backend import Event, OnEvent, ignore, known_warnings, require
from hil_train.batches import Floats, as_input, batches, weights
from hil_train.compress import follow, quantised
from hil_train.plan import Plan
from hil_train.recipe import Recipe, Schedule


def callbacks(key: str, schedule: Schedule, on_event: OnEvent, logs: Path | None) -> list[Any]:
    """Keras callbacks for one training.

    Args:
        key: its name in events and messages.
        schedule: its epochs and patience.
        on_event: told of each epoch.
        logs: a folder for TensorBoard's event files.
    """
    keras, _ = require()

    def tell(epoch: int, logs: dict[str, float]) -> None:
        metrics = {name: float(value) for name, value in logs.items()}
        on_event(Event(key, "epoch", epoch + 1, schedule.epochs, metrics))

    made = [_nan_stop(key), keras.callbacks.LambdaCallback(on_epoch_end=tell)]
    if schedule.patience:
        made.append(
            keras.callbacks.EarlyStopping(
                monitor=schedule.monitor,
                mode="min" if schedule.monitor == "val_loss" else "max",
                patience=schedule.patience,
                restore_best_weights=True,
            )
        )
    if logs is not None:
        made.append(_tensorboard(logs))
    return made


def _nan_stop(key: str) -> Any:
    keras, _ = require()
    at = [0]

    def check(step: int, logs: dict[str, float]) -> None:
        loss = logs["loss"]
        if not math.isfinite(loss):
            what = f"the loss of {key!r} is {loss} in epoch {at[0] + 1}, step {step + 1}"
            raise TrainingFailed(what, "lower the learning rate, or look for broken samples")

    def note(epoch: int, logs: dict[str, float] | None = None) -> None:
        del logs
        at[0] = epoch

    return keras.callbacks.LambdaCallback(on_train_batch_end=check, on_epoch_begin=note)


def _tensorboard(folder: Path) -> Any:
    """Scalars an epoch, in TensorBoard's own format; written without TensorBoard, which Keras's
    callback and tf.summary.scalar want installed."""
    keras, tf = require()
    writer = tf.summary.create_file_writer(str(folder))
    plugin = tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
    meta = tf.compat.v1.SummaryMetadata(plugin_data=plugin, data_class=1)

    def write(epoch: int, logs: dict[str, float]) -> None:
        with writer.as_default(step=epoch + 1):
            for name, value in logs.items():
                tf.summary.write(name, tf.constant(value, tf.float32), metadata=meta)

    def close(logs: dict[str, float] | None = None) -> None:
        del logs
        writer.close()

    return keras.callbacks.LambdaCallback(on_epoch_end=write, on_train_end=close)


_TOGETHER = 20  # steps between two looks at the loss: a quarter less time than one by one

History = dict[str, list[float]]


@dataclass(frozen=True)
class Split:
    """Training data, cut once: what a network learns from, and what choices are made on."""

    train: Dataset
    validation: Dataset


@dataclass(frozen=True)
class Fitted:
    """A trained network. ``history``: one value an epoch for each of Keras's metrics;
    ``accuracy`` is on the validation split; ``seconds`` of wall time, the teacher's answers
    included where they were not in the cache."""

    network: Any
    history: History
    accuracy: float
    seconds: float
    rate: float  # training samples a second, validation and tracing included

    @property
    def epochs(self) -> int:
        return len(self.history["loss"])


@known_warnings()
def fit(
    plan: Plan,
    split: Split,
    *,
    teacher: Any = None,
    start: Any = None,
    sample_weight: Floats | None = None,
    cache: Path | None = None,
    logs: Path | None = None,
    on_event: OnEvent = ignore,
    extra: Sequence[Any] = (),
) -> Fitted:
    """Train a network as ``plan`` says; the same arguments give the same weights.

    Args:
        plan: network, schedule, seed and loss.
        split: samples and labels.
        teacher: a trained Keras network of logits; needed where the plan has a loss.
        start: a trained network of the same layers, whose weights to start from.
        sample_weight: (n,) factors on the loss of each training sample, besides the plan's
            ``class_weight``.
        cache: folder for the teacher's answers; None keeps none.
        logs: folder for TensorBoard's event files; None writes none.
        on_event: told of each epoch.
        extra: Keras callbacks of the caller's own (a sweep's pruning).

    Raises:
        UsageError: the teacher is missing, gives probabilities or other classes, or T or
            alpha is out of range; before anything is trained.
        TrainingFailed: the loss is no number any more; within 20 steps.
    """
    keras, _ = require()
    began = time.monotonic()
    schedule, warp, train = plan.schedule, plan.schedule.warp, split.train
    keras.utils.set_random_seed(plan.seed)
    network = model = networks.build(plan.network, train.x.shape[1:], plan.stage)
    held_out: Any = as_input(split.validation.x)
    given = None
    if plan.loss is not None:
        _refuse(plan, network, teacher)
        layer = plan.loss.teacher_layer
        given = distillation.answers(teacher, train, schedule.shift, layer, cache=cache, warp=warp)
        checked = distillation.answers(teacher, split.validation, 0, layer, cache=cache)
        held_out = {"sample": held_out, "answer": np.asarray(checked[:, 0, 0])}
    if start is not None:
        network.set_weights(start.get_weights())
    if plan.quantised:
        model = quantised(network, as_input(subset(train, plan.quantised).x))
        extra = [follow(model), *extra]
    if plan.loss is not None:
        assert given is not None
        model = distillation.learner(model, plan.loss, given.shape[-1])
    data = batches(
        train,
        batch=schedule.batch,
        shift=schedule.shift,
        seed=plan.seed,
        weight=weights(train.y, plan.class_weight, sample_weight),
        answers=given,
        shown=distillation.shown(train, schedule.shift, warp, cache=cache),
        fresh=warp if warp and not warp.views else None,
    )
    size = min(schedule.batch, len(train))
    hard = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        optimizer=_optimizer(plan, len(data)),
        loss=hard if plan.loss is None else None,  # a learner computes its own
        metrics=["accuracy"],
        steps_per_execution=min(_TOGETHER, len(data)),
    )
    step = time.monotonic()
    history = model.fit(
        data,
        epochs=schedule.epochs,
        validation_data=(held_out, split.validation.y.astype(np.int32)),
        validation_batch_size=1000,
        callbacks=[*callbacks(plan.key, schedule, on_event, logs), *extra],
        verbose=0,
    )
    fitting = time.monotonic() - step
    values = {n: [round(float(v), 6) for v in column] for n, column in history.history.items()}
    return Fitted(
        network=network,
        history=values,
        accuracy=float(np.mean(right(network, split.validation))),
        seconds=time.monotonic() - began,
        rate=len(values["loss"]) * len(data) * size / fitting,
    )


def _optimizer(plan: Plan, steps: int) -> Any:
    """Adam or AdamW, with the schedule's rate; ``steps`` an epoch."""
    keras, _ = require()
    schedule = plan.schedule
    rate: Any = schedule.learning_rate
    after = schedule.epochs * steps - schedule.warmup
    if after < 1:
        what = f"{plan.key!r} warms up for {schedule.warmup} steps of {schedule.epochs * steps}"
        raise UsageError(what, "give it more epochs, or a shorter warmup")
    cosine = keras.optimizers.schedules.CosineDecay
    if schedule.warmup:
        # alpha: the share of the rate that the cosine ends at; 1 is no decay
        alpha = 0.0 if schedule.decay == "cosine" else 1.0
        warm = {"warmup_target": rate, "warmup_steps": schedule.warmup}
        rate = cosine(0.0, after, alpha=alpha, **warm)
    elif schedule.decay == "cosine":
        rate = cosine(rate, after)
    if schedule.weight_decay:
        return keras.optimizers.AdamW(rate, weight_decay=schedule.weight_decay)
    return keras.optimizers.Adam(rate)


def right(network: Any, dataset: Dataset) -> npt.NDArray[np.bool_]:
    """(n,): which samples a Keras network classifies right (the first of equals counts)."""
    answers = distillation.ask(network, dataset.x)[:, 0, 0]
    return np.asarray(np.argmax(answers, axis=1) == dataset.y)


def _refuse(plan: Plan, student: Any, teacher: Any) -> None:
    assert plan.loss is not None
    checks.loss(plan.loss)
    if teacher is None:
        raise UsageError(f"{plan.key!r} has a loss and no teacher", "give the trained teacher")
    if networks.gives_probabilities(teacher):
        raise UsageError(
            f"the teacher {teacher.name!r} ends in softmax, and distillation needs its logits",
            "train it without: its temperature would soften probabilities that are soft already",
        )
    theirs, ours = teacher.output_shape[-1], student.output_shape[-1]
    if theirs != ours:
        what = f"the teacher tells {theirs} classes apart, the student {ours}"
        raise UsageError(what, "give both the same last layer")


@dataclass(frozen=True)
class Data:
    """``test`` loads the test split: nothing may look at it before every choice is made.

    ``note``: why it is another data set than the recipe's; empty when it is not.
    """

    split: Split
    test: Callable[[], Dataset]
    note: str = ""


def load(
    recipe: Recipe, folder: Path, *, samples: int = 0, progress: Progress | None = None
) -> Data:
    """A recipe's data, cut and checked.

    Args:
        recipe: names the data set.
        folder: where an .npz file is looked for.
        samples: at most so many for training and validation together; 0: all.
        progress: told of a download.

    Raises:
        DataError: missing, wrong, or too small for its splits.
        UsageError: the recipe does not fit the data.
    """
    if recipe.dataset.endswith(".npz"):
        path = folder / recipe.dataset
        cut = datasets.split_validation(datasets.load_npz(path), recipe.test_share)
        whole, test = cut[0], replace(cut[1], split="test")
        data = Data(_split(recipe, whole, samples), lambda: test)
    else:
        if recipe.dataset not in datasets.NAMES:
            known = f"use one of {', '.join(datasets.NAMES)}, or an .npz file"
            raise ConfigError(f"the recipe's dataset {recipe.dataset!r} is not known", known)
        name, note = datasets.choose(recipe.dataset, "train", progress=progress)
        whole = datasets.load(name, "train", progress=progress)
        data = Data(
            _split(recipe, whole, samples),
            lambda: datasets.load(name, "test", progress=progress),
            note,
        )
    checks.data(recipe, data.split.train, data.split.validation)
    return data


def _split(recipe: Recipe, whole: Dataset, samples: int) -> Split:
    if samples:
        whole = datasets.subset(whole, samples)
    return Split(*datasets.split_validation(whole, recipe.validation_share))
