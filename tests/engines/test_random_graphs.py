# SPDX-License-Identifier: Apache-2.0
"""Generated C compared with TFLM and LiteRT on random graphs, in guarded and poisoned memory."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from hil.core.errors import ModelError
from hil.engines.aot.plan import plan_nodes
from hil.tflite import Graph, read_model
from tests.engines.test_networks import INEXACT, ULPS
from tests.support.native import all_inputs, library, ulps
from tests.support.oracles import reference_outputs
from tests.support.random_graphs import make_graph

pytestmark = pytest.mark.thorough

BATCH = 30


def graphs(kind: str, first: int) -> dict[str, Graph]:
    found = {}
    for seed in range(first, first + BATCH):
        with contextlib.suppress(ModelError):
            graph = read_model(make_graph(seed, kind))
            plan_nodes(graph)
            found[f"net{seed}"] = graph
    return found


def compare(kind: str, first: int, folder: Path) -> Counter[str]:
    """Compare a batch with the reference; the operators in it, counted."""
    met: Counter[str] = Counter()
    for name, native in library(graphs(kind, first), folder).items():
        graph = native.graph
        x = all_inputs(graph, 4, first)
        got = native.run_all(x)
        # the previous content of the arena must not matter
        again = native.run_all(x, poison=0x00)
        assert [a.tobytes() for a in got] == [a.tobytes() for a in again]
        try:
            expected = reference_outputs(graph, x)
        except RuntimeError:  # the reference refuses it
            continue
        codes = [operator.code for operator in graph.operators]
        for a, b in zip(got, expected, strict=True):
            b = b.reshape(a.shape)
            if a.dtype == np.float32 and INEXACT & set(codes):
                assert ulps(a, b) <= ULPS, (name, codes)
            else:
                assert a.tobytes() == b.tobytes(), (name, codes)
        met.update(codes)
    return met


@pytest.mark.parametrize("kind", ["float32", "int8"])
@pytest.mark.parametrize("first", [0, 30, 60])
def test_graphs_equal_the_references(kind: str, first: int, tmp_path: Path) -> None:
    met = compare(kind, first, tmp_path)
    assert sum(met.values()) >= 3 * BATCH


def test_the_graphs_are_worth_comparing() -> None:
    made = [read_model(make_graph(seed, "int8")) for seed in range(60)]
    assert {len(g.inputs) for g in made} == {1, 2}
    assert max(len(g.outputs) for g in made) >= 3
    read = [Counter(i for o in g.operators for i in o.inputs) for g in made]
    assert any(max(uses.values()) >= 3 for uses in read), "one value has several uses"
