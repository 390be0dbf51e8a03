# SPDX-License-Identifier: Apache-2.0
"""A kind of layer: the parameters of its shape, their values, and how a network of it is made."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from hil.tflite.writer import NONE, RELU, RELU6, RELU_N1_TO_1, Net

Value: TypeAlias = int | str
Values: TypeAlias = Mapping[str, Value]
Array: TypeAlias = npt.NDArray[np.generic]

# around the widths of vector instructions: 4, 8, 16 and 32 values
CHANNELS: Final = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33)
SIZES: Final = (1, 2, 3, 4, 5, 7, 8, 9, 12)
ACTIVATIONS: Final = {"none": NONE, "relu": RELU, "relu6": RELU6, "relu_n1_to_1": RELU_N1_TO_1}
ZEROS: Final = (0, -128, 127, 3, -77)  # zero points: in the middle, at both limits, others
SKEWS: Final = (0, 4, 8, 12)  # see `Net.finish`
SIZED: Final = frozenset(
    (
        *("height", "width", "inputs", "outputs", "channels", "multiple", "length", "skew"),
        *("window_h", "window_w", "stride_h", "stride_w", "padding", "zero_in", "zero_out"),
    )
)

_MIX: Final = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_STEP: Final = np.uint64(0x9E3779B97F4A7C15)


def noise(seed: int, shape: Sequence[int]) -> npt.NDArray[np.uint64]:
    """Random 64-bit numbers, each of which depends on the seed and its own indices only.

    So an array of fewer rows or channels has the same values in those that are left, and a network
    that is shrunk keeps the values that make it fail. (SplitMix64 of each index in turn.)
    """
    found = np.full((1,) * len(shape), np.uint64(seed))
    with np.errstate(over="ignore"):
        for axis, size in enumerate(shape):
            index = np.arange(1, size + 1, dtype=np.uint64)
            index = index.reshape([-1 if i == axis else 1 for i in range(len(shape))])
            found = found ^ (index * _STEP + np.uint64(axis))
            found = (found ^ (found >> np.uint64(30))) * _MIX[0]
            found = (found ^ (found >> np.uint64(27))) * _MIX[1]
            found = found ^ (found >> np.uint64(31))
    return np.asarray(found)


def integers(seed: int, shape: Sequence[int], low: int, high: int) -> npt.NDArray[np.int64]:
    """Integers from ``low`` to ``high``, both included, of `noise`."""
    span = np.uint64(high - low + 1)
    return (noise(seed, shape) % span).astype(np.int64) + low


def reals(seed: int, shape: Sequence[int]) -> npt.NDArray[np.float32]:
    """Reals of mean 0 and deviation 1, of `noise`: the sum of four uniform ones."""
    words = noise(seed, shape)
    quarters = [(words >> np.uint64(16 * i)) & np.uint64(0xFFFF) for i in range(4)]
    total = sum(q.astype(np.float64) for q in quarters) / 65_536 - 2.0
    return np.asarray(total * np.sqrt(3.0), np.float32)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a network is made from: the type of its values, its shape's parameters, and a seed."""

    dtype: str  # "int8", "int16" or "float32"
    values: Values
    seed: int

    @property
    def real(self) -> bool:
        """Whether it computes in float32."""
        return self.dtype == "float32"

    def __getitem__(self, name: str) -> int:
        """A parameter that is a number."""
        value: int | str = self.values[name]
        return int(value)

    def text(self, name: str) -> str:
        """A parameter that is a word."""
        return str(self.values[name])

    def stream(self, name: str) -> int:
        """The seed of one of the network's arrays."""
        return self.seed * 1_000_003 + zlib.crc32(name.encode()) % 999_983

    def zero(self, name: str) -> int:
        """A zero point; int16 has none."""
        return int(self.values[name]) if self.dtype == "int8" else 0

    def start(self, shape: Sequence[int], scale: float) -> Net:
        """A network with an input of this shape."""
        net = Net()
        if self.real:
            return net.input(shape)
        return net.input(shape, self.dtype, scale, self.zero("zero_in"))


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kind of layer.

    ``parameters``: the values of each, the simplest first. ``fit`` turns values that cannot be a
    network, such as a window larger than its input, into some that can. ``known``: values that
    failed in a kernel that people used, with their type.
    """

    name: str
    operator: str  # TFLite's name
    parameters: Mapping[str, tuple[Value, ...]]
    make: Callable[[Recipe], Net]
    dtypes: tuple[str, ...] = ("int8", "int16", "float32")
    fit: Callable[[dict[str, Value]], None] = lambda _: None
    known: tuple[tuple[str, Values], ...] = field(default=())

    @property
    def usual(self) -> frozenset[str]:
        """The parameters whose simplest value is also the usual one: all but sizes."""
        return frozenset(self.parameters) - SIZED | {"stride_h", "stride_w"}

    def fitted(self, values: Values) -> Values:
        """Values that can be a network."""
        found = dict(values)
        self.fit(found)
        return MappingProxyType(found)
