"""The frozen picture of one model that engines and references work from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hil.records import Precision, TensorSpec

# TFLite TensorType codes -> little-endian NumPy types, for those that a constant may have here.
NUMPY_TYPES = {0: "<f4", 1: "<f2", 2: "<i4", 3: "u1", 4: "<i8", 7: "<i2", 9: "i1", 10: "<f8"}
FLOAT32, INT32, UINT8, INT8 = 0, 2, 3, 9
_SAME_VALUES = ("QUANTIZE", "DEQUANTIZE", "RESHAPE")


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """One tensor: real = scales[c] * (q - zero_points[c]), c along ``axis`` when per channel.

    ``data`` holds a constant's values (read-only, of ``shape``), None for an activation.
    """

    index: int
    name: str
    dtype: int  # TFLite TensorType code
    shape: tuple[int, ...]
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    axis: int = 0
    data: npt.NDArray[np.generic] | None = None

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def scale(self) -> float:
        return self.scales[0] if self.scales else 0.0

    @property
    def zero_point(self) -> int:
        return self.zero_points[0] if self.zero_points else 0


@dataclass(frozen=True, slots=True)
class Operator:
    """One node. ``options`` has the decoded fields of the operators listed in `reader`."""

    index: int
    code: str  # TFLite BuiltinOperator name, a custom operator's own name after "CUSTOM:"
    version: int
    inputs: tuple[int, ...]  # tensor indices, -1 for an optional input left out
    outputs: tuple[int, ...]
    options: Mapping[str, int | float]

    def __str__(self) -> str:
        return f"operator {self.index} ({self.code})"


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A whole model with one input and one output; every index in it is valid."""

    sha256: str  # of the file
    precision: Precision
    input: TensorSpec
    output: TensorSpec
    input_index: int
    output_index: int
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    parameters: int  # values in weights and biases
    macs: int  # multiply-accumulates of one inference, padding included

    @property
    def ends_in_probabilities(self) -> bool:
        """Whether a softmax or a sigmoid makes the output, be it converted afterwards or not."""
        index = self.output_index
        for operator in reversed(self.operators):
            if index in operator.outputs:
                if operator.code not in _SAME_VALUES:
                    return operator.code in ("SOFTMAX", "LOGISTIC")
                index = operator.inputs[0]
        return False
