# SPDX-License-Identifier: Apache-2.0
"""Pieces of tensors are read and written where they lie, and every result stays the same."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from hil.engines.aot.moves.moving import Moved
from hil.engines.aot.nodes import Plan
from hil.engines.aot.places import arrange
from hil.engines.aot.plan import plan_nodes
from hil.tflite import read_model
from tests.support.native import all_inputs, library
from tests.support.oracles import litert_outputs
from tests.support.random_graphs import GraphMaker
from tests.support.random_moves import DEFINED_DRAWS
from tests.support.tflite import Net

NAMES = ("CONCATENATION", "SPLIT", "SPLIT_V", "STRIDED_SLICE", "SLICE", "PACK", "UNPACK", "GATHER")
MORE = ("PAD", "TRANSPOSE", "TILE", "MIRROR_PAD", "REVERSE_V2")


class PieceMaker(GraphMaker):
    """Operators on whole rows of four values, in graphs with many branches."""

    def make(self) -> bytes:
        self.net.input((1, self._int(1, 6), 4))
        self.keep()
        for _ in range(self._int(5, 14)):
            self.go(self.any())
            before = len(self.net.graph.operators)
            if self.random.random() < 0.5:
                self.net.op("RELU", self.net.shape)
            else:
                chosen = NAMES if self.random.random() < 0.7 else MORE
                DEFINED_DRAWS[chosen[self._int(0, len(chosen) - 1)]](self)
            if len(self.net.graph.operators) > before:
                self.keep()
        return self._finish()


def test_graphs_of_pieces_equal_litert(tmp_path: Path) -> None:
    graphs = {f"net{seed}": read_model(PieceMaker(seed, "float32").make()) for seed in range(160)}
    met = Counter[str]()
    for graph in graphs.values():
        plan = plan_nodes(graph)
        met["copied"] += sum(isinstance(step, Moved) for step in plan.steps)
        met["pieces"] += sum(map(plan.is_piece, plan.views))
        met["written"] += sum(plan.is_piece(i) for node in plan.nodes for i in node.outputs)
        met["offsets"] += len(plan.offsets)
    assert min(met.values()) > 20, met
    for name, native in library(graphs, tmp_path).items():
        x = all_inputs(native.graph, 3, 5)
        for got, wanted in zip(native.run_all(x), litert_outputs(native.graph, x), strict=True):
            assert got.tobytes() == wanted.reshape(got.shape).tobytes(), name


def concatenated(axis: int, *, whole: bool = True) -> Plan:
    """Two activations of an input, joined; the second half of that, and with ``whole`` all of it,
    are rectified.
    """
    net = Net().input((1, 2, 4))
    x = net.current
    made = []
    for code in ("RELU", "RELU6"):
        net._now(x, (1, 2, 4), "float32", 0.0, 0)
        made.append(net.simple(code).current)
    shape = [1, 2, 4]
    shape[axis] *= 2
    options = schema.ConcatenationOptionsT()
    options.axis = axis
    net._now(made[0], (1, 2, 4), "float32", 0.0, 0)
    net.op("CONCATENATION", shape, options, "ConcatenationOptions", [made[1]])
    joined = net.current
    begin, size = [0, 0, 0], list(shape)
    size[axis] //= 2
    begin[axis] = size[axis]
    more = [net.tensor((3,), "int32", np.array(v, np.int32)) for v in (begin, size)]
    net.op("SLICE", size, schema.SliceOptionsT(), "SliceOptions", more)
    net.simple("RELU")
    outputs = [net.current]
    if whole:
        net._now(joined, shape, "float32", 0.0, 0)
        outputs.append(net.simple("RELU").current)
    net.graph.outputs = outputs
    return plan_nodes(read_model(net.finish()))


def names(plan: Plan) -> list[str]:
    return [type(step).__name__ for step in plan.steps]


def test_rows_are_joined_and_cut_without_a_copy() -> None:
    plan = concatenated(axis=1)
    assert names(plan) == ["Map"] * 4
    assert arrange(plan).nbytes == 2 * 2 * 4 * 4
    assert len(plan.layers) == 4


def test_columns_are_copied() -> None:
    assert names(concatenated(axis=2)) == ["Map", "Map", "Moved", "Moved", "Map", "Map"]


def test_a_piece_of_a_concatenation_is_read_from_its_source() -> None:
    for axis in (1, 2):
        plan = concatenated(axis, whole=False)
        assert names(plan) == ["Map", "Map"], "what nothing reads is not computed"


def test_moves_of_moves_are_one_copy() -> None:
    """Upsampling as Keras exports it, joined with its input."""
    net = Net().input((1, 4, 4, 3)).simple("RELU")
    skip = net.current
    net.pool((2, 2), (2, 2))
    for shape, times in (((1, 2, 1, 2, 3), (1, 1, 2, 1, 1)), ((1, 4, 2, 1, 3), (1, 1, 1, 2, 1))):
        net.reshape(shape)
        made = [n * t for n, t in zip(shape, times, strict=True)]
        more = [net.tensor((5,), "int32", np.array(times, np.int32))]
        net.op("TILE", made, schema.TileOptionsT(), "TileOptions", more)
    net.reshape((1, 4, 4, 3))
    options = schema.ConcatenationOptionsT()
    options.axis = 3
    net.op("CONCATENATION", (1, 4, 4, 6), options, "ConcatenationOptions", [skip])
    assert names(plan_nodes(read_model(net.finish()))) == ["Map", "Pooling", "Moved"]
