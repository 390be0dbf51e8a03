# SPDX-License-Identifier: Apache-2.0
"""Networks of one recurrent layer: UNIDIRECTIONAL_SEQUENCE_LSTM or SVDF."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.support.reductions import reduced
from tests.support.tflite import NONE, RELU, TANH, Net

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
    if dtype == "int16":
        result, zero = 2.0**-15, 0
    scales = [float(np.float32(random.uniform(0.5, 3) / 127 / np.sqrt(n))) for n in (values, cells)]
    inputs = [_weights(net, random, (cells, values), scales[0], least) for _ in range(4)]
    inputs += [_weights(net, random, (cells, cells), scales[1], least) for _ in range(4)]
    biases, whole = (
        random.uniform(-bias, bias, (4, cells)),
        "int64" if dtype == "int16" else "int32",
    )
    found = [
        net.tensor((cells,), "float32", b.astype(np.float32))
        if real
        else net.tensor((cells,), whole, (b / (scale * scales[0])).astype(whole), [1.0], [0])
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
    scale, zero = float(random.uniform(0.005, 0.05)), int(random.integers(-128, 128))
    if dtype != "int8":
        scale, zero = scale / 256 if dtype == "int16" else 0.0, 0
    net = Net().input(shape, dtype, scale, zero)
    power = int(random.choice(np.array([-15, -13, -12, -11, -9, -4])))
    clip = float(random.choice(np.array([0.0, 0.5, 10.0])))
    least, bias = (-128, 1.0) if seed % 4 == 0 else (-127, 1.0 if seed % 3 else 600.0)
    cells = int(random.integers(1, 12))
    return lstm(
        net, cells, random, time_major=major, clip=clip, power=power, least=least, bias=bias
    ).finish()


def svdf(
    net: Net,
    filters: int,
    memory: int,
    random: Random,
    *,
    rank: int = 1,
    kept: str = "int8",
    act: int = NONE,
    least: int = -127,
    spread: float = 1.0,
) -> Net:
    """An SVDF on a current tensor (batch, values); ``kept``: type of an int8 layer's state.

    Larger ``spread`` makes the state saturate.
    """
    batch, values = net.shape
    options = schema.SVDFOptionsT()
    options.rank, options.fusedActivationFunction = rank, act
    shape = (batch, filters // rank)
    if net.dtype == "float32":
        feature = _weights(net, random, (filters, values), 0, 0)
        time = _weights(net, random, (filters, memory), 0, 0)
        bias = net.tensor(shape[1:], "float32", random.normal(size=shape[1]).astype(np.float32))
        more = [feature, time, bias, state(net, (batch, memory * filters), "float32")]
        return net.op("SVDF", shape, options, "SVDFOptions", more)
    scale = float(random.uniform(0.002, 0.02))
    zero = int(random.integers(-128, 128)) if kept == "int8" else 0
    held = (
        net.scale * scale * values / spread if kept == "int8" else net.scale * scale / 16 / spread
    )
    held, times = float(np.float32(held)), float(np.float32(random.uniform(0.002, 0.02)))
    feature = _weights(net, random, (filters, values), scale, least)
    codes = random.integers(-127, 128, (filters, memory)).astype(kept)
    biases = random.integers(-2000, 2000, shape[1]).astype(np.int32)
    more = [
        feature,
        net.tensor((filters, memory), kept, codes, [times], [0]),
        net.tensor(shape[1:], "int32", biases, [float(np.float32(held * times))], [0]),
        state(net, (batch, memory * filters), kept, held, zero),
    ]
    made, zero = held * times * 127 * memory, int(random.integers(-128, 128))
    return net.op("SVDF", shape, options, "SVDFOptions", more, scale=made, zero=zero)


def drawn_svdf(seed: int, dtype: str) -> bytes:
    """One SVDF of random sizes and scales."""
    random = np.random.default_rng(seed)
    rank, units = int(random.integers(1, 4)), int(random.integers(1, 9))
    shape = (int(random.integers(1, 3)), int(random.integers(1, 23)))
    scale = 0.0 if dtype == "float32" else float(random.uniform(0.005, 0.05))
    net = Net().input(shape, dtype, scale, int(random.integers(-128, 128)) if scale else 0)
    return svdf(
        net,
        rank * units,
        int(random.integers(1, 12)),
        random,
        rank=rank,
        kept=("int8", "int16")[seed % 2],
        act=RELU if seed % 3 else NONE,
        least=-128 if seed % 4 == 0 else -127,
        spread=4.0 if seed % 5 == 0 else 0.3,
    ).finish()


def several(dtype: str) -> bytes:
    """Recurrent layers and reductions that take every path, one after the other, in few bytes."""
    random = np.random.default_rng(7)
    scale = {"float32": 0.0, "int8": 0.02, "int16": 0.0001}[dtype]
    net = Net().input((2, 3, 5), dtype, scale, 3 if dtype == "int8" else 0)
    lstm(net, 6, random, clip=0.5, power=-11)
    if dtype == "int16":
        return net.finish()
    lstm(net, 5, random, time_major=True, power=-15, bias=600.0, least=-128)
    reduced(net, "MEAN", [1], keep=True, scale=net.scale * 3).reshape((2, 5))
    svdf(net, 6, 5, random, rank=2, act=RELU)
    svdf(net, 7, 4, random, kept="int16")
    reduced(net, "SUM", [1], keep=True, scale=net.scale / 4)
    reduced(net, "REDUCE_MAX", [1], keep=True)
    return (reduced(net, "ARG_MIN", [0]) if dtype == "int8" else net).finish()
