# SPDX-License-Identifier: Apache-2.0
"""Comparisons, logical operators and SELECT_V2 equal TFLM, for all pairs of int8 values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from hil.core.errors import ModelError
from hil.engines.aot.plan import plan
from hil.engines.aot.values.comparing import SIGNS
from hil.tflite import Graph, read_model
from tests.support.native import all_inputs, library
from tests.support.oracles import litert_outputs, tflm_outputs
from tests.support.tflite import Net

COMPARISONS = [code for code in SIGNS if not code.startswith("LOGICAL")]
Shape = tuple[int, ...]


def compared(
    code: str, dtype: str, shapes: tuple[Shape, Shape], scales: tuple[float, float]
) -> Net:
    """Two values, and the one that the comparison selects."""
    net = Net()
    zeros = (3, -7) if dtype == "int8" else (0, 0)
    inputs = []
    for shape, scale, zero in zip(shapes, scales, zeros, strict=True):
        net.input(shape, dtype, scale, zero)
        inputs.append(net.current)
    net.graph.inputs, net.current = inputs, inputs[0]
    made = np.broadcast_shapes(*shapes)
    net.op(code, made, None, "", inputs[1:], dtype="bool", scale=0.0)
    net.op(
        "SELECT_V2",
        made,
        schema.SelectV2OptionsT(),
        "SelectV2Options",
        inputs,
        dtype=dtype,
        scale=0.1,
    )
    return net


def equal_tflm(graphs: dict[str, Graph], folder: Path) -> None:
    for name, native in library(graphs, folder).items():
        x = all_inputs(native.graph, 4, 1)
        (got,), (expected,) = native.run_all(x), tflm_outputs(native.graph, x)
        assert got.tobytes() == expected.tobytes(), name


@pytest.mark.parametrize("code", COMPARISONS)
def test_every_pair_of_int8_values_compares_as_in_tflm(code: str, tmp_path: Path) -> None:
    graphs = {
        f"net{i}": read_model(compared(code, "int8", ((1, 256, 1), (1, 1, 256)), scales).finish())
        for i, scales in enumerate([(0.1, 0.1), (0.1, 0.05), (0.3, 0.017), (1e-3, 0.9)])
    }
    codes = np.arange(-128, 128, dtype=np.int8)
    x = [codes.reshape(1, 1, 256, 1), codes.reshape(1, 1, 1, 256)]
    for name, native in library(graphs, tmp_path).items():
        (got,), (expected,) = native.run_all(x), tflm_outputs(native.graph, x)
        assert got.tobytes() == expected.tobytes(), name


@pytest.mark.parametrize("code", COMPARISONS)
def test_float32_and_shapes_compare_as_in_tflm(code: str, tmp_path: Path) -> None:
    shapes = [((2, 3), (2, 3)), ((4, 3), (3,)), ((1, 4, 1), (2, 1, 5))]
    graphs = {
        f"net{i}": read_model(compared(code, "float32", pair, (0.0, 0.0)).finish())
        for i, pair in enumerate(shapes)
    }
    equal_tflm(graphs, tmp_path)


@pytest.mark.parametrize("code", ["LOGICAL_AND", "LOGICAL_OR"])
def test_logical_operators_equal_tflm(code: str, tmp_path: Path) -> None:
    net = Net()
    inputs = []
    for _ in range(2):
        net.input((3, 5), "int8", 0.1, 0)
        inputs.append(net.current)
    a, b = inputs
    net.graph.inputs = inputs
    found = []
    for code_of, pair in (("GREATER", (a, b)), ("LESS", (b, a)), ("NOT_EQUAL", (a, b))):
        net.current, net.shape = pair[0], (3, 5)
        net.op(code_of, (3, 5), None, "", pair[1:], dtype="bool", scale=0.0)
        found.append(net.current)
    net.op(code, (3, 5), None, "", found[:1], dtype="bool")
    options = schema.SelectV2OptionsT()
    net.op("SELECT_V2", (3, 5), options, "SelectV2Options", inputs, dtype="int8", scale=0.1)
    equal_tflm({"net": read_model(net.finish())}, tmp_path)


@pytest.mark.parametrize("dtype", ["int8", "float32", "int32"])
def test_an_old_select_equals_litert(dtype: str, tmp_path: Path) -> None:
    """TFLM has only SELECT_V2."""
    net = compared("GREATER", dtype, ((1, 3, 5), (1, 3, 5)), (0.1, 0.1))
    code = net.model.operatorCodes[-1]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.SELECT
    operator = net.graph.operators[-1]
    operator.builtinOptions, operator.builtinOptionsType = schema.SelectOptionsT(), 0
    graph = read_model(net.finish())
    x = all_inputs(graph, 4, 1)
    (got,) = library({"net": graph}, tmp_path)["net"].run_all(x)
    (expected,) = litert_outputs(graph, x)
    assert got.tobytes() == expected.tobytes()


def test_an_old_select_that_would_broadcast_is_refused() -> None:
    net = compared("GREATER", "float32", ((1, 3, 5), (1, 1, 5)), (0.0, 0.0))
    code = net.model.operatorCodes[-1]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.SELECT
    with pytest.raises(ModelError, match=r"\(SELECT\).*different shapes"):
        plan(read_model(net.finish()))


def test_what_does_not_fit_is_refused_by_name() -> None:
    net = compared("LESS", "int8", ((2, 2), (2, 2)), (1.5, 0.1))
    with pytest.raises(ModelError, match="scales with a factor of 1.5"):
        plan(read_model(net.finish()))
    net = Net().input((4,), "int8", 0.1, 0)
    net.op("LESS", (4,), None, "", [net.current])
    with pytest.raises(ModelError, match=r"\(LESS\).*not bool"):
        plan(read_model(net.finish()))
