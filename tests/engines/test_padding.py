# SPDX-License-Identifier: Apache-2.0
"""A PAD before a convolution becomes its padding, and the results stay those of the references."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from hil.engines.aot.plan import plan
from hil.tflite import Graph, read_model
from tests.support.native import all_inputs, library
from tests.support.oracles import litert_outputs, tflm_outputs
from tests.support.random_nets import Maker
from tests.support.tflite import Net


class PaddedMaker(Maker):
    """PAD, then a convolution, dilated or depthwise or neither, perhaps a pooling."""

    def make(self) -> bytes:
        shape = (1, *self._ints(2, 3, 9), self._int(1, 6))
        if self.real:
            self.net.input(shape)
        else:
            self.net.input(shape, "int8", self._scale(), self._zero())
        pads = np.zeros((4, 2), np.int32)
        pads[1:3] = self.random.choice([0, 0, 1, 1, 2], (2, 2))
        padded = (np.array(shape) + pads.sum(axis=1)).tolist()
        more = [self.net.tensor((4, 2), "int32", pads)]
        self.net.op("PAD", padded, schema.PadOptionsT(), "PadOptions", more)
        if self.random.random() < 0.3:
            self._depthwise()
        elif self.random.random() < 0.3 and min(padded[1:3]) >= 5:
            weights = self._weights((4, 3, 3, shape[3]))
            more_of = self._quantisation(4, 9)
            self.net.conv(weights, self._bias(4, needed=True), dilation=(2, 2), **more_of)  # type: ignore[arg-type]
        else:
            self._conv()
        return self.net.finish()


def graphs(kind: str) -> dict[str, Graph]:
    made = {f"net{seed}": PaddedMaker(seed, kind).make() for seed in range(50)}
    return {name: read_model(data) for name, data in made.items()}


@pytest.mark.parametrize("kind", ["float32", "int8"])
def test_padded_convolutions_equal_the_references(kind: str, tmp_path: Path) -> None:
    found = graphs(kind)
    met = Counter(type(step).__name__ for graph in found.values() for step in plan(graph))
    assert met["Moved"] < 25, "most of them are merged"
    assert len(met) >= 3
    for name, native in library(found, tmp_path).items():
        x = all_inputs(native.graph, 3, 5)
        expected = (litert_outputs if kind == "float32" else tflm_outputs)(native.graph, x)
        for got, wanted in zip(native.run_all(x), expected, strict=True):
            assert got.tobytes() == wanted.reshape(got.shape).tobytes(), name


@pytest.mark.parametrize("rows", [True, False])
def test_a_causal_convolution_of_a_series_is_one_step(rows: bool, tmp_path: Path) -> None:
    net = Net().input((1, 7, 3))
    pads = np.array([[0, 0], [2, 0], [0, 0]], np.int32)
    more = [net.tensor((3, 2), "int32", pads)]
    net.op("PAD", (1, 9, 3), schema.PadOptionsT(), "PadOptions", more)
    weights = np.random.default_rng(1).normal(size=(4, 3, 3)).astype(np.float32)
    if rows:
        net.reshape((1, 9, 1, 3)).conv(weights[:, :, None, :], np.ones(4, np.float32))
    else:
        net.reshape((1, 1, 9, 3)).conv(weights[:, None, :, :], np.ones(4, np.float32))
    graph = read_model(net.finish())
    assert len(plan(graph)) == 1
    x = all_inputs(graph, 3, 2)
    got, wanted = library({"net": graph}, tmp_path)["net"].run_all(x), litert_outputs(graph, x)
    assert got[0].tobytes() == wanted[0].tobytes()


def test_padding_with_another_value_stays_a_step() -> None:
    net = Net().input((1, 4, 4, 1))
    pads = np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32)
    more = [net.tensor((4, 2), "int32", pads), net.tensor((), "float32", np.array(1, np.float32))]
    net.op("PADV2", (1, 6, 6, 1), schema.PadV2OptionsT(), "PadV2Options", more)
    net.conv(np.ones((2, 3, 3, 1), np.float32), np.ones(2, np.float32))
    assert [type(s).__name__ for s in plan(read_model(net.finish()))] == ["Moved", "Conv"]
