# SPDX-License-Identifier: Apache-2.0
"""Operators without weights: poolings that are not fused, and functions of one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hil.engines.aot.arithmetic import (
    NOTHING,
    Activation,
    fused_activation,
)
from hil.engines.aot.source import Array, Emitted, Writer, real_literal
from hil.engines.aot.steps import OneToOne, Pool, ctype, first_bytes, item
from hil.engines.aot.values.conversions import Conversion, plan_conversion
from hil.engines.aot.values.value_functions import VALUE_FUNCTIONS, standalone_activation
from hil.engines.aot.weighted.finish import (
    average,
    int8_expression,
    real_expression,
    real_kernels,
    simplified,
    table_array,
)
from hil.tflite import Graph, Operator
from hil.tflite.graph import FLOAT32, INT8, Axis, refuse, window_axes


@dataclass(frozen=True, slots=True)
class Pooling(OneToOne):
    """A pooling that is not fused. ``real``: float32, else int8."""

    scratch_bytes: ClassVar[int] = 0

    name: str
    note: str
    real: bool
    pool: Pool
    channels: int
    post: Activation

    @property
    def ctypes(self) -> tuple[str, str]:
        return ctype(self.real), ctype(self.real)

    @property
    def input_bytes(self) -> int:
        return self.pool.rows.size * self.pool.columns.size * self.channels * item(self.real)

    @property
    def output_bytes(self) -> int:
        return self.pool.rows.count * self.pool.columns.count * self.channels * item(self.real)

    @property
    def lead(self) -> int:
        return pooling_lead(self.pool, self.channels, item(self.real))


def pooling_lead(pool: Pool, channels: int, size: int) -> int:
    """`OneToOne.lead` of a pooling of values of ``size`` bytes."""
    # channel by channel: c of a pixel is written after c was read, c + 1 is read later
    first = first_bytes(pool.rows, pool.columns, channels * size).reshape(-1)
    channel = np.arange(channels) * size
    reads = (first[:, None] + channel[None, :]).reshape(-1)
    later = np.append(reads[1:], np.iinfo(np.int64).max)
    later = np.minimum.accumulate(later[::-1])[::-1]
    ends = (np.arange(reads.size) + 1) * size
    return int((ends - later).max())


def plan_pooling(operator: Operator, graph: Graph, name: str, note: str) -> Pooling:
    """One sample of a MAX_POOL_2D or AVERAGE_POOL_2D. Raises `ModelError` for empty windows."""
    x, y = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    real = x.dtype == FLOAT32
    post = fused_activation(operator, y, real)
    return Pooling(name, note, real, plan_windows(operator, graph), x.shape[3], post)


def plan_windows(operator: Operator, graph: Graph) -> Pool:
    """The windows of a pooling. Raises `ModelError` for empty ones."""
    rows, columns = window_axes(operator, graph.tensors)
    for axis in (rows, columns):
        last = (axis.count - 1) * axis.stride - axis.before
        if axis.before >= axis.window or last >= axis.size:
            raise refuse(operator, "a window that lies in the padding", "export the model again")
    return Pool(operator.code == "AVERAGE_POOL_2D", rows, columns)


def emit_pooling(step: Pooling, prefix: str) -> Emitted:
    """The C code of a pooling. Windows are clipped to the input, as in TFLite."""
    pool, channels = step.pool, step.channels
    ctype, total = ("float", "float") if step.real else ("int8_t", "int32_t")
    w = Writer()
    head = f"static inline void {prefix}(const {ctype} *in, {ctype} *out)"
    with w.block(head), w.loop("y", pool.rows.count), w.loop("x", pool.columns.count):
        y0, y1, rows = window_bounds(w, "y", pool.rows)
        x0, x1, columns = window_bounds(w, "x", pool.columns)
        with w.loop("c", channels):
            c = "c" if channels > 1 else "0"
            first = "0" if pool.average else "-128"
            if step.real:
                first = "0.0f" if pool.average else "-3.40282347e+38f"
            w(f"{total} m = {first};")
            with (
                w.block(f"for (int v = {y0}; v < {y1}; ++v)"),
                w.block(f"for (int u = {x0}; u < {x1}; ++u)"),
            ):
                x = f"in[(v * {pool.columns.size} + u) * {channels} + {c}]"
                if pool.average:
                    w(f"m += {x};")
                else:
                    w(f"m = {'hil_maxf' if step.real else 'hil_max'}(m, {x});")
            value = "m"
            if pool.average:
                count = f"{rows} * {columns}"
                count = (
                    str(int(rows) * int(columns)) if (rows + columns).isdigit() else f"({count})"
                )
                value = average("m", step.real, count)
            if step.real:
                value = real_expression(value, simplified(step.post.real))
            else:
                value = f"(int8_t){int8_expression(value, step.post, f'{prefix}_lut')}"
            w(f"*out++ = {value};")
    arrays = []
    if not step.real and step.post.limits is None:
        arrays.append(table_array(f"{prefix}_lut", step.post))
    return Emitted(arrays, str(w), _kernels(step.real) + real_kernels(step.post))


def window_bounds(w: Writer, name: str, axis: Axis) -> tuple[str, str, str]:
    """Start, end and extent of the window along an axis, in C; declares what it needs."""
    variable = name if axis.count > 1 else "0"
    start = variable if axis.stride == 1 else f"{variable} * {axis.stride}"
    start = f"{start} - {axis.before}" if axis.before else start
    w(f"const int {name}s = {start};")
    whole = not axis.before and (axis.count - 1) * axis.stride + axis.window <= axis.size
    if whole:
        return f"{name}s", f"{name}s + {axis.window}", str(axis.window)
    w(f"const int {name}0 = {name}s < 0 ? 0 : {name}s;")
    limit = axis.size - axis.window
    w(f"const int {name}1 = {name}s > {limit} ? {axis.size} : {name}s + {axis.window};")
    return f"{name}0", f"{name}1", f"({name}1 - {name}0)"


@dataclass(frozen=True, slots=True)
class Map(OneToOne):
    """Value by value: kind "activation", "quantize" (float32 to int8) or "dequantize"."""

    scratch_bytes: ClassVar[int] = 0

    name: str
    note: str
    kind: str
    real: bool  # of the input
    elements: int
    activation: Activation = NOTHING
    scale: float = 0.0
    zero: int = 0

    @property
    def ctypes(self) -> tuple[str, str]:
        made = {"quantize": False, "dequantize": True, "activation": self.real}[self.kind]
        return ctype(self.real), ctype(made)

    @property
    def input_bytes(self) -> int:
        return self.elements * item(self.real)

    @property
    def output_bytes(self) -> int:
        return self.elements * item(self.ctypes[1] == "float")

    @property
    def lead(self) -> int:
        # element i is written after it was read, i + 1 is read later
        return self.output_bytes - self.input_bytes


def plan_map(operator: Operator, graph: Graph, name: str, note: str) -> Map | Conversion:
    """A function of one value. Raises `ModelError` for types that it does not have."""
    x, y = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    real = x.dtype == FLOAT32
    if (operator.code, x.dtype, y.dtype) == ("QUANTIZE", FLOAT32, INT8):
        return Map(name, note, "quantize", real, x.elements, scale=y.scale, zero=y.zero_point)
    if (operator.code, x.dtype, y.dtype) == ("DEQUANTIZE", INT8, FLOAT32):
        return Map(name, note, "dequantize", real, x.elements, scale=x.scale, zero=x.zero_point)
    table = x.dtype in (FLOAT32, INT8) and operator.code in VALUE_FUNCTIONS
    if table or (operator.code, x.dtype, y.dtype) == _REQUANTISED:
        does = standalone_activation(operator, x, y, real)
        return Map(name, note, "activation", real, x.elements, does)
    return plan_conversion(operator, graph, name, note)


_REQUANTISED = ("QUANTIZE", INT8, INT8)


def emit_map(step: Map, prefix: str) -> Emitted:
    """The C code of a function of one value; it may work in place."""
    source = "float" if step.real else "int8_t"
    target = {"quantize": "int8_t", "dequantize": "float", "activation": source}[step.kind]
    arrays: list[Array] = []
    if step.kind == "quantize":
        value = f"hil_quantize(in[i], {real_literal(step.scale)}, {step.zero})"
    elif step.kind == "dequantize":
        value = f"{real_literal(step.scale)} * (float)(in[i] - ({step.zero}))"
    elif step.real:
        value = real_expression("in[i]", step.activation.real)
    else:
        value = f"(int8_t){int8_expression('in[i]', step.activation, f'{prefix}_lut')}"
        if step.activation.limits is None:
            arrays.append(table_array(f"{prefix}_lut", step.activation))
    w = Writer()
    with (
        w.block(f"static inline void {prefix}(const {source} *in, {target} *out)"),
        w.block(f"for (int i = 0; i < {step.elements}; ++i)"),
    ):
        w(f"out[i] = {value};")
    kernels = () if step.kind == "dequantize" else _kernels(step.real)
    kernels += real_kernels(step.activation)
    return Emitted(arrays, str(w), kernels)


def _kernels(real: bool) -> tuple[str, ...]:
    return ("float32",) if real else ("int8",)
