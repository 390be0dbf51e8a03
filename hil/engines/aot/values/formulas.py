# SPDX-License-Identifier: Apache-2.0
"""What the arithmetic of an operator on two values is: a C expression of ``x`` and ``y``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hil.engines.aot.arithmetic import (
    NOTHING,
    Activation,
    fused_activation,
    quantized_limits,
    real_limits,
)
from hil.engines.aot.values.linear import Integers, Linear, Rows
from hil.tflite import Operator, Tensor
from hil.tflite.graph import FLOAT32, INT16

INT32_LIMITS = (-(1 << 31), (1 << 31) - 1)
INT16_LIMITS = (-(1 << 15), (1 << 15) - 1)


class Quantised(Protocol):
    """Arithmetic on codes; results are not yet clamped."""

    def results(self, x: Integers, y: Integers) -> Integers:
        """What TFLM computes."""
        ...

    def rows(
        self, side: int, other: Integers, results: Integers, limits: tuple[int, int]
    ) -> Rows | None:
        """The ``results`` (channels, 256) for operand ``side`` as sums; None if there are none.

        ``other``: the constants (channels,), which are the other operand.
        """
        ...

    @property
    def expression(self) -> str:
        """The same as `results`, in C."""
        ...


class NotLinear:
    """The part of a `Quantised` whose results are not sums of its operands."""

    __slots__ = ()

    def rows(
        self, side: int, other: Integers, results: Integers, limits: tuple[int, int]
    ) -> Rows | None:
        del side, other, results, limits
        return None


@dataclass(frozen=True, slots=True)
class Formula:
    """``expression`` of x and y, which have type ``ctype``, and the kernel files that it calls.

    ``bounded``: an int8 result needs no clamp. ``codes``: of int8.
    """

    expression: str
    ctype: str = "int32_t"
    kernels: tuple[str, ...] = ()
    bounded: bool = False
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


def clamped(value: str, limits: tuple[int, int], widest: tuple[int, int]) -> str:
    return value if limits == widest else f"hil_clamp({value}, {integer(limits[0])}, {limits[1]})"


def wrapping(sign: str) -> str:
    """int32 arithmetic that wraps, as it does on every core."""
    return f"(int32_t)((uint32_t)x {sign} (uint32_t)y)"


def int32_limits(operator: Operator) -> tuple[int, int]:
    low, high = real_limits(operator)
    return int(max(low, INT32_LIMITS[0])), int(min(high, INT32_LIMITS[1]))


def plain(operator: Operator, y: Tensor, sign: str, limited: bool = True) -> Found:
    """float32 or int32."""
    if y.dtype == FLOAT32:
        return Formula(f"x {sign} y", "float"), fused_activation(operator, y, True)
    limits = int32_limits(operator) if limited else INT32_LIMITS
    return Formula(clamped(wrapping(sign), limits, INT32_LIMITS)), NOTHING


def quantised(operator: Operator, result: Tensor, found: Quantised, fitted: str | None) -> Found:
    """int8 or int16; ``fitted``: a faster expression of int8."""
    if result.dtype == INT16:
        limits = quantized_limits(operator, result, *INT16_LIMITS)
        value = f"(int16_t)hil_clamp({found.expression}, {limits[0]}, {limits[1]})"
        return Formula(value, kernels=("scaling",)), NOTHING
    post = fused_activation(operator, result, False)
    kernels = ("quotients",) if operator.code == "DIV" else ("scaling",)
    return Formula(fitted or found.expression, kernels=kernels, codes=found), post


def linear(found: Linear, names: Sequence[str] = ("x", "y")) -> str:
    """The C expression of a `Linear`."""
    start = found.start if found.away else found.offset
    terms = [f"{name} * {integer(f)}" for name, f in zip(names, found.factors, strict=True)]
    total = " + ".join([integer(start), *terms])
    if found.away:
        total = plus(f"hil_away({total})", found.offset)
    return f"(({total}) >> {found.shift})"
