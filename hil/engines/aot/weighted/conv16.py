# SPDX-License-Identifier: Apache-2.0
"""int16 values with int8 weights: convolutions and dense layers.

TFLM adds products in 64 bits (in 32 bits where the bias is int32) and scales the sum by a
multiplier of 15 bits. Where no sum can leave 32 bits, the code adds in 32 bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hil.engines.aot.source import Array, Emitted, Writer, read
from hil.engines.aot.steps import Int16ToInt16, first_bytes
from hil.engines.aot.values.unweighted import window_bounds
from hil.engines.aot.weighted.scaling import Scaling, plan_scaling
from hil.engines.aot.weighted.sums import KERNELS, blocks, call, emit_sums, pack
from hil.tflite import Graph, Operator
from hil.tflite.graph import INT8, INT32, INT64, Axis, refuse, window_axes


@dataclass(frozen=True, slots=True, eq=False)
class Dense16(Int16ToInt16):
    """Rows of values, ``points`` of them, times weights (cout, length); ``groups`` of both.

    A row has the values of all groups, one after the other.
    """

    name: str
    note: str
    points: int
    groups: int
    cout: int
    weights: npt.NDArray[np.int8]
    scaling: Scaling

    @property
    def length(self) -> int:
        """Values that a sum reads."""
        return int(self.weights.shape[1])

    @property
    def values(self) -> tuple[int, int]:
        return self.points * self.groups * self.length, self.points * self.cout

    @property
    def lead(self) -> int:
        # a row is read until its last output is written
        grows = 2 * (self.cout - self.groups * self.length)
        return 2 * self.cout + max(0, (self.points - 1) * grows)

    @property
    def portions(self) -> list[int]:
        """How many values of a long sum to add in 32 bits; all but the last in whole fours."""
        size = 508  # 508 * 127 * 32,768 fits, and 508 * 128 * 32,768
        return [min(size, self.length - i) for i in range(0, self.length, size)]


@dataclass(frozen=True, slots=True, eq=False)
class Depthwise16(Int16ToInt16):
    """A depthwise convolution; weights (cout, rows, columns)."""

    name: str
    note: str
    rows: Axis
    columns: Axis
    cin: int
    cout: int
    weights: npt.NDArray[np.int8]
    scaling: Scaling

    @property
    def values(self) -> tuple[int, int]:
        rows, columns = self.rows, self.columns
        return rows.size * columns.size * self.cin, rows.count * columns.count * self.cout

    @property
    def lead(self) -> int:
        # all channels of a pixel are written while its window is still read
        first = first_bytes(self.rows, self.columns, 2 * self.cin).reshape(-1)
        ends = (np.arange(first.size) + 1) * 2 * self.cout
        return int((ends - np.minimum.accumulate(first[::-1])[::-1]).max())


def plan_16(operator: Operator, graph: Graph, name: str, note: str) -> Dense16 | Depthwise16:
    """One sample of a layer of int16 values. A convolution is planned as one window after another,
    each of them one row. Raises `ModelError`."""
    tensors = graph.tensors
    x, w, y = (tensors[i] for i in (*operator.inputs[:2], operator.outputs[0]))
    if w.dtype != INT8 or w.data is None:
        raise refuse(operator, "int16 values without constant int8 weights", "export in int8")
    depthwise = operator.code == "DEPTHWISE_CONV_2D"
    cout = y.shape[-1]
    raw = w.data[0].transpose(2, 0, 1) if depthwise else w.data
    weights = np.ascontiguousarray(raw.reshape(cout, -1).astype(np.int8))
    bias, exact = plan_bias(operator, graph, cout)
    scaling = plan_scaling(operator, (x, w, y), bias, weights, exact=exact)
    if operator.code == "FULLY_CONNECTED":
        return Dense16(name, note, x.elements // weights.shape[1], 1, cout, weights, scaling)
    rows, columns = window_axes(operator, tensors)
    dilated = operator.options["dilation_h"] > 1 or operator.options["dilation_w"] > 1
    if depthwise and not dilated:
        weights = weights.reshape(cout, rows.window, columns.window)
        return Depthwise16(name, note, rows, columns, x.shape[3], cout, weights, scaling)
    groups = x.shape[3] if depthwise else x.shape[3] // w.shape[3]
    return Dense16(name, note, 1, groups, cout, weights, scaling)


def plan_bias(operator: Operator, graph: Graph, cout: int) -> tuple[npt.NDArray[np.int64], bool]:
    """The bias, and whether TFLM adds in 32 bits. Raises `ModelError` for a type that it misreads.

    It does where the bias has 32 bits, except in depthwise convolutions.
    """
    exact = operator.options.get("bias_type") == INT32
    if len(operator.inputs) < 3 or operator.inputs[2] < 0:
        return np.zeros(cout, np.int64), exact
    bias = graph.tensors[operator.inputs[2]]
    taken = [INT64] if operator.code == "DEPTHWISE_CONV_2D" else [INT64, INT32]
    if bias.dtype not in taken or bias.data is None:
        raise refuse(operator, f"a bias of TensorType {bias.dtype}", "export the model again")
    return bias.data.reshape(cout).astype(np.int64), bias.dtype == INT32


def emit_dense16(step: Dense16, prefix: str) -> Emitted:
    """The C code of a dense layer of int16 values."""
    scaling = step.scaling
    parts = [pack(g, "int16_t") for g in step.weights.reshape(step.groups, -1, step.length)]
    arrays = [Array(f"{prefix}_w", np.concatenate(parts), "weights"), *scaling.arrays(prefix)]
    w = Writer()
    channels = blocks(step.cout // step.groups)
    for count, _ in channels:
        emit_sums(w, prefix, count, "int16_t")
    head = f"static inline void {prefix}(const int16_t *in, int16_t *out)"
    with w.block(head), w.loop("p", step.points):
        w(f"HIL_FLASH int8_t *w = {prefix}_w;")
        scaling.pointers(w, prefix)
        with w.loop("g", step.groups, f"in += {step.length}"):
            for count, times in channels:
                advance = [f"w += {count * step.length}", f"out += {count}"]
                advance += scaling.advance(count)
                head = f"for (int c = 0; c < {times}; ++c, {', '.join(advance)})"
                with w.block(head):
                    _block(w, step, prefix, count)
        if step.groups == 1 and step.points > 1:
            w(f"in += {step.length};")
    return Emitted(arrays, str(w), KERNELS["int16_t"])


def _block(w: Writer, step: Dense16, prefix: str, count: int) -> None:
    scaling = step.scaling
    starts = ", ".join(scaling.start(j) for j in range(count))
    if not scaling.long:
        w(f"int32_t a[{count}] = {{{starts}}};")
        w(call(prefix, count, "int16_t", step.length, "in, w, a"))
    else:
        w(f"int64_t a[{count}] = {{{starts}}};")
        done = 0
        for portion in step.portions:
            with w.block(""):
                w(f"int32_t t[{count}] = {{0}};")
                at = f"in + {done}, w + {done * count}" if done else "in, w"
                w(call(prefix, count, "int16_t", portion, f"{at}, t"))
                w(f"for (int i = 0; i < {count}; ++i) a[i] += t[i];")
            done += portion
    for j in range(count):
        w(f"out[{j}] = {scaling.value(f'a[{j}]', j)};")


def emit_depthwise16(step: Depthwise16, prefix: str) -> Emitted:
    """The C code of a depthwise convolution of int16 values."""
    scaling = step.scaling
    weights = Array(f"{prefix}_w", step.weights, "weights, channel by channel")
    rows, columns = step.rows, step.columns
    taps = rows.window * columns.window
    each = step.cout // step.cin
    w = Writer()
    head = f"static inline void {prefix}(const int16_t *in, int16_t *out)"
    with w.block(head), w.loop("y", rows.count), w.loop("x", columns.count):
        y0, y1, _ = window_bounds(w, "y", rows)
        x0, x1, _ = window_bounds(w, "x", columns)
        w(f"HIL_FLASH int8_t *w = {prefix}_w;")
        scaling.pointers(w, prefix)
        advance = ", ".join([f"w += {taps}", *scaling.advance(1)])
        with w.block(f"for (int c = 0; c < {step.cout}; ++c, {advance})"):
            w(f"{'int64_t' if scaling.long else 'int32_t'} a = {scaling.start(0)};")
            with w.block(f"for (int v = {y0}; v < {y1}; ++v)"):
                channel = "c" if each == 1 else f"c / {each}"
                w(f"const int16_t *p = in + (int32_t)v * {columns.size * step.cin} + {channel};")
                w(f"const int row = (v - ys) * {columns.window} - xs;")
                with w.block(f"for (int u = {x0}; u < {x1}; ++u)"):
                    w(f"a += (int32_t)p[u * {step.cin}] * {read('int8_t', 'w', 'row + u')};")
            w(f"*out++ = {scaling.value('a', 0)};")
    return Emitted([weights, *scaling.arrays(prefix)], str(w), KERNELS["int16_t"])
