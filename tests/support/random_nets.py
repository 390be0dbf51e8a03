# SPDX-License-Identifier: Apache-2.0
"""Random small networks: shapes, strides, paddings, operators and quantisations of all kinds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hil.core.errors import ModelError
from hil.engines.aot.plan import plan
from hil.tflite import Graph, read_model
from tests.support.tflite import NONE, RELU, RELU6, RELU_N1_TO_1, SAME, VALID, Net


class Maker:
    """Makes one network from a seed; ``kind``: "float32", "int8" or "mixed" (float32 edges)."""

    def __init__(self, seed: int, kind: str) -> None:
        self.random = np.random.default_rng([seed, len(kind)])
        self.kind = kind
        self.real = kind == "float32"
        self.idle = 0.0  # share of the output channels without weights
        self.tall = False  # windows and strides beyond the usual
        self.extreme = self.random.random() < 0.25
        self.net = Net()

    def make_in_fours(self, layers: int = 2) -> bytes:
        """After a first step, layers of 4, 8, ... channels, which may widen their inputs."""
        self.net.input(
            (1, *self._ints(2, 3, 13), self._int(1, 9)), "int8", self._scale(), self._zero()
        )
        self.net.simple("QUANTIZE", scale=self.net.scale, zero=self._zero())
        for _ in range(self._int(layers // 2, layers)):
            self._conv([4, 8, 12, 20])
        if self.random.random() < 0.4:
            self._conv([4, 8, 12, 20], plain=True)
            window = self.net.shape[1], self.net.shape[2]
            self.net.pool(window, window, average=True, act=self._act())
        if self.random.random() < 0.6:
            self._flatten()
            self._dense(4 * self._int(1, 6))
            self._dense()
        return self.net.finish()

    def make_apart(self, layers: int = 2) -> bytes:
        """After a first step, depthwise convolutions of up to 8 channels and of tall windows."""
        self.net.input(
            (1, *self._ints(2, 1, 14), self._int(2, 8)), "int8", self._scale(), self._zero()
        )
        self.net.simple("QUANTIZE", scale=self.net.scale, zero=self._zero())
        self.tall = True
        for _ in range(self._int(layers // 2, layers)):
            self._depthwise()
        return self.net.finish()

    def make_idle(self) -> bytes:
        """Convolutions, depthwise ones between them, half of whose channels have no weights."""
        self.net.input(
            (1, *self._ints(2, 4, 9), self._int(2, 8)), "int8", self._scale(), self._zero()
        )
        self.idle = 0.6
        for _ in range(self._int(2, 4)):
            self._conv([8, 12, 13], plain=bool(self.random.random() < 0.7))
            if self.random.random() < 0.6:
                self._depthwise()
        self.idle = 0.0
        self._conv([4, 5], plain=True)
        return self.net.finish()

    def make(self) -> bytes:
        image = self.random.random() < 0.8
        shape = (1, *self._ints(3, 1, 11)) if image else (1, self._int(1, 40))
        if image and self.random.random() < 0.4:
            shape = (*shape[:3], int(self.random.choice([1, 2, 3, 4, 8])))
        if self.kind == "int8":
            self.net.input(shape, "int8", self._scale(), self._zero())
        else:
            self.net.input(shape)
        if self.kind == "mixed":
            self.net.op("QUANTIZE", shape, scale=0.05, zero=self._zero(), dtype="int8")
        for _ in range(self._int(1, 6)):
            self._layer()
        if self.random.random() < 0.3 and self.net.shape[-1] > 1:
            self.net.softmax(float(self.random.choice([1.0, 1.0, 0.5, 2.0])))
        if self.kind == "mixed":
            self.net.op("DEQUANTIZE", self.net.shape, dtype="float32")
        return self.net.finish()

    def _int(self, low: int, high: int) -> int:
        return int(self.random.integers(low, high + 1))

    def _ints(self, count: int, low: int, high: int) -> tuple[int, ...]:
        return tuple(self._int(low, high) for _ in range(count))

    def _scale(self) -> float:
        span = (-14, 5) if self.extreme else (-7, 0)
        return float(np.float32(2.0 ** self.random.uniform(*span)))

    def _zero(self) -> int:
        values = [-128, 127, 0, self._int(-110, 60)]
        return int(self.random.choice(values, p=[0.3, 0.05, 0.15, 0.5]))

    def _act(self) -> int:
        return int(self.random.choice([NONE, RELU, RELU, RELU6, RELU_N1_TO_1]))

    def _layer(self) -> None:
        image = len(self.net.shape) == 4
        choices = ["dense", "function", "reshape"]
        if image:
            choices = ["conv", "conv", "conv", "depthwise", "depthwise", "pool", "pool", "pool"]
            choices += ["function", "function", "flatten", "dense"]
        getattr(self, f"_{self.random.choice(choices)}")()

    def _weights(self, shape: tuple[int, ...]) -> npt.NDArray[np.generic]:
        if self.real:
            return self.random.normal(scale=0.5, size=shape).astype(np.float32)
        weights = self.random.integers(-127, 128, shape).astype(np.int8)
        if self.idle:
            outputs = (
                weights.reshape(shape[0], -1) if shape[0] > 1 else weights.reshape(-1, shape[-1]).T
            )
            outputs[self.random.random(len(outputs)) < self.idle] = 0
        return weights

    def _bias(
        self, count: int, spread: int = 3000, needed: bool = False
    ) -> npt.NDArray[np.generic] | None:
        if self.random.random() < 0.15 and not needed:
            return None
        if self.real:
            return self.random.normal(size=count).astype(np.float32)
        spread = 1 << 28 if self.extreme and self.random.random() < 0.3 else spread
        return self.random.integers(-spread, spread, count).astype(np.int32)

    def _quantisation(self, channels: int, taps: int) -> dict[str, object]:
        """Scales of the weights, and of an output whose range the sums roughly fill."""
        if self.real:
            return {}
        many = self.random.random() < 0.7
        count = channels if many else 1
        scales = 2.0 ** self.random.uniform(-12, 0 if self.extreme else -5, count)
        scales = scales.astype(np.float32).astype(float)
        typical = float(np.median(scales)) * self.net.scale * 74 * 74 * np.sqrt(taps) * 2 / 128
        spread = 8 if self.extreme else 1
        scale = typical * 2.0 ** self.random.uniform(-spread, spread)
        scale = float(np.clip(scale, max(scales) * self.net.scale * 2.0**-25, 1e30))
        return {"scales": scales.tolist(), "scale": float(np.float32(scale)), "zero": self._zero()}

    def _window(self, largest: int) -> tuple[int, int, int]:
        """(height, width, padding) that fits the current image."""
        padding = int(self.random.choice([SAME, VALID]))
        sizes = [
            self._int(1, largest if padding == SAME else min(largest, s))
            for s in self.net.shape[1:3]
        ]
        if self.random.random() < 0.5:
            sizes = [min(3, sizes[0])] * 2 if padding == SAME else [min(*sizes, 3)] * 2
        return sizes[0], sizes[1], padding

    def _stride(self) -> int:
        return self._int(1, 4 if self.tall else 3)

    def _strides(self) -> tuple[int, int]:
        return (1, 1) if self.random.random() < 0.6 else (self._stride(), self._stride())

    def _conv(
        self, counts: Sequence[int] = (1, 2, 3, 4, 5, 7, 8, 11, 16), *, plain: bool = False
    ) -> None:
        """``plain``: without activation and pooling."""
        height, width, padding = self._window(5)
        channels = int(self.random.choice(counts))
        cin = self.net.shape[3]
        more = self._quantisation(channels, height * width * cin)
        self.net.conv(
            self._weights((channels, height, width, cin)),
            self._bias(channels, needed=self.real),  # LiteRT insists
            strides=self._strides(),
            padding=padding,
            act=NONE if plain else self._act(),
            **more,  # type: ignore[arg-type]
        )
        if not plain and self.random.random() < 0.5:
            self._fusable_pool()

    def _fusable_pool(self) -> None:
        height = self._int(1, min(4, self.net.shape[1]))
        width = self._int(1, min(4, self.net.shape[2]))
        if self.random.random() < 0.6 and min(self.net.shape[1:3]) >= 2:
            height = width = 2
        if self.random.random() < 0.3:
            self._function()
        average = bool(self.random.random() < 0.4)
        self.net.pool((height, width), (height, width), average=average, act=self._act())

    def _depthwise(self) -> None:
        height, width, padding = self._window(12 if self.tall else 7)
        multiplier = int(self.random.choice([1, 1, 1, 2, 3]))
        channels = self.net.shape[3] * multiplier
        if channels > 24:
            return
        more = self._quantisation(channels, height * width)
        self.net.conv(
            self._weights((1, height, width, channels)),
            self._bias(channels, 500),
            strides=self._strides(),
            padding=padding,
            act=self._act(),
            depthwise=True,
            **more,  # type: ignore[arg-type]
        )
        if self.random.random() < 0.3:
            self._fusable_pool()

    def _pool(self) -> None:
        height, width, padding = self._window(4)
        average = bool(self.random.random() < 0.5)
        self.net.pool(
            (height, width), self._strides(), average=average, padding=padding, act=self._act()
        )

    def _function(self) -> None:
        kind = self.random.choice(["RELU", "RELU6", "LEAKY_RELU", "QUANTIZE"])
        new = (
            {}
            if self.real
            else {"scale": self.net.scale * 2.0 ** self.random.uniform(-2, 2), "zero": self._zero()}
        )
        if kind == "LEAKY_RELU":
            self.net.leaky(float(self.random.choice([0.1, 0.3, 0.01, 1.5, -0.2])), **new)
        elif kind == "RELU6":
            self.net.simple("RELU6")
        elif kind == "RELU" or not self.real:
            self.net.simple(str(kind), **new)

    def _flatten(self) -> None:
        self.net.reshape((1, int(np.prod(self.net.shape))))

    def _reshape(self) -> None:
        total = int(np.prod(self.net.shape))
        width = max(w for w in range(1, 7) if total % w == 0)
        self.net.reshape((1, total // width, 1, width) if total // width < 30 else (1, total))

    def _dense(self, outputs: int = 0) -> None:
        if len(self.net.shape) == 4 and self.random.random() < 0.7:
            self._flatten()
        inputs, outputs = self.net.shape[-1], outputs or self._int(1, 20)
        more = self._quantisation(outputs, inputs)
        self.net.dense(
            self._weights((outputs, inputs)),
            self._bias(outputs),
            act=self._act(),
            **more,  # type: ignore[arg-type]
        )


def make_long(seed: int, kind: str) -> bytes:
    """A network "in fours" or "apart" of many layers."""
    maker = Maker(seed, "int8")
    return maker.make_apart(6) if kind == "apart" else maker.make_in_fours(6)


def make(seed: int, kind: str) -> bytes:
    """The file of network ``seed`` of a kind.

    "float32", "int8", "mixed" (int8 with float32 edges), or int8 "in fours", "apart" or "idle".
    """
    if kind == "idle":
        return Maker(seed, "int8").make_idle()
    if kind == "apart":
        return Maker(seed, "int8").make_apart()
    if kind == "in fours":
        return Maker(seed, "int8").make_in_fours()
    return Maker(seed, kind).make()


def supported(kind: str, seeds: Iterable[int], folder: Path) -> dict[str, Graph]:
    """Networks that aot supports, by name; their files go to ``folder``."""
    found = {}
    for seed in seeds:
        data = make(seed, kind)
        with contextlib.suppress(ModelError):
            graph = read_model(data)
            plan(graph)
            found[f"net{seed}"] = graph
            (folder / f"net{seed}.tflite").write_bytes(data)
    return found
