# SPDX-License-Identifier: Apache-2.0
"""Networks of one recurrent layer: UNIDIRECTIONAL_SEQUENCE_LSTM or SVDF."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.support.tflite import TANH, Net

Random = np.random.Generator


def state(net: Net, shape: Sequence[int], dtype: str, scale: float = 0.0, zero: int = 0) -> int:
    """A tensor that keeps its values."""
    index = net.activation(shape, dtype, scale, zero)
    net.graph.tensors[index].isVariable = True
    return index


def _weights(net: Net, random: Random, shape: tuple[int, ...], scale: float, least: int) -> int:
    if net.dtype == "float32":
        return net.tensor(shape, "float32", random.normal(scale=0.5, size=shape).astype(np.float32))
    values = random.integers(least, 128, shape).astype(np.int8)
    return net.tensor(shape, "int8", values, [scale], [0])


def lstm(
    net: Net,
    cells: int,
    random: Random,
    *,
    time_major: bool = False,
    clip: float = 0.0,
    power: int = -11,
    least: int = -127,
    bias: float = 1.0,
) -> Net:
    """An LSTM on a current tensor of 3 dimensions; the cell's scale is 2 to ``power``.

    ``least``: of the weights. ``bias``: the largest, in multiples of the real 1.
    """
    real, dtype, scale = net.dtype == "float32", net.dtype, net.scale
    batch = net.shape[1 if time_major else 0]
    values = net.shape[2]
    result, zero = (0.0, 0) if real else (1 / 128, int(random.integers(-20, 20)))
    scales = [float(np.float32(random.uniform(0.5, 3) / 127 / np.sqrt(n))) for n in (values, cells)]
    inputs = [_weights(net, random, (cells, values), scales[0], least) for _ in range(4)]
    inputs += [_weights(net, random, (cells, cells), scales[1], least) for _ in range(4)]
    biases = random.uniform(-bias, bias, (4, cells))
    found = [
        net.tensor((cells,), "float32", b.astype(np.float32))
        if real
        else net.tensor((cells,), "int32", (b / (scale * scales[0])).astype(np.int32), [1.0], [0])
        for b in biases
    ]
    hidden = state(net, (batch, cells), dtype, result, zero)
    cell = state(net, (batch, cells), "float32" if real else "int16", 0 if real else 2.0**power)
    options = schema.UnidirectionalSequenceLSTMOptionsT()
    options.fusedActivationFunction, options.cellClip = TANH, clip
    options.timeMajor = time_major
    more = [*inputs, -1, -1, -1, *found, -1, -1, hidden, cell, -1, -1, -1, -1]
    shape = (*net.shape[:2], cells)
    kind = "UnidirectionalSequenceLSTMOptions"
    name = "UNIDIRECTIONAL_SEQUENCE_LSTM"
    return net.op(name, shape, options, kind, more, scale=result, zero=zero)


def drawn_lstm(seed: int, dtype: str) -> bytes:
    """One LSTM of random sizes and scales."""
    random = np.random.default_rng(seed)
    shape = [int(n) for n in (random.integers(1, 3), random.integers(1, 6), random.integers(1, 23))]
    major = bool(random.integers(2))
    scale, zero = (
        (0.0, 0)
        if dtype == "float32"
        else (random.uniform(0.005, 0.05), random.integers(-128, 128))
    )
    net = Net().input(shape, dtype, float(scale), int(zero))
    power = int(random.choice(np.array([-15, -13, -12, -11, -9, -4])))
    clip = float(random.choice(np.array([0.0, 0.5, 10.0])))
    least, bias = (-128, 1.0) if seed % 4 == 0 else (-127, 1.0 if seed % 3 else 600.0)
    cells = int(random.integers(1, 12))
    return lstm(
        net, cells, random, time_major=major, clip=clip, power=power, least=least, bias=bias
    ).finish()
