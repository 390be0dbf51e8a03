# SPDX-License-Identifier: Apache-2.0
"""Networks of one product of two matrices, or of one dense layer whose weights are computed."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.support.tflite import RELU, Net


def operands(
    random: np.random.Generator, shapes: list[tuple[int, ...]], dtype: str, constant: int = -1
) -> tuple[Net, list[int], dict[str, Any]]:
    """A network with these inputs, their tensors, and the scaling of a result."""
    net, tensors, scales = Net(), [], []
    for number, shape in enumerate(shapes):
        scale = 0.0 if dtype == "float32" else float(2.0 ** random.uniform(-8, 0))
        zero = int(random.integers(-128, 128)) if dtype == "int8" else 0
        index = net.input(shape, dtype, scale, zero).current
        tensors.append(index)
        scales.append(scale)
        if number == constant:
            values = random.normal(size=shape) * (1 if dtype == "float32" else 40)
            net.fill_in(index, values)
    net.graph.inputs = [t for number, t in enumerate(tensors) if number != constant]
    result: dict[str, Any] = {}
    if dtype != "float32":
        spread = 150_000 if dtype == "int16" else 5_000
        top = 30_000 if dtype == "int16" else 120
        result["scale"] = float(np.prod(scales)) * spread / top * 2.0 ** random.uniform(-1, 3)
        result["zero"] = int(random.integers(-128, 128)) if dtype == "int8" else 0
    return net, tensors, result


def product(seed: int, dtype: str) -> bytes:
    """A BATCH_MATMUL of random shapes, flipped and broadcast at random."""
    random = np.random.default_rng(seed)
    rows, length, columns = (int(n) for n in random.integers(1, 12, 3))
    outer = [int(n) for n in random.integers(1, 4, random.integers(0, 4))]
    left, right = list(outer), list(outer)
    for side in (left, right):
        for i in range(len(side)):
            if random.random() < 0.25:
                side[i] = 1
    if random.random() < 0.3:
        right = right[1:]
    flipped, turned = (bool(b) for b in random.integers(0, 2, 2))
    shapes = [
        (*left, *((length, rows) if flipped else (rows, length))),
        (*right, *((columns, length) if turned else (length, columns))),
    ]
    rank = max(len(left), len(right))
    full = [(*(1,) * (rank - len(side)), *side) for side in (left, right)]
    batch = [max(a, b) for a, b in zip(*full, strict=True)]
    net, tensors, result = operands(random, shapes, dtype, int(random.integers(-1, 2)))
    options = schema.BatchMatMulOptionsT()
    options.adjX, options.adjY = flipped, turned
    net.op("BATCH_MATMUL", (*batch, rows, columns), options, "BatchMatMulOptions", **result)
    net.graph.operators[-1].inputs = tensors
    return net.finish()


def computed(seed: int, dtype: str) -> bytes:
    """A dense layer whose weights are an input."""
    random = np.random.default_rng(seed)
    rows, length, columns = (int(n) for n in random.integers(1, 12, 3))
    net, tensors, result = operands(random, [(rows, length), (columns, length)], dtype)
    options = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = int(random.choice([0, RELU]))
    bias = random.integers(-500, 500, columns).astype("f4" if dtype == "float32" else "i4")
    more = [net.tensor([columns], bias.dtype.name, bias)] if random.random() < 0.6 else [-1]
    kind = "FullyConnectedOptions"
    net.op("FULLY_CONNECTED", (rows, columns), options, kind, version=9, **result)
    net.graph.operators[-1].inputs = [*tensors, *more]
    return net.finish()


def shifted(seed: int) -> bytes:
    """A dense layer of int8 whose weights are constants with a zero point."""
    random = np.random.default_rng(seed)
    rows, length, columns = (int(n) for n in random.integers(1, 12, 3))
    shapes: list[tuple[int, ...]] = [(rows, length), (columns, length)]
    net, tensors, result = operands(random, shapes, "int8", 1)
    options = schema.FullyConnectedOptionsT()
    net.op(
        "FULLY_CONNECTED", (rows, columns), options, "FullyConnectedOptions", version=9, **result
    )
    net.graph.operators[-1].inputs = [*tensors, -1]
    return net.finish()


def squared(dtype: str) -> bytes:
    """A dense layer whose weights are its values."""
    random = np.random.default_rng(1)
    net, tensors, result = operands(random, [(4, 6)], dtype)
    if result:
        result["scale"] /= 8
    options = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = RELU
    bias = net.tensor([4], "float32", np.ones(4, np.float32))
    if dtype != "float32":
        bias = net.tensor([4], "int32", np.arange(4, dtype=np.int32))
    net.op("FULLY_CONNECTED", (4, 4), options, "FullyConnectedOptions", version=9, **result)
    net.graph.operators[-1].inputs = [*tensors, *tensors, bias]
    return net.finish()
