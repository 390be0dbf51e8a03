# SPDX-License-Identifier: Apache-2.0
"""State variables, compared with TFLM over sequences of inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from ai_edge_litert import schema_py_generated as schema

from hil.core.errors import ModelError
from hil.engines.aot import Header, generate
from hil.engines.aot.moves.copying import Copy, Shift
from hil.engines.aot.plan import plan_nodes
from hil.tflite import Graph, read_model
from tests.support.native import all_inputs, library
from tests.support.oracles import litert_outputs, tflm_outputs
from tests.support.states import FRAME, ROWS, assign, call_once, handle, read, stream
from tests.support.tflite import Net

Values = npt.NDArray[np.generic]
STEPS = 7


def compare(net: Net, folder: Path, *, litert: bool = True) -> Graph:
    """Over a sequence, twice, so that the reset is tested, and over another arena's content."""
    graph = read_model(net.finish())
    native = library({"net": graph}, folder)["net"]
    x = all_inputs(graph, STEPS, 5)
    expected = tflm_outputs(graph, x)
    if litert:
        for a, b in zip(expected, litert_outputs(graph, x), strict=True):
            assert a.tobytes() == b.tobytes(), "the references differ"
    for poison in (0xA5, 0x00):
        for got, wanted in zip(native.run_all(x, poison), expected, strict=True):
            assert got.tobytes() == wanted.reshape(got.shape).tobytes()
    return graph


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("late", [False, True], ids=["slice last", "slice first"])
@pytest.mark.parametrize("once", [False, True], ids=["zeros", "initial values"])
def test_a_stream_is_shifted(dtype: str, late: bool, once: bool, tmp_path: Path) -> None:
    graph = compare(stream(dtype, late=late, once=once), tmp_path, litert=once)
    steps = plan_nodes(graph).steps
    assert [type(step) for step in steps[:1]] == [Shift]
    assert len(steps) == 2, "one shift and one convolution"
    assert generate(graph, "net", "").text.count("memcpy(bytes + ") == 1


@pytest.mark.parametrize("channels", [1, 8, 9, 24])
def test_a_stream_of_any_width_is_shifted(channels: int, tmp_path: Path) -> None:
    compare(stream("int8", channels=channels), tmp_path)


def test_a_stream_needs_no_second_buffer() -> None:
    graph = read_model(stream("int8").finish())
    state = (ROWS + FRAME) * 3
    assert generate(graph, "net", "").arena <= state + 3 + 32


def unary(net: Net) -> Net:
    return net.op("RELU", net.shape)


def accumulator(*, before: bool) -> Net:
    """The sum of all inputs so far; ``before``: without the newest."""
    net = Net().input((1, 5))
    x = net.current
    call_once(net, {"sum": np.arange(5, dtype=np.float32).reshape(1, 5)})
    total = handle(net, "sum")
    read(net, total, (1, 5))
    old = net.current
    net.op("ADD", (1, 5), schema.AddOptionsT(), "AddOptions", [x])
    new = net.current
    assign(net, total)
    net.current = old if before else new
    return unary(net)


@pytest.mark.parametrize("before", [False, True])
def test_an_accumulator(before: bool, tmp_path: Path) -> None:
    compare(accumulator(before=before), tmp_path)


def test_a_value_read_before_its_assignment_is_copied(tmp_path: Path) -> None:
    """The old value is an output, which is written after the assignment."""
    net = Net().input((1, 6), "int8", 0.1, 4)
    x = net.current
    call_once(net, {"old": np.arange(6, dtype=np.int8).reshape(1, 6)})
    old = handle(net, "old")
    read(net, old, (1, 6))
    assign(net, old, x)
    graph = compare(net, tmp_path)
    assert [type(step) for step in plan_nodes(graph).steps] == [Copy, Copy]


def test_a_value_is_written_to_the_state_by_the_operator_that_computes_it(tmp_path: Path) -> None:
    net = Net().input((1, 6))
    x = net.current
    call_once(net, {"old": np.full((1, 6), -1, np.float32)})
    old = handle(net, "old")
    read(net, old, (1, 6))
    unary(net)
    first = net.current
    net._now(x, (1, 6), "float32", 0, 0)
    assign(net.op("RELU6", (1, 6)), old)
    kept = unary(net).current
    net.graph.outputs = [first, kept]
    graph = compare(net, tmp_path)
    assert not any(isinstance(step, Copy) for step in plan_nodes(graph).steps)


def test_two_assignments_in_one_inference(tmp_path: Path) -> None:
    net = Net().input((1, 4))
    x = net.current
    variable = handle(net, "v")
    read(net, variable, (1, 4))
    first = unary(net).current
    assign(net, variable, x)
    read(net, handle(net, "v"), (1, 4))
    second = unary(net).current
    net._now(x, (1, 4), "float32", 0, 0)
    assign(net.op("RELU6", (1, 4)), variable)
    read(net, variable, (1, 4))
    net.graph.outputs = [first, second, net.current]
    compare(net, tmp_path, litert=False)


def test_a_state_starts_with_its_zero_point_in_tflm_alone(tmp_path: Path) -> None:
    net = Net().input((1, 4), "int8", 0.1, 9)
    x = net.current
    variable = handle(net, "v")
    read(net, variable, (1, 4))
    unary(net)
    assign(net, variable, x)
    graph = compare(net, tmp_path, litert=False)
    with pytest.raises(RuntimeError):
        litert_outputs(graph, all_inputs(graph, 1, 0))


def refusal(net: Net) -> str:
    with pytest.raises(ModelError) as error:
        plan_nodes(read_model(net.finish()))
    assert len(str(error.value).splitlines()) == 1
    return error.value.what


def test_a_variable_that_is_never_assigned_is_refused() -> None:
    net = Net().input((1, 4))
    assert "variable 'v' is read but never assigned" in refusal(read(net, handle(net, "v"), (1, 4)))


def test_a_variable_of_several_sizes_is_refused() -> None:
    net = Net().input((1, 4))
    x, variable = net.current, handle(net, "v")
    assign(read(net, variable, (1, 3)), variable, x)
    assert "variable 'v' has several types or sizes" in refusal(net)


def test_a_late_initialisation_is_refused() -> None:
    net = Net().input((1, 4))
    variable = handle(net, "v")
    read(net, variable, (1, 4))
    call_once(net, {"v": np.zeros((1, 4), np.float32)})
    assert "it initialises variable 'v' after its first use" in refusal(net)


def test_an_initialisation_that_computes_is_refused() -> None:
    net = Net().input((1, 4))
    call_once(net, {"v": np.zeros((1, 4), np.float32)})
    net.model.operatorCodes[1].builtinCode = net.model.operatorCodes[1].deprecatedBuiltinCode = 19
    read(net, handle(net, "v"), (1, 4))
    assert "its subgraph runs RELU, not only assignments of constants" in refusal(net)


def test_a_subgraph_that_does_not_exist_is_corrupt() -> None:
    net = Net().input((1, 4))
    call_once(net, {"v": np.zeros((1, 4), np.float32)})
    net.graph.operators[-1].builtinOptions.initSubgraphIndex = 7
    assert "subgraph 7 does not exist" in refusal(read(net, handle(net, "v"), (1, 4)))


def test_a_header_with_initial_values_counts_them() -> None:
    header: Header = generate(read_model(stream("int8", late=True).finish()), "net", "")
    assert header.stateful
    assert "net_reset(arena)" in header.text
    (array,) = [a for a in header.arrays if a.name.startswith("net_state")]
    assert array.nbytes == (ROWS + FRAME) * 3
