# SPDX-License-Identifier: Apache-2.0
"""A network in float32 and in int8, quantised here with NumPy, and what both compute in NumPy.

The network is a convolution of 3x3 with RELU, then dense layers, RELU between them. It is the
oracle of tests/quant: nothing of `hil.quant` is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from tests.support.tflite import NONE, RELU, Net

Reals = npt.NDArray[np.float64]

SIDE, FILTERS = 6, 4
INNER = SIDE - 2


@dataclass(frozen=True)
class Range:
    """What an int8 tensor holds, asymmetric, 0 included, as LiteRT's converter chooses it."""

    low: float
    high: float

    @property
    def scale(self) -> float:
        low, high = min(self.low, 0.0), max(self.high, 0.0)
        return float(np.float32((high - low) / 255))

    @property
    def zero(self) -> int:
        return int(np.clip(round(-128 - min(self.low, 0.0) / self.scale), -128, 127))

    def codes(self, x: Reals) -> npt.NDArray[np.int64]:
        steps = np.clip(np.rint(x / self.scale) + self.zero, -128, 127)
        return np.asarray(steps, np.int64)

    def rounded(self, x: Reals) -> Reals:
        return np.asarray((self.codes(x) - self.zero) * self.scale, np.float64)


@dataclass(frozen=True)
class Weights:
    """(channels, ...) real weights and (channels,) biases."""

    w: Reals
    b: Reals


@dataclass
class Network:
    """``layers``: a convolution (FILTERS, 3, 3, 1), then dense ones. ``ranges``: of the input and
    of each layer's output. ``per_channel``: scales of the weights."""

    layers: list[Weights]
    ranges: list[Range] = field(default_factory=list)
    per_channel: bool = True

    def values(self, x: Reals) -> list[Reals]:
        """The float32 network's input and outputs, (n, ...)."""
        return self._run(x, [one.w for one in self.layers], [None] * (len(self.layers) + 1))

    def simulated(self, x: Reals, layers: Sequence[int]) -> list[Reals]:
        """The same with layers rounded, 0 the input: weights, then outputs."""
        weights = [
            self.real_weights(i) if i + 1 in layers else one.w for i, one in enumerate(self.layers)
        ]
        grids = [one if i in layers else None for i, one in enumerate(self.ranges)]
        return self._run(x, weights, grids)

    def _run(
        self, x: Reals, weights: Sequence[Reals], grids: Sequence[Range | None]
    ) -> list[Reals]:
        found = [x if grids[0] is None else grids[0].rounded(x)]
        for i, (w, layer) in enumerate(zip(weights, self.layers, strict=True)):
            x = found[-1]
            if i == 0:
                patches = np.lib.stride_tricks.sliding_window_view(x[..., 0], (3, 3), (1, 2))
                y = np.einsum("nijab,kab->nijk", patches, w[..., 0]) + layer.b
            else:
                y = x.reshape(len(x), -1) @ w.T + layer.b
            y = y if i == len(weights) - 1 else np.maximum(y, 0)
            grid = grids[i + 1]
            found.append(y if grid is None else grid.rounded(y))
        return found

    def calibrated(self, x: Reals, factor: float = 1.0) -> Network:
        """With the ranges of these samples, times a factor."""
        ranges = [Range(float(v.min()) * factor, float(v.max()) * factor) for v in self.values(x)]
        return replace(self, ranges=ranges)

    def scales(self, i: int) -> Reals:
        """Of a layer's weights."""
        flat = np.abs(self.layers[i].w).reshape(len(self.layers[i].w), -1).max(1)
        one = flat if self.per_channel else flat.max(keepdims=True)
        return np.asarray(np.float32(np.maximum(one, 1e-12) / 127), np.float64)

    def codes(self, i: int) -> npt.NDArray[np.int8]:
        w = self.layers[i].w
        scales = self.scales(i).reshape(-1, *[1] * (w.ndim - 1))
        return np.clip(np.rint(w / scales), -127, 127).astype(np.int8)

    def real_weights(self, i: int) -> Reals:
        w = self.layers[i].w
        return self.codes(i) * self.scales(i).reshape(-1, *[1] * (w.ndim - 1))

    def float_file(self) -> bytes:
        net = Net().input((1, SIDE, SIDE, 1))
        for i, one in enumerate(self.layers):
            act = NONE if i == len(self.layers) - 1 else RELU
            w, b = one.w.astype(np.float32), one.b.astype(np.float32)
            if i == 0:
                net.conv(w, b, act=act).reshape((1, INNER * INNER * FILTERS))
            else:
                net.dense(w, b, act=act)
        return net.finish()

    def int8_file(self) -> bytes:
        first = self.ranges[0]
        net = Net().input((1, SIDE, SIDE, 1), "int8", first.scale, first.zero)
        for i, one in enumerate(self.layers):
            act = NONE if i == len(self.layers) - 1 else RELU
            out = self.ranges[i + 1]
            scales = self.scales(i)
            limits = -(2**30), 2**30
            bias = np.clip(np.rint(one.b / (scales * net.scale)), *limits).astype(np.int32)
            found = {"act": act, "scales": scales.tolist(), "scale": out.scale, "zero": out.zero}
            if i == 0:
                net.conv(self.codes(i), bias, **found).reshape((1, INNER * INNER * FILTERS))
            else:
                net.dense(self.codes(i), bias, **found)
        return net.finish()


def samples(n: int = 120, seed: int = 1) -> Reals:
    """Real inputs from 0 to 1."""
    return np.random.default_rng(seed).uniform(0, 1, (n, SIDE, SIDE, 1))


def network(seed: int = 0, hidden: int = 12, classes: int = 5) -> Network:
    """Random weights; not calibrated yet."""
    random = np.random.default_rng(seed)
    size = INNER * INNER * FILTERS
    shapes = [(FILTERS, 3, 3, 1), (hidden, size), (classes, hidden)]
    layers = []
    for shape in shapes:
        w = random.normal(size=shape) / np.sqrt(np.prod(shape[1:]))
        layers.append(Weights(w, random.normal(size=shape[0]) * 0.1))
    return Network(layers)


def decibels(real: Reals, found: Reals) -> float:
    return float(10 * np.log10(np.square(real).sum() / np.square(real - found).sum()))
