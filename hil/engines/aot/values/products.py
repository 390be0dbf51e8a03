# SPDX-License-Identifier: Apache-2.0
"""MUL and DIV of two values.

Sources: TFLM's tensorflow/lite/micro/kernels/{mul_common,div}.cc and the reference kernels that
they call.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hil.engines.aot.arithmetic import (
    NOTHING,
    quantize_multiplier,
    quantized_limits,
    rounding_divide_by_pot,
    rounding_doubling_high_mul,
)
from hil.engines.aot.values.fixed_point import one_over_one_plus_x
from hil.engines.aot.values.formulas import (
    INT32_LIMITS,
    Formula,
    Found,
    clamped,
    int32_limits,
    integer,
    minus,
    plain,
    plus,
    quantised,
)
from hil.engines.aot.values.linear import CODES, Integers, Rows, divide_pot, fit_rows, high_mul
from hil.tflite import Operator, Tensor
from hil.tflite.graph import FLOAT32, INT8, INT16, INT32, refuse


@dataclass(frozen=True, slots=True)
class _Product:
    """A quantised MUL."""

    zeros: tuple[int, int]
    multiplier: int
    shift: int
    zero: int
    wide: bool  # int16

    def rows(
        self, side: int, other: Integers, results: Integers, limits: tuple[int, int]
    ) -> Rows | None:
        scale = self.multiplier * 2.0 ** (self.shift - 31)
        return fit_rows(results, limits, scale * (other - self.zeros[1 - side]), self.zeros[side])

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
        return plain(operator, result, "*")
    multiplier, shift = quantize_multiplier(x.scale * y.scale / result.scale)
    zeros = (x.zero_point, y.zero_point)
    found = _Product(zeros, multiplier, shift, result.zero_point, result.dtype == INT16)
    faster = None
    if result.dtype == INT8 and multiplier:
        faster = found.fitted(quantized_limits(operator, result, -128, 127))
    return quantised(operator, result, found, faster)


def _reciprocal(y: int) -> tuple[int, int]:
    """GetReciprocal of y > 0: (1 / y in Q0.31, less the shift)."""
    digits = y.bit_length()
    return one_over_one_plus_x((y << (32 - digits)) - (1 << 31)), digits - 1


# GetReciprocal of 0, which none of the references excludes: Newton steps that wrap in 32 bits
_OF_ZERO = (-1515870788, -1)


def _headroom(x: int) -> int:
    """CountLeadingSignBits."""
    return 31 - (x if x >= 0 else ~x).bit_length()


@dataclass(frozen=True, slots=True)
class _Quotient:
    """A quantised DIV."""

    zeros: tuple[int, int]
    multiplier: int
    shift: int
    zero: int

    def rows(
        self, side: int, other: Integers, results: Integers, limits: tuple[int, int]
    ) -> Rows | None:
        if side:  # divisors that are computed
            return None
        scale = self.multiplier * 2.0 ** (self.shift - 31)
        return fit_rows(results, limits, scale / (other - self.zeros[1]), self.zeros[0])

    def results(self, x: Integers, y: Integers) -> Integers:
        found = np.vectorize(self._result, otypes=[np.int64])(x - self.zeros[0], y - self.zeros[1])
        return np.asarray(found + self.zero)

    def _result(self, x: int, y: int) -> int:
        if y < 0:
            x, y = -x, -y
        inverse, digits = _reciprocal(int(y)) if y else _OF_ZERO
        room = _headroom(int(x))
        quotient = rounding_doubling_high_mul(int(x) << room, inverse)
        right = digits + room - self.shift
        if right > 31:  # undefined in TFLM, except that 0 becomes 1
            return int(x == 0)
        return rounding_divide_by_pot(rounding_doubling_high_mul(quotient, self.multiplier), right)

    @property
    def expression(self) -> str:
        x, y = minus("x", self.zeros[0]), minus("y", self.zeros[1])
        return plus(f"hil_divide({x}, {y}, {self.multiplier}, {self.shift})", self.zero)


def quotient_formula(operator: Operator, x: Tensor, y: Tensor, result: Tensor) -> Found:
    """DIV; of int32 and int16 by constants."""
    if result.dtype == FLOAT32:
        return plain(operator, result, "/")
    divisors = None if y.data is None else y.data.astype(np.int64) - y.zero_point
    computed = divisors is None and result.dtype != INT8
    if computed or (divisors is not None and not divisors.all()):
        what = "divisors that may be 0" if computed else "a division by 0"
        raise refuse(operator, what, "aot divides these integers by constants other than 0")
    if result.dtype == INT32:
        limits = int32_limits(operator)
        value = clamped("hil_quotient(x, y)", limits, INT32_LIMITS)
        return Formula(value, kernels=("scaling",)), NOTHING
    multiplier, shift = quantize_multiplier(x.scale / (y.scale * result.scale))
    found = _Quotient((x.zero_point, y.zero_point), multiplier, shift, result.zero_point)
    if shift > 20:
        raise refuse(operator, "a quotient that leaves 32 bits", "export the model again")
    return quantised(operator, result, found, None)
