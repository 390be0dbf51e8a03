# SPDX-License-Identifier: Apache-2.0
"""What a stored run is judged by: its task, its answers, and the targets beside its samples."""

from __future__ import annotations

import io
import math
import tokenize
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec import UNSET

from hil.core.records import Task
from hil.runs.schema import DatasetUsed, RunPlan
from hil.stats.metrics import dequantised

Values = npt.NDArray[np.generic]
Reals = npt.NDArray[np.float64]

WITH_CLASSES: Final = (Task.CLASSIFICATION, Task.BINARY)  # tasks that have an accuracy
WITH_TARGETS: Final = (Task.REGRESSION, Task.RECONSTRUCTION)  # tasks that have an error
_DAMAGED: Final = (
    *(ValueError, TypeError, OverflowError, EOFError, SyntaxError, RecursionError),
    *(MemoryError, tokenize.TokenError),  # of a header nested too deeply
)


def task_of(plan: RunPlan, used: DatasetUsed) -> Task:
    """The task of a run. Runs from before tasks were stored are classifications where the samples
    have labels; the largest of a single output says nothing, so these have none."""
    if plan.task is not UNSET:
        return plan.task
    one = plan.answers == "outputs" and math.prod(plan.output.shape) == 1
    return Task.CLASSIFICATION if used.labelled and not one else Task.NONE


def gives_classes(plan: RunPlan, used: DatasetUsed) -> bool:
    """Whether the answers are classes, so that device and host can give the same one.

    Without a task, several outputs count as classes, unless there is one for each input value, as
    of an autoencoder.
    """
    task = task_of(plan, used)
    if task is not Task.NONE or plan.answers == "class":
        return task in (*WITH_CLASSES, Task.NONE)
    return math.prod(plan.output.shape) > 1 and plan.output.shape != plan.input.shape


def classes_of(plan: RunPlan, outputs: Values) -> npt.NDArray[np.int64]:
    """(n, outputs) stored values -> (n,) classes: the largest output, the first of equals; of task
    "binary", whether the output reaches the threshold. A NaN does not."""
    if plan.task is Task.BINARY and plan.threshold is not UNSET:
        return np.asarray(reals_of(plan, outputs)[:, 0] >= plan.threshold, dtype=np.int64)
    return np.asarray(outputs.argmax(axis=1), dtype=np.int64)


def class_name(names: Sequence[str], number: int) -> str:
    """What texts call a class: its name, or its number if it has none."""
    return names[number] if 0 <= number < len(names) else str(number)


def reals_of(plan: RunPlan, outputs: Values) -> Reals:
    """Values of the first output as real numbers; steps where it has no scale."""
    return dequantised(outputs, plan.output.scale or 1.0, plan.output.zero_point)


def encode_targets(targets: Values) -> bytes:
    """(n, values) targets as the bytes of an .npy file of float32."""
    stream = io.BytesIO()
    np.lib.format.write_array(
        stream, np.ascontiguousarray(targets, "<f4"), version=(1, 0), allow_pickle=False
    )
    return stream.getvalue()


def decode_targets(raw: bytes, n: int) -> npt.NDArray[np.float32]:
    """The reverse; ValueError unless it holds (n, values) finite float32 values."""
    stream = io.BytesIO(raw)
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError("it is not an .npy file of version 1.0")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    except _DAMAGED as problem:
        raise ValueError(f"it is not an .npy file: {problem}") from problem
    if dtype != np.dtype("<f4") or fortran or len(shape) != 2 or shape[0] != n or shape[1] < 1:
        raise ValueError(f"it holds {dtype} of shape {shape}, not float32 of ({n}, values)")
    rest = raw[stream.tell() :]
    if len(rest) != 4 * math.prod(shape):
        raise ValueError("it does not have the length in its header")
    found = np.frombuffer(rest, "<f4").reshape(shape)
    if not np.isfinite(found).all():
        raise ValueError("a target is NaN or infinite")
    return found
