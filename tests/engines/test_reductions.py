# SPDX-License-Identifier: Apache-2.0
"""MEAN, SUM, REDUCE_MAX, REDUCE_MIN, ARG_MAX and ARG_MIN, compared with TFLM and LiteRT."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hil.core.errors import ModelError
from hil.engines.aot import generate
from hil.engines.aot.plan import plan_nodes
from hil.tflite import Graph, read_model
from tests.support.native import all_inputs, library
from tests.support.oracles import litert_outputs, tflm_outputs
from tests.support.reductions import drawn, reduced
from tests.support.tflite import Net


def compare(
    graphs: dict[str, Graph], folder: Path, seed: int, flags: tuple[str, ...] = ("-O1",)
) -> None:
    for name, native in library(graphs, folder, flags).items():
        graph = native.graph
        x = all_inputs(graph, 6, seed)
        got = native.run_all(x)
        code = graph.operators[0].code
        # TFLM has no maximum of int16, nor positions in int64
        ours = (code.startswith("REDUCE") and graph.input.dtype == 7) or graph.output.dtype == 4
        reference = litert_outputs if ours or graph.input.dtype == 0 else tflm_outputs
        for a, b in zip(got, reference(graph, x), strict=True):
            assert a.tobytes() == b.reshape(a.shape).tobytes(), (name, code, graph.input.shape)


@pytest.mark.parametrize("dtype", ["float32", "int8", "int16"])
@pytest.mark.parametrize("first", [0, 100])
def test_reductions_equal_the_references(dtype: str, first: int, tmp_path: Path) -> None:
    seeds = range(first, first + 60)
    compare({f"net{i}": read_model(drawn(i, dtype)) for i in seeds}, tmp_path, first)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_positions_in_int64_equal_litert(dtype: str, tmp_path: Path) -> None:
    net = Net().input((2, 5, 7), dtype, 0.1 if dtype == "int8" else 0.0)
    graph = read_model(reduced(net, "ARG_MAX", [2], dtype="int64").finish())
    compare({"net": graph}, tmp_path, 3)


def refusal(net: Net) -> str:
    with pytest.raises(ModelError) as error:
        plan_nodes(read_model(net.finish()))
    assert len(str(error.value).splitlines()) == 1
    return error.value.what


def test_what_tflm_refuses_is_refused_by_name() -> None:
    net = reduced(Net().input((1, 4), "int8", 0.1, 0), "REDUCE_MAX", [1], scale=0.2)
    assert "(REDUCE_MAX) version 2: its input and output differ in scale" in refusal(net)
    net = reduced(Net().input((1, 65537), "int16", 0.1, 0), "SUM", [1])
    assert "(SUM) version 2: a sum of 65537 int16 values" in refusal(net)
    net = reduced(Net().input((1, 2, 2, 2)), "MEAN", [0, 1, 1, 2, 3])
    assert "(MEAN) version 2: more than 4 axes" in refusal(net)


def test_axes_from_another_operator_are_refused() -> None:
    net = reduced(Net().input((1, 4)), "MEAN", [1])
    net.graph.operators[0].inputs[1] = net.tensor([1], "int32")
    net.graph.inputs.append(net.graph.operators[0].inputs[1])
    assert "(MEAN) version 2: a tensor of int32" in refusal(net)


@pytest.mark.parametrize(
    ("axes", "shape", "why"),
    [
        ([2], [1], "axes [2] of a tensor of shape [1, 4]"),
        ([-3], [1], "axes [-1] of a tensor of shape [1, 4]"),
        ([1], [2], "[1, 4] to [2], over axes [1]"),
    ],
)
def test_what_does_not_fit_is_corrupt(axes: list[int], shape: list[int], why: str) -> None:
    net = reduced(Net().input((1, 4)), "SUM", [1])
    axis = net.tensor([len(axes)], "int32", np.array(axes, np.int32))
    net.graph.operators[0].inputs[1] = axis
    net.graph.tensors[net.current].shape = shape
    assert f"operator 0 (SUM): {why}" in refusal(net)


def test_the_mean_of_an_image_lies_over_it() -> None:
    net = reduced(Net().input((1, 8, 8, 4)).simple("RELU"), "MEAN", [1, 2]).simple("RELU")
    assert generate(read_model(net.finish()), "net", "").arena == 8 * 8 * 4 * 4


def test_a_mean_of_many_rows_exceeds_no_16_bit_sum(tmp_path: Path) -> None:
    graph = read_model(reduced(Net().input((1, 700, 9), "int8", 0.1, 3), "MEAN", [1]).finish())
    compare({"net": graph}, tmp_path, 0)
    x = np.full((1, 1, 700, 9), -128, np.int8)
    got = library({"net": graph}, tmp_path)["net"].run_all([x])[0]
    assert set(got.reshape(-1)) == {-128}


def test_a_search_along_axes_from_an_input_is_refused() -> None:
    net = reduced(Net().input((1, 4)), "ARG_MAX", [1])
    net.graph.operators[0].inputs[1] = net.tensor([1], "int32")
    net.graph.inputs.append(net.graph.operators[0].inputs[1])
    assert "(ARG_MAX) version 1: its axes are not a constant" in refusal(net)
