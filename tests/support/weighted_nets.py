# SPDX-License-Identifier: Apache-2.0
"""Random weighted layers that are not plain convolutions: dilated, over batches, in groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from tests.support.random_nets import Maker
from tests.support.tflite import SAME, VALID


class Maker16(Maker):
    """Makes networks of int16 values with int8 weights."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, "int16")

    def _zero(self) -> int:
        return 0

    def _function(self) -> None:
        """int16 has other functions, which are not of this file."""

    def _bias(
        self, count: int, spread: int = 100_000, needed: bool = False
    ) -> npt.NDArray[np.generic] | None:
        if self.random.random() < 0.15 and not needed:
            return None
        narrow = self.random.random() < 0.2 and spread > 500  # of depthwise ones it must be int64
        if self.extreme and not narrow:
            spread = 1 << 40
        values = self.random.integers(-spread, spread, count)
        return values.astype(np.int32 if narrow else np.int64)

    def _dense(self, outputs: int = 0) -> None:
        if self.random.random() < 0.3:  # more than 32 bits can hold
            self.net.reshape((1, int(np.prod(self.net.shape))))
        super()._dense(outputs)

    def _quantisation(self, channels: int, taps: int) -> dict[str, object]:
        found = super()._quantisation(channels, taps)
        scales: Any = found["scales"]
        typical = float(np.median(scales)) * self.net.scale * 74 * 19_000 * np.sqrt(taps) / 16_384
        # the factor must stay below 128
        low = max(typical * 2.0 ** self.random.uniform(-2, 2), max(scales) * self.net.scale / 100)
        return {**found, "scale": float(np.float32(low))}


class HybridMaker(Maker):
    """Makes networks of float32 values with int8 weights."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, "float32")
        self.one = False

    def _weights(self, shape: tuple[int, ...]) -> npt.NDArray[np.generic]:
        return self.random.integers(-127, 128, shape).astype(np.int8)

    def _quantisation(self, channels: int, taps: int) -> dict[str, object]:
        del taps
        count = 1 if self.one else channels
        scales = (2.0 ** self.random.uniform(-10, -4, count)).astype(np.float32)
        return {"scales": [float(s) for s in scales]}

    def _conv(
        self, counts: Sequence[int] = (1, 2, 3, 4, 5, 7, 8, 11, 16), *, plain: bool = False
    ) -> None:
        self.one = bool(self.random.random() < 0.4)
        super()._conv(counts, plain=plain)
        self.one = False

    def _dense(self, outputs: int = 0) -> None:
        self.one = bool(self.random.random() < 0.4)
        super()._dense(outputs)
        self.one = False
        options = self.net.graph.operators[-1].builtinOptions
        options.asymmetricQuantizeInputs = bool(self.random.random() < 0.5)


class Int4Maker(Maker):
    """Makes networks of int8 values with int4 weights."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, "int8")
        self.net.weights = "int4"

    def _weights(self, shape: tuple[int, ...]) -> npt.NDArray[np.generic]:
        return self.random.integers(-8, 8, shape).astype(np.int8)


