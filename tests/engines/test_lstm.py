# SPDX-License-Identifier: Apache-2.0
"""UNIDIRECTIONAL_SEQUENCE_LSTM, compared with TFLM over sequences of inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from hil.core.errors import ModelError
from hil.engines.aot.plan import plan, plan_nodes
from hil.engines.aot.states.lstm import Lstm
from hil.engines.aot.states.lstm_code import emit_lstm
from hil.tflite import Graph, read_model
from tests.support.native import all_inputs, library, ulps
from tests.support.oracles import litert_outputs, tflm_outputs
from tests.support.recurrent import drawn_lstm, lstm
from tests.support.tflite import RELU, Net


def sequence(graph: Graph, seed: int) -> list[npt.NDArray[np.generic]]:
    return all_inputs(graph, 5, seed)


def near(a: npt.NDArray[np.generic], b: npt.NDArray[np.generic]) -> None:
    """float32 values of two C libraries' exp() and tanh(); the state carries differences on."""
    np.testing.assert_allclose(a.astype(np.float64), b.astype(np.float64), rtol=0, atol=2e-6)


@pytest.mark.parametrize(("first", "dtype"), [(0, "int8"), (40, "int8"), (0, "int16")])
def test_integers_equal_tflm(first: int, dtype: str, tmp_path: Path) -> None:
    graphs = {f"net{i}": read_model(drawn_lstm(i, dtype)) for i in range(first, first + 40)}
    for native in library(graphs, tmp_path).values():
        x = sequence(native.graph, first)
        (expected,) = tflm_outputs(native.graph, x)
        for poison in (0xA5, 0x00):
            assert native.run_all(x, poison)[0].tobytes() == expected.tobytes()


def test_both_kernels_of_int8_are_met() -> None:
    steps = [step for i in range(40) for step in plan(read_model(drawn_lstm(i, "int8")))]
    texts = [emit_lstm(s, "lstm").functions for s in steps if isinstance(s, Lstm)]
    assert sum("hil_gates(" in text for text in texts) >= 5
    assert sum("hil_sums1(" in text for text in texts) >= 5
    assert sum("hil_requant(" in text for text in texts) >= 1


def test_float32_equals_tflm_with_the_same_c_library_and_is_close_to_litert(tmp_path: Path) -> None:
    graphs = {f"net{i}": read_model(drawn_lstm(i, "float32")) for i in range(30)}
    for native in library(graphs, tmp_path).values():
        x = sequence(native.graph, 1)
        (got,) = native.run_all(x)
        assert ulps(got, tflm_outputs(native.graph, x)[0]) <= 4
        near(got, litert_outputs(native.graph, x)[0])


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_the_state_persists_in_both_references(dtype: str, tmp_path: Path) -> None:
    scale = 0.0 if dtype == "float32" else 0.02
    net = lstm(Net().input((1, 2, 3), dtype, scale), 4, np.random.default_rng(2))
    graph = read_model(net.finish())
    assert graph.stateful
    native = library({"net": graph}, tmp_path)["net"]
    x = [np.repeat(sequence(graph, 3)[0][2:3], 2, axis=0)]  # the same input twice
    found = [native.run_all(x)[0], tflm_outputs(graph, x)[0]]
    if dtype == "float32":  # LiteRT's int8 kernel takes other files, with intermediate tensors
        found.append(litert_outputs(graph, x)[0])
    for y in found:
        assert y[0].tobytes() != y[1].tobytes()
        near(y, found[0])


def test_an_lstm_lies_over_its_input() -> None:
    net = Net().input((1, 9, 8), "int8", 0.02, 1)
    net.op("RELU", net.shape)
    lstm(net, 8, np.random.default_rng(0)).op("RELU", net.shape)
    made = plan_nodes(read_model(net.finish()))
    assert made.steps[1].leads[0] == 0


def refusal(net: Net) -> str:
    with pytest.raises(ModelError) as error:
        plan_nodes(read_model(net.finish()))
    assert len(str(error.value).splitlines()) == 1
    return error.value.what


def net() -> Net:
    return lstm(Net().input((1, 4, 3), "int8", 0.02), 5, np.random.default_rng(1))


@pytest.mark.parametrize(
    ("places", "what"),
    [
        ([9, 10, 11], "peephole weights"),
        ([16], "a projection"),
        ([20, 21, 22, 23], "layer normalisation"),
    ],
)
def test_variants_are_refused_by_name(places: list[int], what: str) -> None:
    made = net()
    for i in places:
        made.graph.operators[0].inputs[i] = made.tensor(
            (5,), "int8", np.zeros(5, np.int8), [1], [0]
        )
    assert f"(UNIDIRECTIONAL_SEQUENCE_LSTM) version 1: {what}" in refusal(made)


def test_other_forms_are_refused_by_name() -> None:
    made = net()
    made.graph.operators[0].inputs[1] = -1
    assert "a gate without weights" in refusal(made)
    made = net()
    made.graph.operators[0].builtinOptions.fusedActivationFunction = RELU
    assert "activation 1" in refusal(made)
    made = net()
    made.graph.operators[0].inputs = made.graph.operators[0].inputs[:20]
    assert "20 inputs" in refusal(made)
    made = net()
    made.graph.tensors[made.graph.operators[0].inputs[18]].isVariable = False
    assert "before any operator writes it" in refusal(made)
    made = net()
    made.graph.tensors[made.graph.operators[0].inputs[19]].shape = [1, 6]
    assert "input, states and output of shapes" in refusal(made)
    made = net()
    made.graph.tensors[made.graph.operators[0].inputs[5]].shape = [25]
    assert "weights or biases of shape [25]" in refusal(made)
