# SPDX-License-Identifier: Apache-2.0
"""Layers that keep a state: the samples of such a network are one sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from hil.conform.elementwise import start
from hil.conform.kernel import CHANNELS, ZEROS, Kernel, Recipe, Value, integers, reals
from hil.tflite.writer import NONE, RELU, TANH, Net

# the cell's scale; TFLM has a way of its own for some of them
_POWERS: Final = {"usual": -11, "fine": -15, "coarse": -9}
_CLIPS: Final = {"none": 0.0, "half": 0.5}


def _state(net: Net, shape: Sequence[int], dtype: str, scale: float = 0.0, zero: int = 0) -> int:
    index = net.activation(shape, dtype, scale, zero)
    net.graph.tensors[index].isVariable = True
    return index


def _weights(net: Net, recipe: Recipe, name: str, shape: tuple[int, ...], scale: float) -> int:
    seed = recipe.stream(name)
    if recipe.real:
        return net.tensor(shape, "float32", reals(seed, shape) * np.float32(0.5))
    return net.tensor(shape, "int8", integers(seed, shape, -127, 127).astype(np.int8), [scale], [0])


def _lstm(recipe: Recipe) -> Net:
    batch, steps, values = recipe["batch"], recipe["length"], recipe["inputs"]
    major = recipe.text("order") == "time"
    net = start(recipe, (steps, batch, values) if major else (batch, steps, values))
    cells, wide = recipe["outputs"], recipe.dtype == "int16"
    scales = [float(np.float32(1.7 / 127 / np.sqrt(n))) for n in (values, cells)]
    more = [
        _weights(net, recipe, f"weights{gate}", (cells, values), scales[0]) for gate in range(4)
    ]
    more += [
        _weights(net, recipe, f"recurrent{gate}", (cells, cells), scales[1]) for gate in range(4)
    ]
    biases = []
    for gate in range(4):
        bias = reals(recipe.stream(f"bias{gate}"), (cells,)) * np.float32(0.5)
        if recipe.real:
            biases.append(net.tensor((cells,), "float32", bias))
        else:
            whole = "int64" if wide else "int32"
            codes = (bias / (net.scale * scales[0])).astype(whole)
            biases.append(net.tensor((cells,), whole, codes, [net.scale * scales[0]], [0]))
    result, zero = (2.0**-15, 0) if wide else (2.0**-7, recipe.zero("zero_out"))
    power = 2.0 ** _POWERS[recipe.text("cell")]
    hidden = _state(net, (batch, cells), recipe.dtype, 0.0 if recipe.real else result, zero)
    cell = _state(net, (batch, cells), "float32" if recipe.real else "int16", power)
    options = schema.UnidirectionalSequenceLSTMOptionsT()
    options.fusedActivationFunction, options.cellClip = TANH, _CLIPS[recipe.text("clip")]
    options.timeMajor = major
    return net.op(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        (*net.shape[:2], cells),
        options,
        "UnidirectionalSequenceLSTMOptions",
        [*more, -1, -1, -1, *biases, -1, -1, hidden, cell, -1, -1, -1, -1],
        scale=result,
        zero=zero,
    )


def _svdf(recipe: Recipe) -> Net:
    net = start(recipe, (recipe["batch"], recipe["inputs"]))
    rank, units, memory = recipe["rank"], recipe["outputs"], recipe["length"]
    filters, batch = rank * units, recipe["batch"]
    options = schema.SVDFOptionsT()
    options.rank = rank
    options.fusedActivationFunction = {"none": NONE, "relu": RELU}[recipe.text("activation")]
    feature = _weights(net, recipe, "feature", (filters, recipe["inputs"]), 0.007)
    bias = reals(recipe.stream("bias"), (units,))
    if recipe.real:
        time = _weights(net, recipe, "time", (filters, memory), 0.0)
        held = _state(net, (batch, memory * filters), "float32")
        more = [feature, time, net.tensor((units,), "float32", bias), held]
        return net.op("SVDF", (batch, units), options, "SVDFOptions", more)
    kept = recipe.text("state")
    scale = net.scale * 0.007 * (float(np.sqrt(recipe["inputs"])) * 120 if kept == "int8" else 0.1)
    scale = float(np.float32(scale))
    codes = integers(recipe.stream("time"), (filters, memory), -127, 127).astype(kept)
    product = float(np.float32(scale * 0.009))
    more = [
        feature,
        net.tensor((filters, memory), kept, codes, [0.009], [0]),
        net.tensor((units,), "int32", (bias * 1500).astype(np.int32), [product], [0]),
        _state(net, (batch, memory * filters), kept, scale, 0),
    ]
    result = scale * 0.009 * 74 * (74 if kept == "int8" else 9_000) * np.sqrt(memory * rank) / 50
    return net.op(
        "SVDF",
        (batch, units),
        options,
        "SVDFOptions",
        more,
        scale=float(np.float32(result)),
        zero=recipe.zero("zero_out"),
    )


_BOTH: Final[Mapping[str, tuple[Value, ...]]] = {
    "inputs": CHANNELS,
    "outputs": (1, 2, 3, 4, 5, 7, 8, 9, 16, 17),
    "length": (1, 2, 3, 5, 8),
    "batch": (1, 2),
    "zero_in": ZEROS,
    "zero_out": ZEROS,
}

RECURRENT: Final = (
    Kernel(
        "lstm",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        {**_BOTH, "order": ("batch", "time"), "cell": tuple(_POWERS), "clip": tuple(_CLIPS)},
        _lstm,
    ),
    Kernel(
        "svdf",
        "SVDF",
        {**_BOTH, "rank": (1, 2, 3), "state": ("int8", "int16"), "activation": ("none", "relu")},
        _svdf,
        ("int8", "float32"),
    ),
)
