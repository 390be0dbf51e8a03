# SPDX-License-Identifier: Apache-2.0
"""Folded constants are what LiteRT computes, and what cannot be folded stays in the graph."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from hil.tflite import Graph, read_model
from hil.tflite.fold import folded
from tests.support.random_graphs import GraphMaker
from tests.support.random_moves import MOVE_DRAWS
from tests.support.tflite import Net

DTYPES = ("float32", "int8", "int32", "int16")


class ConstantMaker(GraphMaker):
    """Operators on a constant of random rank and type; the input is not used."""

    def constant(self, dtype: str, shape: tuple[int, ...]) -> None:
        scaled = dtype in ("int8", "int16")
        zero = self._zero() if dtype == "int8" else 0
        self.net.input((1,))
        unused = self.net.graph.inputs
        self.net.input(shape, dtype, self._scale() if scaled else 0.0, zero)
        self.net.graph.inputs = unused
        self.net.fill_in(self.net.current, self.random.integers(-99, 99, shape))
        self.keep()


def litert(graph: Graph) -> list[np.ndarray[Any, Any]]:
    interpreter = Interpreter(
        model_content=graph.data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    interpreter.invoke()
    return [interpreter.get_tensor(i) for i in graph.output_indices]


def values(graph: Graph) -> list[np.ndarray[Any, Any]]:
    """The outputs of a graph that is folded completely."""
    done = folded(graph)
    assert not done.operators, [str(o) for o in done.operators]
    found = [done.tensors[i].data for i in done.output_indices]
    assert all(v is not None for v in found)
    return [v for v in found if v is not None]


def check(net: Net) -> None:
    graph = read_model(net.finish())
    expected = litert(graph)
    for got, wanted in zip(values(graph), expected, strict=True):
        assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
        assert got.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("code", MOVE_DRAWS)
def test_moved_constants_equal_litert(code: str) -> None:
    met = Counter[str]()
    for seed in range(64):
        dtype = DTYPES[seed % len(DTYPES)]
        maker = ConstantMaker(seed, "int8")
        rank = 4 if seed // 4 % 2 else maker._int(1, 4)
        maker.constant(dtype, maker._ints(rank, 1, 6))
        MOVE_DRAWS[code](maker)
        if maker.net.graph.operators:
            maker.net.graph.outputs = list(maker.net.graph.operators[-1].outputs)
            check(maker.net)
            met[dtype] += 1
    assert met["int8"] >= 3
    assert met["float32"] >= 3


def pair(
    code: str, dtype: str, a: list[float], b: list[float], options: str = ""
) -> tuple[Net, int]:
    net = Net().input((1,))
    net.input((len(a),), dtype)
    net.graph.inputs = [0]
    net.fill_in(net.current, np.array(a))
    other = net.tensor((len(b),), dtype, np.array(b).astype(dtype))
    kind = f"{options or code.capitalize()}Options"
    net.op(code, (max(len(a), len(b)),), getattr(schema, f"{kind}T")(), kind, [other])
    return net, other


@pytest.mark.parametrize("code", ["ADD", "SUB", "MUL", "DIV"])
@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_arithmetic_equals_litert(code: str, dtype: str) -> None:
    random = np.random.default_rng(len(code))
    a = random.integers(-1000, 1000, 40) / (7 if dtype == "float32" else 1)
    for b in ([3.0], [-7.0], (1 + random.integers(0, 50, 40)).tolist()):
        check(pair(code, dtype, a.tolist(), b)[0])


@pytest.mark.parametrize("code", ["MAXIMUM", "MINIMUM"])
def test_extremes_equal_litert(code: str) -> None:
    check(
        pair(code, "float32", [0.0, -0.0, 1.0, -2.0], [-0.0, 0.0, -1.0, 3.0], "MaximumMinimum")[0]
    )


@pytest.mark.parametrize(("code", "kind"), [("FLOOR_DIV", "FloorDiv"), ("FLOOR_MOD", "FloorMod")])
def test_floor_division_equals_litert(code: str, kind: str) -> None:
    check(pair(code, "int32", [7, -7, 7, -7, 0, 6], [3, 3, -3, -3, 5, -2], kind)[0])


def test_what_is_not_defined_is_not_folded() -> None:
    for code, dtype, a, b in (
        ("DIV", "int32", [1], [0]),
        ("ADD", "int32", [2**31 - 1], [1]),
        ("DIV", "float32", [1.0], [0.0]),
    ):
        graph = read_model(
            pair(code, dtype, [float(v) for v in a], [float(v) for v in b])[0].finish()
        )
        assert folded(graph) is graph


def test_a_fused_activation_is_not_folded() -> None:
    net, _ = pair("ADD", "float32", [1.0], [-3.0])
    net.graph.operators[-1].builtinOptions.fusedActivationFunction = 1
    graph = read_model(net.finish())
    assert folded(graph) is graph


def one(code: str, dtype: str, data: Any, made: str) -> Net:
    net = Net().input((1,))
    array = np.array(data)
    net.input(array.shape, dtype, *((0.25, 3) if dtype == "int8" else ()))
    net.graph.inputs = [0]
    net.fill_in(net.current, array)
    net.scale = 0.0
    return net.op(code, array.shape, dtype=made)


def test_conversions_equal_litert() -> None:
    check(one("DEQUANTIZE", "float16", [0.1, -65504, 6e-8, 0], "float32"))
    check(one("DEQUANTIZE", "int8", [[-128, 127], [3, 0]], "float32"))
    check(one("CAST", "float32", [1.9, -1.9, 0.0], "int32"))
    check(one("CAST", "int32", [1, -7, 1 << 24], "float32"))
    check(one("NEG", "float32", [1.0, -2.5, 0.0], "float32"))
    check(one("ABS", "float32", [1.0, -2.5, -0.0], "float32"))


def test_the_shape_of_an_input_is_a_constant() -> None:
    options = schema.ShapeOptionsT()
    options.outType = 2
    net = Net().input((1, 4, 3)).op("SHAPE", (3,), options, "ShapeOptions", dtype="int32")
    assert values(read_model(net.finish()))[0].tolist() == [1, 4, 3]
    check(net)


def test_ranges_and_fills_equal_litert() -> None:
    for start, limit, delta in ((0, 7, 2), (5, -4, -3), (2, 3, 1)):
        net = Net().input((1,))
        parts = [net.tensor((), "int32", np.array(v, np.int32)) for v in (start, limit, delta)]
        net._now(parts[0], (), "int32", 0.0, 0)
        count = len(range(start, limit, delta))
        check(net.op("RANGE", (count,), schema.RangeOptionsT(), "RangeOptions", parts[1:]))
    net = Net().input((1,))
    net._now(net.tensor((2,), "int32", np.array([2, 3], np.int32)), (2,), "int32", 0.0, 0)
    value = net.tensor((), "float32", np.array(1.5, np.float32))
    check(net.op("FILL", (2, 3), schema.FillOptionsT(), "FillOptions", [value], dtype="float32"))


def test_constants_of_constants_are_folded_and_indices_stay() -> None:
    net, _ = pair("ADD", "float32", [1.0, 2.0], [3.0])
    net.op("NEG", (2,), schema.NegOptionsT(), "NegOptions")
    graph = read_model(net.finish())
    done = folded(graph)
    assert len(done.tensors) == len(graph.tensors)
    assert values(graph)[0].tolist() == [-4.0, -5.0]
    assert graph.operators, "the graph itself does not change"


def test_operators_on_inputs_stay() -> None:
    graph = read_model(Net().input((1, 4)).simple("RELU").finish())
    assert folded(graph) is graph


@pytest.mark.parametrize(
    ("kind", "bias"),
    [
        *(("FULLY_CONNECTED", bias) for bias in (True, False)),
        *(("CONV_2D", True), ("DEPTHWISE_CONV_2D", True)),
    ],
)
def test_a_layer_of_zeros_is_its_bias(kind: str, bias: bool) -> None:
    random = np.random.default_rng(0)
    shape = (1, 5) if kind == "FULLY_CONNECTED" else (1, 4, 4, 3)
    net = Net().input((1,))
    unused = net.graph.inputs
    net.input(shape)
    net.graph.inputs = unused
    net.fill_in(net.current, np.zeros(shape))

    def values(*size: int) -> np.ndarray[Any, Any]:
        return random.normal(size=size).astype(np.float32)

    added = values(3) if bias else None
    if kind == "FULLY_CONNECTED":
        net.dense(values(3, 5), added)
    else:
        depthwise = kind.startswith("DEPTH")
        net.conv(values(*((1, 2, 2, 3) if depthwise else (3, 2, 2, 3))), added, depthwise=depthwise)
    check(net)
