# SPDX-License-Identifier: Apache-2.0
"""Which operators are fused, and that operators which aot does not support are refused by name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hil.core.errors import ModelError
from hil.engines.aot import generate
from hil.engines.aot.plan import plan
from hil.engines.aot.values.unweighted import Pooling
from hil.engines.aot.weighted.conv import Conv
from hil.tflite import read_model
from tests.support.tflite import RELU, SAME, TANH, Net, float_cnn, int8_cnn


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def image(size: int = 6, channels: int = 2) -> Net:
    return Net().input((1, size, size, channels))


def steps(net: Net) -> list[str]:
    return [type(s).__name__ for s in plan(read_model(net.finish()))]


def test_convolution_activation_and_pooling_become_one_step() -> None:
    net = image().conv(ones(3, 3, 3, 2), ones(3)).simple("RELU").pool((2, 2), (2, 2)).leaky(0.1)
    (step,) = plan(read_model(net.finish()))
    assert isinstance(step, Conv)
    assert step.pool is not None
    assert [f.function for f in step.pre.real] == ["hil_clampf", "hil_relu"]
    assert [f.function for f in step.post.real] == ["hil_clampf", "hil_leaky"]


def test_the_students_shape_has_two_steps() -> None:
    assert steps(float_cnn()) == ["Conv", "Conv"]
    assert steps(int8_cnn()) == ["Conv", "Conv"]


def test_overlapping_pooling_is_not_fused() -> None:
    assert steps(image().conv(ones(3, 3, 3, 2), ones(3)).pool((3, 3), (2, 2), padding=SAME)) == [
        "Conv",
        "Pooling",
    ]
    assert steps(image().conv(ones(3, 3, 3, 2), ones(3)).pool((2, 2), (1, 1))) == [
        "Conv",
        "Pooling",
    ]


def test_pooling_that_ends_outside_is_not_fused() -> None:
    net = image(5).conv(ones(3, 3, 3, 2), ones(3)).pool((2, 2), (2, 2), padding=SAME)
    assert steps(net) == ["Conv", "Pooling"]


def test_an_activation_after_a_pooling_joins_it() -> None:
    (step,) = plan(read_model(image().pool((2, 2), (2, 2)).simple("RELU6").finish()))
    assert isinstance(step, Pooling)
    assert [f.function for f in step.post.real] == ["hil_clampf", "hil_relu6"]


def test_a_model_that_only_reshapes_is_copied() -> None:
    assert steps(Net().input((1, 4)).reshape((2, 2))) == ["Copy"]


def test_a_value_with_two_uses_is_not_fused() -> None:
    net = image().conv(ones(3, 3, 3, 2), ones(3))
    made = net.current
    net.simple("RELU")
    net.graph.outputs = [made, net.current]
    assert steps(net) == ["Conv", "Map"]


def test_branches_are_planned() -> None:
    assert steps(branch()) == ["Map"]  # nothing uses the other one


def test_every_reason_is_named_at_once() -> None:
    net = dense().simple("IMAG").simple("REAL").simple("IMAG")
    with pytest.raises(ModelError) as caught:
        plan(read_model(net.finish()))
    assert caught.value.what == (
        "operator 0 (IMAG) version 1: engine aot does not support it (and 1 more); "
        "operator 1 (REAL) version 1: engine aot does not support it"
    )


def dense(dtype: str = "float32") -> Net:
    if dtype == "int8":
        return Net().input((1, 4), "int8", 0.1, 0)
    return Net().input((1, 4))


def int8_weights(**changes: object) -> Net:
    values: dict[str, object] = {"scales": [0.1] * 3, "scale": 0.5, "zero": 0, **changes}
    return dense("int8").dense(np.ones((3, 4), np.int8), np.ones(3, np.int32), **values)  # type: ignore[arg-type]


def branch() -> Net:
    net = dense().simple("RELU")
    net.current = net.graph.inputs[0]
    return net.simple("RELU6")


def half_weights() -> Net:
    net = dense()
    net.graph.operators, net.model.operatorCodes = [], []
    net.dense(ones(3, 4))
    net.graph.tensors[1].type = 1
    net.model.buffers[1].data = np.zeros(24, np.uint8)
    return net


def asymmetric() -> Net:
    net = int8_weights()
    net.graph.tensors[1].quantization.zeroPoint = [1, 1, 1]
    return net


def huge_bias() -> Net:
    bias = np.full(3, 2**31 - 1, np.int32)
    return dense("int8").dense(np.ones((3, 4), np.int8), bias, scales=[0.1], scale=0.5, zero=0)


def off_scale_softmax() -> Net:
    net = dense("int8").softmax()
    net.graph.tensors[-1].quantization.scale = [0.5]
    return net


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: dense().simple("IMAG"), r"operator 0 \(IMAG\) version 1: engine aot does not"),
        (lambda: dense().simple("REAL"), r"\(REAL\).*aot supports CONV_2D"),
        (lambda: dense().dense(ones(3, 4), act=TANH), r"\(FULLY_CONNECTED\).*fused activation 4"),
        (half_weights, r"\(FULLY_CONNECTED\).*weights of TensorType 1"),
        (asymmetric, r"\(FULLY_CONNECTED\).*not symmetric"),
        (huge_bias, r"\(FULLY_CONNECTED\).*may leave 32 bits"),
        (off_scale_softmax, r"\(SOFTMAX\).*1/256"),
        (lambda: Net().input((1, 5000), "int8", 0.1, 0).softmax(), r"\(SOFTMAX\).*5000 classes"),
        (lambda: Net().input((1, 4), "int8", 1e-9, 0).softmax(), "SOFTMAX of scale"),
        (lambda: int8_weights(scale=1e-12), "scales its sums by"),
        (lambda: dense().dense(ones(3, 4) * np.inf), r"weight that is not a finite"),
        (lambda: dense().dense(ones(3, 4), ones(3) * np.nan), r"bias that is not a finite"),
        (lambda: Net().input((1, 4), "uint8"), "without a valid scale"),
        (lambda: Net().input((1, 1 << 23)).simple("RELU"), "values are the limit"),
        (lambda: dense().op("QUANTIZE", (1, 4), dtype="uint8"), "without a valid scale"),
    ],
)
def test_what_aot_does_not_support_is_refused_by_name(make: Callable[[], Net], says: str) -> None:
    with pytest.raises(ModelError, match=says) as caught:
        generate(read_model(make().finish()), "net", "net.tflite")
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_float_edges_of_an_int8_network_are_supported() -> None:
    net = dense().op("QUANTIZE", (1, 4), dtype="int8", scale=0.1, zero=3)
    net.dense(
        np.ones((3, 4), np.int8), np.ones(3, np.int32), scales=[0.1], scale=0.5, zero=0, act=RELU
    )
    net.op("DEQUANTIZE", (1, 3), dtype="float32")
    assert steps(net) == ["Map", "Conv", "Map"]


def test_a_batch_a_dilation_and_groups_are_loops_around_a_convolution() -> None:
    net = Net().input((2, 6, 6, 2)).conv(ones(3, 3, 3, 2), ones(3))
    assert steps(net.pool((2, 2), (2, 2))) == ["Repeated"]
    assert steps(image().conv(ones(3, 2, 2, 2), ones(3), dilation=(2, 1))) == ["Collected"]
    # the distance of a single row to the next does not matter
    assert steps(image().conv(ones(3, 1, 2, 2), ones(3), dilation=(2, 1))) == ["Conv"]
    assert steps(image(channels=4).conv(ones(4, 3, 3, 2), ones(4))) == ["Collected"]
    # a group of one channel each is a depthwise convolution
    assert steps(image(channels=4).conv(ones(8, 3, 3, 1), ones(8))) == ["Conv"]
