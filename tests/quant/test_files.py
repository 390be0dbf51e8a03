# SPDX-License-Identifier: Apache-2.0
"""Faults in an int8 file itself, and networks with several inputs."""

from __future__ import annotations

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from hil.bench.quant import samples_for
from hil.bench.task import Criterion
from hil.core.errors import DataError
from hil.core.records import Task
from hil.datasets import from_arrays, load_npz
from hil.quant import Budget, Judge, Samples, compare, match
from hil.reference import encode_inputs
from hil.runs.schema_quant import QuantPair
from hil.tflite import read_model
from tests.quant.checked import codes
from tests.support.quantised import network, samples
from tests.support.tflite import Net

X = samples(100)
MANY = 70_000  # products of 255 x 127 that together pass 31 bits


def test_a_bias_in_another_scale() -> None:
    net = network(4).calibrated(X)
    model = schema.ModelT.InitFromPackedBuf(net.int8_file(), 0)
    (dense, *_) = (
        op for op in model.subgraphs[0].operators if len(op.inputs) == 3 and op.inputs[0] > 3
    )
    bias = model.subgraphs[0].tensors[dense.inputs[2]]
    values = model.buffers[bias.buffer].data.view(np.int32)
    bias.quantization.scale = bias.quantization.scale * 64
    model.buffers[bias.buffer].data = (values // 64).astype(np.int32).view(np.uint8)
    builder = flatbuffers.Builder(1 << 14)
    builder.Finish(model.Pack(builder), b"TFL3")
    pair = match(read_model(net.float_file()), read_model(bytes(builder.Output())))
    real = X.astype(np.float32)
    found = compare(pair, Samples("made", (real,), (encode_inputs(real, pair.coded.input),)))
    assert "quant-bias-scale" in codes(found)
    weights = next(one.weights for one in found.layers if one.name == "fully_connected_2")
    assert weights is not None
    assert weights.bias_scale == pytest.approx(63, rel=1e-3)


def wide_dense() -> QuantPair:
    """A dense layer whose sums pass 32 bits, on samples of two classes."""
    random = np.random.default_rng(0)
    labels = np.arange(40) % 2
    x = random.uniform(0.9, 1.0, (40, MANY)).astype(np.float32)
    w = np.full((2, MANY), 0.01, np.float32)
    x[labels == 1, : MANY // 2] *= 0.5
    w[1, : MANY // 2] *= 0.5
    real = Net().input((1, MANY)).dense(w, np.zeros(2, np.float32))
    scale = float(w.max() / 127)
    steps = np.rint(w / scale).astype(np.int8)
    coded = Net().input((1, MANY), "int8", 1 / 255, -128)
    coded.dense(steps, np.zeros(2, np.int32), scales=[scale] * 2, scale=800 / 255, zero=-128)
    pair = match(read_model(real.finish()), read_model(coded.finish()))
    truth = x @ w.T
    judge = Judge((truth - np.median(truth, axis=0)).argmax(1))
    return compare(
        pair, Samples("made", (x,), (encode_inputs(x, pair.coded.input),), judge), budget=Budget()
    )


def test_sums_beyond_32_bits() -> None:
    found = wide_dense()
    assert codes(found) == ["quant-arithmetic"]
    assert found.simulated is not None
    assert found.simulated.sqnr is not None
    assert found.simulated.sqnr > 40  # rounding alone costs nothing
    weights = found.layers[1].weights
    assert weights is not None
    assert weights.sums is not None
    assert weights.sums > 1


def two_inputs(kind: str) -> bytes:
    net = Net().input((1, 4), *(("int8", 1 / 127, 0) if kind == "int8" else ()))
    first = net.current
    net.input((1, 4), *(("int8", 1 / 127, 0) if kind == "int8" else ()))
    second = net.current
    net.graph.inputs = [first, second]
    net.graph.tensors[first].name, net.graph.tensors[second].name = "left", "right"
    grid = {"scale": 2 / 127, "zero": 0} if kind == "int8" else {}
    net.op("ADD", (1, 4), more=[first], **grid)  # type: ignore[arg-type]  # scale and zero
    return net.finish()


def test_several_inputs(tmp_path: object) -> None:
    plain, coded = read_model(two_inputs("float32")), read_model(two_inputs("int8"))
    random = np.random.default_rng(3)
    arrays = {name: random.uniform(-1, 1, (50, 4)).astype(np.float32) for name in ("left", "right")}
    file = f"{tmp_path}/two.npz"
    np.savez(file, **arrays)  # type: ignore[arg-type]  # arrays by name
    samples = samples_for(load_npz(file), plain, coded, Criterion(Task.NONE), 30, Budget())
    assert len(samples) == 30
    found = compare(match(plain, coded), samples)
    assert [one.name for one in found.layers][:2] == ["left", "right"]
    assert [one.ops for one in found.layers] == ["INPUT", "INPUT", "ADD"]
    assert found.findings == ()
    assert found.int8.right is None
    assert found.int8.sqnr is not None
    assert found.int8.sqnr > 35


def test_samples_of_no_type_that_fits() -> None:
    net = network().calibrated(X)
    plain, coded = read_model(net.float_file()), read_model(net.int8_file())
    odd = from_arrays(np.zeros((20, 6, 6, 1), np.int16), None)
    with pytest.raises(DataError):
        samples_for(odd, plain, coded, Criterion(Task.NONE), 10, Budget())
