# SPDX-License-Identifier: Apache-2.0
"""Operators that map each value by itself: tables of int8, and float32 code.

Sources: TFLM's tensorflow/lite/micro/kernels/{activations,elementwise,elu,hard_swish,leaky_relu,
logistic,tanh}*.cc. GELU, RELU_N1_TO_1, and the int8 of EXP, LOG and SQRT exist in LiteRT only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hil.core.errors import ModelError
from hil.engines.aot.arithmetic import (
    CLAMP,
    IDENTITY,
    Activation,
    RealFunction,
    float32_ratio,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    quantized_value,
)
from hil.engines.aot.values.fixed_point import (
    hard_swish_code,
    inverse_root_code,
    logistic_code,
    tanh_code,
)
from hil.tflite import Operator, Tensor
from hil.tflite.graph import FLOAT32, INT8, refuse

Table = tuple[int, ...]  # the results for -128 to 127


def clamped(values: list[int], low: int = -128, high: int = 127) -> Table:
    return tuple(min(max(v, low), high) for v in values)


def _scaled(values: list[int], x: Tensor, y: Tensor, real: float) -> list[int]:
    multiplier, shift = quantize_multiplier(real)
    scale = multiply_by_quantized_multiplier
    return [y.zero_point + scale(q - x.zero_point, multiplier, shift) for q in values]


def _relu(_: Operator, x: Tensor, y: Tensor) -> Table:
    values = _scaled(list(IDENTITY), x, y, x.scale / y.scale)
    return clamped(values, low=max(-128, y.zero_point))


def _relu6(_: Operator, x: Tensor, y: Tensor) -> Table:
    # TFLM clamps the codes themselves: it assumes that input and output have the same scale
    del y
    six = min(max(quantized_value(6.0, x.scale, x.zero_point), -128), 127)
    return tuple(six if q > six else max(q, x.zero_point) for q in IDENTITY)


def _relu_n1_to_1(operator: Operator, x: Tensor, y: Tensor) -> Table:
    # LiteRT divides in float32
    values = _scaled(list(IDENTITY), x, y, float32_ratio(x.scale, by=y.scale))
    low = max(-128, quantized_value(-1.0, y.scale, y.zero_point))
    high = min(127, quantized_value(1.0, y.scale, y.zero_point))
    if low > high:
        raise refuse(operator, "its limits allow no int8 value", "export the model again")
    return clamped(values, low, high)


def _leaky_relu(operator: Operator, x: Tensor, y: Tensor) -> Table:
    alpha = float(operator.options["alpha"])
    slope = x.scale * alpha / y.scale
    positive = _scaled(list(IDENTITY), x, y, x.scale / y.scale)
    falling = _scaled(list(IDENTITY), x, y, abs(slope))
    if slope < 0:
        falling = [2 * y.zero_point - v for v in falling]
    return clamped(
        [p if q >= x.zero_point else f for q, p, f in zip(IDENTITY, positive, falling, strict=True)]
    )


def _abs(_: Operator, x: Tensor, y: Tensor) -> Table:
    sizes = [abs(q - x.zero_point) for q in IDENTITY]
    if x.scale != y.scale:
        multiplier, shift = quantize_multiplier(x.scale / y.scale)
        sizes = [multiply_by_quantized_multiplier(s, multiplier, shift) for s in sizes]
    return clamped([s + y.zero_point for s in sizes])


def requantize(x: Tensor, y: Tensor) -> Table:
    """A QUANTIZE of int8 to int8."""
    return clamped(_scaled(list(IDENTITY), x, y, x.scale / y.scale))


def _fixed(
    code: Callable[[int, Tensor, Tensor], int],
) -> Callable[[Operator, Tensor, Tensor], Table]:
    """A function of the steps from the input's zero point."""

    def table(operator: Operator, x: Tensor, y: Tensor) -> Table:
        try:
            return tuple(code(q - x.zero_point, x, y) for q in IDENTITY)
        except ModelError as fault:
            raise refuse(operator, fault.what, fault.hint) from None

    return table


def _logistic(operator: Operator, x: Tensor, y: Tensor) -> Table:
    if y.zero_point != -128:
        raise refuse(operator, "its output's zero point is not -128", "export the model again")
    return _fixed(lambda q, a, _: logistic_code(q, a.scale))(operator, x, y)


def looked_up(function: Callable[[float], float]) -> Callable[[Operator, Tensor, Tensor], Table]:
    """LUTPopulate: ``function`` in float32."""

    def table(_: Operator, x: Tensor, y: Tensor) -> Table:
        inverse = np.float32(1) / np.float32(y.scale)
        codes = np.array(IDENTITY, np.int64) - x.zero_point
        values = np.float32(x.scale) * codes.astype(np.float32)
        with np.errstate(all="ignore"):
            results = np.array([function(float(v)) for v in values]).astype(np.float32)
            steps = results * inverse
        steps = np.nan_to_num(steps.astype(float))
        rounded = np.copysign(np.floor(np.abs(steps) + 0.5), steps)
        return tuple(np.clip(rounded + y.zero_point, -128, 127).astype(int).tolist())

    return table


def _single(x: float) -> np.float32:
    return np.float32(x)


def exponential(x: float) -> float:
    return math.exp(x) if x < 100 else math.inf


