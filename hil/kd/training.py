"""Fitting one network: alone, with a teacher, or on from where another training ended."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hil.datasets import subset
from hil.errors import UsageError
from hil.kd import checks, losses, networks, teaching
from hil.kd.backend import known_warnings, require
from hil.kd.batches import Floats, as_input, batches, weights
from hil.kd.events import OnEvent, ignore
from hil.kd.plan import Plan
from hil.kd.quantised import follow, quantised
from hil.kd.watching import callbacks
from hil.records import Dataset

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
        given = teaching.answers(teacher, train, schedule.shift, layer, cache=cache, warp=warp)
        checked = teaching.answers(teacher, split.validation, 0, layer, cache=cache)
        held_out = {"sample": held_out, "answer": np.asarray(checked[:, 0, 0])}
    if start is not None:
        network.set_weights(start.get_weights())
    if plan.quantised:
        model = quantised(network, as_input(subset(train, plan.quantised).x))
        extra = [follow(model), *extra]
    if plan.loss is not None:
        assert given is not None
        model = losses.learner(model, plan.loss, given.shape[-1])
    data = batches(
        train,
        batch=schedule.batch,
        shift=schedule.shift,
        seed=plan.seed,
        weight=weights(train.y, plan.class_weight, sample_weight),
        answers=given,
        shown=teaching.shown(train, schedule.shift, warp, cache=cache),
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
    answers = teaching.ask(network, dataset.x)[:, 0, 0]
    return np.asarray(np.argmax(answers, axis=1) == dataset.y)


def _refuse(plan: Plan, student: Any, teacher: Any) -> None:
    assert plan.loss is not None
    checks.loss(plan.loss)
    if teacher is None:
        raise UsageError(f"{plan.key!r} has a loss and no teacher", "give the trained teacher")
    if networks.ends_in_softmax(teacher):
        raise UsageError(
            f"the teacher {teacher.name!r} ends in softmax, and distillation needs its logits",
            "train it without: its temperature would soften probabilities that are soft already",
        )
    theirs, ours = teacher.output_shape[-1], student.output_shape[-1]
    if theirs != ours:
        what = f"the teacher tells {theirs} classes apart, the student {ours}"
        raise UsageError(what, "give both the same last layer")
