"""Functions of one value: what activations and rescaling do to float32 and to int8."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hil.engines.aot import quant
from hil.tflite import Operator, Tensor
from hil.tflite.geometry import refuse

NONE, RELU, RELU_N1_TO_1, RELU6 = 0, 1, 2, 3
FLT_MAX = float(np.finfo(np.float32).max)
_REAL_LIMITS = {
    NONE: (-FLT_MAX, FLT_MAX),
    RELU: (0.0, FLT_MAX),
    RELU_N1_TO_1: (-1.0, 1.0),
    RELU6: (0.0, 6.0),
}
IDENTITY = tuple(range(-128, 128))


@dataclass(frozen=True, slots=True)
class RealFunction:
    """One float32 step: kind "clamp" (low, high), "relu", "relu6" or "leaky" (alpha)."""

    kind: str
    low: float = 0.0
    high: float = 0.0

    @property
    def monotone(self) -> bool:
        return self.kind != "leaky" or self.low >= 0


@dataclass(frozen=True, slots=True)
class Activation:
    """All steps between two stages: float32 functions in order, or one table of 256 int8.

    ``table[q + 128]`` is the answer to q.
    """

    real: tuple[RealFunction, ...] = ()
    table: tuple[int, ...] = IDENTITY

    def then(self, other: Activation) -> Activation:
        """First this, then the other."""
        return Activation(self.real + other.real, tuple(other.table[q + 128] for q in self.table))

    @property
    def monotone(self) -> bool:
        """Never falling, so that it may trade places with a maximum."""
        rising = all(a <= b for a, b in zip(self.table, self.table[1:], strict=False))
        return rising and all(f.monotone for f in self.real)

    @property
    def limits(self) -> tuple[int, int] | None:
        """(low, high) when the table only clamps, else None."""
        low, high = min(self.table), max(self.table)
        clamped = tuple(min(max(q, low), high) for q in IDENTITY)
        return (low, high) if clamped == self.table else None


def fused(operator: Operator, output: Tensor, real: bool) -> Activation:
    """The activation that a convolution, dense layer or pooling carries in its options."""
    kind = int(operator.options["activation"])
    if kind not in _REAL_LIMITS:
        raise refuse(
            operator, f"fused activation {kind}", "aot fuses none, RELU, RELU6 and RELU_N1_TO_1"
        )
    low, high = _REAL_LIMITS[kind]
    if real:
        return Activation(real=(RealFunction("clamp", low, high),))
    scale, zero = output.scale, output.zero_point
    bottom = -128 if kind == NONE else max(-128, quant.quantized_value(low, scale, zero))
    top = 127 if high == FLT_MAX else min(127, quant.quantized_value(high, scale, zero))
    if bottom > top:
        raise refuse(operator, "its activation leaves no int8 value", "export the model again")
    return Activation(table=tuple(min(max(q, bottom), top) for q in IDENTITY))


def standalone(operator: Operator, x: Tensor, y: Tensor, real: bool) -> Activation:
    """RELU, RELU6, LEAKY_RELU and int8 to int8 QUANTIZE as functions of one value."""
    if real:
        if operator.code == "LEAKY_RELU":
            return Activation(real=(RealFunction("leaky", float(operator.options["alpha"])),))
        return Activation(real=(RealFunction(operator.code.lower()),))
    compute = {
        "RELU": _relu,
        "RELU6": _relu6,
        "LEAKY_RELU": _leaky_relu,
        "QUANTIZE": _requantize,
    }[operator.code]
    return Activation(table=compute(operator, x, y))


def _clamp(values: list[int], low: int = -128, high: int = 127) -> tuple[int, ...]:
    return tuple(min(max(v, low), high) for v in values)


def _scaled(values: list[int], x: Tensor, y: Tensor, real: float) -> list[int]:
    multiplier, shift = quant.quantize_multiplier(real)
    scale = quant.multiply_by_quantized_multiplier
    return [y.zero_point + scale(q - x.zero_point, multiplier, shift) for q in values]


def _relu(_: Operator, x: Tensor, y: Tensor) -> tuple[int, ...]:
    values = _scaled(list(IDENTITY), x, y, quant.float32_ratio(x.scale, by=y.scale))
    return _clamp(values, low=max(-128, y.zero_point))


def _relu6(_: Operator, x: Tensor, y: Tensor) -> tuple[int, ...]:
    # TFLM clamps the codes themselves: it takes input and output to share their scale
    del y
    six = min(max(quant.quantized_value(6.0, x.scale, x.zero_point), -128), 127)
    return tuple(six if q > six else max(q, x.zero_point) for q in IDENTITY)


def _leaky_relu(operator: Operator, x: Tensor, y: Tensor) -> tuple[int, ...]:
    alpha = float(operator.options["alpha"])
    slope = quant.float32_ratio(x.scale, alpha, by=y.scale)
    positive = _scaled(list(IDENTITY), x, y, quant.float32_ratio(x.scale, by=y.scale))
    falling = _scaled(list(IDENTITY), x, y, abs(slope))
    if slope < 0:
        falling = [2 * y.zero_point - v for v in falling]
    return _clamp(
        [p if q >= x.zero_point else f for q, p, f in zip(IDENTITY, positive, falling, strict=True)]
    )


def _requantize(_: Operator, x: Tensor, y: Tensor) -> tuple[int, ...]:
    return _clamp(_scaled(list(IDENTITY), x, y, x.scale / y.scale))
