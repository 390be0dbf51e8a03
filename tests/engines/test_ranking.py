# SPDX-License-Identifier: Apache-2.0
"""TOPK_V2 and ONE_HOT equal LiteRT, which alone has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from hil.core.errors import ModelError
from hil.engines.aot.plan import plan
from hil.tflite import Graph, read_model
from tests.support.native import all_inputs, library
from tests.support.oracles import litert_outputs
from tests.support.tflite import Net

SEEDS = 12


def constant(net: Net, dtype: str, value: int) -> int:
    scales = ([net.scale], [net.zero]) if dtype == "int8" else ((), ())
    return net.tensor((), dtype, np.array(value, dtype), *scales)


def top_k(seed: int, dtype: str) -> Net:
    random = np.random.default_rng(seed)
    shape = [int(n) for n in random.integers(1, 8, random.integers(1, 5))]
    net = Net().input(shape, dtype, 0.1 if dtype == "int8" else 0.0, -3 if dtype == "int8" else 0)
    count = int(random.integers(1, shape[-1] + 1))
    more = [constant(net, "int32", count)]
    made = (*shape[:-1], count)
    places = net.tensor(made, "int32")
    net.op("TOPK_V2", made, schema.TopKV2OptionsT(), "TopKV2Options", more)
    net.graph.operators[-1].outputs = net.graph.outputs = [net.current, places]
    return net


def one_hot(seed: int, dtype: str) -> Net:
    random = np.random.default_rng(seed)
    shape = [int(n) for n in random.integers(1, 6, random.integers(1, 4))]
    axis, depth = int(random.integers(-1, len(shape) + 1)), int(random.integers(1, 9))
    net = Net().input(shape, "int32")
    net.scale, net.zero = (0.1, -3) if dtype == "int8" else (0.0, 0)
    more = [constant(net, "int32", depth), constant(net, dtype, 7), constant(net, dtype, -2)]
    place = len(shape) if axis == -1 else axis
    options = schema.OneHotOptionsT()
    options.axis = axis
    made = (*shape[:place], depth, *shape[place:])
    return net.op("ONE_HOT", made, options, "OneHotOptions", more, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", "int8", "int32"])
def test_the_largest_values_and_their_places(dtype: str, tmp_path: Path) -> None:
    graphs = {f"net{seed}": read_model(top_k(seed, dtype).finish()) for seed in range(SEEDS)}
    equal_litert(graphs, tmp_path, 3)  # few different values, so many are equal


@pytest.mark.parametrize("dtype", ["float32", "int8", "int32"])
def test_numbers_become_vectors(dtype: str, tmp_path: Path) -> None:
    graphs = {f"net{seed}": read_model(one_hot(seed, dtype).finish()) for seed in range(SEEDS)}
    equal_litert(graphs, tmp_path, 11)


def equal_litert(graphs: dict[str, Graph], folder: Path, different: int) -> None:
    for name, native in library(graphs, folder).items():
        (x,) = all_inputs(native.graph, 6, 1)
        x = (np.random.default_rng(2).integers(-1, different, x.shape)).astype(x.dtype)
        for got, wanted in zip(native.run_all([x]), litert_outputs(native.graph, [x]), strict=True):
            assert got.tobytes() == wanted.reshape(got.shape).tobytes(), name


def test_what_does_not_fit_is_refused_by_name() -> None:
    net = top_k(0, "float32")
    net.graph.tensors[net.graph.outputs[1]].shape = [3]
    with pytest.raises(ModelError, match=r"\(TOPK_V2\).*do not fit"):
        plan(read_model(net.finish()))
    net = one_hot(0, "float32")
    net.graph.operators[0].builtinOptions.axis = 9
    with pytest.raises(ModelError, match=r"\(ONE_HOT\).*do not fit"):
        plan(read_model(net.finish()))
