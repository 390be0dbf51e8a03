# SPDX-License-Identifier: Apache-2.0
"""Train one network: from random weights or another training's, alone or with a teacher."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from hil.core.errors import TrainingFailed, UsageError
from hil.core.records import Dataset
from hil.datasets import subset
from hil_train import distillation, networks
from hil_train.backend import known_warnings, require
from hil_train.batches import Floats, as_input, batches, sample_weights
from hil_train.compress import follow, quantised
from hil_train.plan import Split, TrainingPlan
from hil_train.recipe import Loss, Schedule

History: TypeAlias = dict[str, list[float]]

_STEPS_PER_CALL: Final = 20  # between two checks of the loss: takes a quarter less time than one


@dataclass(frozen=True, slots=True)
class StageEvent:
    """What happened to one stage of a pipeline.

    ``kind``: ``start``, ``epoch`` (one is done, counted from 1), ``kept`` (an earlier result is
    used), ``done``, or a ``warning``, with its message in ``text``. ``metrics`` are Keras's:
    accuracy, loss, val_accuracy, ...
    """

    stage: str
    kind: Literal["start", "epoch", "kept", "done", "warning"]
    epoch: int = 0
    epochs: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    text: str = ""


OnEvent: TypeAlias = Callable[[StageEvent], None]


def ignore(event: StageEvent) -> None:
    """Do nothing: the default listener."""
    del event


@dataclass(frozen=True)
class Fitted:
    """A trained network. ``history``: one value per epoch for each of Keras's metrics;
    ``accuracy`` is on the validation split; ``seconds`` of wall time include the teacher's answers
    unless they were cached."""

    network: Any
    history: History
    accuracy: float
    seconds: float
    rate: float  # training samples per second, including validation and tracing

    @property
    def epochs(self) -> int:
        return len(self.history["loss"])


@known_warnings()
def fit(
    plan: TrainingPlan,
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
        teacher: a trained Keras network that returns logits; needed if the plan has a loss.
        start: a trained network of the same layers, to start from its weights.
        sample_weight: (n,) factors on the loss of each training sample, in addition to the plan's
            ``class_weight``.
        cache: folder for the teacher's answers; None: no caching.
        logs: folder for TensorBoard's event files; None: do not write any.
        on_event: called after each epoch.
        extra: additional Keras callbacks (a sweep's pruning).

    Raises:
        UsageError: the teacher is missing, gives probabilities or other classes, or T or alpha is
            out of range. Checked before training.
        TrainingFailed: the loss is not finite; raised within 20 steps.
    """
    keras, _ = require()
    began = time.monotonic()
    schedule, warp, train = plan.schedule, plan.schedule.warp, split.train
    keras.utils.set_random_seed(plan.seed)
    network = model = networks.build(plan.network, train.x.shape[1:], plan.stage)
    held_out: Any = as_input(split.validation.x)
    given = None
    if plan.loss is not None:
        _check_teacher(plan, plan.loss, network, teacher)
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
        weight=sample_weights(train.y, plan.class_weight, sample_weight),
        answers=given,
        views=distillation.all_views(train, schedule.shift, warp, cache=cache),
        fresh=warp if warp and not warp.views else None,
    )
    size = min(schedule.batch, len(train))
    hard = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        optimizer=_optimizer(plan, len(data)),
        loss=hard if plan.loss is None else None,  # a learner has its own
        metrics=["accuracy"],
        steps_per_execution=min(_STEPS_PER_CALL, len(data)),
    )
    started = time.monotonic()
    history = model.fit(
        data,
        epochs=schedule.epochs,
        validation_data=(held_out, split.validation.y.astype(np.int32)),
        validation_batch_size=1000,
        callbacks=[*_callbacks(plan.key, schedule, on_event, logs), *extra],
        verbose=0,
    )
    fitting = time.monotonic() - started
    values = {n: [round(float(v), 6) for v in column] for n, column in history.history.items()}
    return Fitted(
        network=network,
        history=values,
        accuracy=float(np.mean(correct(network, split.validation))),
        seconds=time.monotonic() - began,
        rate=len(values["loss"]) * len(data) * size / fitting,
    )


