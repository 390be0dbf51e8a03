# SPDX-License-Identifier: Apache-2.0
"""Tasks and targets of stored runs, and of those from before they were stored."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hil.core.errors import StorageError
from hil.core.records import Task
from hil.runs.load import load_run
from hil.runs.schema import DatasetUsed, RunPlan, Tensor
from hil.runs.task import (
    class_name,
    classes_of,
    decode_targets,
    encode_targets,
    gives_classes,
    task_of,
)
from tests.support import reports

LABELLED = DatasetUsed(name="d", split="s", fingerprint="", total=3, n=3)
PLAIN = msgspec.structs.replace(LABELLED, labelled=False)


def old(values: int, **changes: object) -> RunPlan:
    """A run without a task, with so many outputs and 784 inputs."""
    return msgspec.structs.replace(reports.plan(classes=values), **changes)


@pytest.mark.parametrize(
    ("plan", "used", "task", "classes"),
    [
        (old(10), LABELLED, Task.CLASSIFICATION, True),
        (old(10), PLAIN, Task.NONE, True),
        (old(1), LABELLED, Task.NONE, False),
        (old(1), PLAIN, Task.NONE, False),
        (old(1, answers="class"), LABELLED, Task.CLASSIFICATION, True),
        (old(1, answers="class"), PLAIN, Task.NONE, True),
    ],
)
def test_runs_without_a_task(plan: RunPlan, used: DatasetUsed, task: Task, classes: bool) -> None:
    assert task_of(plan, used) is task
    assert gives_classes(plan, used) == classes


def test_as_many_outputs_as_inputs_are_not_classes() -> None:
    shape = Tensor(dtype=9, shape=(1, 28, 28, 1), scale=0.1, zero_point=0)
    assert not gives_classes(old(10, output=shape), PLAIN)
    assert not gives_classes(old(10, task=Task.REGRESSION), PLAIN)
    assert gives_classes(old(1, task=Task.BINARY, threshold=0.5), LABELLED)


def test_a_threshold_is_a_real_number() -> None:
    output = Tensor(dtype=9, shape=(1, 1), scale=1 / 256, zero_point=-128)
    plan = old(1, task=Task.BINARY, threshold=0.5, output=output)
    steps = np.array([[-128], [-1], [0], [127]], np.int8)
    assert classes_of(plan, steps).tolist() == [0, 0, 1, 1]
    real = old(1, task=Task.BINARY, threshold=0.0)
    real = msgspec.structs.replace(real, output=msgspec.structs.replace(output, dtype=0))
    found = classes_of(real, np.array([[-1], [0.0], [np.nan], [3]], np.float32))
    assert found.tolist() == [0, 1, 0, 1]


def test_names_of_classes() -> None:
    assert [class_name(("cat", "dog"), i) for i in (-1, 0, 1, 2)] == ["-1", "cat", "dog", "2"]


def test_targets_are_an_npy_file() -> None:
    targets = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    raw = encode_targets(targets)
    np.testing.assert_array_equal(np.load(io.BytesIO(raw)), targets)
    np.testing.assert_array_equal(decode_targets(raw, 5), targets)
    with pytest.raises(ValueError, match=r"not float32 of \(4, values\)"):
        decode_targets(raw, 4)


def test_damaged_targets_are_refused_or_finite() -> None:
    whole = encode_targets(np.ones((5, 3), np.float32))
    rng = np.random.default_rng(2)
    refused = 0
    for _ in range(3000):
        raw = bytearray(whole)
        for _ in range(int(rng.integers(1, 4))):
            raw[int(rng.integers(0, 128 if rng.random() < 0.9 else len(raw)))] = int(
                rng.integers(0, 256)
            )
        cut = bytes(raw[: int(rng.integers(0, len(raw)))] if rng.random() < 0.1 else raw)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = decode_targets(cut, 5)
        except ValueError:
            refused += 1
        else:
            assert found.shape == (5, 3)
            assert np.isfinite(found).all()
    assert refused > 1000


def test_a_binary_run_needs_its_threshold(tmp_path: Path) -> None:
    """Another program wrote it: nothing is guessed."""
    plan = old(1, task=Task.BINARY)
    with pytest.raises(StorageError, match="no threshold"):
        load_run(reports.write(tmp_path, reports.manifest(plan, n=0), []))
