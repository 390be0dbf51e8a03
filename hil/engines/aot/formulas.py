# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of operators on two values, as C expressions of ``x`` and ``y``.

Sources: TFLM's tensorflow/lite/micro/kernels/{add,sub,mul}_common.cc and the reference kernels
that they call. The arithmetic of Prepare(), in double or float32, is that of TFLM.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hil.engines.aot.arithmetic import (
    NOTHING,
    Activation,
    fused_activation,
    quantize_multiplier,
    quantized_limits,
    real_limits,
)
from hil.engines.aot.linear import CODES, Integers, Linear, divide_pot, fit, high_mul
from hil.tflite import Operator, Tensor
from hil.tflite.graph import FLOAT32, INT8, INT16, refuse

INT32_LIMITS = (-(1 << 31), (1 << 31) - 1)


@dataclass(frozen=True, slots=True)
class Formula:
    """``expression`` of x and y, which have type ``ctype``, and the kernel files that it calls.

    ``clamps``: an int8 result still has to be clamped, as `Activation` does.
    """

    expression: str
    ctype: str = "int32_t"
    kernels: tuple[str, ...] = ()
    clamps: bool = True


Found = tuple[Formula, Activation]


def integer(value: int) -> str:
    """An int32 as an operand in C."""
    if value == INT32_LIMITS[0]:
        return "INT32_MIN"
    return f"({value})" if value < 0 else str(value)


def _clamped(value: str, limits: tuple[int, int], widest: tuple[int, int]) -> str:
    return value if limits == widest else f"hil_clamp({value}, {integer(limits[0])}, {limits[1]})"


def _wrapping(sign: str) -> str:
    """int32 arithmetic that wraps, as it does on every core."""
    return f"(int32_t)((uint32_t)x {sign} (uint32_t)y)"


def _int32_limits(operator: Operator) -> tuple[int, int]:
    low, high = real_limits(operator)
    return int(max(low, INT32_LIMITS[0])), int(min(high, INT32_LIMITS[1]))


def _plain(operator: Operator, y: Tensor, sign: str, clamped: bool) -> Found:
    """float32 or int32."""
    if y.dtype == FLOAT32:
        return Formula(f"x {sign} y", "float"), fused_activation(operator, y, True)
    limits = _int32_limits(operator) if clamped else INT32_LIMITS
    return Formula(_clamped(_wrapping(sign), limits, INT32_LIMITS)), NOTHING


@dataclass(frozen=True, slots=True)
class _Sum:
    """The parameters of a quantised ADD or SUB: (multiplier, right shift) of each stage."""

    left: int
    zeros: tuple[int, int]
    first: tuple[int, int]
    second: tuple[int, int]
    last: tuple[int, int]
    zero: int
    sign: int

    @property
    def slopes(self) -> tuple[float, float]:
        """By how much the result grows with each operand."""

        def real(stage: tuple[int, int]) -> float:
            return stage[0] * 2.0 ** (-31 - stage[1])

        scale = real(self.last) * 2.0**self.left
        return real(self.first) * scale, self.sign * real(self.second) * scale

    def results(self, x: Integers, y: Integers) -> Integers:
        """Before the clamp."""

        def scaled(values: Integers, stage: tuple[int, int]) -> Integers:
            return divide_pot(high_mul(values, stage[0]), stage[1])

        a = scaled((x - self.zeros[0]) << self.left, self.first)
        b = scaled((y - self.zeros[1]) << self.left, self.second)
        return scaled(a + self.sign * b, self.last) + self.zero

    @property
    def expression(self) -> str:
        def operand(name: str, zero: int, stage: tuple[int, int]) -> str:
            value = f"({name} - {integer(zero)})" if zero else name
            return f"hil_scale_down({value} * {1 << self.left}, {stage[0]}, {stage[1]})"

        a = operand("x", self.zeros[0], self.first)
        b = operand("y", self.zeros[1], self.second)
        sign = "+" if self.sign > 0 else "-"
        value = f"hil_scale_down({a} {sign} {b}, {self.last[0]}, {self.last[1]})"
        return f"{value} + {integer(self.zero)}" if self.zero else value


def _sum(operator: Operator, x: Tensor, y: Tensor, result: Tensor) -> _Sum:
    left = 15 if result.dtype == INT16 else 20
    if operator.code == "ADD":  # in double
        twice = 2.0 * max(x.scale, y.scale)
        ratios = (x.scale / twice, y.scale / twice, twice / ((1 << left) * result.scale))
    else:  # in float32
        single = np.float32(2) * np.float32(max(x.scale, y.scale))
        scale = np.float32(1 << left) * np.float32(result.scale)
        with np.errstate(over="ignore", divide="ignore"):
            ratios = (
                float(np.float32(x.scale) / single),
                float(np.float32(y.scale) / single),
                float(single / scale),
            )
    stages = []
    for ratio in ratios:
        if not 0.0 < ratio < 1.0:
            says = f"scales {x.scale:.3g} and {y.scale:.3g} to {result.scale:.3g}"
            raise refuse(operator, says, f"TFLM requires a factor below 1, which is {ratio:.3g}")
        multiplier, shift = quantize_multiplier(ratio)
        stages.append((multiplier, -shift))
    sign = 1 if operator.code == "ADD" else -1
    zeros = (x.zero_point, y.zero_point)
    return _Sum(left, zeros, stages[0], stages[1], stages[2], result.zero_point, sign)


def fitted(linear: Linear, names: tuple[str, ...]) -> str:
    """The C expression of a `Linear`."""
    start = linear.start if linear.away else linear.offset
    terms = [f"{name} * {integer(f)}" for name, f in zip(names, linear.factors, strict=True)]
    total = " + ".join([integer(start), *terms])
    if linear.away:
        total = f"hil_away({total}) + {integer(linear.offset)}"
    return f"(({total}) >> {linear.shift})"


def sum_formula(operator: Operator, x: Tensor, y: Tensor, result: Tensor) -> Found:
    """ADD and SUB."""
    if result.dtype not in (INT8, INT16):
        sign = "+" if operator.code == "ADD" else "-"
        # TFLM's ADD of int32 ignores its activation
        return _plain(operator, result, sign, clamped=operator.code == "SUB")
    found = _sum(operator, x, y, result)
    kernels = ("scaling",)
    if result.dtype == INT16:
        widest = (-32768, 32767)
        limits = quantized_limits(operator, result, *widest)
        value = f"hil_clamp({found.expression}, {limits[0]}, {limits[1]})"
        return Formula(f"(int16_t){value}", kernels=kernels), NOTHING
    post = fused_activation(operator, result, False)
    assert post.limits is not None
    results = found.results(CODES[:, None], CODES[None, :])
    linear = fit(results, post.limits, found.slopes, found.zeros)
    if linear is None:
        return Formula(found.expression, kernels=kernels), post
    return Formula(fitted(linear, ("x", "y")), kernels=kernels), post


# one line per operator
FORMULAS: Mapping[str, Callable[[Operator, Tensor, Tensor, Tensor], Found]] = {
    "ADD": sum_formula,
}
