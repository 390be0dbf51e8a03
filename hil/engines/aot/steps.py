# SPDX-License-Identifier: Apache-2.0
"""The steps of an inference: fused operators, with everything resolved to numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from hil.engines.aot.arithmetic import Activation
from hil.tflite.graph import Axis

NOTHING = Activation()


@dataclass(frozen=True, slots=True, eq=False)
class Requantization:
    """How int8 sums become int8: per output channel, with a proven bound of the sums."""

    input_zero: int
    output_zero: int
    multipliers: npt.NDArray[np.int64]
    shifts: npt.NDArray[np.int64]
    bias: npt.NDArray[np.int64]  # with -input_zero * (sum of weights) folded in
    bound: int  # of any sum, partial or whole, in absolute value


@dataclass(frozen=True, slots=True)
class Pool:
    """A pooling over (rows, columns); ``average`` or maximum."""

    average: bool
    rows: Axis
    columns: Axis


@dataclass(frozen=True, slots=True, eq=False)
class Conv:
    """Convolution, depthwise convolution or dense layer (a 1x1 convolution over rows).

    ``pre`` acts before the fused ``pool``, ``post`` after it. Weights: (cout, kh, kw, cin),
    depthwise (cout, kh, kw). ``gathered``: widens its inputs in a buffer first (`conv_gather`).
    ``fused``: may round a product and the sum it is added to once (float32 only).
    """

    name: str
    note: str
    rows: Axis
    columns: Axis
    cin: int
    cout: int
    depthwise: bool
    weights: npt.NDArray[np.generic]
    bias: npt.NDArray[np.float32] | None  # float32 only
    quant: Requantization | None  # int8 only
    pre: Activation
    pool: Pool | None = None
    post: Activation = NOTHING
    gathered: bool = False
    fused: bool = False

    @property
    def padded(self) -> bool:
        return any(
            a.before or (a.count - 1) * a.stride + a.window - a.before > a.size
            for a in (self.rows, self.columns)
        )


@dataclass(frozen=True, slots=True)
class Pooling:
    """A pooling that is not fused. ``real``: float32, else int8."""

    name: str
    note: str
    real: bool
    pool: Pool
    channels: int
    post: Activation


@dataclass(frozen=True, slots=True)
class Map:
    """Value by value: kind "activation", "quantize" (float32 to int8) or "dequantize"."""

    name: str
    note: str
    kind: str
    real: bool  # of the input
    elements: int
    activation: Activation = NOTHING
    scale: float = 0.0
    zero: int = 0


@dataclass(frozen=True, slots=True)
class Softmax:
    """Softmax over the last axis; ``table`` has exp() of int8 differences."""

    name: str
    note: str
    real: bool
    rows: int
    depth: int
    beta: float
    table: tuple[int, ...] = ()


Step: TypeAlias = Conv | Pooling | Map | Softmax
