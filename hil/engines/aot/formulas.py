# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of operators on two values, as C expressions of ``x`` and ``y``.

Sources: TFLM's tensorflow/lite/micro/kernels/{add,sub,mul}_common.cc and the reference kernels
that they call. The arithmetic of Prepare(), in double or float32, is that of TFLM.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

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
INT16_LIMITS = (-(1 << 15), (1 << 15) - 1)
Reals = npt.NDArray[np.float64]


class Quantised(Protocol):
    """Arithmetic on codes; results are not yet clamped."""

    def results(self, x: Integers, y: Integers) -> Integers:
        """What TFLM computes."""
        ...

    def slopes(self, side: int, other: Integers) -> Reals | None:
        """By how much results grow with operand ``side`` where the other one is ``other``.

        None where they do not grow evenly.
        """
        ...

    @property
    def expression(self) -> str:
        """The same as `results`, in C."""
        ...


@dataclass(frozen=True, slots=True)
class Formula:
    """``expression`` of x and y, which have type ``ctype``, and the kernel files that it calls.

    ``clamps``: an int8 result still has to be clamped, as `Activation` does. ``codes``: of int8.
    """

    expression: str
    ctype: str = "int32_t"
    kernels: tuple[str, ...] = ()
    clamps: bool = True
    codes: Quantised | None = None


Found = tuple[Formula, Activation]


def integer(value: int) -> str:
    """An int32 as an operand in C."""
    if value == INT32_LIMITS[0]:
        return "INT32_MIN"
    return f"({value})" if value < 0 else str(value)


def plus(value: str, zero: int) -> str:
    """``value + zero`` in C."""
    return f"{value} + {integer(zero)}" if zero else value


def minus(value: str, zero: int) -> str:
    """``value - zero`` in C, as an operand."""
    return f"({value} - {integer(zero)})" if zero else value


def _clamped(value: str, limits: tuple[int, int], widest: tuple[int, int]) -> str:
    return value if limits == widest else f"hil_clamp({value}, {integer(limits[0])}, {limits[1]})"


def _wrapping(sign: str) -> str:
    """int32 arithmetic that wraps, as it does on every core."""
    return f"(int32_t)((uint32_t)x {sign} (uint32_t)y)"


def _int32_limits(operator: Operator) -> tuple[int, int]:
    low, high = real_limits(operator)
    return int(max(low, INT32_LIMITS[0])), int(min(high, INT32_LIMITS[1]))


def _plain(operator: Operator, y: Tensor, sign: str, clamped: bool = True) -> Found:
    """float32 or int32."""
    if y.dtype == FLOAT32:
        return Formula(f"x {sign} y", "float"), fused_activation(operator, y, True)
    limits = _int32_limits(operator) if clamped else INT32_LIMITS
    return Formula(_clamped(_wrapping(sign), limits, INT32_LIMITS)), NOTHING


def _quantised(operator: Operator, result: Tensor, found: Quantised, fitted: str | None) -> Found:
    """int8 or int16; ``fitted``: a faster expression of int8."""
    if result.dtype == INT16:
        limits = quantized_limits(operator, result, *INT16_LIMITS)
        value = f"(int16_t)hil_clamp({found.expression}, {limits[0]}, {limits[1]})"
        return Formula(value, kernels=("scaling",)), NOTHING
    post = fused_activation(operator, result, False)
    return Formula(fitted or found.expression, kernels=("scaling",), codes=found), post


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

    def slopes(self, side: int, other: Integers) -> Reals:
        return np.full(other.shape, self._slope(side))

    def results(self, x: Integers, y: Integers) -> Integers:
        def scaled(values: Integers, stage: tuple[int, int]) -> Integers:
            return divide_pot(high_mul(values, stage[0]), stage[1])

        a = scaled((x - self.zeros[0]) << self.left, self.first)
        b = scaled((y - self.zeros[1]) << self.left, self.second)
        return scaled(a + self.sign * b, self.last) + self.zero

    @property
    def expression(self) -> str:
        def operand(name: str, zero: int, stage: tuple[int, int]) -> str:
            return f"hil_scale_down({minus(name, zero)} * {1 << self.left}, {stage[0]}, {stage[1]})"

        a = operand("x", self.zeros[0], self.first)
        b = operand("y", self.zeros[1], self.second)
        sign = "+" if self.sign > 0 else "-"
        value = f"hil_scale_down({a} {sign} {b}, {self.last[0]}, {self.last[1]})"
        return plus(value, self.zero)

    def fitted(self, limits: tuple[int, int]) -> str | None:
        results = self.results(CODES[:, None], CODES[None, :])
        found = fit(results, limits, (self._slope(0), self._slope(1)), self.zeros)
        return linear(found) if found else None


def linear(found: Linear, names: Sequence[str] = ("x", "y")) -> str:
    """The C expression of a `Linear`."""
    start = found.start if found.away else found.offset
    terms = [f"{name} * {integer(f)}" for name, f in zip(names, found.factors, strict=True)]
    total = " + ".join([integer(start), *terms])
    if found.away:
        total = plus(f"hil_away({total})", found.offset)
    return f"(({total}) >> {found.shift})"


