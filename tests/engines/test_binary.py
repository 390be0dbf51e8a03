# SPDX-License-Identifier: Apache-2.0
"""Operators on two tensors equal TFLM and LiteRT: every int8 pair, types, shapes, constants."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from hil.core.errors import ModelError
from hil.engines.aot.plan import plan
from hil.tflite import Graph, read_model
from tests.support.elementwise import PAIRS, fused_options
from tests.support.native import all_inputs, library
from tests.support.oracles import litert_outputs, tflm_outputs
from tests.support.tflite import NONE, RELU, RELU6, RELU_N1_TO_1, TANH, Net

ACTIVATIONS = (NONE, RELU, RELU6, RELU_N1_TO_1)
Shape = tuple[int, ...]
SHAPES = [
    ((1, 4, 5, 3), (1, 4, 5, 3)),
    ((1, 4, 5, 3), (3,)),
    ((3,), (1, 4, 5, 3)),
    ((1, 4, 5, 3), (1, 1, 1, 1)),
    ((1, 4, 5, 3), ()),
    ((1, 4, 1, 3), (1, 1, 5, 3)),
    ((1, 4, 5, 1), (1, 4, 5, 3)),
    ((2, 1, 3, 1), (1, 4, 1, 5)),
    ((1,), (1,)),
]


def result(shapes: Sequence[Shape]) -> Shape:
    return tuple(np.broadcast_shapes(*shapes))


class Pair:
    """A network of one operator on two tensors; ``constant``: the second one's values, or None."""

    def __init__(self, seed: int, dtype: str, shapes: tuple[Shape, Shape]) -> None:
        self.random = np.random.default_rng(seed)
        self.dtype, self.shapes = dtype, shapes

    def scale(self, spread: float = 3) -> float:
        if self.dtype in ("float32", "int32"):
            return 0.0
        return float(np.float32(0.05 * 2.0 ** self.random.uniform(-spread, spread)))

    def zero(self) -> int:
        return int(self.random.choice([-128, 127, 0, 5, -7])) if self.dtype == "int8" else 0

    def values(self, shape: Shape, kind: str) -> npt.NDArray[np.generic]:
        if kind == "float32":
            return self.random.normal(scale=2, size=shape).astype(np.float32)
        limit = {"int8": 127, "int16": 32767, "int32": 1000}[kind]
        return self.random.integers(-limit, limit + 1, shape).astype(kind)

    def graph(self, code: str, act: int, constant: int | None = None) -> Graph:
        net = Net()
        inputs, indices, scales_in = [], [], []
        for number, shape in enumerate(self.shapes):
            scale, zero = self.scale(), self.zero()
            scales_in.append(scale)
            kind = self.dtype
            if (code, number, kind) == ("PRELU", 1, "int16"):
                kind = "int8"
            if number == constant:
                scales, zeros = ([scale], [zero]) if scale else ([], [])
                values = self.values(shape, kind)
                if code == "DIV":
                    values = np.where(values == zero, values + 1, values).astype(values.dtype)
                indices.append(net.tensor(shape, kind, values, scales, zeros))
            else:
                net.input(shape, kind, scale, zero)
                indices.append(net.current)
                inputs.append(net.current)
        net.current, *more = indices
        made, name = fused_options(code, act)
        net.dtype = self.dtype
        scale = self.scale()
        if code == "DIV" and scale:  # TFLM's shift is undefined for quotients of less than a step
            scale = scales_in[0] / scales_in[1] / 65
        net.op(code, result(self.shapes), made, name, more, scale=scale, zero=self.zero())
        net.graph.inputs = inputs
        return read_model(net.finish())


def compare(graphs: dict[str, Graph], folder: Path) -> None:
    for name, native in library(graphs, folder).items():
        graph = native.graph
        x = all_inputs(graph, 4, 1)
        real = graph.output.dtype == 0
        expected = (litert_outputs if real else tflm_outputs)(graph, x)
        for got, wanted in zip(native.run_all(x), expected, strict=True):
            assert got.tobytes() == wanted.tobytes(), name


FREE = [code for code in PAIRS if code != "DIV"]


@pytest.mark.parametrize("code", PAIRS)
def test_every_pair_of_int8_values_gives_the_byte_of_tflm(code: str, tmp_path: Path) -> None:
    graphs = {}
    for seed in range(16):
        pair = Pair(seed, "int8", ((1, 256, 1), (1, 1, 256)))
        try:
            graph = pair.graph(code, ACTIVATIONS[seed % 4])
            plan(graph)
        except ModelError:
            continue
        graphs[f"net{seed}"] = graph
    assert len(graphs) >= 12
    codes = np.arange(-128, 128, dtype=np.int8)
    for name, native in library(graphs, tmp_path).items():
        x = [codes.reshape(1, 1, 256, 1), codes.reshape(1, 1, 1, 256)]
        (expected,) = tflm_outputs(native.graph, x)
        (got,) = native.run_all(x)
        assert got.tobytes() == expected.tobytes(), name


