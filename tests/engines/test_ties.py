# SPDX-License-Identifier: Apache-2.0
"""Sums that lie between two results: they show the last bit of a layer's multiplier.

TFLM multiplies the scales of a layer in double. In float32 the multiplier would be another one, as
in older versions of TFLM, and random networks would hardly ever tell.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from ai_edge_litert import schema_py_generated as schema

from hil.tflite import read_model
from tests.support.native import library
from tests.support.oracles import tflm_outputs
from tests.support.recurrent import state
from tests.support.tflite import TANH, Net

COUNT = 600  # outputs


def near_ties(random: np.random.Generator, factor: float) -> npt.NDArray[np.int32]:
    """Sums that, times ``factor``, are about 100.5."""
    middle = 100.5 / factor
    spread = int(middle * 3e-7) + 2
    return (int(middle) + random.integers(-spread, spread + 1, COUNT)).astype(np.int32)


def dense(random: np.random.Generator) -> Net:
    x, w = (float(v) for v in random.uniform(0.001, 0.01, 2).astype(np.float32))
    y = float(np.float32(x * w * random.uniform(1e6, 3e6)))
    net = Net().input((1, 3), "int8", x)
    bias = near_ties(random, x * w / y)
    return net.dense(np.zeros((COUNT, 3), np.int8), bias, scales=[w], scale=y, zero=0)


def lstm(random: np.random.Generator) -> Net:
    """Its cell gate shows the sum: the hidden state is about twice as large."""
    x, w = (float(np.float32(random.uniform(1, 3) * 1e-5)) for _ in range(2))
    net = Net().input((1, 1, 2), "int8", x)
    weights = [
        net.tensor((COUNT, n), "int8", np.zeros((COUNT, n), np.int8), [w], [0])
        for n in (2, COUNT)
        for _ in range(4)
    ]
    opened = np.full(COUNT, 2_000_000_000, np.int32)
    sums = near_ties(random, x * w * 4096)
    biases = [
        net.tensor((COUNT,), "int32", b, [1.0], [0]) for b in (opened, 0 * opened, sums, opened)
    ]
    hidden = state(net, (1, COUNT), "int8", 2.0**-13, -128)
    cell = state(net, (1, COUNT), "int16", 2.0**-15)
    options = schema.UnidirectionalSequenceLSTMOptionsT()
    options.fusedActivationFunction = TANH
    more = [*weights, -1, -1, -1, *biases, -1, -1, hidden, cell, -1, -1, -1, -1]
    kind, name = "UnidirectionalSequenceLSTMOptions", "UNIDIRECTIONAL_SEQUENCE_LSTM"
    return net.op(name, (1, 1, COUNT), options, kind, more, scale=2.0**-13, zero=-128)


def svdf(random: np.random.Generator) -> Net:
    held, times = (float(v) for v in random.uniform(0.001, 0.01, 2).astype(np.float32))
    y = float(np.float32(held * times * random.uniform(1e6, 3e6)))
    net = Net().input((1, 2), "int8", 0.01)
    more = [
        net.tensor((COUNT, 2), "int8", np.zeros((COUNT, 2), np.int8), [0.01], [0]),
        net.tensor((COUNT, 1), "int8", np.zeros((COUNT, 1), np.int8), [times], [0]),
        net.tensor((COUNT,), "int32", near_ties(random, held * times / y), [held * times], [0]),
        state(net, (1, COUNT), "int8", held),
    ]
    options = schema.SVDFOptionsT()
    options.rank = 1
    return net.op("SVDF", (1, COUNT), options, "SVDFOptions", more, scale=y, zero=0)


@pytest.mark.parametrize("layer", [dense, lstm, svdf])
def test_multipliers_have_the_last_bit_of_tflm(layer: object, tmp_path: Path) -> None:
    assert callable(layer)
    made = {f"net{i}": layer(np.random.default_rng(i)).finish() for i in range(8)}
    graphs = {name: read_model(data) for name, data in made.items()}
    met = set()
    for native in library(graphs, tmp_path).values():
        x = [np.zeros((1, *native.graph.input.shape), np.int8)]
        (expected,) = tflm_outputs(native.graph, x)
        assert native.run_all(x)[0].tobytes() == expected.tobytes()
        met |= set(expected.reshape(-1).tolist())
    assert len(met) >= 2, "on both sides of a tie"