def dilated(maker: Maker) -> None:
    """A convolution or depthwise convolution that skips rows or columns."""
    net = maker.net
    if len(net.shape) != 4:
        return
    height, width, padding = maker._window(4)
    steps = maker._int(1, 3), maker._int(1, 3)
    sizes = [
        taps if padding == SAME else min(taps, (size - 1) // step + 1)
        for taps, size, step in zip((height, width), net.shape[1:3], steps, strict=True)
    ]
    cin = net.shape[3]
    depthwise = bool(maker.random.random() < 0.4)
    multiplier = maker._int(1, 2)
    channels = cin * multiplier if depthwise else maker._int(1, 9)
    shape = (1, *sizes, channels) if depthwise else (channels, *sizes, cin)
    more: Any = maker._quantisation(channels, sizes[0] * sizes[1] * (1 if depthwise else cin))
    net.conv(
        maker._weights(shape),
        maker._bias(channels, needed=maker.real),
        strides=(1, 1) if max(steps) > 1 else maker._strides(),
        padding=padding,
        act=maker._act(),
        depthwise=depthwise,
        dilation=steps,
        **more,
    )


def grouped(maker: Maker) -> None:
    """A convolution in two or more groups, perhaps with skipped rows or columns."""
    net = maker.net
    if len(net.shape) != 4 or net.shape[3] == 1:
        return
    height, width, padding = maker._window(3)
    cin = net.shape[3]
    counts = [n for n in range(2, cin + 1) if cin % n == 0]
    groups = counts[maker._int(0, len(counts) - 1)]
    channels = groups * maker._int(1, 9)
    dilation = (1, 2 if padding == SAME and maker.random.random() < 0.2 else 1)
    more: Any = maker._quantisation(channels, height * width * cin // groups)
    net.conv(
        maker._weights((channels, height, width, cin // groups)),
        maker._bias(channels, needed=maker.real),
        strides=(1, 1) if dilation != (1, 1) else maker._strides(),
        padding=padding,
        act=maker._act(),
        dilation=dilation,
        **more,
    )


def transposed(maker: Maker) -> None:
    """A transposed convolution, with an output of any size that its padding allows."""
    net = maker.net
    if len(net.shape) != 4:
        return
    taps, strides = maker._ints(2, 1, 4), maker._ints(2, 1, 3)
    padding = int(maker.random.choice([SAME, VALID]))
    sizes = [
        n * stride - maker._int(0, min(stride - 1, n * stride - 1))
        if padding == SAME
        else (n - 1) * stride + max(window, stride)
        for n, window, stride in zip(net.shape[1:3], taps, strides, strict=True)
    ]
    cin, channels = net.shape[3], maker._int(1, 6)
    shape = (net.shape[0], *sizes, channels)
    more: Any = maker._quantisation(channels, taps[0] * taps[1] * cin)
    bias = maker._bias(channels, 400)
    weights = maker._weights((channels, *taps, cin))
    constants = net.constants(weights, bias, more.pop("scales", ()), 0)
    options = schema.TransposeConvOptionsT()
    options.padding, options.fusedActivationFunction = padding, maker._act()
    options.strideH, options.strideW = strides
    target = net.tensor([4], "int32", np.array(shape, np.int32))
    x = net.current
    net.op("TRANSPOSE_CONV", shape, options, "TransposeConvOptions", version=3, **more)
    net.graph.operators[-1].inputs = [target, constants[0], x, *constants[1:]]


def dense(maker: Maker) -> None:
    """A dense layer, sometimes of very many values."""
    maker._dense()


def any_conv(maker: Maker) -> None:
    """A convolution, perhaps depthwise or followed by a pooling that fuses."""
    if len(maker.net.shape) == 4:
        (maker._conv if maker.random.random() < 0.6 else maker._depthwise)()


LAYERS: dict[str, Callable[[Maker], None]] = {
    "dilated": dilated,
    "grouped": grouped,
    "transposed": transposed,
    "dense": dense,
    "conv": any_conv,
}


MAKERS: dict[str, Callable[[int], Maker]] = {
    "int16": Maker16,
    "hybrid": HybridMaker,
    "int4": Int4Maker,
}


def make_weighted(seed: int, kind: str, layer: str, batch: int = 1) -> bytes:
    """A network of one to four layers: ``layer``, and others; ``kind``: of `Maker` or `MAKERS`."""
    maker = MAKERS[kind](seed) if kind in MAKERS else Maker(seed, kind)
    random, net = maker.random, maker.net
    channels = int(random.choice([4, 6, 9] if layer == "grouped" else [1, 2, 3, 4, 8]))
    shape = (batch, *maker._ints(2, 1, 14 if layer == "dense" else 10), channels)
    if maker.real:
        net.input(shape)
    else:
        net.input(shape, kind if kind == "int16" else "int8", maker._scale(), maker._zero())
    names = [layer, str(random.choice(list(LAYERS))), "function", "pool"]
    for name in names[: maker._int(1, 4)]:
        if name in LAYERS:
            LAYERS[name](maker)
        elif name == "function" or len(net.shape) == 4:
            getattr(maker, f"_{name}")()
    return net.finish()
