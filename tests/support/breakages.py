# SPDX-License-Identifier: Apache-2.0
"""A padded int8 network, and the same with a fault in its file.

TFLM's results for the broken file are what a device must compute whose firmware has that fault.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hil.engines import ENGINES
from hil.reference import layer_tensors
from hil.tflite import read_model
from tests.support.tflite import RELU, SAME, VALID, Net

Values = npt.NDArray[np.generic]
SCALES = [0.004, 0.006, 0.005, 0.003]


def padded(
    weights: Values, scales: list[float], *, padding: int = SAME, size: tuple[int, int] = (9, 7)
) -> bytes:
    """3x3 convolution with ``weights``, then a dense layer; input 9x7x2, 3 outputs."""
    random = np.random.default_rng(5)
    net = Net().input((1, *size, 2), "int8", 1 / 255, -128)
    bias = random.integers(-500, 500, 4).astype(np.int32)
    net.conv(weights, bias, act=RELU, padding=padding, scales=scales, scale=0.05, zero=-128)
    dense = random.integers(-127, 128, (3, 9 * 7 * 4)).astype(np.int8)
    net.reshape((1, 9 * 7 * 4))
    return net.dense(dense, scales=[0.004] * 3, scale=0.9, zero=5).finish()


def weights() -> Values:
    return np.random.default_rng(6).integers(-127, 128, (4, 3, 3, 2)).astype(np.int8)


def whole() -> bytes:
    """The file as it is."""
    return padded(weights(), SCALES)


def layers(data: bytes, x: Values, folder: Path) -> list[Values]:
    """TFLM's results for ``x`` (1, *input shape), layer by layer."""
    (folder / "other.tflite").write_bytes(data)
    tensors = [layer.tensor for layer in ENGINES["aot"].layers(read_model(data))]
    return list(layer_tensors(folder / "other.tflite", x, tensors, tflm=True))


def _weight(x: Values, folder: Path) -> list[Values]:
    broken = weights()
    flat = broken[2].reshape(-1)
    flat[np.abs(flat.astype(int)).argmax()] = 0
    return layers(padded(broken, SCALES), x, folder)


def _shift(x: Values, folder: Path) -> list[Values]:
    # half the scale is one more bit of shift; the bias is in units of the scale and stays
    return layers(padded(weights(), [0.004, 0.006, 0.0025, 0.003]), x, folder)


def _padding(x: Values, folder: Path) -> list[Values]:
    # the picture in a frame of zeros, with none above and two rows below
    framed = np.full((1, 1, 11, 9, 2), -128, np.int8)
    framed[:, :, :9, 1:8] = x
    return layers(padded(weights(), SCALES, padding=VALID, size=(11, 9)), framed, folder)


# fault -> function from (input, folder) to TFLM's results with that fault, layer by layer
BREAKAGES: dict[str, Callable[[Values, Path], list[Values]]] = {
    "weight:net:0:2": _weight,
    "shift:net:0:2": _shift,
    "padding:net:0": _padding,
}
