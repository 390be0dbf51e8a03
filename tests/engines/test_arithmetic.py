# SPDX-License-Identifier: Apache-2.0
"""Fixed-point arithmetic, compared with its definition in real numbers and with gemmlowp's C."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hil.core.errors import ModelError
from hil.engines.aot import arithmetic

INT32 = st.integers(arithmetic.INT32_MIN, arithmetic.INT32_MAX)


def truncated(numerator: int, denominator: int) -> int:
    """C's integer division."""
    quotient = abs(numerator) // abs(denominator)
    return quotient if (numerator < 0) == (denominator < 0) else -quotient


@given(INT32, INT32)
@example(arithmetic.INT32_MIN, arithmetic.INT32_MIN)
@example(-1, 1 << 30)
def test_high_multiply_equals_gemmlowp(a: int, b: int) -> None:
    """With a nudge by sign and a truncating division, as in gemmlowp's fixedpoint.h."""
    product = a * b
    nudge = 1 << 30 if product >= 0 else 1 - (1 << 30)
    expected = (
        arithmetic.INT32_MAX
        if a == b == arithmetic.INT32_MIN
        else truncated(product + nudge, 1 << 31)
    )
    assert arithmetic.rounding_doubling_high_mul(a, b) == expected


@given(INT32, st.integers(0, 31))
def test_divide_by_a_power_of_two_rounds_halves_away(x: int, exponent: int) -> None:
    exact = Fraction(x, 1 << exponent)
    nearest = math.floor(abs(exact) + Fraction(1, 2))
    assert arithmetic.rounding_divide_by_pot(x, exponent) == (nearest if x >= 0 else -nearest)


@given(st.floats(2.0**-31, 2.0**29))
def test_multipliers_are_rounded_from_the_real_number(real: float) -> None:
    multiplier, shift = arithmetic.quantize_multiplier(real)
    assert 1 << 30 <= multiplier < 1 << 31
    value = Fraction(multiplier, 1 << 31) * Fraction(2) ** shift
    assert abs(value - Fraction(real)) <= Fraction(real) / (1 << 30)


def test_multipliers_at_the_ends_of_their_range() -> None:
    assert arithmetic.quantize_multiplier(0.0) == (0, 0)
    assert arithmetic.quantize_multiplier(2.0**-40) == (0, 0)
    assert arithmetic.quantize_multiplier(1.0) == (1 << 30, 1)
    # rounds up to 1.0, which takes another shift
    assert arithmetic.quantize_multiplier(math.nextafter(1.0, 0.0)) == (1 << 30, 1)
    with pytest.raises(ModelError, match="scales its sums"):
        arithmetic.quantize_multiplier(2.0**40)


@given(st.integers(-(1 << 20), 1 << 20), st.floats(1e-5, 1.0))
def test_requantisation_is_within_a_step_of_the_product(x: int, real: float) -> None:
    multiplier, shift = arithmetic.quantize_multiplier(real)
    got = arithmetic.multiply_by_quantized_multiplier(x, multiplier, shift)
    assert abs(got - x * real) <= 1.01


@given(st.integers(-31 * (1 << 26), 0))
def test_exp_of_negative_values(a: int) -> None:
    # gemmlowp's polynomial is accurate to a few 2^-23
    assert arithmetic.exp_on_negative_values(a) / (1 << 31) == pytest.approx(
        math.exp(a / (1 << 26)), abs=2**-21
    )


def test_the_softmax_table_falls_from_one() -> None:
    table = arithmetic.softmax_table(0.1, 1.0)
    assert table[0] == arithmetic.INT32_MAX
    # with a multiplier of 2^23 there are 31 * 2^26 / 2^23 steps
    assert len(table) == 31 * 8 + 1
    assert all(a >= b for a, b in itertools.pairwise(table))
    assert table[10] / 2**31 == pytest.approx(math.exp(-1), abs=1e-6)


def test_a_softmax_of_large_scale_has_a_short_table() -> None:
    # 8 = 0.5 * 2^4, so 31 / 2^4 = 1.9: values 2 or more steps below count as 0
    assert len(arithmetic.softmax_table(8.0, 1.0)) == 2


@given(st.floats(-1e6, 1e6, width=32))
def test_roundf_rounds_halves_away(x: float) -> None:
    exact = Fraction(x)
    nearest = math.floor(abs(exact) + Fraction(1, 2))
    assert arithmetic.roundf(x) == (nearest if x >= 0 else -nearest)


@given(
    st.integers(1 - (1 << 23), (1 << 23) - 1),
    st.integers(1 << 30, arithmetic.INT32_MAX),
    st.integers(-14, -1),
    st.integers(-128, 127),
)
def test_a_sum_scaled_by_256_gives_both_roundings_at_once(
    x: int, multiplier: int, shift: int, zero: int
) -> None:
    """The arithmetic of kernels/rows.h, with the columns of Finish.scale_columns."""
    n = -1 - shift
    offset = (1 << 6) + (1 << (n + 7)) + zero * (1 << (n + 8))
    high = (256 * x * multiplier >> 32) + offset
    expected = zero + arithmetic.multiply_by_quantized_multiplier(x, multiplier, shift)
    assert (high - (128 if x < 0 else 0)) >> (n + 8) == expected
    if expected > zero:  # what a ReLU keeps
        assert high >> (n + 8) == expected
