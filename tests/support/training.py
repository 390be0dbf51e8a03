# SPDX-License-Identifier: Apache-2.0
"""Helpers for tests of training: small networks and data, and a mark for tests with TensorFlow."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pytest

from hil.core.records import Dataset
from hil_train.networks import Conv, Dense, Flatten, MaxPool, Network
from hil_train.plan import TrainingPlan, find_recipe
from hil_train.recipe import Loss, Schedule
from tests.support.needs import skip_without

Test = TypeVar("Test", bound=Callable[..., None])
_MISSING = [name for name in ("tensorflow", "keras") if not importlib.util.find_spec(name)]

# a module's pytestmark: found by `-m train`, skipped on a light install
needs_tensorflow = [
    pytest.mark.train,
    skip_without(_MISSING),
    # Keras converts variables to arrays in a way that NumPy 2 deprecates
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't:DeprecationWarning"),
]


def with_tensorflow(test: Test) -> Test:
    """The marks of `needs_tensorflow` for one test."""
    for mark in needs_tensorflow:
        test = mark(test)
    return test


# the start of a recipe that trains in a second on `blobs`
BLOBS = """\
title = "t"
dataset = "blobs.npz"
[networks.big]
layers = [{ kind = "dense", units = 16, activation = "relu" }, { kind = "dense", units = 3 }]
[networks.small]
layers = [{ kind = "dense", units = 4, activation = "relu" }, { kind = "dense", units = 3 }]
"""

# stages for a recipe with the networks `big` and `small` and the schedule `s`
STAGES = """\
[[stages]]
name = "teacher"
network = "big"
schedule = "s"
[[stages]]
name = "student_alone"
network = "small"
schedule = "s"
[[stages]]
name = "student"
network = "small"
schedule = "s"
teacher = "teacher"
loss = { temperature = 2.0, alpha = 0.5 }
"""

Floats = npt.NDArray[np.float64]

SMALL = Network(
    layers=(
        Conv(filters=2, stride=2, activation="relu"),
        MaxPool(),
        Flatten(),
        Dense(name="hidden", units=6, activation="relu"),
        Dense(units=2),
    )
)


def tutorial(name: str) -> Network:
    """The tutorial's ``teacher`` or ``student``."""
    return find_recipe("mnist").recipe.networks[name]


def build(network: Network, shape: tuple[int, ...] = (28, 28, 1), name: str = "net") -> Any:
    from hil_train import networks
    from hil_train.backend import require

    require().keras.utils.set_random_seed(1)
    return networks.build(network, shape, name)


def plan(
    network: Network = SMALL, *, loss: Loss | None = None, seed: int = 1, **schedule: Any
) -> TrainingPlan:
    """One quick training."""
    made = Schedule(**{"epochs": 2, "learning_rate": 4e-3, "batch": 8, **schedule})
    teacher = "teacher" if loss else ""
    return TrainingPlan(
        key="net",
        stage="net",
        network=network,
        schedule=made,
        seed=seed,
        loss=loss,
        teacher=teacher,
    )


def bars(n: int, seed: int = 0, split: str = "train") -> Dataset:
    """Two classes that even one epoch separates: vertical and horizontal bars."""
    random = np.random.RandomState(seed)
    x = np.zeros((n, 28, 28, 1), np.uint8)
    y = np.arange(n, dtype=np.int64) % 2
    for i in range(n):
        at = random.randint(6, 20)
        box = (i, slice(4, 24), slice(at, at + 3)) if y[i] else (i, slice(at, at + 3), slice(4, 24))
        x[box] = random.randint(128, 256)
    x[0, 0, 0, 0] = 255  # so that calibration sees the whole range
    return Dataset("bars", split, tuple(f"bars-{i:05d}" for i in range(n)), x, y, "b" * 64)


def blobs(n: int, seed: int = 0, split: str = "train", classes: int = 3) -> Dataset:
    """float32 rows of 4 numbers, one cloud per class."""
    random = np.random.RandomState(seed)
    y = np.arange(n, dtype=np.int64) % classes
    x = random.normal(size=(n, 4)).astype(np.float32)
    x[np.arange(n), y] += 4
    return Dataset("blobs", split, tuple(f"blobs-{i:05d}" for i in range(n)), x, y, "c" * 64)


def blobs_recipe(folder: Path, text: str, scale: float = 1.0) -> Path:
    """A file with the recipe ``text``, which starts with `BLOBS`, beside its data."""
    data = blobs(240)
    np.savez(folder / "blobs.npz", x=data.x.astype(np.float32) * np.float32(scale), y=data.y)
    path = folder / "tiny.toml"
    path.write_text(text)
    return path
