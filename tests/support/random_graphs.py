# SPDX-License-Identifier: Apache-2.0
"""Random small graphs: branches, several inputs and outputs, operators of all kinds.

`DRAWS` has one function per operator. It appends the operator, with random attributes, to the value
that `GraphMaker` picked, or returns without doing anything where that value does not suit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.support.accumulating import add_n, cumsum, l2norm
from tests.support.elementwise import PAIRS, one, pair
from tests.support.random_moves import DEFINED_DRAWS
from tests.support.random_nets import Maker
from tests.support.recurrent import lstm, svdf
from tests.support.weighted_nets import dilated, grouped, transposed


@dataclass(frozen=True)
class Value:
    """A tensor that an operator may read."""

    index: int
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero: int


class GraphMaker(Maker):
    """Makes one graph from a seed; ``kind``: "float32" or "int8"."""

    def __init__(self, seed: int, kind: str) -> None:
        super().__init__(seed, kind)
        self.values: list[Value] = []

    def make(self) -> bytes:
        for _ in range(self._int(1, 2)):
            self._new_input()
        for _ in range(self._int(3, 9)):
            self.go(self.values[-1] if self.random.random() < 0.6 else self.any())
            names = list(DRAWS)
            name = names[self._int(0, len(names) - 1)] if self.random.random() < 0.6 else ""
            before = len(self.net.graph.operators)
            if name:
                DRAWS[name](self)
            else:
                self._layer()
            if len(self.net.graph.operators) > before:
                self.keep()
        return self._finish()

    def _new_input(self) -> None:
        shape = (1, *self._ints(3, 1, 8))
        taken = list(self.net.graph.inputs)
        if self.kind == "int8":
            self.net.input(shape, "int8", self._scale(), self._zero())
        else:
            self.net.input(shape)
        self.net.graph.inputs = [*taken, self.net.current]
        self.keep()

    def _finish(self) -> bytes:
        """The results that nothing reads are outputs, and sometimes one that something reads."""
        read = {int(i) for operator in self.net.graph.operators for i in operator.inputs}
        inputs = set(self.net.graph.inputs)
        made = [v.index for v in self.values if v.index not in inputs]
        outputs = [i for i in made if i not in read]
        others = [i for i in made if i in read]
        if others and self.random.random() < 0.3:
            outputs.append(others[self._int(0, len(others) - 1)])
        self.net.graph.outputs = outputs or [self.values[0].index]
        return self.net.finish()

    def keep(self) -> None:
        """Later operators may read the current value."""
        net = self.net
        self.values.append(Value(net.current, net.shape, net.dtype, net.scale, net.zero))

    def any(self) -> Value:
        return self.values[self._int(0, len(self.values) - 1)]

    def like(self) -> Value:
        """A value of the current one's type and shape, perhaps the same."""
        fits = [v for v in self.values if (v.shape, v.dtype) == (self.net.shape, self.net.dtype)]
        return fits[self._int(0, len(fits) - 1)]

    def go(self, value: Value) -> None:
        """Make ``value`` the current one."""
        self.net._now(value.index, value.shape, value.dtype, value.scale, value.zero)

    def result(self) -> dict[str, Any]:
        """Arguments of `Net.op` for an output of a random scale and zero point."""
        if self.kind == "float32":
            return {}
        return {
            "scale": self.net.scale * 2.0 ** self.random.uniform(-2, 2),
            "zero": self._zero(),
        }


def _relu(maker: GraphMaker) -> None:
    maker.net.op("RELU", maker.net.shape, **maker.result())


def _reduce(maker: GraphMaker, code: str) -> None:
    net, rank = maker.net, len(maker.net.shape)
    axes = sorted({maker._int(0, rank - 1) for _ in range(2)})
    keep = maker.random.random() < 0.5
    shape = [1 if i in axes else n for i, n in enumerate(net.shape)]
    if not keep:
        shape = [n for i, n in enumerate(net.shape) if i not in axes]
    if not shape:
        return
    options = schema.ReducerOptionsT()
    options.keepDims = keep
    axis = net.tensor([len(axes)], "int32", np.array(axes, np.int32))
    result = {} if code.startswith("REDUCE") else maker.result()
    net.op(code, shape, options, "ReducerOptions", [axis], version=2, **result)


def _move(maker: GraphMaker) -> None:
    names = list(DEFINED_DRAWS)
    DEFINED_DRAWS[names[maker._int(0, len(names) - 1)]](maker)


def _product(maker: GraphMaker) -> None:
    net = maker.net
    if len(net.shape) < 2:
        return
    other = maker.like()
    rows, length = net.shape[-2:]
    options = schema.BatchMatMulOptionsT()
    options.adjX = bool(maker.random.random() < 0.5)
    options.adjY = not options.adjX
    count = length if options.adjX else rows
    shape = (*net.shape[:-2], count, count)
    net.op("BATCH_MATMUL", shape, options, "BatchMatMulOptions", [other.index], **maker.result())


def _lstm(maker: GraphMaker) -> None:
    net = maker.net
    if len(net.shape) == 4 and net.dtype == "int8":
        lstm(net.reshape((1, net.shape[1] * net.shape[2], net.shape[3])), 5, maker.random)


def _svdf(maker: GraphMaker) -> None:
    if len(maker.net.shape) == 2 and maker.net.dtype == "int8":
        svdf(maker.net, maker._int(1, 6), maker._int(1, 5), maker.random)


def _add_n(maker: GraphMaker) -> None:
    net = maker.net
    fits = [v for v in maker.values if (v.shape, v.dtype) == (net.shape, net.dtype)]
    others = [v.index for v in fits if (v.scale, v.zero) == (net.scale, net.zero)]
    add_n(net, others * 2, **maker.result())


def _cumsum(maker: GraphMaker) -> None:
    exclusive, reverse = (bool(maker.random.random() < 0.5) for _ in range(2))
    axis = maker._int(0, len(maker.net.shape) - 1)
    cumsum(maker.net, axis, exclusive=exclusive, reverse=reverse, **maker.result())


def _l2norm(maker: GraphMaker) -> None:
    l2norm(maker.net)


# one line per operator
DRAWS: dict[str, Callable[[GraphMaker], None]] = {
    **{code: partial(pair, code=code) for code in PAIRS if code != "DIV"},
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm,
    "SVDF": _svdf,
    **{code: partial(_reduce, code=code) for code in ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN")},
    "BATCH_MATMUL": _product,
    "CONV_2D dilated": dilated,
    "CONV_2D grouped": grouped,
    "TRANSPOSE_CONV": transposed,
    "ADD_N": _add_n,
    "CUMSUM": _cumsum,
    "L2_NORMALIZATION": _l2norm,
    "RELU": _relu,
    "one that moves": _move,
    "another that moves": _move,
    "functions": one,
}


def make_graph(seed: int, kind: str) -> bytes:
    """The file of graph ``seed``; ``kind``: "float32" or "int8"."""
    return GraphMaker(seed, kind).make()
