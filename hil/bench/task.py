# SPDX-License-Identifier: Apache-2.0
"""Which task a network's first output and the data make, and what the outputs are compared with.

`choose` alone decides; it is called before anything is built, with the whole data set, so that a
smaller --limit has the same task. docs/adding-a-model.md says the same for users.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import UNSET, UnsetType

from hil.bench.inputs import Taken, samples_of
from hil.core.errors import DataError
from hil.core.records import Dataset, DType, Task, TensorSpec
from hil.runs.schema import RunPlan
from hil.runs.task import WITH_TARGETS
from hil.stats.metrics import dequantised
from hil.tflite import Graph

MIDPOINT: Final = 0.5  # of a probability
LOGIT: Final = 0.0  # a logit whose sigmoid is `MIDPOINT`
_FEW: Final = 2  # values: as many inputs as outputs need not be an autoencoder
_NEAR: Final = 0.02  # how far the range of a quantised probability may be from 0..1


@dataclass(frozen=True, slots=True)
class Criterion:
    """What a run is judged by; ``why``: in words, empty where nothing had to be decided.

    ``threshold``: of task BINARY, the real value from which on the answer is class 1.
    """

    task: Task
    threshold: float | None = None
    why: str = ""

    def onto(self, plan: RunPlan) -> RunPlan:
        """``plan`` with this in it."""
        return msgspec.structs.replace(
            plan,
            task=self.task,
            task_why=self.why or UNSET,
            threshold=UNSET if self.threshold is None else self.threshold,
        )


def choose(
    who: str, output: TensorSpec, taken: Taken, data: Dataset, graph: Graph | None
) -> Criterion:
    """The task of ``who``, whose first output is ``output``.

    ``graph``: the network, if one was named. DataError for labels or targets that its outputs
    cannot be compared with.
    """
    values = output.elements
    if data.targets is not None:
        return _by_targets(who, values, taken, data)
    if not data.labelled:
        return Criterion(Task.NONE)
    if values == 1:
        return _of_one(who, output, data, graph)
    low, high = int(data.y.min()), int(data.y.max())
    same_shape = taken.specs[0].shape == output.shape and len(taken.specs) == 1
    if same_shape and values > _FEW and not (graph and graph.ends_in_probabilities):
        if high <= 1:
            return Criterion(
                Task.RECONSTRUCTION,
                why="one output per input value, and labels 0 (normal) and 1 (anomalous)",
            )
        if sum(side > 1 for side in output.shape) > 1:  # classes are one row
            raise DataError(
                f"{data.name}: labels run from {low} to {high}, {who} has one output per input "
                f"value {list(output.shape)}",
                "label its samples 0 (normal) or 1 (anomalous), or leave y out",
            )
    if high >= values:
        raise DataError(
            f"{data.name}: labels run from {low} to {high}, {who} has {values} outputs",
            f"use labels from 0 to {values - 1}",
        )
    return Criterion(Task.CLASSIFICATION)


def targets_of(
    data: Dataset, judged: Sequence[tuple[Task | UnsetType, Taken]]
) -> npt.NDArray[np.float32] | None:
    """(n, values) that the outputs of every run with an error should have; None without such runs.

    DataError if two networks have different ones, as int8 samples have that stand for other real
    numbers in each.
    """
    found: npt.NDArray[np.float32] | None = None
    for task, taken in judged:
        if task not in WITH_TARGETS:
            continue
        one = _wanted(task, taken, data)
        if found is not None and not np.array_equal(found, one):
            raise DataError(
                f"{data.name}: its {data.x.dtype} samples stand for other real numbers in "
                f"{taken.who} than in the networks before it",
                "bench these networks in separate runs, or give float32 samples",
            )
        found = one
    return found


def _by_targets(who: str, values: int, taken: Taken, data: Dataset) -> Criterion:
    assert data.targets is not None
    each = data.targets[0].size
    if each != values:
        raise DataError(
            f"{data.name}: {each} target{'s' * (each != 1)} per sample, {who} has {values} "
            f"output{'s' * (values != 1)}",
            "give one target per output",
        )
    if _are_inputs(data, taken):
        return Criterion(Task.RECONSTRUCTION, why="the targets are the inputs")
    return Criterion(Task.REGRESSION, why="the data have float targets")


def _of_one(who: str, output: TensorSpec, data: Dataset, graph: Graph | None) -> Criterion:
    """The task of a single output with labels."""
    low, high, name = int(data.y.min()), int(data.y.max()), data.name
    if high > 1:
        raise DataError(
            f"{name}: labels run from {low} to {high}, {who} has one output, which tells 0 from 1",
            "use labels 0 and 1; for a regression, save y as float32",
        )
    found = by_threshold(output, graph)
    if low == high and found.threshold == LOGIT:
        return Criterion(
            Task.NONE,
            why=f"every label is {low} and the output is not a probability, so the labels say "
            "nothing about it; for a regression, save y as float32",
        )
    return found


def by_threshold(output: TensorSpec, graph: Graph | None) -> Criterion:
    """The threshold of a single output, ``graph``'s if that is known, and why."""
    if graph is None and output.scale == 0.0:
        why = "taken as a probability, since no --model says what the output is"
        return Criterion(Task.BINARY, MIDPOINT, f"one output, {why}")
    if (graph is not None and graph.ends_in_probabilities) or _is_share(output):
        return Criterion(Task.BINARY, MIDPOINT, "one output, the probability of class 1")
    return Criterion(Task.BINARY, LOGIT, "one output without a sigmoid, taken as a logit")


def _is_share(output: TensorSpec) -> bool:
    """Whether the range of a quantised output is 0 to 1, as a converter gives it to a sigmoid."""
    if output.dtype is DType.FLOAT32 or not output.scale:
        return False
    stored = output.dtype.numpy
    least = 0 if stored.kind == "u" else -(1 << 8 * stored.itemsize - 1)
    most = least + (1 << 8 * stored.itemsize) - 1
    low, high = (output.scale * (end - output.zero_point) for end in (least, most))
    return abs(low) <= _NEAR and abs(high - 1) <= _NEAR


def _are_inputs(data: Dataset, taken: Taken) -> bool:
    """Whether the targets are the samples, as stored or as real numbers."""
    if data.targets is None or len(taken.specs) != 1:
        return False
    (x,) = samples_of(data, taken)
    targets = data.targets.reshape(len(data.targets), -1)
    if x[0].size != targets.shape[1]:
        return False
    flat = x.reshape(len(x), -1)
    return bool(
        np.array_equal(flat.astype(np.float32), targets)
        or np.allclose(_reals(flat, taken.specs[0]), targets, rtol=1e-6, atol=1e-6)
    )


def _wanted(task: Task | UnsetType, taken: Taken, data: Dataset) -> npt.NDArray[np.float32]:
    if task is Task.RECONSTRUCTION:
        x = samples_of(data, taken)[0]
        return _reals(x.reshape(len(x), -1), taken.specs[0])
    assert data.targets is not None
    return np.asarray(data.targets.reshape(len(data.targets), -1), dtype=np.float32)


def _reals(x: npt.NDArray[np.generic], spec: TensorSpec) -> npt.NDArray[np.float32]:
    """Samples as the real numbers that the network takes; see `hil.reference.encode_inputs`."""
    if x.dtype == np.float32:
        return np.asarray(x, dtype=np.float32)
    if x.dtype == spec.dtype.numpy:
        return dequantised(x, spec.scale or 1.0, spec.zero_point).astype(np.float32)
    return np.asarray(x, dtype=np.float32) / np.float32(255)
