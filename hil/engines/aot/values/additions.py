# SPDX-License-Identifier: Apache-2.0
"""ADD, SUB and SQUARED_DIFFERENCE of two values.

Sources: TFLM's tensorflow/lite/micro/kernels/{add_common,sub_common,squared_difference}.cc and the
reference kernels that they call.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hil.engines.aot.arithmetic import NOTHING, quantize_multiplier, quantized_limits
from hil.engines.aot.values.formulas import (
    INT16_LIMITS,
    Formula,
    Found,
    NotLinear,
    linear,
    minus,
    plain,
    plus,
    quantised,
)
from hil.engines.aot.values.linear import CODES, Integers, Rows, divide_pot, fit, fit_rows, high_mul
from hil.tflite import Operator, Tensor
from hil.tflite.graph import FLOAT32, INT8, INT16, refuse


@dataclass(frozen=True, slots=True)
class _Sum:
    """A quantised ADD or SUB: (multiplier, right shift) of each stage."""

    left: int
    zeros: tuple[int, int]
    first: tuple[int, int]
    second: tuple[int, int]
    last: tuple[int, int]
    zero: int
    sign: int

    def _slope(self, side: int) -> float:
        stage = self.second if side else self.first
        scale = stage[0] * self.last[0] * 2.0 ** (self.left - 62 - stage[1] - self.last[1])
        return self.sign * scale if side else scale

    def rows(
        self, side: int, other: Integers, results: Integers, limits: tuple[int, int]
    ) -> Rows | None:
        return fit_rows(results, limits, np.full(other.shape, self._slope(side)), self.zeros[side])

    def results(self, x: Integers, y: Integers) -> Integers:
        a = _scaled((x - self.zeros[0]) << self.left, self.first)
        b = _scaled((y - self.zeros[1]) << self.left, self.second)
        return _scaled(a + self.sign * b, self.last) + self.zero

    @property
    def expression(self) -> str:
        a = scaled_operand("x", self.zeros[0], self.left, self.first)
        b = scaled_operand("y", self.zeros[1], self.left, self.second)
        sign = "+" if self.sign > 0 else "-"
        value = f"hil_scale_down({a} {sign} {b}, {self.last[0]}, {self.last[1]})"
        return plus(value, self.zero)

    def fitted(self, limits: tuple[int, int]) -> str | None:
        results = self.results(CODES[:, None], CODES[None, :])
        found = fit(results, limits, (self._slope(0), self._slope(1)), self.zeros)
        return linear(found) if found else None


def _scaled(values: Integers, stage: tuple[int, int]) -> Integers:
    return divide_pot(high_mul(values, stage[0]), stage[1])


def scaled_operand(name: str, zero: int, left: int, stage: tuple[int, int]) -> str:
    """(name - zero) * 2^left, scaled by (multiplier, right shift), in C."""
    return f"hil_scale_down({minus(name, zero)} * {1 << left}, {stage[0]}, {stage[1]})"


def smaller_than_one(operator: Operator, ratios: tuple[float, ...]) -> list[tuple[int, int]]:
    """QuantizeMultiplierSmallerThanOneExp of each: (multiplier, right shift)."""
    found = []
    for ratio in ratios:
        if not 0.0 < ratio < 1.0:
            says = f"scales with a factor of {ratio:.3g} between them"
            raise refuse(operator, says, "TFLM requires one below 1: export the model again")
        multiplier, shift = quantize_multiplier(ratio)
        found.append((multiplier, -shift))
    return found


def sum_formula(operator: Operator, x: Tensor, y: Tensor, result: Tensor) -> Found:
    """ADD and SUB."""
    sign = 1 if operator.code == "ADD" else -1
    if result.dtype not in (INT8, INT16):
        # TFLM's ADD of int32 ignores its activation
        return plain(operator, result, "+" if sign > 0 else "-", limited=sign < 0)
    left = 15 if result.dtype == INT16 else 20
    # in double: older versions of TFLM used float32 for SUB
    twice = 2.0 * max(x.scale, y.scale)
    last = twice / ((1 << left) * result.scale)
    stages = smaller_than_one(operator, (x.scale / twice, y.scale / twice, last))
    zeros = (x.zero_point, y.zero_point)
    found = _Sum(left, zeros, stages[0], stages[1], stages[2], result.zero_point, sign)
    faster = None
    if result.dtype == INT8:
        faster = found.fitted(quantized_limits(operator, result, -128, 127))
    return quantised(operator, result, found, faster)


@dataclass(frozen=True, slots=True)
class _Square(NotLinear):
    """A quantised SQUARED_DIFFERENCE."""

    left: int
    zeros: tuple[int, int]
    first: tuple[int, int]
    second: tuple[int, int]
    multiplier: int
    shift: int
    zero: int

    def results(self, x: Integers, y: Integers) -> Integers:
        a = _scaled((x - self.zeros[0]) << self.left, self.first)
        b = _scaled((y - self.zeros[1]) << self.left, self.second)
        square = (a - b) ** 2
        shifted = ((square << max(self.shift, 0)) + (1 << 31)) % (1 << 32) - (1 << 31)
        return divide_pot(high_mul(shifted, self.multiplier), max(-self.shift, 0)) + self.zero

    @property
    def expression(self) -> str:
        a = scaled_operand("x", self.zeros[0], self.left, self.first)
        b = scaled_operand("y", self.zeros[1], self.left, self.second)
        square = f"hil_square_of({a} - {b})"
        return plus(f"hil_requant({square}, {self.multiplier}, {self.shift})", self.zero)


def squared_difference(operator: Operator, x: Tensor, y: Tensor, result: Tensor) -> Found:
    """SQUARED_DIFFERENCE."""
    if result.dtype == FLOAT32:
        return Formula("hil_square(x - y)", "float"), NOTHING
    if result.dtype not in (INT8, INT16):
        return Formula(
            "hil_square_of((int32_t)((uint32_t)x - (uint32_t)y))", kernels=("scaling",)
        ), NOTHING
    left = 0 if result.dtype == INT16 else 7
    twice = 2.0 * max(x.scale, y.scale)
    first, second = smaller_than_one(operator, (x.scale / twice, y.scale / twice))
    scale = float(np.float32(1 << (2 * left)) * np.float32(result.scale))
    multiplier, shift = quantize_multiplier(twice * twice / scale)
    zeros = (x.zero_point, y.zero_point)
    found = _Square(left, zeros, first, second, multiplier, shift, result.zero_point)
    if result.dtype == INT16:
        value = f"(int16_t)hil_clamp({found.expression}, {INT16_LIMITS[0]}, {INT16_LIMITS[1]})"
        return Formula(value, kernels=("scaling",)), NOTHING
    return Formula(found.expression, kernels=("scaling",), codes=found), NOTHING
