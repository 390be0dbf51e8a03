# SPDX-License-Identifier: Apache-2.0
"""Networks with a WHILE loop, as the converter writes Keras' recurrent layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.support.tflite import Net

Value = tuple[int, tuple[int, ...], str]  # index, shape, type
VALUES = 3  # of a time step


@contextmanager
def subgraph(net: Net, name: str) -> Iterator[Any]:
    """Operators and tensors are appended to a new subgraph."""
    main, inner = net.graph, schema.SubGraphT()
    inner.tensors, inner.operators, inner.inputs, inner.outputs = [], [], [], []
    inner.name = name
    net.model.subgraphs.append(inner)
    net.graph = inner
    yield inner
    net.graph = main


def go(net: Net, value: int, shape: Sequence[int], dtype: str) -> Net:
    """Make a tensor the current one, with the scale that values of its type have here."""
    scale, zero = (1 / 32, 3) if dtype == "int8" else (0.0, 0)
    net._now(value, shape, dtype, scale, zero)
    return net


def one(net: Net, value: int) -> int:
    return net.tensor((), "int32", np.array(value, np.int32))


def loop(net: Net, inputs: Sequence[Value], body: int, condition: int) -> list[int]:
    """WHILE; its results."""
    made = []
    for _, shape, dtype in inputs:
        scale, zero = (1 / 32, 3) if dtype == "int8" else (0.0, 0)
        made.append(net.activation(shape, dtype, scale, zero))
    go(net, inputs[0][0], inputs[0][1], inputs[0][2])
    options = schema.WhileOptionsT()
    options.condSubgraphIndex, options.bodySubgraphIndex = condition, body
    more = [index for index, _, _ in inputs[1:]]
    net.op("WHILE", inputs[0][1], options, "WhileOptions", more)
    net.graph.operators[-1].outputs = made
    return made


def recurrent(
    seed: int, dtype: str, *, keep: bool = False, rounds: int = 0, limit: int | None = None
) -> Net:
    """A recurrent layer on (rounds, 1, `VALUES`); ``keep``: its results are all states.

    ``limit``: the constant with which the condition compares, ``rounds`` unless given.
    """
    random = np.random.default_rng(seed)
    rounds = rounds or int(random.integers(1, 7))
    cells = int(random.integers(1, 6))
    scale, zero = (1 / 32, 3) if dtype == "int8" else (0.0, 0)
    net = Net().input((rounds, 1, VALUES), dtype, scale, zero)
    made = rounds if keep else 1
    initial = np.full((1, cells), zero) if seed % 2 else random.integers(-9, 9, (1, cells))
    held = (int(random.integers(2)), (made, 1, cells), (1, cells), (rounds, 1, VALUES))
    scales = ([scale], [zero]) if dtype == "int8" else ((), ())
    start = one(net, 0)
    inputs: list[Value] = [
        (start, (), "int32"),
        (net.tensor(held[1], dtype, np.full(held[1], zero, dtype), *scales), held[1], dtype),
        (net.tensor(held[2], dtype, initial.astype(dtype), *scales), held[2], dtype),
        (net.current, held[3], dtype),
    ]
    with subgraph(net, "condition") as condition:
        arguments = _arguments(net, inputs)
        last = one(net, rounds if limit is None else limit)
        go(net, arguments[0], (), "int32").op("LESS", (), more=[last], dtype="bool")
        condition.inputs, condition.outputs = arguments, [net.current]
    with subgraph(net, "body") as body:
        arguments = _arguments(net, inputs)
        body.inputs, body.outputs = arguments, _round(net, arguments, cells, random, made, dtype)
    found = loop(net, inputs, 2, 1)
    if keep:
        go(net, found[1], held[1], dtype).reshape((1, rounds, cells))
    else:
        go(net, found[2], held[2], dtype)
    return net


def _arguments(net: Net, values: Sequence[Value]) -> list[int]:
    found = []
    for _, shape, dtype in values:
        scale, zero = (1 / 32, 3) if dtype == "int8" else (0.0, 0)
        found.append(net.activation(shape, dtype, scale, zero))
    return found


def _round(
    net: Net,
    arguments: Sequence[int],
    cells: int,
    random: np.random.Generator,
    made: int,
    dtype: str,
) -> list[int]:
    number, kept, hidden, x = arguments
    options = schema.GatherOptionsT()
    go(net, x, (), dtype).op("GATHER", (1, VALUES), options, "GatherOptions", [number])
    taken = _dense(net, cells, random).current
    go(net, hidden, (1, cells), dtype)
    _dense(net, cells, random)
    net.op("ADD", (1, cells), schema.AddOptionsT(), "AddOptions", [taken])
    code = ("RELU", "MAXIMUM", "MINIMUM")[int(random.integers(3))]
    net.op(code, (1, cells), more=[] if code == "RELU" else [hidden])
    state = net.current
    element = net.reshape((1, 1, cells)).current
    following = _after(net, number)
    if made > 1:
        pieces = []
        for begin, size in ((None, number), (following, None)):
            pieces.append(_piece(net, kept, begin, size, cells, dtype))
        go(net, pieces[0], (1, 1, cells), dtype)
        net.op(
            *("CONCATENATION", (made, 1, cells), schema.ConcatenationOptionsT()),
            *("ConcatenationOptions", [element, pieces[1]]),
        )
        element = net.current
    return [following, element, state, x]


def _after(net: Net, number: int) -> int:
    go(net, number, (), "int32")
    return net.op("ADD", (), schema.AddOptionsT(), "AddOptions", [one(net, 1)]).current


def _piece(net: Net, kept: int, begin: int | None, size: int | None, cells: int, dtype: str) -> int:
    """The elements of a list before number ``size``, or from ``begin`` on."""
    rest = [-1, -1] if begin is None else [0, 0]
    at = begin if begin is not None else size
    assert at is not None
    go(net, at, (), "int32").reshape((1,))
    more = [net.tensor((2,), "int32", np.array(rest, np.int32))]
    net.op("CONCATENATION", (3,), schema.ConcatenationOptionsT(), "ConcatenationOptions", more)
    computed = net.current
    fixed = net.tensor((3,), "int32", np.array([0, 0, 0] if begin is None else [-1] * 3, np.int32))
    pair = [fixed, computed] if begin is None else [computed, fixed]
    go(net, kept, (1, 1, cells), dtype).op("SLICE", (1, 1, cells), more=pair)
    net.graph.tensors[net.current].shapeSignature = [-1, 1, cells]
    return net.current


def _dense(net: Net, cells: int, random: np.random.Generator) -> Net:
    count = net.shape[-1]
    if net.dtype == "float32":
        return net.dense(random.normal(size=(cells, count)).astype(np.float32))
    weights = random.integers(-127, 128, (cells, count)).astype(np.int8)
    return net.dense(weights, random.integers(-99, 99, cells).astype(np.int32), scales=[0.005])
