# SPDX-License-Identifier: Apache-2.0
"""The networks of the laboratory's recipes with random weights and int8 scales that fit them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tests.support.tflite import RELU, SAME, Net

# (filters of each convolution, does LeakyReLU and pooling follow it?, units of the dense layers)
CIFAR10: dict[str, tuple[Sequence[tuple[int, bool]], Sequence[int]]] = {
    "student": (((32, True), (32, True)), (16, 10)),
    "teacher_v1": (((256, True), (512, False)), (10,)),
    "teacher_v2": (((256, True), (256, True), (512, True)), (128, 10)),
}


class Maker:
    """Appends layers whose int8 outputs fill their range, going by the spread of random sums."""

    def __init__(self, precision: str, shape: tuple[int, ...], scale: float, zero: int) -> None:
        self.random = np.random.default_rng([len(shape), *shape])
        self.real = precision == "float32"
        self.net = Net().input(shape, precision, *(() if self.real else (scale, zero)))

    def weights(self, *shape: int) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]]:
        """Weights with outputs first, and their biases."""
        taps = int(np.prod(shape[1:]))
        if self.real:
            spread = float(np.sqrt(2 / taps))
            found = self.random.normal(scale=spread, size=shape).astype(np.float32)
            return found, self.random.normal(scale=0.1, size=shape[0]).astype(np.float32)
        codes = self.random.integers(-127, 128, shape).astype(np.int8)
        return codes, self.random.integers(-2000, 2000, shape[0]).astype(np.int32)

    def quantisation(self, channels: int, taps: int) -> dict[str, object]:
        """One scale per channel, and an output scale at which the sums neither vanish nor clip."""
        if self.real:
            return {}
        scales = self.random.uniform(0.001, 0.004, channels).astype(np.float32).astype(float)
        spread = 74 * 74 * np.sqrt(taps) * float(np.median(scales)) * self.net.scale
        return {"scales": scales.tolist(), "scale": float(spread / 40), "zero": -20}

    def conv(self, filters: int) -> None:
        """3x3, stride 2, same padding."""
        cin = self.net.shape[3]
        weights, bias = self.weights(filters, 3, 3, cin)
        more = self.quantisation(filters, 9 * cin)
        self.net.conv(weights, bias, strides=(2, 2), padding=SAME, **more)  # type: ignore[arg-type]

    def leaky_and_pool(self, alpha: float) -> None:
        """LeakyReLU, then the largest of 2x2 at stride 1, same padding."""
        self.net.leaky(alpha, **({} if self.real else {"scale": self.net.scale * 0.7, "zero": -70}))
        self.net.pool((2, 2), (1, 1), padding=SAME)

    def dense(self, units: int, *, last: bool) -> None:
        """With a ReLU, except for the last one."""
        taps = self.net.shape[-1]
        weights, bias = self.weights(units, taps)
        more = self.quantisation(units, taps)
        act = 0 if last else RELU
        self.net.dense(weights, bias, act=act, **more)  # type: ignore[arg-type]


def cifar10(name: str, precision: str, alpha: float = 0.2) -> bytes:
    """A network of the `cifar10` recipe on (1, 32, 32, 3)."""
    convolutions, dense = CIFAR10[name]
    maker = Maker(precision, (1, 32, 32, 3), 1 / 255, -128)
    for filters, more in convolutions:
        maker.conv(filters)
        if more:
            maker.leaky_and_pool(alpha)
    maker.net.reshape((1, int(np.prod(maker.net.shape))))
    for units in dense:
        maker.dense(units, last=units == dense[-1])
    return maker.net.finish()


def dense_only(features: int, units: Sequence[int], precision: str) -> bytes:
    """Only dense layers; in int8 the input has the scale and zero point of real features."""
    maker = Maker(precision, (1, features), 0.0371, 11)
    for width in units[:-1]:
        maker.dense(width, last=False)
    maker.dense(units[-1], last=True)
    return maker.net.finish()
