# SPDX-License-Identifier: Apache-2.0
"""Operators that move values, in every type, compared with TFLM or else LiteRT."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil.core.errors import ModelError
from hil.engines.aot.plan import plan_nodes
from hil.tflite import Graph, read_model
from tests.support.native import all_inputs, library
from tests.support.one_move import gathering, one_move
from tests.support.oracles import litert_outputs, tflm_outputs
from tests.support.random_moves import INTERPOLATION_DRAWS, MOVE_DRAWS

DTYPES = ("float32", "int8", "int32", "int16", "uint8", "bool", "int64")
SEEDS = 42


def networks(code: str) -> dict[str, Graph]:
    found = {}
    for seed in range(SEEDS):
        dtype = DTYPES[seed % len(DTYPES)] if seed % 2 else ("int8", "float32")[seed // 2 % 2]
        data = one_move(1000 + seed, code, dtype)
        with contextlib.suppress(ModelError):  # where RESIZE_BILINEAR would read outside its input
            if data:
                graph = read_model(data)
                plan_nodes(graph)
                found[f"net{seed}"] = graph
    return found


def expected(graph: Graph, x: list[Any]) -> tuple[str, list[Any]]:
    """(which reference runs it, its outputs)."""
    if graph.operators[0].code == "SPACE_TO_BATCH_ND":
        return "litert", litert_outputs(graph, x)  # TFLM pads with uninitialised memory
    try:
        return "tflm", tflm_outputs(graph, x)
    except RuntimeError:
        return "litert", litert_outputs(graph, x)


@pytest.mark.parametrize("code", [*MOVE_DRAWS, *INTERPOLATION_DRAWS])
def test_a_move_equals_the_references(code: str, tmp_path: Path) -> None:
    met = Counter[str]()
    for name, native in library(networks(code), tmp_path).items():
        x = all_inputs(native.graph, 3, 1)
        got = native.run_all(x)
        try:
            which, wanted = expected(native.graph, x)
        except (RuntimeError, ValueError):
            continue  # neither runs it in this type
        met[which] += 1
        for a, b in zip(got, wanted, strict=True):
            assert a.tobytes() == b.reshape(a.shape).tobytes(), (name, which)
    assert sum(met.values()) >= 8


@pytest.mark.parametrize("dtype", ["float32", "int8", "int16", "bool"])
@pytest.mark.parametrize("table", [True, False])
def test_gathering_by_computed_numbers_equals_the_references(
    dtype: str, table: bool, tmp_path: Path
) -> None:
    reference = tflm_outputs if dtype in ("float32", "int8") else litert_outputs
    graphs = {f"net{seed}": read_model(gathering(seed, dtype, table=table)) for seed in range(16)}
    for name, native in library(graphs, tmp_path).items():
        x = all_inputs(native.graph, 4, 3)
        x[-1] = np.abs(x[-1]) % rows(native.graph)
        for got, wanted in zip(native.run_all(x), reference(native.graph, x), strict=True):
            assert got.tobytes() == wanted.reshape(got.shape).tobytes(), name


def rows(graph: Graph) -> int:
    """How many rows the only GATHER chooses from."""
    operator = graph.operators[0]
    return graph.tensors[operator.inputs[0]].shape[int(operator.options["axis"])]


def test_a_number_beyond_the_rows_is_clamped(tmp_path: Path) -> None:
    graph = read_model(gathering(3, "float32", table=True))
    native = library({"net": graph}, tmp_path)["net"]
    last, first = rows(graph) - 1, 0
    for far, near in ((1 << 30, last), (-(1 << 31), first), (last + 1, last), (-1, first)):
        answers = [
            native.run_all([np.full((1, *graph.input.shape), n, np.int32)]) for n in (far, near)
        ]
        assert answers[0][0].tobytes() == answers[1][0].tobytes()
