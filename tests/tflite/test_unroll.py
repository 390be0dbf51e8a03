# SPDX-License-Identifier: Apache-2.0
"""Loops become their rounds in a row, which compute what TFLM and LiteRT compute."""

from __future__ import annotations

import copy
import re
from collections import Counter
from pathlib import Path

import pytest

from hil.core.errors import ModelError
from hil.engines.aot import generate
from hil.engines.aot.engine import layers_of
from hil.tflite import read_model
from hil.tflite.unroll import MAX_ROUNDS, unrolled
from tests.support.loops import recurrent
from tests.support.native import all_inputs, library
from tests.support.oracles import litert_outputs, tflm_outputs


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("seed", range(4))
def test_a_loop_equals_the_references(dtype: str, seed: int, tmp_path: Path) -> None:
    graph = read_model(recurrent(seed, dtype).finish())
    x = all_inputs(graph, 4, seed)
    native = library({"net": graph}, tmp_path)["net"]
    # in int8, LiteRT rounds some ties in another way
    for reference in (tflm_outputs, litert_outputs)[: 2 if dtype == "float32" else 1]:
        assert native.run_all(x)[0].tobytes() == reference(graph, x)[0].tobytes()


@pytest.mark.parametrize("seed", range(4))
def test_a_list_of_all_states_equals_litert(seed: int, tmp_path: Path) -> None:
    """TFLM takes the open size of a slice as 1."""
    graph = read_model(recurrent(seed, "float32", keep=True).finish())
    x = all_inputs(graph, 4, seed)
    native = library({"net": graph}, tmp_path)["net"]
    assert native.run_all(x)[0].tobytes() == litert_outputs(graph, x)[0].tobytes()


def test_rounds_share_constants_and_code() -> None:
    short, long = (
        generate(read_model(recurrent(5, "int8", rounds=n).finish()), "net", "") for n in (5, 25)
    )
    assert long.flash == short.flash
    assert len(long.text) - len(short.text) <= 20 * 5 * 120, "20 rounds of 5 calls"


def test_a_list_is_joined_once() -> None:
    graph = unrolled(read_model(recurrent(2, "float32", keep=True, rounds=6).finish()))
    needed = set(graph.output_indices)
    codes: Counter[str] = Counter()
    for operator in reversed(graph.operators):
        if needed & set(operator.outputs):
            needed |= set(operator.inputs)
            codes[operator.code] += 1
    assert (codes["CONCATENATION"], codes["SLICE"]) == (1, 0)


def test_the_graph_counts_all_rounds() -> None:
    def counted(rounds: int) -> tuple[int, int]:
        graph = read_model(recurrent(2, "int8", rounds=rounds).finish())
        return graph.macs, graph.parameters

    (macs, parameters), (more, same) = counted(4), counted(8)
    # the first round folds no layer here: the initial state is not zero
    assert (more, same) == (2 * macs, parameters)


def test_the_rounds_are_one_layer() -> None:
    graph = read_model(recurrent(2, "float32", rounds=6).finish())
    (layer,) = layers_of(graph)
    assert layer.tensor == graph.output_index
    assert "FULLY_CONNECTED" in layer.ops
    assert len(layer.ops) < 80


def test_no_round_at_all(tmp_path: Path) -> None:
    graph = read_model(recurrent(2, "float32", limit=0).finish())
    x = all_inputs(graph, 2, 0)
    native = library({"net": graph}, tmp_path)["net"]
    assert native.run_all(x)[0].tobytes() == litert_outputs(graph, x)[0].tobytes()


def refusal(data: bytes) -> str:
    with pytest.raises(ModelError) as error:
        unrolled(read_model(data))
    return error.value.what


def test_too_many_rounds_are_refused() -> None:
    what = refusal(recurrent(2, "float32", rounds=3, limit=MAX_ROUNDS + 1).finish())
    assert re.fullmatch(rf"operator 0 \(WHILE\) version 1: more than {MAX_ROUNDS} rounds", what)


def test_rounds_that_depend_on_the_input_are_refused() -> None:
    net = recurrent(2, "float32")
    start = net.tensor((), "int32")
    net.graph.inputs = [*net.graph.inputs, start]
    net.graph.operators[0].inputs[0] = start
    assert refusal(net.finish()).endswith("its number of rounds depends on the input")


@pytest.mark.parametrize("number", [-1, 0, 3])
def test_a_subgraph_that_does_not_exist_is_refused(number: int) -> None:
    net = recurrent(2, "float32")
    net.graph.operators[0].builtinOptions.bodySubgraphIndex = number
    assert refusal(net.finish()).endswith(f"subgraph {number} does not exist")


def test_a_loop_in_itself_is_refused() -> None:
    net = recurrent(2, "float32")
    again = copy.deepcopy(net.graph.operators[0])
    body = net.model.subgraphs[2]
    again.inputs, again.outputs = list(body.inputs), [len(body.tensors) + i for i in range(4)]
    body.tensors += [body.tensors[i] for i in body.inputs]
    body.operators, body.outputs = [again], list(again.outputs)
    assert refusal(net.finish()).endswith("more than 4 loops in each other")


def test_other_shapes_in_the_body_are_refused() -> None:
    net = recurrent(2, "float32")
    net.model.subgraphs[2].tensors[2].shape = [3, 7]
    assert "tensor" in refusal(net.finish()) or "shape" in refusal(net.finish())