@pytest.mark.parametrize("code", FREE)
@pytest.mark.parametrize("ratios", [(1, 1, 1), (1, 1, 2), (1, 2, 4), (2, 1, 8), (1, 0.5, 0.5)])
def test_ties_round_as_in_tflm(
    code: str, ratios: tuple[float, float, float], tmp_path: Path
) -> None:
    net = Net()
    net.input((1, 256, 1), "int8", 0.1 * ratios[0], 3)
    a = net.current
    net.input((1, 1, 256), "int8", 0.1 * ratios[1], -9)
    b, net.current = net.current, a
    made, kind = fused_options(code, NONE)
    net.op(code, (1, 256, 256), made, kind, [b], scale=0.1 * ratios[2], zero=-2)
    net.graph.inputs = [a, b]
    graph = read_model(net.finish())
    codes = np.arange(-128, 128, dtype=np.int8)
    x = [codes.reshape(1, 1, 256, 1), codes.reshape(1, 1, 1, 256)]
    (got,) = library({"net": graph}, tmp_path)["net"].run_all(x)
    assert got.tobytes() == tflm_outputs(graph, x)[0].tobytes()


def constants(code: str, dtype: str, shapes: tuple[Shape, Shape]) -> tuple[int | None, ...]:
    """Which operands may be constants in a test: None is neither."""
    if code == "PRELU" and result(shapes) != shapes[0]:
        return ()
    if code == "DIV" and dtype == "int32":
        return (1,)
    if () in shapes:  # TFLM sets no scalar input
        return (1,)
    if (code, dtype) == ("PRELU", "int16"):
        return (1,)
    return (None, 1) if code == "PRELU" else (None, 0, 1)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "float32"])
@pytest.mark.parametrize("code", PAIRS)
def test_shapes_and_constants(code: str, dtype: str, tmp_path: Path) -> None:
    if (code, dtype) in (("DIV", "int16"), ("PRELU", "int32")):
        return  # TFLM does not have them
    graphs = {}
    for number, shapes in enumerate(SHAPES):
        for constant in constants(code, dtype, shapes):
            pair = Pair(number, dtype, shapes)
            name = f"net{number}_{constant}"
            graphs[name] = pair.graph(code, ACTIVATIONS[number % 4], constant)
    compare(graphs, tmp_path)


def test_int8_is_divided_by_every_constant_as_in_tflm(tmp_path: Path) -> None:
    graphs = {}
    for seed in range(8):
        random = np.random.default_rng(seed)
        zeros = [int(random.integers(-128, 128)) for _ in range(3)]
        scales = [float(np.float32(0.05 * 2.0 ** random.uniform(-3, 3))) for _ in range(3)]
        divisors = np.array([q for q in range(-128, 128) if q != zeros[1]], np.int8)
        net = Net().input((1, 256, 1), "int8", scales[0], zeros[0])
        constant = net.tensor((255,), "int8", divisors, scales[1:2], zeros[1:2])
        made, kind = fused_options("DIV", ACTIVATIONS[seed % 4])
        # fine enough for the smallest quotient: TFLM's shift is undefined below
        scale = scales[2] * scales[0] / scales[1] / 64
        net.op("DIV", (1, 256, 255), made, kind, [constant], scale=scale, zero=zeros[2])
        graphs[f"net{seed}"] = read_model(net.finish())
    codes = np.arange(-128, 128, dtype=np.int8).reshape(1, 1, 256, 1)
    for name, native in library(graphs, tmp_path).items():
        (got,) = native.run_all([codes])
        assert got.tobytes() == tflm_outputs(native.graph, [codes])[0].tobytes(), name


def test_a_tensor_may_be_both_operands(tmp_path: Path) -> None:
    net = Net().input((1, 7), "int8", 0.1, 4)
    made, kind = fused_options("ADD", NONE)
    net.op("ADD", (1, 7), made, kind, [net.current], scale=0.3, zero=1)
    compare({"net": read_model(net.finish())}, tmp_path)


def test_what_does_not_fit_is_refused_by_name() -> None:
    def graph(
        shapes: tuple[Shape, Shape], shape: Shape, act: int = NONE, scale: float = 1
    ) -> Graph:
        net = Net()
        inputs = []
        for one in shapes:
            net.input(one, "int8", 1, 0)
            inputs.append(net.current)
        net.current = inputs[0]
        made, kind = fused_options("ADD", act)
        net.op("ADD", shape, made, kind, inputs[1:], scale=scale)
        net.graph.inputs = inputs
        return read_model(net.finish())

    for says, made in {
        r"\(ADD\).*shapes \[2\] and \[3\] to \[3\]": graph(((2,), (3,)), (3,)),
        r"shapes \[2\] and \[2\] to \[3\]": graph(((2,), (2,)), (3,)),
        "fused activation 4": graph(((2,), (2,)), (2,), TANH),
        "scales with a factor of": graph(((2,), (2,)), (2,), scale=1e-9),
    }.items():
        with pytest.raises(ModelError, match=says) as caught:
            plan(made)
        assert "\n" not in str(caught.value)


def test_inputs_and_scales_that_are_missing_are_refused_by_name() -> None:
    net = Net().input((1, 7), "int8", 0.1, 4)
    made, kind = fused_options("ADD", NONE)
    net.op("ADD", (1, 7), made, kind, [-1], scale=0.3, zero=1)
    with pytest.raises(ModelError, match=r"\(ADD\).*1 inputs"):
        plan(read_model(net.finish()))
    net = Net().input((1, 7), "int16")
    net.op("ADD", (1, 7), made, kind, [net.current])
    with pytest.raises(ModelError, match="int16 without a scale"):
        plan(read_model(net.finish()))


def test_a_relu_after_an_add_is_fused() -> None:
    net = Net().input((1, 7), "int8", 0.1, 4)
    made, kind = fused_options("ADD", NONE)
    net.op("ADD", (1, 7), made, kind, [net.current], scale=0.3, zero=1).simple("RELU")
    assert len(plan(read_model(net.finish()))) == 1