def _optimizer(plan: TrainingPlan, steps: int) -> Any:
    """Adam or AdamW, with the schedule's rate; ``steps`` per epoch."""
    keras, _ = require()
    schedule = plan.schedule
    rate: Any = schedule.learning_rate
    after = schedule.epochs * steps - schedule.warmup
    if after < 1:
        what = f"{plan.key!r} warms up for {schedule.warmup} of {schedule.epochs * steps} steps"
        raise UsageError(what, "give it more epochs, or a shorter warmup")
    cosine = keras.optimizers.schedules.CosineDecay
    if schedule.warmup:
        # alpha: the share of the rate at the end of the cosine; 1: no decay
        alpha = 0.0 if schedule.decay == "cosine" else 1.0
        warm = {"warmup_target": rate, "warmup_steps": schedule.warmup}
        rate = cosine(0.0, after, alpha=alpha, **warm)
    elif schedule.decay == "cosine":
        rate = cosine(rate, after)
    if schedule.weight_decay:
        return keras.optimizers.AdamW(rate, weight_decay=schedule.weight_decay)
    return keras.optimizers.Adam(rate)


def correct(network: Any, dataset: Dataset) -> npt.NDArray[np.bool_]:
    """(n,): which samples a Keras network classifies correctly; of equal logits, the first wins."""
    answers = distillation.ask(network, dataset.x)[:, 0, 0]
    return np.asarray(np.argmax(answers, axis=1) == dataset.y)


def _check_teacher(plan: TrainingPlan, loss: Loss, student: Any, teacher: Any) -> None:
    # recipes are checked when they are read, but not the values of a sweep
    if not 0 < loss.temperature < float("inf"):
        raise UsageError(f"the temperature is {loss.temperature}", "it must be above 0")
    if not 0 <= loss.alpha <= 1:
        raise UsageError(f"alpha is {loss.alpha}", "it must be within 0..1")
    if teacher is None:
        raise UsageError(f"{plan.key!r} has a loss and no teacher", "pass the trained teacher")
    if networks.gives_probabilities(teacher):
        raise UsageError(
            f"the teacher {teacher.name!r} ends in softmax, but distillation needs its logits",
            "train it without softmax: the temperature would soften its probabilities twice",
        )
    theirs, ours = teacher.output_shape[-1], student.output_shape[-1]
    if theirs != ours:
        what = f"the teacher has {theirs} classes, the student {ours}"
        raise UsageError(what, "use last layers of the same width")


def _callbacks(key: str, schedule: Schedule, on_event: OnEvent, logs: Path | None) -> list[Any]:
    """Keras callbacks for one training.

    Args:
        key: its name in events and messages.
        schedule: its epochs and patience.
        on_event: called after each epoch.
        logs: a folder for TensorBoard's event files; None: do not write any.
    """
    keras, _ = require()

    def tell(epoch: int, logs: dict[str, float]) -> None:
        metrics = {name: float(value) for name, value in logs.items()}
        on_event(StageEvent(key, "epoch", epoch + 1, schedule.epochs, metrics))

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
    current = 0

    def check(step: int, logs: dict[str, float]) -> None:
        loss = logs["loss"]
        if not math.isfinite(loss):
            what = f"the loss of {key!r} is {loss} in epoch {current + 1}, step {step + 1}"
            raise TrainingFailed(what, "lower the learning rate, or look for broken samples")

    def note(epoch: int, logs: dict[str, float] | None = None) -> None:
        nonlocal current
        del logs
        current = epoch

    return keras.callbacks.LambdaCallback(on_train_batch_end=check, on_epoch_begin=note)


def _tensorboard(folder: Path) -> Any:
    """Writes metrics after each epoch in TensorBoard's format, without TensorBoard, which Keras's
    callback and tf.summary.scalar require."""
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
