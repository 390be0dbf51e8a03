# SPDX-License-Identifier: Apache-2.0
"""Values of one type as another one, and functions of int16, equal TFLM for every code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from hil.core.errors import ModelError
from hil.engines.aot.plan import plan
from hil.tflite import Graph, read_model
from tests.support.elementwise import function
from tests.support.native import library
from tests.support.oracles import litert_outputs, reference_outputs, tflm_outputs
from tests.support.tflite import Net

LIMITS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}
PAIRS = [
    ("int8", "uint8"),
    ("uint8", "int8"),
    ("int8", "int16"),
    ("int8", "int32"),
    ("int16", "int8"),
    ("int16", "int16"),
    ("int16", "int32"),
    ("int32", "int8"),
    ("int32", "int16"),
    ("float32", "int16"),
]


def values(dtype: str, random: np.random.Generator) -> npt.NDArray[np.generic]:
    """Every code, or many values with the halves between the steps of a scale of 0.25."""
    if dtype in LIMITS:
        low, high = LIMITS[dtype]
        return np.arange(low, high + 1).astype(dtype)
    if dtype == "int32":
        return random.integers(-(1 << 20), 1 << 20, 3000).astype(np.int32)
    x = random.normal(scale=30, size=3000).astype(np.float32)
    x[:400] = np.arange(-200, 200) / 8
    x[400:404] = [1e6, -1e6, 0.0, -0.0]
    return x


def zero(dtype: str, random: np.random.Generator) -> int:
    if dtype not in ("int8", "uint8"):
        return 0
    return int(random.choice([LIMITS[dtype][0], LIMITS[dtype][1], 3, 100]))


def converted(pair: tuple[str, str], seed: int, code: str = "QUANTIZE") -> Net:
    random = np.random.default_rng(seed)
    source, target = pair
    scales = (2.0 ** random.uniform(-5, 2, 2)).astype(np.float32).astype(float)
    zeros = [zero(dtype, random) for dtype in pair]
    if seed == 0 and set(pair) == {"int8", "uint8"}:  # as converters make it
        scales, zeros = np.ones(2), [0 if dtype == "uint8" else -128 for dtype in pair]
    size = values(source, random).size
    net = Net().input((1, size), source, 0.0 if source == "int32" else scales[0], zeros[0])
    if source == "int32":
        quantise(net, scales[0])
    net.op(code, (1, size), dtype=target, scale=scales[1], zero=zeros[1])
    if target == "int32":
        quantise(net, scales[1])
    return net


def quantise(net: Net, scale: float) -> None:
    """Give the current tensor a scale, which `Net` does not give to int32."""
    index = net.tensor((1,), "int8", None, [scale], [0])
    net.graph.tensors[net.current].quantization = net.graph.tensors[index].quantization


@pytest.mark.parametrize("pair", PAIRS, ids=" to ".join)
def test_every_code_is_quantised_as_in_tflm(pair: tuple[str, str], tmp_path: Path) -> None:
    graphs = {f"net{seed}": read_model(converted(pair, seed).finish()) for seed in range(12)}
    for name, native in library(graphs, tmp_path).items():
        x = values(pair[0], np.random.default_rng(1)).reshape(1, 1, -1)
        got, expected = native.run_all([x]), tflm_outputs(native.graph, [x])
        assert got[0].tobytes() == expected[0].tobytes(), name


def test_uint8_of_float32_equals_litert(tmp_path: Path) -> None:
    graph = read_model(converted(("float32", "uint8"), 3).finish())
    x = values("float32", np.random.default_rng(1)).reshape(1, 1, -1)
    (got,) = library({"net": graph}, tmp_path)["net"].run_all([x])
    assert got.tobytes() == litert_outputs(graph, [x])[0].tobytes()


@pytest.mark.parametrize("source", ["int8", "uint8", "int16"])
def test_every_code_is_dequantised_as_in_tflm(source: str, tmp_path: Path) -> None:
    graphs = {
        f"net{seed}": read_model(converted((source, "float32"), seed, "DEQUANTIZE").finish())
        for seed in range(4)
    }
    for name, native in library(graphs, tmp_path).items():
        x = values(source, np.random.default_rng(1)).reshape(1, 1, -1)
        got, expected = native.run_all([x]), tflm_outputs(native.graph, [x])
        assert got[0].tobytes() == expected[0].tobytes(), name


@pytest.mark.parametrize(
    "pair",
    [
        ("int32", "float32"),
        ("float32", "int32"),
        ("int32", "int16"),
        ("bool", "float32"),
        ("int32", "bool"),
        ("int16", "int32"),
        ("int64", "int32"),
    ],
    ids=" to ".join,
)
def test_a_cast_equals_the_reference(pair: tuple[str, str], tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    x = random.integers(-30000, 30000, (1, 1, 50)).astype(np.dtype(pair[0]))
    x[0, 0, :9] = np.arange(9)
    if pair[0] == "float32":
        x = (x / 7).astype(np.float32)
    if pair[0] == "bool":
        x = x.astype(np.uint8) & 1
    net = Net().input((1, 50), pair[0])
    graph = read_model(net.op("CAST", (1, 50), dtype=pair[1]).finish())
    (got,) = library({"net": graph}, tmp_path)["net"].run_all([x])
    given = x.astype(bool) if pair[0] == "bool" else x
    assert got.tobytes() == litert_outputs(graph, [given])[0].tobytes()


def int16_graph(code: str, seed: int) -> Graph:
    random = np.random.default_rng(seed)
    scales = (2.0 ** random.uniform(-16, -7, 2)).astype(np.float32).astype(float)
    if code == "EXP":  # beyond 88, float32 overflows
        scales[0] = min(scales[0], 1 / 512)
    if seed < 2:  # powers of two, which are read directly
        scales[0] = 2.0 ** -(12 - seed)
    if code in ("LOGISTIC", "TANH"):
        scales[1] = 2.0**-15
    net = Net().input((1, 65536), "int16", scales[0])
    return read_model(function(net, code, float(random.random()), scale=scales[1]).finish())


INT16_FUNCTIONS = ("ABS", "LEAKY_RELU", "LOGISTIC", "RELU", "RELU6", "TANH", "EXP", "LOG", "RSQRT")


@pytest.mark.parametrize("code", INT16_FUNCTIONS)
def test_every_int16_code_gives_the_value_of_tflm(code: str, tmp_path: Path) -> None:
    graphs = {f"net{seed}": int16_graph(code, seed) for seed in range(8)}
    x = values("int16", np.random.default_rng(1)).reshape(1, 1, -1)
    if code == "RSQRT":  # TFLM stops at a negative value
        x = np.maximum(x, 0)
    for name, native in library(graphs, tmp_path).items():
        (got,) = native.run_all([x])
        assert got.tobytes() == reference_outputs(native.graph, [x])[0].tobytes(), name


def test_exponentials_beyond_float32_are_refused() -> None:
    net = Net().input((1, 4), "int16", 0.1)
    with pytest.raises(ModelError, match="results that leave float32"):
        plan(read_model(function(net, "EXP", scale=0.1).finish()))


@pytest.mark.parametrize("draw", [0.1, 0.9])
def test_gelu_of_int16_is_litert_s(draw: float, tmp_path: Path) -> None:
    """Except for entries of its table that the C library's erfcf() rounds in another way."""
    net = Net().input((1, 65536), "int16", 1e-4)
    graph = read_model(function(net, "GELU", draw, scale=3e-5).finish())
    x = values("int16", np.random.default_rng(1)).reshape(1, 1, -1)
    (got,) = library({"net": graph}, tmp_path)["net"].run_all([x])
    wrong = np.abs(got.astype(int) - litert_outputs(graph, [x])[0].astype(int))
    assert wrong.max() <= (draw > 0.5)


def test_what_tflm_does_not_run_is_refused_by_name() -> None:
    for pair, says in {
        ("int8", "bool"): "aot runs it in",
        ("uint8", "int16"): "uint8 to int16",
    }.items():
        with pytest.raises(ModelError, match=says):
            plan(read_model(converted(pair, 1).finish()))
    net = Net().input((1, 4), "int16", 0.5)
    with pytest.raises(ModelError, match="not 2"):
        plan(read_model(net.op("LOGISTIC", (1, 4), scale=0.5).finish()))
    net = Net().input((1, 4), "int16", 5.0)
    with pytest.raises(ModelError, match="a scale of 5"):
        plan(read_model(net.op("TANH", (1, 4), scale=2.0**-15).finish()))
