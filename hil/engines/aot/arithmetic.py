# SPDX-License-Identifier: Apache-2.0
"""TFLite's arithmetic on Python numbers: fixed point as TFLM computes it, and activations.

Sources of the fixed-point functions (double rounding):
tensorflow/lite/kernels/internal/{common,quantization_util}.cc and gemmlowp's fixedpoint.h. The
names are the same. The C code in `kernels/` must agree with them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hil.core.errors import ModelError
from hil.tflite import Operator, Tensor
from hil.tflite.graph import refuse, type_name

INT32_MIN, INT32_MAX = -(1 << 31), (1 << 31) - 1


def wrap32(x: int) -> int:
    """The value that a 32-bit register holds."""
    return (x + (1 << 31)) % (1 << 32) - (1 << 31)


def round_half_away(x: float) -> int:
    """C's round(): the nearest integer, halves away from zero."""
    return int(math.copysign(math.floor(abs(x) + 0.5), x)) if abs(x) < 2**52 else int(x)


def roundf(x: float) -> int:
    """C's roundf() of a float32 quotient (exact: the fraction of a float32 is a float32)."""
    whole = math.trunc(x)
    return whole + (int(math.copysign(1, x)) if abs(x - whole) >= 0.5 else 0)


def quantize_multiplier(real: float) -> tuple[int, int]:
    """QuantizeMultiplier: real = multiplier / 2^31 * 2^shift; multiplier 0 below 2^-32.

    Raises `ModelError` when the shift does not fit 32-bit arithmetic.
    """
    if real == 0.0:
        return 0, 0
    fraction, shift = math.frexp(real)
    multiplier = round_half_away(fraction * (1 << 31))
    if multiplier == 1 << 31:
        multiplier, shift = multiplier // 2, shift + 1
    if shift < -31:
        return 0, 0
    if shift > 30:
        raise ModelError(
            f"a quantised operator scales its sums by {real:.3g}", "2^30 is the largest factor"
        )
    return multiplier, shift


def rounding_doubling_high_mul(a: int, b: int) -> int:
    """SaturatingRoundingDoublingHighMul: round(a * b / 2^31), halves upwards."""
    if a == b == INT32_MIN:
        return INT32_MAX
    return (a * b + (1 << 30)) >> 31


def rounding_divide_by_pot(x: int, exponent: int) -> int:
    """RoundingDivideByPOT: x / 2^exponent, halves away from zero."""
    if exponent == 0:
        return x
    return (x - (x < 0) + (1 << (exponent - 1))) >> exponent


def multiply_by_quantized_multiplier(x: int, multiplier: int, shift: int) -> int:
    """MultiplyByQuantizedMultiplier of a 32-bit x; the left shift wraps as TFLM's does."""
    shifted = wrap32(x << max(shift, 0))
    return rounding_divide_by_pot(rounding_doubling_high_mul(shifted, multiplier), max(-shift, 0))


def requantized(x: int, multiplier: int, shift: int, zero: int) -> int:
    """The int8 code of a 32-bit sum, before its activation."""
    code = zero + multiply_by_quantized_multiplier(x, multiplier, shift)
    return min(max(code, -128), 127)


def float32_ratio(*factors: float, by: float = 1.0) -> float:
    """(a * b * ...) / by in float32, step by step, as the kernels do before they widen."""
    product = np.float32(factors[0])
    for factor in factors[1:]:
        product = np.float32(product * np.float32(factor))
    return float(np.float32(product / np.float32(by)))


def quantized_value(real: float, scale: float, zero_point: int) -> int:
    """Quantize() of kernel_util.cc: the code of an activation's limit, not yet clamped.

    Raises `ModelError` where TFLM aborts: for a limit beyond 32 bits.
    """
    with np.errstate(over="ignore"):
        steps = float(np.float32(real) / np.float32(scale))
    if abs(steps) > INT32_MAX:
        raise ModelError(
            f"an activation's limit {real:.3g} is beyond 32 bits of scale {scale:.3g}",
            "export the model again",
        )
    return zero_point + roundf(steps)


# --- exp() of the int8 Softmax: Q5.26 -> Q0.31; other functions have Q4.27 ---

_BARREL = (
    (-2, 1672461947),
    (-1, 1302514674),
    (0, 790015084),
    (1, 290630308),
    (2, 39332535),
    (3, 720401),
    (4, 242),
)


def exp_on_negative_values(a: int, integer_bits: int = 5) -> int:
    """gemmlowp's exp of a number <= 0, as Q0.31: a polynomial and a barrel shifter."""
    if a == 0:
        return INT32_MAX
    mul = rounding_doubling_high_mul
    fraction = 31 - integer_bits
    quarter = 1 << (fraction - 2)
    below = (a & (quarter - 1)) - quarter
    x = (below << integer_bits) + (1 << 28)
    x2 = mul(x, x)
    x3, x4 = mul(x2, x), mul(x2, x2)
    cubic = mul(rounding_divide_by_pot(x4, 2) + x3, 715827883)
    rest = rounding_divide_by_pot(cubic + x2, 1)
    result = 1895147668 + mul(1895147668, x + rest)
    remainder = below - a
    for exponent, factor in _BARREL:
        if exponent < integer_bits and remainder & (1 << (fraction + exponent)):
            result = mul(result, factor)
    return result


