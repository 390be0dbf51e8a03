# SPDX-License-Identifier: Apache-2.0
"""MAXIMUM, MINIMUM and PRELU of two values.

Sources: TFLM's tensorflow/lite/micro/kernels/{maximum_minimum,prelu,prelu_common}.cc and the
reference kernels that they call.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hil.engines.aot.arithmetic import NOTHING, quantize_multiplier
from hil.engines.aot.values.formulas import INT16_LIMITS, Formula, Found, NotLinear, minus, plus
from hil.engines.aot.values.linear import Integers, Rows, divide_pot, fit_bent, high_mul
from hil.tflite import Operator, Tensor
from hil.tflite.graph import FLOAT32, INT8, INT16, refuse


@dataclass(frozen=True, slots=True)
class _Extreme(NotLinear):
    """The larger or smaller code."""

    larger: bool

    def results(self, x: Integers, y: Integers) -> Integers:
        return np.maximum(x, y) if self.larger else np.minimum(x, y)

    @property
    def expression(self) -> str:
        return f"(x {'>' if self.larger else '<'} y ? x : y)"


def larger_or_smaller(operator: Operator, x: Tensor, y: Tensor, result: Tensor) -> Found:
    """MAXIMUM and MINIMUM. TFLM compares codes, as if all scales were the same."""
    del x, y
    found = _Extreme(operator.code == "MAXIMUM")
    if result.dtype == FLOAT32:
        return Formula(found.expression, "float"), NOTHING
    if result.dtype == INT8:
        return Formula(f"(int8_t){found.expression}", bounded=True, codes=found), NOTHING
    return Formula(
        f"(int16_t){found.expression}" if result.dtype == INT16 else found.expression
    ), NOTHING


Multiplier = tuple[int, int]  # and its shift


@dataclass(frozen=True, slots=True)
class _Prelu:
    """A quantised PRELU."""

    zeros: tuple[int, int]
    above: Multiplier
    below: Multiplier
    zero: int

    def rows(
        self, side: int, other: Integers, results: Integers, limits: tuple[int, int]
    ) -> Rows | None:
        if side:
            return None
        above = self.above[0] * 2.0 ** (self.above[1] - 31)
        below = self.below[0] * 2.0 ** (self.below[1] - 31) * (other - self.zeros[1])
        return fit_bent(results, limits, self.zeros[0], above, below)

    def results(self, x: Integers, y: Integers) -> Integers:
        def scaled(values: Integers, by: Multiplier) -> Integers:
            shifted = ((values << max(by[1], 0)) + (1 << 31)) % (1 << 32) - (1 << 31)
            return divide_pot(high_mul(shifted, by[0]), max(-by[1], 0))

        value = x - self.zeros[0]
        product = value * (y - self.zeros[1])
        return (
            np.where(value >= 0, scaled(value, self.above), scaled(product, self.below)) + self.zero
        )

    @property
    def expression(self) -> str:
        def scaled(value: str, by: Multiplier) -> str:
            return f"hil_requant({value}, {by[0]}, {by[1]})"

        x, y = minus("x", self.zeros[0]), minus("y", self.zeros[1])
        above, below = scaled(x, self.above), scaled(f"{x} * {y}", self.below)
        return plus(f"({x} >= 0 ? {above} : {below})", self.zero)


def prelu(operator: Operator, x: Tensor, y: Tensor, result: Tensor) -> Found:
    """PRELU, whose second operand is the slope below 0."""
    if result.dtype == FLOAT32:
        return Formula("(x >= 0.0f ? x : x * y)", "float"), NOTHING
    if result.dtype not in (INT8, INT16):
        raise refuse(operator, "int32", "aot runs it in float32, int8 and int16")
    above = quantize_multiplier(x.scale / result.scale)
    below = quantize_multiplier(x.scale * y.scale / result.scale)
    found = _Prelu((x.zero_point, y.zero_point), above, below, result.zero_point)
    if result.dtype == INT16:
        value = f"hil_clamp({found.expression}, {INT16_LIMITS[0]}, {INT16_LIMITS[1]})"
        return Formula(f"(int16_t){value}"), NOTHING
    return Formula(found.expression, codes=found), NOTHING