def sum_formula(operator: Operator, x: Tensor, y: Tensor, result: Tensor) -> Found:
    """ADD and SUB."""
    sign = 1 if operator.code == "ADD" else -1
    if result.dtype not in (INT8, INT16):
        # TFLM's ADD of int32 ignores its activation
        return _plain(operator, result, "+" if sign > 0 else "-", clamped=sign < 0)
    left = 15 if result.dtype == INT16 else 20
    # in double: older versions of TFLM used float32 for SUB
    twice = 2.0 * max(x.scale, y.scale)
    stages = []
    for ratio in (x.scale / twice, y.scale / twice, twice / ((1 << left) * result.scale)):
        if not 0.0 < ratio < 1.0:
            says = f"scales {x.scale:.3g} and {y.scale:.3g} to {result.scale:.3g}"
            raise refuse(operator, says, f"TFLM requires a factor below 1, which is {ratio:.3g}")
        multiplier, shift = quantize_multiplier(ratio)
        stages.append((multiplier, -shift))
    zeros = (x.zero_point, y.zero_point)
    found = _Sum(left, zeros, stages[0], stages[1], stages[2], result.zero_point, sign)
    faster = None
    if result.dtype == INT8:
        faster = found.fitted(quantized_limits(operator, result, -128, 127))
    return _quantised(operator, result, found, faster)


@dataclass(frozen=True, slots=True)
class _Product:
    """A quantised MUL."""

    zeros: tuple[int, int]
    multiplier: int
    shift: int
    zero: int
    wide: bool  # int16

    def slopes(self, side: int, other: Integers) -> Reals:
        scale = self.multiplier * 2.0 ** (self.shift - 31)
        return scale * (other - self.zeros[1 - side]).astype(np.float64)

    def results(self, x: Integers, y: Integers) -> Integers:
        product = (x - self.zeros[0]) * (y - self.zeros[1])
        shifted = ((product << max(self.shift, 0)) + (1 << 31)) % (1 << 32) - (1 << 31)
        return divide_pot(high_mul(shifted, self.multiplier), max(-self.shift, 0)) + self.zero

    @property
    def expression(self) -> str:
        product = f"{minus('x', self.zeros[0])} * {minus('y', self.zeros[1])}"
        if self.shift < 0 and not self.wide:  # of int16, a product may be 2^30
            return (
                f"hil_requant_right({product}, {self.multiplier}, {-1 - self.shift}, {self.zero})"
            )
        return plus(f"hil_requant({product}, {self.multiplier}, {self.shift})", self.zero)

    def fitted(self, limits: tuple[int, int]) -> str | None:
        """The upper half of one product of 32 bits, where that gives the same for all pairs."""
        products = np.outer(CODES - self.zeros[0], CODES - self.zeros[1])
        results = self.results(CODES[:, None], CODES[None, :]).clip(*limits)
        scale = self.multiplier * 2.0 ** (self.shift - 31)
        most = min(30, int(30 - np.floor(np.log2(scale * 255 * 255 + 256))))
        for shift in range(most, max(most - 4, 7), -1):
            for change in (0, 1, -1):
                factor = round(scale * 2.0 ** (shift + 32 - _LEFT)) + change
                if not 0 < factor < 1 << 31:
                    continue
                total = (products * (factor << _LEFT)) >> 32
                least = ((results << shift) - total)[results > limits[0]]
                highest = (((results + 1) << shift) - 1 - total)[results < limits[1]]
                if not least.size or not highest.size or least.max() > highest.min():
                    continue
                offset = (int(least.max()) + int(highest.min())) // 2
                if np.abs(total + offset).max() >= 1 << 31:
                    continue
                y = minus("y", self.zeros[1])
                product = f"{minus('x', self.zeros[0])} * ({y} * {1 << _LEFT})"
                return f"((hil_upper({product}, {factor}) + {integer(offset)}) >> {shift})"
        return None


_LEFT = 15  # a product of two int8, shifted so far, fits 32 bits


def product_formula(operator: Operator, x: Tensor, y: Tensor, result: Tensor) -> Found:
    """MUL."""
    if result.dtype not in (INT8, INT16):
        return _plain(operator, result, "*")
    multiplier, shift = quantize_multiplier(x.scale * y.scale / result.scale)
    zeros = (x.zero_point, y.zero_point)
    found = _Product(zeros, multiplier, shift, result.zero_point, result.dtype == INT16)
    faster = None
    if result.dtype == INT8 and multiplier:
        faster = found.fitted(quantized_limits(operator, result, -128, 127))
    return _quantised(operator, result, found, faster)


# one line per operator
FORMULAS: Mapping[str, Callable[[Operator, Tensor, Tensor, Tensor], Found]] = {
    "ADD": sum_formula,
    "SUB": sum_formula,
    "MUL": product_formula,
}
