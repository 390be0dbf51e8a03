# SPDX-License-Identifier: Apache-2.0
"""The reader's result for good files, and that each kind of bad file is refused in one line."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil.core.errors import ModelError
from hil.core.records import DType, Precision, TensorSpec
from hil.tflite import read_model
from tests.support.tflite import RELU, SAME, Net, float_cnn, int8_cnn


def test_a_float32_network_is_read_completely(tmp_path: Path) -> None:
    data = float_cnn().finish()
    path = tmp_path / "net.tflite"
    path.write_bytes(data)
    graph = read_model(path)
    assert graph.sha256 == hashlib.sha256(data).hexdigest()
    assert graph.precision is Precision.FLOAT32
    assert graph.input == TensorSpec(DType.FLOAT32, (1, 8, 8, 1))
    assert graph.output == TensorSpec(DType.FLOAT32, (1, 3))
    assert [o.code for o in graph.operators] == [
        "CONV_2D",
        "MAX_POOL_2D",
        "RESHAPE",
        "FULLY_CONNECTED",
    ]
    # 4 kernels of 3x3 and their biases, then 36 -> 3
    assert graph.parameters == 4 * 9 + 4 + 36 * 3 + 3
    assert graph.macs == 6 * 6 * 4 * 9 + 36 * 3
    assert dict(graph.operators[0].options) == {
        "padding": 1,
        "stride_w": 1,
        "stride_h": 1,
        "activation": RELU,
        "dilation_w": 1,
        "dilation_h": 1,
        "bias_type": 0,
    }


def test_an_int8_network_keeps_its_quantisation() -> None:
    graph = read_model(int8_cnn().finish())
    assert graph.precision is Precision.INT8
    assert graph.input == TensorSpec(DType.INT8, (1, 8, 8, 1), float(np.float32(1 / 255)), -128)
    assert graph.output.zero_point == 5
    weights = graph.tensors[graph.operators[0].inputs[1]]
    assert weights.shape == (4, 3, 3, 1)
    assert len(weights.scales) == 4
    assert weights.data is not None
    assert weights.data.dtype == np.int8
    assert not weights.data.flags.writeable


def test_constants_keep_their_values() -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    graph = read_model(Net().input((1, 4)).dense(values, np.ones(3, np.float32)).finish())
    weights = graph.tensors[graph.operators[0].inputs[1]].data
    assert weights is not None
    np.testing.assert_array_equal(weights, values)


def test_an_unknown_operator_is_only_named() -> None:
    graph = read_model(Net().input((1, 4)).simple("TANH").finish())
    assert graph.operators[0].code == "TANH"


def _chain() -> Any:
    """RELU and RELU6 of one input."""
    return Net().input((1, 4)).simple("RELU").simple("RELU6")


def test_an_operator_that_reads_before_anything_is_written_is_refused() -> None:
    net = _chain()
    net.graph.operators.reverse()
    with pytest.raises(ModelError, match=r"operator 0 \(RELU6\) reads tensor 1 .*before"):
        read_model(net.finish())


def test_a_cycle_is_refused() -> None:
    net = _chain()
    net.graph.operators[0].inputs = [2]
    with pytest.raises(ModelError, match=r"operator 0 \(RELU\) reads tensor 2 .*before"):
        read_model(net.finish())


def test_a_tensor_that_is_written_twice_is_refused() -> None:
    net = _chain()
    net.graph.operators[1].outputs = [1]
    with pytest.raises(ModelError, match=r"operator 1 \(RELU6\) writes tensor 1 .*already"):
        read_model(net.finish())


def test_an_output_that_nothing_writes_is_refused() -> None:
    net = _chain()
    net.graph.outputs = [net.tensor((1, 4), "float32")]
    with pytest.raises(ModelError, match="no operator writes the output 3"):
        read_model(net.finish())


def test_several_inputs_and_outputs_keep_their_order() -> None:
    net = _chain()
    net.graph.inputs = [net.tensor((1, 2), "float32"), 0]
    net.graph.outputs = [2, 1]
    graph = read_model(net.finish())
    assert [spec.shape for spec in graph.inputs] == [(1, 2), (1, 4)]
    assert graph.output_indices == (2, 1)
    assert graph.names_out == ("t2", "t1")
    assert graph.input == graph.inputs[0]
    assert not graph.stateful
    assert not graph.open_batch


@pytest.mark.parametrize(
    "change",
    [
        lambda net: net.tensor((0,), "float32"),  # no operator uses it
        lambda net: setattr(net.graph.tensors[2].quantization, "quantizedDimension", 3),
    ],
)
def test_what_references_run_is_not_corrupt(change: Callable[[Any], object]) -> None:
    net = int8_cnn()
    net.graph.tensors[2].quantization = type(net.graph.tensors[1].quantization)()
    net.graph.tensors[2].quantization.scale = np.ones(4, np.float32)
    change(net)
    read_model(net.finish())


def test_depthwise_parameters_and_macs() -> None:
    weights = np.ones((1, 3, 3, 6), np.float32)
    net = (
        Net()
        .input((1, 5, 5, 3))
        .conv(weights, np.ones(6, np.float32), depthwise=True, padding=SAME)
    )
    graph = read_model(net.finish())
    assert graph.parameters == 54 + 6
    assert graph.macs == 5 * 5 * 6 * 9


def _change(change: Callable[[Any], None]) -> bytes:
    net = int8_cnn()
    change(net)
    return net.finish()


def _set(path: str, value: Any) -> Callable[[Any], None]:
    """Assign into a net: "graph.tensors.0.shape" and the like."""

    def change(net: Any) -> None:
        *parents, last = path.split(".")
        target = net
        for name in parents:
            target = target[int(name)] if name.isdigit() else getattr(target, name)
        setattr(target, last, value)

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_set("graph.tensors.0.shape", [1, 8, 8, -1]), "impossible shape"),
        (_set("graph.tensors.0.shape", [1 << 20, 1 << 20, 1, 1]), "impossible shape"),
        (_set("graph.tensors.0.shape", [1] * 7), "7 dimensions"),
        (_set("graph.tensors.1.buffer", 999), "buffer 999 does not exist"),
        (_set("graph.tensors.1.shape", [4, 3, 3, 2]), "bytes for shape"),
        (_set("graph.tensors.0.type", 8), "is complex64"),
        (_set("graph.tensors.0.quantization.scale", [0.0]), "not a positive number"),
        (_set("graph.tensors.0.quantization.scale", [float("nan")]), "not a positive number"),
        (_set("graph.tensors.0.quantization.scale", [1.0, 2.0]), "zero points"),
        (_set("graph.tensors.1.quantization.quantizedDimension", 9), "along axis 9"),
        (_set("graph.tensors.0.quantization.zeroPoint", [1 << 40]), "beyond 32 bits"),
        (_set("graph.tensors.0.quantization", None), "without a valid scale"),
        (_set("graph.operators.0.inputs", [0, 99, 2]), "a tensor that does not exist"),
        (_set("graph.operators.0.inputs", [0]), "1 inputs"),
        (_set("graph.operators.0.inputs", [0, -1, 2]), "3 inputs"),
        (_set("graph.operators.0.outputs", []), "0 outputs"),
        (_set("graph.operators.0.opcodeIndex", 77), "operator code 77"),
        (_set("graph.operators.0.builtinOptions.strideW", 0), "stride_w is 0"),
        (_set("graph.operators.0.builtinOptions.padding", 5), "padding"),
        (_set("graph.operators.1.builtinOptions.filterHeight", 0), "filter_h is 0"),
        (_set("graph.operators.0.builtinOptions.strideH", 2), "its output has shape"),
        (_set("graph.inputs", []), "no inputs"),
        (_set("graph.inputs", [-5]), "a tensor that does not exist"),
        (_set("model.subgraphs", []), "no subgraph"),
        (_set("model.version", 2), "not a version 3"),
    ],
)
def test_inconsistent_models_are_refused(change: Callable[[Any], None], says: str) -> None:
    with pytest.raises(ModelError, match=says) as caught:
        read_model(_change(change))
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_weights_that_do_not_fit_their_input_are_refused() -> None:
    net = Net().input((1, 4)).dense(np.ones((3, 5), np.float32))
    with pytest.raises(ModelError, match=r"operator 0 \(FULLY_CONNECTED\).*do not fit"):
        read_model(net.finish())


def test_a_bias_of_another_length_is_refused() -> None:
    net = Net().input((1, 4)).dense(np.ones((3, 4), np.float32), np.ones(2, np.float32))
    with pytest.raises(ModelError, match="2 biases for 3 channels"):
        read_model(net.finish())


def test_other_files_are_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a .tflite file"):
        read_model(b"PK\x03\x04 this is an archive")
    with pytest.raises(ModelError, match="not a .tflite file"):
        read_model(b"")
    with pytest.raises(ModelError, match=r"cannot read .*absent\.tflite: No such file"):
        read_model(tmp_path / "absent.tflite")
    with pytest.raises(ModelError, match="cannot read"):
        read_model(tmp_path)


def test_a_file_beyond_the_size_limit_is_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "huge.tflite"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # sparse: takes no space
    with pytest.raises(ModelError, match="larger than"):
        read_model(path)


@pytest.mark.parametrize(
    ("net", "wanted"),
    [
        (Net().input((1, 4)).softmax(), True),
        (Net().input((1, 4), "int8", 0.1, 0).softmax(), True),
        (Net().input((2, 2)).softmax().reshape((1, 4)), True),
        (Net().input((1, 4)).simple("LOGISTIC"), True),
        (Net().input((1, 4)).softmax().simple("RELU"), False),
        (float_cnn(), False),
        (int8_cnn(), False),
    ],
)
def test_whether_a_network_ends_in_probabilities(net: Net, wanted: bool) -> None:
    assert read_model(net.finish()).ends_in_probabilities == wanted
