# SPDX-License-Identifier: Apache-2.0
"""Small networks for tests, made with `hil.tflite.writer`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hil.tflite.graph import SAME, VALID
from hil.tflite.writer import (
    NONE,
    RELU,
    RELU6,
    RELU_N1_TO_1,
    SCALED,
    TANH,
    TYPES,
    Net,
)

__all__ = [
    "NONE",
    "RELU",
    "RELU6",
    "RELU_N1_TO_1",
    "SAME",
    "SCALED",
    "TANH",
    "TYPES",
    "VALID",
    "Net",
    "float_cnn",
    "int8_cnn",
]


def float_cnn(seed: int = 0) -> Net:
    """A small float32 network like the tutorial's student: 8x8x1 to 3 logits."""
    random = np.random.default_rng(seed)

    def values(*shape: int) -> npt.NDArray[np.float32]:
        return random.normal(size=shape).astype(np.float32)

    net = Net().input((1, 8, 8, 1))
    net.conv(values(4, 3, 3, 1), values(4), act=RELU).pool((2, 2), (2, 2))
    return net.reshape((1, 36)).dense(values(3, 36), values(3))


def int8_cnn(seed: int = 0) -> Net:
    """The same in int8, per channel."""
    random = np.random.default_rng(seed)

    def codes(*shape: int) -> npt.NDArray[np.int8]:
        return random.integers(-127, 128, shape).astype(np.int8)

    net = Net().input((1, 8, 8, 1), "int8", 1 / 255, -128)
    bias = random.integers(-500, 500, 4).astype(np.int32)
    scales = random.uniform(0.002, 0.01, 4).tolist()
    net.conv(codes(4, 3, 3, 1), bias, act=RELU, scales=scales, scale=0.02, zero=-128)
    net.pool((2, 2), (2, 2)).reshape((1, 36))
    bias = random.integers(-500, 500, 3).astype(np.int32)
    scales = random.uniform(0.002, 0.01, 3).tolist()
    return net.dense(codes(3, 36), bias, scales=scales, scale=0.1, zero=5)
