# SPDX-License-Identifier: Apache-2.0
"""SOFTMAX and LOG_SOFTMAX of all types equal TFLM, for few and for many classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from ai_edge_litert import schema_py_generated as schema

from hil.core.errors import ModelError
from hil.engines.aot.plan import plan
from hil.engines.aot.values.softmax import exponentials, reciprocals
from hil.tflite import Graph, read_model
from tests.support.native import library, ulps
from tests.support.oracles import litert_outputs, tflm_outputs
from tests.support.tflite import Net

OUTPUTS = {"int8": (1 / 256, -128), "int16": (1 / 32768, 0)}
LOG_ULPS = 64  # the exponential and the logarithm of a different C library, and their difference


def softmax(
    types: tuple[str, str], scale: float, shape: tuple[int, ...], beta: float = 1.0
) -> Graph:
    options = schema.SoftmaxOptionsT()
    options.beta = beta
    made, zero = OUTPUTS.get(types[1], (0.0, 0))
    if types == ("int8", "int16"):
        made, zero = 1 / 65536, -32768
    net = Net().input(shape, types[0], scale, 3 if types[0] == "int8" else 0)
    net.op("SOFTMAX", shape, options, "SoftmaxOptions", scale=made, zero=zero, dtype=types[1])
    return read_model(net.finish())


def inputs(graph: Graph, seed: int) -> npt.NDArray[np.generic]:
    """Random codes, close together and far apart, and in the last sample all equal."""
    random = np.random.default_rng(seed)
    limit = 128 if graph.input.dtype == 9 else 32768
    shape = (6, *graph.input.shape)
    x = random.integers(-limit, limit, shape)
    x[:3] = random.normal(scale=20, size=(3, *graph.input.shape)).clip(-100, 100)
    x[-1] = 17
    return x.astype(graph.input.dtype.numpy)


@pytest.mark.parametrize("types", [("int8", "int8"), ("int8", "int16"), ("int16", "int16")])
def test_softmax_equals_tflm(types: tuple[str, str], tmp_path: Path) -> None:
    scales = [0.001, 0.02, 0.1, 0.7, 5.0] if types[0] == "int8" else [1e-5, 1e-4, 3e-4, 2e-3]
    shapes = [(1, 1), (1, 2), (1, 10), (2, 3, 7), (1, 300)]
    graphs = {
        f"net{i}_{j}": softmax(types, scale, shape, beta=[1.0, 0.5, 2.0][j % 3])
        for i, scale in enumerate(scales)
        for j, shape in enumerate(shapes)
    }
    for name, native in library(graphs, tmp_path).items():
        x = inputs(native.graph, 1)
        (got,), (expected,) = native.run_all([x]), tflm_outputs(native.graph, [x])
        assert got.tobytes() == expected.tobytes(), name


@pytest.mark.parametrize("types", [("int8", "int8"), ("int8", "int16"), ("int16", "int16")])
def test_softmax_of_many_classes_equals_tflm(types: tuple[str, str], tmp_path: Path) -> None:
    graph = softmax(types, 0.2 if types[0] == "int8" else 1e-3, (1, 1500))
    x = inputs(graph, 2)[2:5]  # TFLM stops where all are alike
    (got,) = library({"net": graph}, tmp_path)["net"].run_all([x])
    assert got.tobytes() == tflm_outputs(graph, [x])[0].tobytes()


def test_softmax_of_many_classes_that_are_alike_gives_the_least_value(tmp_path: Path) -> None:
    graph = softmax(("int8", "int8"), 0.2, (1, 1500))
    (got,) = library({"net": graph}, tmp_path)["net"].run_all([np.zeros((1, 1, 1500), np.int8)])
    assert set(got.reshape(-1).tolist()) == {-128}


def test_the_tables_of_int16_follow_their_functions() -> None:
    x = np.linspace(-10, 0, 513)
    assert np.abs(np.array(exponentials()) / 32767.5 - np.exp(x)).max() < 1e-4
    x = np.linspace(0, 1, 513)
    assert np.abs(np.array(reciprocals()) / 32767.5 - 1 / (1 + x)).max() < 1e-4


def log_softmax(dtype: str, scale: float, shape: tuple[int, ...]) -> Graph:
    net = Net().input(shape, dtype, scale, -5)
    net.op(
        "LOG_SOFTMAX",
        shape,
        schema.LogSoftmaxOptionsT(),
        "LogSoftmaxOptions",
        scale=1 / 16,
        zero=127,
    )
    return read_model(net.finish())


def test_log_softmax_of_int8_equals_tflm(tmp_path: Path) -> None:
    graphs = {
        f"net{i}_{j}": log_softmax("int8", scale, shape)
        for i, scale in enumerate([0.001, 0.02, 0.1, 0.7, 5.0])
        for j, shape in enumerate([(1, 1), (1, 10), (2, 3, 7), (1, 900)])
    }
    for name, native in library(graphs, tmp_path).items():
        x = inputs(native.graph, 3)
        (got,), (expected,) = native.run_all([x]), tflm_outputs(native.graph, [x])
        assert got.tobytes() == expected.tobytes(), name


def test_log_softmax_of_float32_is_close_to_litert(tmp_path: Path) -> None:
    graph = log_softmax("float32", 0.0, (3, 9))
    x = np.random.default_rng(1).normal(scale=4, size=(5, 3, 9)).astype(np.float32)
    (got,) = library({"net": graph}, tmp_path)["net"].run_all([x])
    assert ulps(got, litert_outputs(graph, [x])[0]) <= LOG_ULPS


def test_what_tflm_does_not_run_is_refused_by_name() -> None:
    for graph, says in {
        softmax(("int8", "int8"), 0.1, (1, 5000)): "5000 classes",
        softmax(("int16", "int8"), 0.1, (1, 4)): "differ in type",
        log_softmax("int8", 40.0, (1, 4)): "a scale of 40",
    }.items():
        with pytest.raises(ModelError, match=says):
            plan(graph)
