# SPDX-License-Identifier: Apache-2.0
"""SOFTMAX and LOG_SOFTMAX over the last axis.

Sources: TFLM's tensorflow/lite/micro/kernels/{softmax_common,log_softmax}.cc,
kernels/internal/reference/{softmax,log_softmax}.h and LUTPopulate in kernels/internal/common.h.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hil.engines.aot.arithmetic import (
    quantize_multiplier,
    quantize_multiplier_softmax,
    softmax_table,
)
from hil.engines.aot.source import Array, Emitted, Writer, read, real_literal
from hil.engines.aot.steps import CTYPES, Buffer, OneToOne
from hil.engines.aot.values.fixed_point import interpolated
from hil.tflite import Graph, Operator, Tensor
from hil.tflite.graph import FLOAT32, INT8, INT16, refuse

MAX_CLASSES = 4095  # what the sums of exp() hold
_SURE_CLASSES = 511  # up to here, no sum can make TFLM stop


@dataclass(frozen=True, slots=True)
class Softmax(OneToOne):
    """``table`` has exp() of int8 differences. ``scaling``: of int16, its multiplier and shift."""

    scratch_bytes: ClassVar[int] = 0

    name: str
    note: str
    types: tuple[int, int]
    rows: int
    depth: int
    beta: float = 1.0
    table: tuple[int, ...] = ()
    scaling: tuple[int, int] = (0, 0)

    @property
    def ctypes(self) -> tuple[str, str]:
        return CTYPES[self.types[0]], CTYPES[self.types[1]]

    @property
    def input_bytes(self) -> int:
        return _nbytes(self.types[0], self.rows * self.depth)

    @property
    def output_bytes(self) -> int:
        return _nbytes(self.types[1], self.rows * self.depth)

    @property
    def lead(self) -> int:
        # each value is read for the last time when its own is written
        return max(self.output_bytes - self.input_bytes, 0)


def _nbytes(dtype: int, elements: int) -> int:
    return Buffer.of(Tensor(-1, "", dtype, (elements,))).nbytes


def plan_softmax(operator: Operator, graph: Graph, name: str, note: str) -> Softmax:
    """A SOFTMAX. Raises `ModelError` for what TFLM does not run."""
    x, y = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    types = (x.dtype, y.dtype)
    depth = x.shape[-1] if x.shape else 1
    rows = x.elements // depth
    beta = float(operator.options["beta"])
    if types == (FLOAT32, FLOAT32):
        return Softmax(name, note, types, rows, depth, beta)
    if depth > MAX_CLASSES:
        raise refuse(operator, f"{depth} classes", f"{MAX_CLASSES} is what TFLM's sums can hold")
    if types not in _OUTPUTS:
        raise refuse(operator, "its input and output differ in type", "export the model again")
    scale, zero, near = _OUTPUTS[types]
    if abs(y.scale - scale) > near * scale or y.zero_point != zero:
        raise refuse(operator, f"its output scale is not 1/{1 / scale:.0f}", "export it again")
    if x.dtype == INT8:
        return Softmax(name, note, types, rows, depth, beta, tuple(softmax_table(x.scale, beta)))
    if x.zero_point:
        raise refuse(operator, "int16 with a zero point", "export the model again")
    scaling = quantize_multiplier(x.scale * beta / (10.0 / 65535.0))
    return Softmax(name, note, types, rows, depth, beta, scaling=scaling)


# scale, zero point, and by how much the scale may differ
_OUTPUTS = {
    (INT8, INT8): (1 / 256, -128, 0.0),
    (INT8, INT16): (1 / 65536, -32768, 0.001),
    (INT16, INT16): (1 / 32768, 0, 0.001),
}


def emit_softmax(step: Softmax, prefix: str) -> Emitted:
    """The C code of a Softmax over rows of ``depth``; it may work in place."""
    w = Writer()
    source, target = step.ctypes
    arrays: list[Array] = []
    kernels: tuple[str, ...] = ("int8",)
    with (
        w.block(f"static inline void {prefix}(const {source} *in, {target} *out)"),
        w.loop("row", step.rows, f"in += {step.depth}, out += {step.depth}"),
    ):
        if source == "float":
            kernels = ("float32",)
            _real_softmax(w, step)
        elif source == "int16_t":
            kernels = ("lookup16",)
            arrays = [
                Array(f"{prefix}_exp", np.array(exponentials(), "<i2"), "exp(-10) to exp(0)"),
                Array(f"{prefix}_inv", np.array(reciprocals(), "<i2"), "1 / (1 + x), 0 <= x <= 1"),
            ]
            scaling = f"{step.scaling[0]}, {step.scaling[1]}"
            tables = f"{prefix}_exp, {prefix}_inv"
            w(f"hil_softmax16(in, out, {step.depth}, {scaling}, {tables});")
        else:
            note = "exp(0), exp(-1 step), ... Q0.31"
            arrays = [Array(f"{prefix}_exp", np.array(step.table, "<i4"), note)]
            _int8_softmax(w, step, f"{prefix}_exp")
    return Emitted(arrays, str(w), kernels)


def _values(step: Softmax) -> str:
    return f"for (int i = 0; i < {step.depth}; ++i)"


def _real_softmax(w: Writer, step: Softmax) -> None:
    values = _values(step)
    w("float top = -3.40282347e+38f, sum = 0.0f;")
    w(f"{values} top = hil_maxf(top, in[i]);")
    with w.block(values):
        beta = "" if step.beta == 1 else f" * {real_literal(step.beta)}"
        w(f"const float e = expf((in[i] - top){beta});")
        w("out[i] = e;")
        w("sum += e;")
    w(f"{values} out[i] = out[i] / sum;")


def _int8_softmax(w: Writer, step: Softmax, table: str) -> None:
    values = _values(step)
    last = len(step.table) - 1
    value = read("int32_t", table, "(top - in[i])")
    bits, low, high = (16, -32768, 32767) if step.types[1] == INT16 else (8, -128, 127)
    w("int32_t top = -128, sum = 0;")
    w(f"{values} top = hil_max(top, in[i]);")
    with w.block(values):
        w(f"if (top - in[i] <= {last}) sum += hil_divide_pot({value}, 12);")
    w("int32_t zeros = 0; /* above the sum's highest bit */")
    w("while (!(((uint32_t)sum << zeros) & UINT32_C(0x80000000))) ++zeros;")
    w("const int32_t scale = hil_reciprocal((int32_t)(((uint32_t)sum << zeros) & INT32_MAX));")
    with w.block(values):
        w("int32_t p = 0;")
        with w.block(f"if (top - in[i] <= {last})"):
            w(f"p = hil_high_mul(scale, {value});")
            shift = f"{43 - bits} - zeros"
            many = step.depth > _SURE_CLASSES and bits == 8  # beyond 31, TFLM stops
            w(f"p = {f'{shift} > 31 ? 0 : ' if many else ''}hil_divide_pot(p, {shift});")
        w(f"out[i] = ({step.ctypes[1]})hil_clamp(p - {-low}, {low}, {high});")


def exponentials() -> tuple[int, ...]:
    """exp(x), -10 <= x <= 0, in Q0.15."""
    scales = (float(np.float32(10) / np.float32(65535)), float(np.float32(2) / np.float32(65535)))
    return interpolated(math.exp, scales, (32767, 0))


def reciprocals() -> tuple[int, ...]:
    """1 / (1 + x), 0 <= x <= 1, in Q0.15."""
    scales = (float(np.float32(1) / np.float32(65535)), float(np.float32(2) / np.float32(65535)))
    return interpolated(
        lambda x: float(np.float32(1) / (np.float32(1) + np.float32(x))), scales, (-32768, 0)
    )


@dataclass(frozen=True, slots=True)
class LogSoftmax(OneToOne):
    """``table`` has exp() of int8 differences; ``forth`` and ``back`` scale to Q5.26 and back."""

    scratch_bytes: ClassVar[int] = 0
    lead: ClassVar[int] = 0

    name: str
    note: str
    real: bool
    rows: int
    depth: int
    table: tuple[int, ...] = ()
    forth: tuple[int, int] = (0, 0)
    back: tuple[int, int] = (0, 0)
    radius: int = 0

    @property
    def ctypes(self) -> tuple[str, str]:
        return ("float", "float") if self.real else ("int8_t", "int8_t")

    @property
    def input_bytes(self) -> int:
        return self.rows * self.depth * (4 if self.real else 1)

    @property
    def output_bytes(self) -> int:
        return self.input_bytes


def plan_log_softmax(operator: Operator, graph: Graph, name: str, note: str) -> LogSoftmax:
    """A LOG_SOFTMAX. Raises `ModelError` for what TFLM does not run."""
    x, y = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    depth = x.shape[-1] if x.shape else 1
    rows = x.elements // depth
    if x.dtype == FLOAT32:
        return LogSoftmax(name, note, True, rows, depth)
    if (y.scale, y.zero_point) != (16 / 256, 127):
        raise refuse(operator, "its output scale is not 1/16", "export the model again")
    if depth > MAX_CLASSES:
        raise refuse(operator, f"{depth} classes", f"{MAX_CLASSES} is what TFLM's sums can hold")
    table = softmax_table(x.scale, 1.0)
    multiplier, shift = quantize_multiplier_softmax(min(x.scale * (1 << 26), 2.0**31 - 1))
    if shift > 30:
        raise refuse(operator, f"a scale of {x.scale:.3g}", "TFLM stops at scales beyond 16")
    back = quantize_multiplier((1 << (31 - shift)) / multiplier)
    radius = math.floor(31 * float(1 << 26) / float(1 << shift))
    scales = (multiplier, shift), back
    return LogSoftmax(name, note, False, rows, depth, tuple(table), *scales, radius)


def emit_log_softmax(step: LogSoftmax, prefix: str) -> Emitted:
    """The C code of a LogSoftmax over rows of ``depth``; it may work in place."""
    w = Writer()
    ctype = step.ctypes[0]
    values = f"for (int i = 0; i < {step.depth}; ++i)"
    arrays: list[Array] = []
    with (
        w.block(f"static inline void {prefix}(const {ctype} *in, {ctype} *out)"),
        w.loop("row", step.rows, f"in += {step.depth}, out += {step.depth}"),
    ):
        if step.real:
            w("float top = -3.40282347e+38f, sum = 0.0f;")
            w(f"{values} top = hil_maxf(top, in[i]);")
            w(f"{values} sum += expf(in[i] - top);")
            w("sum = logf(sum);")
            w(f"{values} out[i] = in[i] - top - sum;")
        else:
            note = "exp(0), exp(-1 step), ... Q0.31"
            arrays = [Array(f"{prefix}_exp", np.array(step.table, "<i4"), note)]
            _int8_log_softmax(w, step, values, f"{prefix}_exp")
    return Emitted(arrays, str(w), ("float32",) if step.real else ("logarithm",))


def _int8_log_softmax(w: Writer, step: LogSoftmax, values: str, table: str) -> None:
    last = len(step.table) - 1
    value = read("int32_t", table, "(top - in[i])")
    w("int32_t top = -128, sum = 0;")
    w(f"{values} top = hil_max(top, in[i]);")
    with w.block(values):
        w(f"if (top - in[i] <= {last}) sum += hil_divide_pot({value}, 12);")
    w("const int32_t log_sum = hil_log(sum);")
    back = f"{step.back[0]}, {step.back[1]}"
    least = f"hil_requant(log_sum + INT32_MIN, {back})"
    w(f"const int32_t least = hil_max({-step.radius - 1}, {least});")
    with w.block(values):
        w("const int32_t less = in[i] - top;")
        w("int32_t y = -128;")
        scaled = f"hil_requant(less, {step.forth[0]}, {step.forth[1]})"
        w(f"if (less > least) y = hil_divide_pot({scaled} - log_sum, 22) + 127;")
        w("out[i] = (int8_t)hil_clamp8(y);")
