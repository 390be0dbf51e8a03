# SPDX-License-Identifier: Apache-2.0
"""Layers with the same weights, such as the steps of an unrolled recurrent layer, share them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hil.engines.aot import generate
from hil.tflite import read_model
from tests.support.native import all_inputs, library
from tests.support.oracles import litert_outputs, tflm_outputs
from tests.support.tflite import Net


def layers(dtype: str, *, other: bool = False) -> Net:
    """Three dense layers; ``other``: the last one has another weight."""
    random = np.random.default_rng(0)
    weights, bias = random.integers(-9, 9, (4, 4)), random.integers(-9, 9, 4)
    net = Net().input((1, 4), dtype, 0.1 if dtype == "int8" else 0.0)
    for i in range(3):
        values = weights + (1 if other and i == 2 else 0) * np.eye(4, dtype=int)
        if dtype == "int8":
            net.dense(values.astype(np.int8), bias.astype(np.int32), scales=[0.1])
        else:
            net.dense(values.astype(np.float32), bias.astype(np.float32))
    return net


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("other", [False, True])
def test_equal_layers_are_written_once(dtype: str, other: bool, tmp_path: Path) -> None:
    graph = read_model(layers(dtype, other=other).finish())
    header = generate(graph, "net", "")
    one = generate(read_model(_first(dtype)), "net", "").flash
    assert header.flash <= (2 if other else 1) * one
    assert header.text.count("net_fully_connected_0(") == (3 if other else 4), "defined and called"
    native = library({"net": graph}, tmp_path)["net"]
    x = all_inputs(graph, 4, 0)
    reference = tflm_outputs if dtype == "int8" else litert_outputs
    assert native.run_all(x)[0].tobytes() == reference(graph, x)[0].tobytes()


def _first(dtype: str) -> bytes:
    net = layers(dtype)
    net.graph.operators = net.graph.operators[:1]
    net.graph.outputs = list(net.graph.operators[0].outputs)
    return net.finish()


def test_what_is_called_often_is_not_inlined() -> None:
    net = Net().input((1, 4))
    for _ in range(4):
        net.dense(np.eye(4, dtype=np.float32))
    text = generate(read_model(net.finish()), "net", "").text
    assert "HIL_KERNEL net_fully_connected_0(" in text
