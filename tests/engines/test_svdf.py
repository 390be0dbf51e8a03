# SPDX-License-Identifier: Apache-2.0
"""SVDF, compared with TFLM over sequences of inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hil.core.errors import ModelError
from hil.engines.aot.plan import plan_nodes
from hil.tflite import read_model
from tests.support.native import all_inputs, library
from tests.support.oracles import tflm_outputs
from tests.support.recurrent import drawn_svdf, svdf
from tests.support.tflite import TANH, Net

STEPS = 14  # more than the longest memory


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("first", [0, 40])
def test_svdf_equals_tflm(dtype: str, first: int, tmp_path: Path) -> None:
    graphs = {f"net{i}": read_model(drawn_svdf(i, dtype)) for i in range(first, first + 40)}
    for name, native in library(graphs, tmp_path).items():
        x = all_inputs(native.graph, STEPS, first)
        (expected,) = tflm_outputs(native.graph, x)
        for poison in (0xA5, 0x00):
            assert native.run_all(x, poison)[0].tobytes() == expected.tobytes(), name


def refusal(net: Net) -> str:
    with pytest.raises(ModelError) as error:
        plan_nodes(read_model(net.finish()))
    assert len(str(error.value).splitlines()) == 1
    return error.value.what


def made(**options: object) -> Net:
    net = Net().input((1, 5), "int8", 0.02, 3)
    return svdf(net, 4, 3, np.random.default_rng(1), **options)  # type: ignore[arg-type]


def test_what_tflm_refuses_is_refused_by_name() -> None:
    net = made()
    net.graph.operators[0].inputs[3] = -1
    assert "(SVDF) version 1: an input is missing" in refusal(net)
    net = made()
    net.graph.tensors[net.graph.operators[0].inputs[3]].quantization.scale = np.array([9.0], "f4")
    assert "a bias of another scale than its sums" in refusal(net)
    net = made()
    net.graph.operators[0].builtinOptions.rank = 3
    assert "rank 3 and tensors of shapes" in refusal(net)
    net = svdf(Net().input((1, 5)), 4, 3, np.random.default_rng(1), act=TANH)
    assert "fused activation 4" in refusal(net)
