# SPDX-License-Identifier: Apache-2.0
"""ADD_N, CUMSUM, L2_NORMALIZATION, and what works on bool, equal TFLM and LiteRT."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hil.core.errors import ModelError
from hil.engines.aot.plan import plan
from hil.tflite import Graph, read_model
from tests.support.accumulating import add_n, cumsum, l2norm
from tests.support.native import all_inputs, library, ulps
from tests.support.oracles import litert_outputs, tflm_outputs
from tests.support.reductions import reduced
from tests.support.tflite import Net

Random = np.random.Generator
DTYPES = ("float32", "int8")


def started(random: Random, dtype: str) -> Net:
    shape = [int(n) for n in random.choice(np.array([1, 2, 3, 5, 9]), random.integers(1, 5))]
    scale = float(np.float32(2.0 ** random.uniform(-8, 0)))
    return Net().input(shape, dtype, scale if dtype == "int8" else 0.0, zero(random, dtype))


def zero(random: Random, dtype: str) -> int:
    return int(random.choice([-128, 127, 0, -7])) if dtype == "int8" else 0


def result(net: Net, random: Random) -> dict[str, float | int]:
    if net.dtype != "int8":
        return {}
    return {"scale": net.scale * 2.0 ** random.uniform(-2, 4), "zero": zero(random, "int8")}


def drawn_add_n(random: Random, dtype: str) -> Net:
    """Up to 20 operands, whose sum wraps in int8; some of them are constants."""
    net = started(random, dtype)
    first, inputs, others = net.current, [net.current], []
    scale, point = net.scale, net.zero
    for _ in range(int(random.integers(1, 20))):
        if random.random() < 0.3:
            values = random.integers(-128, 128, net.shape).astype(dtype)
            scales = ([scale], [point]) if dtype == "int8" else ((), ())
            others.append(net.tensor(net.shape, dtype, values, *scales))
        elif random.random() < 0.5:
            net.input(net.shape, dtype, scale, point)
            inputs.append(net.current)
            others.append(net.current)
        else:
            others.append(first)
    net.graph.inputs, net.current = inputs, first
    return add_n(net, others, **result(net, random))


def drawn_cumsum(random: Random, dtype: str) -> Net:
    net = started(random, dtype)
    axis = int(random.integers(-len(net.shape), len(net.shape)))
    exclusive, reverse = (bool(random.integers(2)) for _ in range(2))
    return cumsum(net, axis, exclusive=exclusive, reverse=reverse, **result(net, random))


def drawn_l2norm(random: Random, dtype: str) -> Net:
    return l2norm(started(random, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("draw", [drawn_add_n, drawn_cumsum, drawn_l2norm])
def test_random_layers_equal_the_references(
    draw: Callable[[Random, str], Net], dtype: str, tmp_path: Path
) -> None:
    graphs = {
        f"net{seed}": read_model(draw(np.random.default_rng(seed), dtype).finish())
        for seed in range(30)
    }
    for name, native in library(graphs, tmp_path).items():
        x = all_inputs(native.graph, 4, 1)
        got = native.run_all(x)[0]
        assert got.tobytes() == native.run_all(x, poison=0)[0].tobytes()
        for reference in (tflm_outputs, litert_outputs)[: 2 if dtype == "float32" else 1]:
            expected = reference(native.graph, x)[0].reshape(got.shape)
            assert got.tobytes() == expected.tobytes(), name


def flags(net: Net) -> Net:
    """Which values are larger than 0.3."""
    limit = net.tensor((), "float32", np.array(0.3, np.float32))
    return net.op("GREATER", net.shape, None, "", [limit], dtype="bool")


@pytest.mark.parametrize("code", ["REDUCE_ANY", "REDUCE_ALL", "REDUCE_PROD"])
@pytest.mark.parametrize("axes", [[0], [-1], [1, 3], [0, 1, 2, 3]])
def test_other_reductions_equal_litert(code: str, axes: list[int], tmp_path: Path) -> None:
    """TFLM has only REDUCE_ALL."""
    net = Net().input((2, 3, 4, 2))
    if code != "REDUCE_PROD":
        flags(net)
    equals_litert(reduced(net, code, axes), tmp_path)


def test_a_logical_not_equals_litert(tmp_path: Path) -> None:
    equals_litert(flags(Net().input((2, 3, 4))).simple("LOGICAL_NOT"), tmp_path)


def equals_litert(net: Net, folder: Path) -> None:
    graph: Graph = read_model(net.finish())
    x = all_inputs(graph, 8, 2)
    (got,) = library({"net": graph}, folder)["net"].run_all(x)
    assert got.tobytes() == litert_outputs(graph, x)[0].reshape(got.shape).tobytes()


@pytest.mark.parametrize("code", ["ATAN2", "FLOOR_DIV", "FLOOR_MOD", "POW"])
def test_functions_of_two_values_equal_litert(code: str, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    a = (random.normal(size=4000) * 10.0 ** random.uniform(-3, 3, 4000)).astype(np.float32)
    b = (random.normal(size=4000) * 10.0 ** random.uniform(-2, 1, 4000)).astype(np.float32)
    a[:900], b[:900] = np.float32(0.1) * np.arange(-450, 450), np.float32(0.1)
    if code == "POW":
        a, b = np.abs(a) + np.float32(1e-6), b.clip(-5, 5)
    net = Net().input((4000,))
    first = net.current
    net.input((4000,))
    net.graph.inputs, second = [first, net.current], net.current
    net.current = first
    net.op(code, (4000,), None, "", [second])
    graph = read_model(net.finish())
    x = [v.reshape(1, -1) for v in (a, b)]
    (got,) = library({"net": graph}, tmp_path)["net"].run_all(x)
    (expected,) = litert_outputs(graph, x)
    if code in ("ATAN2", "POW"):
        assert ulps(got, expected) <= 1
    else:
        assert got.tobytes() == expected.tobytes()


def test_zeros_like_is_a_constant(tmp_path: Path) -> None:
    net = Net().input((2, 3))
    x = net.current
    net.op("ZEROS_LIKE", (2, 3)).op("ADD", (2, 3), more=[x])
    equals_litert(net, tmp_path)


def test_what_tflm_refuses_is_refused_by_name() -> None:
    net = Net().input((1, 4), "int8", 0.1, 0)
    other = net.tensor((1, 4), "int8", np.ones((1, 4), np.int8), [0.2], [0])
    with pytest.raises(ModelError, match=r"\(ADD_N\).*differ in scale"):
        plan(read_model(add_n(net, [other]).finish()))
    net = Net().input((1, 4))
    with pytest.raises(ModelError, match=r"\(CUMSUM\).*axis 2 of 2 dimensions"):
        plan(read_model(cumsum(net, 2).finish()))
    net = l2norm(Net().input((1, 40000), "int8", 0.1, 0))
    with pytest.raises(ModelError, match=r"\(L2_NORMALIZATION\).*rows of 40000 values"):
        plan(read_model(net.finish()))
