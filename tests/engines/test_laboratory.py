# SPDX-License-Identifier: Apache-2.0
"""The recipes' shapes: stride 2, LeakyReLU, pooling with stride 1, deep and dense networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hil import datasets
from hil.core.records import Dataset
from hil.reference import encode_inputs, litert, oracle
from hil.tflite import read_model
from tests.support.laboratory import CIFAR10, cifar10, dense_only
from tests.support.native import inputs, library

DENSE = {"tabular": (20, (128, 64, 3)), "noise": (10, (64, 2))}
PRECISIONS = ("float32", "int8")


def compare(data: bytes, samples: Dataset, folder: Path) -> None:
    """All bytes are equal, for real samples and for values at the ends of the range."""
    path = folder / "net.tflite"
    path.write_bytes(data)
    graph = read_model(path)
    native = library({"net": graph}, folder)["net"]
    for x in (encode_inputs(samples.x[:4], graph.input), inputs(graph, 4, 1)):
        out = native.run(x)
        assert out.tobytes() == oracle(path).predict(x).tobytes()
        if graph.input.dtype == 0:
            assert out.tobytes() == litert(path).predict(x).tobytes()
        # a network that saturates or vanishes would prove nothing
        assert len(np.unique(out)) > out.size // 3


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("alpha", [0.2, 0.3])
def test_cifar10_student(precision: str, alpha: float, tmp_path: Path) -> None:
    data = cifar10("student", precision, alpha)
    compare(data, datasets.load("cifar10-made"), tmp_path)
    kinds = [operator.code for operator in read_model(data).operators]
    assert kinds.count("LEAKY_RELU") == kinds.count("MAX_POOL_2D") == 2


@pytest.mark.slow
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", [name for name in CIFAR10 if name != "student"])
def test_cifar10_teachers(name: str, precision: str, tmp_path: Path) -> None:
    compare(cifar10(name, precision), datasets.load("cifar10-made"), tmp_path)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", DENSE)
def test_dense_networks(name: str, precision: str, tmp_path: Path) -> None:
    features, units = DENSE[name]
    compare(dense_only(features, units, precision), datasets.load(name), tmp_path)


def test_the_networks_have_the_recipes_sizes() -> None:
    """Counted by hand: 3x3 kernels and biases, dense layers on the flattened maps."""
    student = (27 * 32 + 32) + (9 * 32 * 32 + 32) + (2048 * 16 + 16) + 170
    first = (27 * 256 + 256) + (9 * 256 * 512 + 512) + (8 * 8 * 512 * 10 + 10)
    second = (27 * 256 + 256) + (9 * 256 * 256 + 256) + (9 * 256 * 512 + 512)
    second += (4 * 4 * 512 * 128 + 128) + 1290
    for name, count in (("student", student), ("teacher_v1", first), ("teacher_v2", second)):
        assert read_model(cifar10(name, "int8")).parameters == count
