# SPDX-License-Identifier: Apache-2.0
"""Functions of one value: every int8 code as in TFLM, float32 within few ulp of LiteRT."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from hil.core.errors import ModelError
from hil.engines.aot.plan import plan
from hil.engines.aot.values.unweighted import Map
from hil.engines.aot.weighted.conv import Conv
from hil.tflite import Graph, read_model
from tests.support.elementwise import (
    FIXED,
    INT8_FUNCTIONS,
    REAL_FUNCTIONS,
    function,
)
from tests.support.native import library, ulps
from tests.support.oracles import reference_outputs
from tests.support.tflite import Net

CODES = np.arange(-128, 128, dtype=np.int8)
# of the C library's exp(), tanh() and so on, after the operations around them
ULPS = {
    "LOGISTIC": 2,
    "TANH": 1,
    "ELU": 1,
    "GELU": 8,
    "EXP": 1,
    "LOG": 1,
    "SIN": 1,
    "COS": 1,
}


def int8_graph(code: str, seed: int) -> Graph:
    random = np.random.default_rng(seed)
    net = Net()
    zeros = [int(random.choice([-128, 127, 0, 5, -7])) for _ in range(2)]
    scales = (2.0 ** random.uniform(-9, 1, 2)).astype(np.float32).astype(float)
    net.input((1, 256), "int8", scales[0], zeros[0])
    function(net, code, float(random.random()), scale=scales[1], zero=zeros[1])
    return read_model(net.finish())


@pytest.mark.parametrize("code", INT8_FUNCTIONS)
def test_every_int8_code_gives_the_byte_of_the_reference(code: str) -> None:
    for seed in range(20):
        graph = int8_graph(code, seed)
        if code == "HARD_SWISH" and graph.input.scale > 128 * graph.output.scale:
            continue  # TFLM refuses it
        (step,) = plan(graph)
        assert isinstance(step, Map)
        x = CODES
        if code in ("RSQRT", "SQRT"):  # the references stop at a negative value
            x = np.maximum(CODES, graph.input.zero_point).astype(np.int8)
        (expected,) = reference_outputs(graph, [x.reshape(1, 1, 256)])
        found = np.array(step.activation.table)[x.astype(int) + 128]
        assert found.tolist() == expected.reshape(-1).tolist(), seed


def reals(code: str) -> npt.NDArray[np.float32]:
    """Values of all sizes, halves, zeros of both signs, and the limits of the functions."""
    random = np.random.default_rng(7)
    sizes = 10.0 ** random.uniform(-6, 1.9, 400)
    limits = [0.0, -0.0, 0.5, 1.5, 2.5, -0.5, -1.5, 3, -3, 6, -9, 16.62, -16.62, 1e6, -1e6]
    x = np.concatenate([sizes, -sizes, limits, [x + 1e-6 for x in limits]]).astype(np.float32)
    if code in ("LOG", "SQRT", "RSQRT"):
        x = np.abs(x[x != 0])
    return x[np.abs(x) < 80] if code in ("EXP", "GELU") else x


@pytest.mark.parametrize("code", REAL_FUNCTIONS)
def test_float32_is_as_close_as_the_c_library(code: str, tmp_path: Path) -> None:
    for number, draw in enumerate((0.2, 0.8)):
        x = reals(code)
        net = Net().input((1, x.size))
        graph = read_model(function(net, code, draw).finish())
        folder = tmp_path / str(number)
        folder.mkdir()
        got = library({"net": graph}, folder)["net"].run(x.reshape(1, -1))
        (expected,) = reference_outputs(graph, [x.reshape(1, 1, -1)])
        if code == "GELU" and draw < 0.5:  # 1 + tanh() cancels: the error is that of tanh()
            wrong = np.abs(got.reshape(-1).astype(float) - expected.reshape(-1).astype(float))
            steps = wrong / np.maximum(np.abs(x), 1)
            assert steps.max() <= 2.0**-22
        elif code in ULPS:
            assert ulps(got.reshape(-1), expected.reshape(-1)) <= ULPS[code]
        else:
            assert got.tobytes() == expected.tobytes()


@pytest.mark.parametrize("code", FIXED)
def test_an_int8_function_joins_the_layer_before(code: str) -> None:
    net = Net().input((1, 4), "int8", 0.1, 0)
    net.dense(np.ones((3, 4), np.int8), np.ones(3, np.int32), scales=[0.1], scale=0.5, zero=0)
    (step,) = plan(read_model(function(net, code).finish()))
    assert isinstance(step, Conv)


def test_scales_that_tflm_refuses_are_refused_by_name() -> None:
    for net, says in {
        Net().input((1, 4), "int8", 1e-9, 0).op("TANH", (1, 4), scale=1 / 128): "scale of 1e-09",
        Net().input((1, 4), "int8", 1, 0).op("LOGISTIC", (1, 4), zero=0): "is not -128",
        Net().input((1, 4), "int8", 99, 0).op("HARD_SWISH", (1, 4), scale=1e-3): "99 to 0.001",
        Net().input((1, 4), "int8", 1, 0).op("SQUARE", (1, 4)): "aot runs it in float32",
    }.items():
        with pytest.raises(ModelError, match=says):
            plan(read_model(net.finish()))


@pytest.mark.parametrize("code", REAL_FUNCTIONS)
def test_a_result_of_another_size_is_corrupt(code: str) -> None:
    net = Net().input((1, 4))
    net.shape = (1, 3)
    with pytest.raises(ModelError, match=rf"operator 0 \({code}\): \[1, 4\] to \[1, 3\]"):
        read_model(function(net, code).finish())
