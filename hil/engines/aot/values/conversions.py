# SPDX-License-Identifier: Apache-2.0
"""Values of one type as another one, and functions of one int16 value.

Sources: TFLM's tensorflow/lite/micro/kernels/{quantize_common,dequantize,cast,activations_common,
elementwise,leaky_relu_common,logistic_common,tanh}.cc and the reference kernels that they call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hil.engines.aot.arithmetic import (
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    quantized_value,
)
from hil.engines.aot.source import Array, Emitted, Writer, real_literal
from hil.engines.aot.steps import Buffer
from hil.engines.aot.values.fixed_point import SIGMOID, interpolated, inverse_root_scale
from hil.engines.aot.values.formulas import INT16_LIMITS, INT32_LIMITS, integer, linear, minus, plus
from hil.engines.aot.values.linear import CODES, fit
from hil.engines.aot.values.value_functions import exponential, gelu_function
from hil.tflite import Graph, Operator, Tensor
from hil.tflite.graph import (
    BOOL,
    FLOAT32,
    INT8,
    INT16,
    INT32,
    UINT8,
    refuse,
    type_name,
)

_LIMITS = {INT8: (-128, 127), UINT8: (0, 255), INT16: INT16_LIMITS, INT32: INT32_LIMITS}


@dataclass(frozen=True, slots=True, eq=False)
class Conversion:
    """``expression``: the result, of the value x. ``table``: constants that it reads."""

    scratch_bytes: ClassVar[int] = 0

    name: str
    note: str
    source: Buffer
    target: Buffer
    elements: int
    expression: str
    kernels: tuple[str, ...] = ()
    table: tuple[int, ...] = ()  # of int16, which the expression calls `table`

    @property
    def sources(self) -> tuple[Buffer, ...]:
        return (self.source,)

    @property
    def targets(self) -> tuple[Buffer, ...]:
        return (self.target,)

    @property
    def leads(self) -> tuple[int | None, ...]:
        # value by value: those that are wider than before end later than what is still to be read
        return (max(self.target.nbytes - self.source.nbytes, 0),)


def emit_conversion(step: Conversion, prefix: str) -> Emitted:
    """The C code; it may work in place."""
    source, target = step.source.ctype, step.target.ctype
    arrays = []
    w = Writer()
    with w.block(f"static inline void {prefix}(const {source} *in, {target} *out)"):
        if step.table:
            arrays.append(Array(f"{prefix}_t", np.array(step.table, "<i2"), "of a function"))
            w(f"HIL_FLASH int16_t *const table = {prefix}_t;")
        with w.block(f"for (int i = 0; i < {step.elements}; ++i)"):
            wide = source if source in ("float", "int64_t") else "int32_t"
            w(f"const {wide} x = in[i];")
            w(f"out[i] = ({target})({step.expression});")
    return Emitted(arrays, str(w), step.kernels)


def plan_conversion(operator: Operator, graph: Graph, name: str, note: str) -> Conversion:
    """An operator of `FUNCTIONS` on one tensor. Raises `ModelError` for what TFLM does not run."""
    x, y = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    made = FUNCTIONS[operator.code](operator, x, y)
    buffers = Buffer.of(x), Buffer.of(y)
    return Conversion(name, note, *buffers, x.elements, made.expression, made.kernels, made.table)


@dataclass(frozen=True, slots=True)
class _Function:
    expression: str
    kernels: tuple[str, ...] = ("int8",)
    table: tuple[int, ...] = ()


def _clamped(value: str, low: int, high: int) -> str:
    return f"hil_clamp({value}, {integer(low)}, {integer(high)})"


def _unlike(operator: Operator, x: Tensor, y: Tensor) -> Exception:
    kinds = f"{type_name(x.dtype)} to {type_name(y.dtype)}"
    return refuse(operator, kinds, "TFLM does not run it either: export the model again")


_REQUANTISED = {
    (INT8, UINT8),
    (UINT8, INT8),
    (INT8, INT16),
    (INT8, INT32),
    (INT16, INT8),
    (INT16, INT16),
    (INT16, INT32),
    (INT32, INT8),
    (INT32, INT16),
}


def _quantize(operator: Operator, x: Tensor, y: Tensor) -> _Function:
    if x.dtype == FLOAT32 and y.dtype in (INT16, UINT8) and len(y.scales) == 1:
        low, high = (limit - y.zero_point for limit in _LIMITS[y.dtype])
        scaled = f"hil_steps(x, {real_literal(y.scale)}, {integer(low)}, {high})"
        return _Function(plus(scaled, y.zero_point), ("conversions",))
    if (x.dtype, y.dtype) not in _REQUANTISED:
        raise _unlike(operator, x, y)
    for tensor in (x, y):
        if len(tensor.scales) != 1:
            raise refuse(operator, "a tensor without one scale", "export the model again")
    multiplier, shift = quantize_multiplier(x.scale / y.scale)
    if x.dtype in (INT8, UINT8) and y.dtype in (INT8, UINT8):
        return _in_bytes(x, y, multiplier, shift)
    value = f"hil_requant({minus('x', x.zero_point)}, {multiplier}, {shift})"
    value = plus(value, y.zero_point)
    return _Function(value if y.dtype == INT32 else _clamped(value, *_LIMITS[y.dtype]))


def _in_bytes(x: Tensor, y: Tensor, multiplier: int, shift: int) -> _Function:
    """int8 to uint8 or the other way: often only the zero points differ."""
    first = _LIMITS[x.dtype][0]
    codes = np.arange(first, first + 256)
    scaled = [
        multiply_by_quantized_multiplier(int(q) - x.zero_point, multiplier, shift) for q in codes
    ]
    results = np.array(scaled, np.int64) + y.zero_point
    limits = _LIMITS[y.dtype]
    moved = results - codes
    if (moved == moved[0]).all():
        value = plus("x", int(moved[0]))
        inside = limits[0] <= results.min() and results.max() <= limits[1]
        return _Function(value if inside else _clamped(value, *limits))
    slope = multiplier * 2.0 ** (shift - 31)
    found = fit(results, limits, (slope,), (x.zero_point - int(codes[0]) - 128,))
    if found is None:
        value = f"hil_requant({minus('x', x.zero_point)}, {multiplier}, {shift})"
        return _Function(_clamped(plus(value, y.zero_point), *limits))
    names = (minus("x", int(codes[0]) - int(CODES[0])),)
    return _Function(_clamped(linear(found, names), *limits), ("scaling",))


def _dequantize(operator: Operator, x: Tensor, y: Tensor) -> _Function:
    if x.dtype not in (INT8, UINT8, INT16) or y.dtype != FLOAT32:
        raise _unlike(operator, x, y)
    if len(x.scales) != 1:
        raise refuse(operator, "a tensor without one scale", "export the model again")
    return _Function(f"{real_literal(x.scale)} * (float){minus('x', x.zero_point)}", ())


def _cast(_operator: Operator, _x: Tensor, y: Tensor) -> _Function:
    return _Function("x != 0" if y.dtype == BOOL else "x", ())


def _not(_operator: Operator, _x: Tensor, _y: Tensor) -> _Function:
    return _Function("!x", ())


def _wide(operator: Operator, x: Tensor, y: Tensor) -> bool:
    """Whether both are int16 with a scale."""
    if x.dtype != INT16 or y.dtype != INT16:
        raise _unlike(operator, x, y)
    return bool(x.scales and y.scales)


def _scaled(x: Tensor, y: Tensor, value: str = "x", factor: float = 1.0) -> str:
    real = x.scale * factor / y.scale
    multiplier, shift = quantize_multiplier(abs(real))
    found = f"hil_requant({value}, {multiplier}, {shift})"
    return f"-{found}" if real < 0 else found


def _relu(operator: Operator, x: Tensor, y: Tensor) -> _Function:
    _require(operator, _wide(operator, x, y))
    return _Function(_clamped(_scaled(x, y), 0, INT16_LIMITS[1]))


def _relu6(operator: Operator, x: Tensor, y: Tensor) -> _Function:
    _require(operator, _wide(operator, x, y))
    return _Function(_clamped("x", 0, min(quantized_value(6.0, x.scale, 0), INT16_LIMITS[1])))


def _leaky_relu(operator: Operator, x: Tensor, y: Tensor) -> _Function:
    _require(operator, _wide(operator, x, y))
    below = _scaled(x, y, factor=float(operator.options["alpha"]))
    return _Function(_clamped(f"x >= 0 ? {_scaled(x, y)} : {below}", *INT16_LIMITS))


def _abs(operator: Operator, x: Tensor, y: Tensor) -> _Function:
    size = "(x < 0 ? -x : x)"
    if not _wide(operator, x, y):
        return _Function(size)
    value = size if x.scale == y.scale else _scaled(x, y, size)
    return _Function(_clamped(value, *INT16_LIMITS))


def _require(operator: Operator, scaled: bool) -> None:
    if not scaled:
        raise refuse(operator, "int16 without a scale", "export the model again")


def _power(scale: float) -> int | None:
    """CheckedLog2: the exponent of a power of two."""
    exact = math.log2(scale)
    return round(exact) if abs(exact - round(exact)) < 1e-3 else None


def _sigmoid(operator: Operator, x: Tensor, y: Tensor) -> _Function:
    """LOGISTIC and TANH: one table of the logistic function, interpolated."""
    _require(operator, _wide(operator, x, y))
    if _power(y.scale) != -15:
        raise refuse(operator, "its output's scale is not 2^-15", "export the model again")
    power = _power(x.scale)
    left = 12 + power if power is not None else -1
    if left == 0 or (left == 1 and operator.code == "TANH"):
        multiplier, shift = 3 << left, 0
    else:
        real, shift = x.scale * 4096.0 * 3.0, 0
        while real <= 32767.0 / 2.0 and shift <= 30:
            real, shift = real * 2.0, shift + 1
        multiplier = int(real)
        if multiplier > 32767:
            raise refuse(operator, f"a scale of {x.scale:.3g}", "TFLM supports up to 2.67 here")
    half = f" + {1 << (shift - 1)}) >> {shift}" if shift else ")"
    kind = operator.code.lower()
    table = tuple(value - (1 << 15) for value in SIGMOID)
    return _Function(f"hil_{kind}16((x * {multiplier}{half}, table)", ("sigmoid16",), table)


def _looked_up(
    function: Callable[[float], float], operator: Operator, x: Tensor, y: Tensor
) -> _Function:
    """A function that LiteRT interpolates in a table of 513 values."""
    _require(operator, _wide(operator, x, y))
    try:
        with np.errstate(all="raise", under="ignore"):
            table = interpolated(function, (x.scale, y.scale), (x.zero_point, y.zero_point))
    except (FloatingPointError, OverflowError):
        raise refuse(operator, "results that leave float32", "export the model again") from None
    return _Function("hil_lookup16(x, table)", ("lookup16",), table)


def _exp(operator: Operator, x: Tensor, y: Tensor) -> _Function:
    return _looked_up(exponential, operator, x, y)


def _log(operator: Operator, x: Tensor, y: Tensor) -> _Function:
    least = float(np.float32(INT16_LIMITS[0] - y.zero_point) * np.float32(y.scale))
    return _looked_up(lambda v: math.log(v) if v > 0 else least, operator, x, y)


def _gelu(operator: Operator, x: Tensor, y: Tensor) -> _Function:
    return _looked_up(gelu_function(operator), operator, x, y)


def _inverse_root(operator: Operator, x: Tensor, y: Tensor) -> _Function:
    """RSQRT; what is not positive gives the largest value."""
    _require(operator, _wide(operator, x, y))
    multiplier, shift = inverse_root_scale(x.scale, y.scale)
    return _Function(f"hil_inverse_root16(x, {multiplier}, {shift})", ("roots",))


# one line per operator
FUNCTIONS: Mapping[str, Callable[[Operator, Tensor, Tensor], _Function]] = {
    "QUANTIZE": _quantize,
    "DEQUANTIZE": _dequantize,
    "CAST": _cast,
    "RELU": _relu,
    "RELU6": _relu6,
    "LEAKY_RELU": _leaky_relu,
    "ABS": _abs,
    "LOGISTIC": _sigmoid,
    "TANH": _sigmoid,
    "EXP": _exp,
    "LOG": _log,
    "GELU": _gelu,
    "LOGICAL_NOT": _not,
    "RSQRT": _inverse_root,
}
