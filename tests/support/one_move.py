# SPDX-License-Identifier: Apache-2.0
"""Networks of one operator that moves values, in any type."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.support.random_graphs import GraphMaker
from tests.support.random_moves import DEFINED_DRAWS, INTERPOLATION_DRAWS, MOVE_DRAWS
from tests.support.tflite import Net


class _Maker(GraphMaker):
    """One operator on an input of random rank and type."""

    def one(self, code: str, dtype: str) -> bytes | None:
        rank = 4 if self.random.random() < 0.6 else self._int(1, 5)
        scaled = dtype in ("int8", "uint8", "int16")
        zero = {"int8": self._zero(), "uint8": self._int(0, 255)}.get(dtype, 0)
        more = rank == 4 and self.random.random() < 0.3  # a batch, for BATCH_TO_SPACE_ND
        shape = (*self._ints(rank - 1, 1, 7), self._int(1, 9))
        shape = (4, *shape[1:]) if more else shape
        taken = []
        for _ in range(self._int(1, 2)):
            self.net.input(shape, dtype, self._scale() if scaled else 0.0, zero)
            taken.append(self.net.current)
            self.keep()
        self.net.graph.inputs = taken
        (MOVE_DRAWS | INTERPOLATION_DRAWS)[code](self)
        if not self.net.graph.operators:
            return None
        operator = self.net.graph.operators[-1]
        self.net.graph.outputs = list(operator.outputs)
        self.net.graph.inputs = [i for i in taken if i in operator.inputs]
        return self.net.finish()


def one_move(seed: int, code: str, dtype: str) -> bytes | None:
    """The file of one operator with random attributes; None where it does not suit the input."""
    return _Maker(seed, "int8").one(code, dtype)


def several_moves() -> bytes:
    """A network of a dozen operators that move values, some of them on constants."""
    maker = GraphMaker(0, "int8")
    maker.net.input((1, 4, 6, 4), "int8", 0.25, 3)
    maker.keep()
    for code in DEFINED_DRAWS:
        before = len(maker.net.graph.operators)
        maker.go(maker.any())
        DEFINED_DRAWS[code](maker)
        if len(maker.net.graph.operators) > before:
            maker.keep()
    return maker._finish()


def gathering(seed: int, dtype: str, *, table: bool) -> bytes:
    """A GATHER by the last input; the rows are the first one, or with ``table`` constants."""
    random = np.random.default_rng(seed)
    shape = tuple(random.integers(1, 5, random.integers(1, 4)).tolist())
    axis = int(random.integers(0, len(shape)))
    shared = int(axis > 0 and random.random() < 0.4)
    numbers = (*shape[:shared], *random.integers(1, 4, random.integers(1 - shared, 3)).tolist())
    net = Net().input(shape, dtype, *((0.25, 3) if dtype == "int8" else ()))
    rows = net.current
    if table:
        net.fill_in(rows, random.integers(-90, 90, shape))
    by = net.activation(numbers, "int32")
    net.graph.inputs = [by] if table else [rows, by]
    options = schema.GatherOptionsT()
    options.axis, options.batchDims = axis, shared
    made = shape[:axis] + numbers[shared:] + shape[axis + 1 :]
    return net.op("GATHER", made or (1,), options, "GatherOptions", [by]).finish()
