# SPDX-License-Identifier: Apache-2.0
"""Every network of other people that aot takes gives the bytes that the references give."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from hil.core.errors import ModelError
from hil.engines.aot.plan import plan_nodes
from hil.tflite import Graph, read_model
from hil.tflite.graph import TRANSCENDENTAL
from tests.support.native import all_inputs, library, ulps
from tests.support.oracles import reference_outputs

FOLDER = Path(os.environ.get("HIL_NETWORKS_DIR") or "missing")
FILES = sorted(FOLDER.glob("*/*.tflite"))
SAMPLES = 4
# operators that compute exp() and its kin: in float32 as close as the C library is
INEXACT = TRANSCENDENTAL
ULPS = 64  # after the layers that follow them

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(not FILES, reason="HIL_NETWORKS_DIR names no folder of networks"),
]


def takes(graph: Graph) -> bool:
    try:
        plan_nodes(graph)
    except ModelError:
        return False
    return True


@pytest.mark.parametrize("file", FILES, ids=lambda f: f"{f.parent.name}/{f.stem[-50:]}")
def test_a_network_equals_the_references(file: Path, tmp_path: Path) -> None:
    try:
        graph = read_model(file)
    except ModelError as refusal:
        pytest.skip(f"refused: {refusal}")
    if not takes(graph):
        pytest.skip("aot does not take it: see docs/coverage.md")
    native = library({"net": graph}, tmp_path)["net"]
    x = all_inputs(graph, SAMPLES, 1)
    expected = reference_outputs(graph, x)
    codes = {operator.code for operator in graph.operators}
    for got, wanted in zip(native.run_all(x), expected, strict=True):
        wanted = wanted.reshape(got.shape)
        if got.dtype == np.float32 and codes & INEXACT:
            assert ulps(got, wanted) <= ULPS
        else:
            assert got.tobytes() == wanted.tobytes()