def _elu(x: float) -> float:
    return float(_single(math.exp(x)) - _single(1)) if x < 0 else x


def _gelu(x: float) -> float:
    inner = float(_single(x) * _single(-math.sqrt(0.5)))
    return float(_single(0.5) * _single(x) * _single(math.erfc(inner)))


def _gelu_tanh(x: float) -> float:
    single = _single(x)
    cube = _single(0.044715) * single * single * single
    inner = float(_single(math.sqrt(2 / math.pi)) * (single + cube))
    return float(_single(0.5) * single * (_single(1) + _single(math.tanh(inner))))


def gelu_function(operator: Operator) -> Callable[[float], float]:
    return _gelu_tanh if operator.options["approximate"] else _gelu


def _gelu_table(operator: Operator, x: Tensor, y: Tensor) -> Table:
    return looked_up(gelu_function(operator))(operator, x, y)


def _log_table(operator: Operator, x: Tensor, y: Tensor) -> Table:
    least = float(np.float32(-128 - y.zero_point) * np.float32(y.scale))
    return looked_up(lambda v: math.log(v) if v > 0 else least)(operator, x, y)


def _sqrt(_: Operator, x: Tensor, y: Tensor) -> Table:
    """LiteRT's, which rounds down; it stops at negative values, which give 0 here."""
    codes = np.maximum(np.array(IDENTITY) - x.zero_point, 0).astype(np.float32)
    steps = np.sqrt(np.float32(x.scale) * codes) / np.float32(y.scale)
    limited = np.minimum(steps.astype(float), 1 << 16).astype(int)
    return clamped((limited + y.zero_point).tolist())


def _real_gelu(operator: Operator) -> RealFunction:
    if operator.options["approximate"]:
        return RealFunction("hil_gelu_tanh", monotone=False, kernel="gelu")
    return RealFunction("hil_gelu", monotone=False, kernel="gelu")


def _real_leaky_relu(operator: Operator) -> RealFunction:
    alpha = float(operator.options["alpha"])
    return RealFunction("hil_leaky", (alpha,), monotone=alpha >= 0)


@dataclass(frozen=True, slots=True)
class ValueFunction:
    """An operator that maps each value by itself. None: not in this type."""

    real: Callable[[Operator], RealFunction]
    int8: Callable[[Operator, Tensor, Tensor], Table] | None = None

    @property
    def types(self) -> tuple[int, ...]:
        """Without int16, for which `conversions.FUNCTIONS` has the code."""
        return (FLOAT32, INT8) if self.int8 else (FLOAT32,)


def _real(name: str, *parameters: float, rising: bool = False) -> Callable[..., RealFunction]:
    return lambda _: RealFunction(name, parameters, monotone=rising)


# one line per operator
VALUE_FUNCTIONS: Mapping[str, ValueFunction] = {
    "RELU": ValueFunction(_real("hil_relu", rising=True), _relu),
    "RELU6": ValueFunction(_real("hil_relu6", rising=True), _relu6),
    "RELU_N1_TO_1": ValueFunction(_real(CLAMP, -1.0, 1.0, rising=True), _relu_n1_to_1),
    "LEAKY_RELU": ValueFunction(_real_leaky_relu, _leaky_relu),
    "LOGISTIC": ValueFunction(_real("hil_logistic"), _logistic),
    "TANH": ValueFunction(_real("tanhf"), _fixed(lambda q, x, _: tanh_code(q, x.scale))),
    "HARD_SWISH": ValueFunction(
        _real("hil_hard_swish"),
        _fixed(lambda q, x, y: hard_swish_code(q, x.scale, y.scale, y.zero_point)),
    ),
    "ELU": ValueFunction(_real("hil_elu"), looked_up(_elu)),
    "GELU": ValueFunction(_real_gelu, _gelu_table),
    "ABS": ValueFunction(_real("fabsf"), _abs),
    "RSQRT": ValueFunction(
        _real("hil_inverse_root"),
        _fixed(lambda q, x, y: inverse_root_code(q, x.scale, y.scale, y.zero_point)),
    ),
    "EXP": ValueFunction(_real("expf"), looked_up(exponential)),
    "LOG": ValueFunction(_real("logf"), _log_table),
    "SQRT": ValueFunction(_real("sqrtf"), _sqrt),
    "SQUARE": ValueFunction(_real("hil_square")),
    "NEG": ValueFunction(_real("hil_negative")),
    "SIGN": ValueFunction(_real("hil_sign", rising=True)),
    "SIN": ValueFunction(_real("sinf")),
    "COS": ValueFunction(_real("cosf")),
    "FLOOR": ValueFunction(_real("floorf", rising=True)),
    "CEIL": ValueFunction(_real("ceilf", rising=True)),
    "ROUND": ValueFunction(_real("hil_round", rising=True)),
}


def standalone_activation(operator: Operator, x: Tensor, y: Tensor, real: bool) -> Activation:
    """An operator of `VALUE_FUNCTIONS`, or a QUANTIZE of int8 to int8, as an activation."""
    if operator.code == "QUANTIZE":
        return Activation(table=requantize(x, y))
    does = VALUE_FUNCTIONS[operator.code]
    if real:
        return Activation(real=(does.real(operator),))
    assert does.int8 is not None
    return Activation(table=does.int8(operator, x, y))
