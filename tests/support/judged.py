# SPDX-License-Identifier: Apache-2.0
"""Runs in memory that are not classifications: a regression, a reconstruction, one output."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import numpy.typing as npt

from hil.core.records import Task
from hil.runs.load import StoredRun
from hil.runs.schema import RunPlan, Sample, Tensor
from tests.support import reports

Reals = npt.NDArray[np.float64]
N = 60


def judged(
    task: Task,
    outputs: Reals,
    *,
    targets: Reals | None = None,
    labels: npt.NDArray[np.int64] | None = None,
    host: Reals | None = None,
    inputs: int = 4,
    threshold: float = 0.5,
    classes: tuple[str, ...] = (),
    model: str = "net",
) -> StoredRun:
    """A run in float32 whose device answered ``outputs``, (n, values)."""
    plan: RunPlan = msgspec.structs.replace(
        reports.plan(model, "float32", classes=outputs.shape[1]),
        input=Tensor(dtype=0, shape=(1, inputs), scale=0.0, zero_point=0),
        output=Tensor(dtype=0, shape=(1, outputs.shape[1]), scale=0.0, zero_point=0),
        task=task,
        task_why="made for a test",
        **({"threshold": threshold} if task is Task.BINARY else {}),
    )
    rows = outputs.astype("<f4")
    other = rows if host is None else host.astype("<f4")
    samples = [
        Sample(
            run=plan.key,
            i=i,
            id=f"s{i:03d}",
            label=-1 if labels is None else int(labels[i]),
            device=row.tobytes(),
            litert=None if (row == other[i]).all() else other[i].tobytes(),
            oracle=None,
            time=1000,
        )
        for i, row in enumerate(rows)
    ]
    found = reports.manifest(plan, n=len(rows))
    used = msgspec.structs.replace(
        found.dataset, name="mine", labelled=labels is not None, classes=classes
    )
    made = reports.run_of(msgspec.structs.replace(found, dataset=used), samples)
    return replace(made, targets=None if targets is None else targets.astype(np.float32))


def line(k: int = 1) -> tuple[Reals, Reals]:
    """Targets, and predictions that are off by normal errors."""
    rng = np.random.default_rng(1)
    targets = rng.normal(size=(N, k)).astype(np.float32).astype(np.float64)
    return targets, (targets + rng.normal(0.1, 0.2, (N, k))).astype(np.float32).astype(np.float64)