def softmax_table(scale: float, beta: float) -> list[int]:
    """exp(-d * scale * beta) in Q0.31 for d = 0, 1, ...; larger d count as 0.

    At most 256 entries, because an int8 is at most 255 below the largest of its row. Raises
    `ModelError` for a scale so small that TFLM aborts.
    """
    real = min(float(np.float32(beta)) * float(np.float32(scale)) * (1 << 26), 2.0**31 - 1)
    if real <= 1.0:
        raise ModelError(f"SOFTMAX of scale {scale:.3g}", "scale * beta must exceed 2^-26")
    multiplier, shift = quantize_multiplier_softmax(real)
    radius = math.floor(31 * float(1 << 26) / float(1 << shift))
    return [
        exp_on_negative_values(multiply_by_quantized_multiplier(-d, multiplier, shift))
        for d in range(min(radius, 255) + 1)
    ]


def quantize_multiplier_softmax(real: float) -> tuple[int, int]:
    """QuantizeMultiplierGreaterThanOne; a shift of 31 occurs, but only with d = 0."""
    fraction, shift = math.frexp(real)
    multiplier = round_half_away(fraction * (1 << 31))
    if multiplier == 1 << 31:
        multiplier, shift = multiplier // 2, shift + 1
    return multiplier, shift


NONE, RELU, RELU_N1_TO_1, RELU6 = 0, 1, 2, 3
FLT_MAX = float(np.finfo(np.float32).max)
_REAL_LIMITS = {
    NONE: (-FLT_MAX, FLT_MAX),
    RELU: (0.0, FLT_MAX),
    RELU_N1_TO_1: (-1.0, 1.0),
    RELU6: (0.0, 6.0),
}
IDENTITY = tuple(range(-128, 128))


CLAMP = "hil_clampf"


@dataclass(frozen=True, slots=True)
class RealFunction:
    """One float32 step: a C function of the value and then ``parameters``.

    ``monotone``: it never decreases, so that it may swap places with a maximum.
    """

    function: str  # of kernels/float32.h or math.h
    parameters: tuple[float, ...] = ()
    monotone: bool = True
    kernel: str = "float32"  # the kernel file that has it


@dataclass(frozen=True, slots=True)
class Activation:
    """All functions between two stages: float32 functions in order, or one table of 256 int8.

    ``table[q + 128]`` is the result for q.
    """

    real: tuple[RealFunction, ...] = ()
    table: tuple[int, ...] = IDENTITY

    def then(self, other: Activation) -> Activation:
        """This activation followed by ``other``."""
        return Activation(self.real + other.real, tuple(other.table[q + 128] for q in self.table))

    @property
    def monotone(self) -> bool:
        """Whether it never decreases, so that it may swap places with a maximum."""
        rising = all(a <= b for a, b in zip(self.table, self.table[1:], strict=False))
        return rising and all(f.monotone for f in self.real)

    @property
    def limits(self) -> tuple[int, int] | None:
        """(low, high) if the table only clamps, else None."""
        low, high = min(self.table), max(self.table)
        clamped = tuple(min(max(q, low), high) for q in IDENTITY)
        return (low, high) if clamped == self.table else None


NOTHING = Activation()


def _fused_kind(operator: Operator) -> int:
    kind = int(operator.options["activation"])
    if kind not in _REAL_LIMITS:
        raise refuse(
            operator, f"fused activation {kind}", "aot fuses none, RELU, RELU6 and RELU_N1_TO_1"
        )
    return kind


def fused_activation(operator: Operator, output: Tensor, real: bool) -> Activation:
    """The activation in the options of an operator; ``real``: float32, else int8."""
    kind = _fused_kind(operator)
    if real:
        return Activation(real=(RealFunction(CLAMP, _REAL_LIMITS[kind]),))
    bottom, top = quantized_limits(operator, output, -128, 127)
    return Activation(table=tuple(min(max(q, bottom), top) for q in IDENTITY))


def quantized_limits(operator: Operator, output: Tensor, low: int, high: int) -> tuple[int, int]:
    """CalculateActivationRangeQuantized: the limits of a fused activation within those of a type.

    Raises `ModelError` if no value remains.
    """
    real_low, real_high = _REAL_LIMITS[_fused_kind(operator)]
    scale, zero = output.scale, output.zero_point
    bottom = low if real_low == -FLT_MAX else max(low, quantized_value(real_low, scale, zero))
    top = high if real_high == FLT_MAX else min(high, quantized_value(real_high, scale, zero))
    if bottom > top:
        kind = type_name(output.dtype)
        raise refuse(operator, f"its activation allows no {kind} value", "export the model again")
    return bottom, top


def real_limits(operator: Operator) -> tuple[float, float]:
    """CalculateActivationRange: the limits of a fused activation."""
    return _REAL_LIMITS[_fused_kind(operator)]
