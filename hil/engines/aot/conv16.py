# SPDX-License-Identifier: Apache-2.0
"""int16 values with int8 weights: convolutions and dense layers.

TFLM adds products in 64 bits (in 32 bits where the bias is int32) and scales the sum by a
multiplier of 15 bits. Where no sum can leave 32 bits, the code adds in 32 bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from hil.engines.aot.arithmetic import INT32_MAX, quantize_multiplier, quantized_limits
from hil.engines.aot.conv import weight_ratios
from hil.engines.aot.source import Array, Emitted, Writer, read
from hil.engines.aot.steps import OneToOne, first_bytes
from hil.engines.aot.unweighted import window_bounds
from hil.tflite import Graph, Operator, Tensor
from hil.tflite.graph import INT8, INT32, INT64, Axis, refuse, window_axes

LIMITS = (-(1 << 15), (1 << 15) - 1)
_LARGEST = 1 << 47  # of a sum that TFLM scales
_CHANNELS = 4  # at a time


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """How sums become int16, per output channel.

    ``exact``: in 32 bits with both of TFLM's roundings, else a 15-bit multiplier and one rounding.
    ``long``: sums may leave 32 bits.
    """

    bias: npt.NDArray[np.int64]
    multipliers: npt.NDArray[np.int64]
    shifts: npt.NDArray[np.int64]
    limits: tuple[int, int]
    exact: bool
    long: bool

    @property
    def _columns(self) -> list[npt.NDArray[np.int64]]:
        """What differs between channels, and the bias if it has 32 bits."""
        found = [] if self.long else [self.bias]
        return found + [v for v in (self.multipliers, self.shifts) if len(set(v.tolist())) > 1]

    @property
    def stride(self) -> int:
        """int32 parameters per channel."""
        return len(self._columns)

    def arrays(self, prefix: str) -> list[Array]:
        arrays = []
        if self._columns:
            values = np.stack(self._columns, axis=1).astype("<i4")
            arrays.append(Array(f"{prefix}_q", values, "scaling, per channel"))
        if self.long:
            arrays.append(Array(f"{prefix}_b", self.bias.astype("<i8"), "bias"))
        return arrays

    def pointers(self, w: Writer, prefix: str) -> None:
        """Declare the pointers to the parameters."""
        for array in self.arrays(prefix):
            w(f"HIL_FLASH {array.ctype} *{array.name.removeprefix(prefix + '_')} = {array.name};")

    def advance(self, channels: int) -> str:
        """The expressions that move them on."""
        found = [f"q += {channels * self.stride}"] if self.stride else []
        return ", ".join(found + ([f"b += {channels}"] if self.long else []))

    def start(self, c: int) -> str:
        """The initial value of a sum of channel ``c`` from the pointers on."""
        if self.long:
            return read("int64_t", "b", c)
        return read("int32_t", "q", self.stride * c)

    def value(self, total: str, c: int) -> str:
        """The int16 expression of a sum."""
        place = 0 if self.long else 1
        parameters = []
        for values in (self.multipliers, self.shifts):
            if len(set(values.tolist())) > 1:
                parameters.append(read("int32_t", "q", self.stride * c + place))
                place += 1
            else:
                parameters.append(str(int(values[0])))
        function = "hil_requant" if self.exact else "hil_requant64"
        scaled = f"{function}({total}, {', '.join(parameters)})"
        return f"(int16_t)hil_clamp({scaled}, {self.limits[0]}, {self.limits[1]})"


@dataclass(frozen=True, slots=True, eq=False)
class Dense16(OneToOne):
    """Rows of values, ``points`` of them, times weights (cout, length); ``groups`` of both.

    A row has the values of all groups, one after the other.
    """

    scratch_bytes: ClassVar[int] = 0
    ctypes: ClassVar[tuple[str, str]] = ("int16_t", "int16_t")

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
    def input_bytes(self) -> int:
        return 2 * self.points * self.groups * self.length

    @property
    def output_bytes(self) -> int:
        return 2 * self.points * self.cout

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
class Depthwise16(OneToOne):
    """A depthwise convolution; weights (cout, rows, columns)."""

    scratch_bytes: ClassVar[int] = 0
    ctypes: ClassVar[tuple[str, str]] = ("int16_t", "int16_t")

    name: str
    note: str
    rows: Axis
    columns: Axis
    cin: int
    cout: int
    weights: npt.NDArray[np.int8]
    scaling: Scaling

    @property
    def input_bytes(self) -> int:
        return 2 * self.rows.size * self.columns.size * self.cin

    @property
    def output_bytes(self) -> int:
        return 2 * self.rows.count * self.columns.count * self.cout

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
    scaling = plan_scaling(operator, tensors, (x, w, y), weights)
    if operator.code == "FULLY_CONNECTED":
        return Dense16(name, note, x.elements // weights.shape[1], 1, cout, weights, scaling)
    rows, columns = window_axes(operator, tensors)
    dilated = operator.options["dilation_h"] > 1 or operator.options["dilation_w"] > 1
    if depthwise and not dilated:
        weights = weights.reshape(cout, rows.window, columns.window)
        return Depthwise16(name, note, rows, columns, x.shape[3], cout, weights, scaling)
    groups = x.shape[3] if depthwise else x.shape[3] // w.shape[3]
    return Dense16(name, note, 1, groups, cout, weights, scaling)


def plan_scaling(
    operator: Operator,
    tensors: Sequence[Tensor],
    used: tuple[Tensor, Tensor, Tensor],
    weights: npt.NDArray[np.int8],
) -> Scaling:
    cout = len(weights)
    bias = np.zeros(cout, np.int64)
    # TFLM adds in 32 bits where the bias has 32, except in depthwise convolutions
    exact = operator.options.get("bias_type") == INT32
    given = tensors[operator.inputs[2]] if len(operator.inputs) > 2 else None
    if given is not None and operator.inputs[2] >= 0:
        exact = given.dtype == INT32
        depthwise = operator.code == "DEPTHWISE_CONV_2D"
        if (given.dtype != INT64 and (depthwise or not exact)) or given.data is None:
            raise refuse(operator, f"a bias of TensorType {given.dtype}", "export the model again")
        bias = given.data.reshape(cout).astype(np.int64)
    sums = np.abs(weights.astype(np.int64)).sum(axis=1) << 15
    # as Python numbers: a bias may be as large as 64 bits allow
    bound = max(abs(int(b)) + int(s) for b, s in zip(bias, sums, strict=True))
    if bound > (INT32_MAX if exact else _LARGEST):
        raise refuse(operator, "its sums may be too large", "export with smaller biases")
    pairs = [quantize_multiplier(r) for r in weight_ratios(operator, used, cout)]
    if not exact:
        if max(shift for _, shift in pairs) >= 8:
            raise refuse(operator, "it scales its sums by 128 or more", "export the model again")
        pairs = [(min((m + (1 << 15)) >> 16, 0x7FFF), 15 - shift) for m, shift in pairs]
    return Scaling(
        bias=bias,
        multipliers=np.array([m for m, _ in pairs], np.int64),
        shifts=np.array([s for _, s in pairs], np.int64),
        limits=quantized_limits(operator, used[2], *LIMITS),
        exact=exact,
        long=bound > INT32_MAX,
    )


def _pack(step: Dense16) -> npt.NDArray[np.int8]:
    """Blocks of channels, in these taps in fours (0, 2, 1, 3), in these channels."""
    parts = []
    for group in step.weights.reshape(step.groups, -1, step.length):
        for first in range(0, len(group), _CHANNELS):
            block = group[first : first + _CHANNELS]
            whole = step.length // 4 * 4
            fours = block[:, :whole].reshape(len(block), -1, 4)[:, :, [0, 2, 1, 3]]
            parts += [fours.transpose(1, 0, 2).reshape(-1), block[:, whole:].T.reshape(-1)]
    return np.concatenate(parts)


def emit_dense16(step: Dense16, prefix: str) -> Emitted:
    """The C code of a dense layer of int16 values."""
    scaling = step.scaling
    arrays = [Array(f"{prefix}_w", _pack(step), "weights"), *scaling.arrays(prefix)]
    w = Writer()
    full, rest = divmod(step.cout // step.groups, _CHANNELS)
    blocks = [(n, times) for n, times in ((_CHANNELS, full), (rest, 1)) if n and times]
    for count, _ in blocks:
        _sums(w, prefix, count)
    head = f"static inline void {prefix}(const int16_t *in, int16_t *out)"
    with w.block(head), w.loop("p", step.points):
        w(f"HIL_FLASH int8_t *w = {prefix}_w;")
        scaling.pointers(w, prefix)
        with w.loop("g", step.groups, f"in += {step.length}"):
            for count, times in blocks:
                advance = [f"w += {count * step.length}", f"out += {count}"]
                more = scaling.advance(count)
                advance += [more] if more else []
                head = f"for (int c = 0; c < {times}; ++c, {', '.join(advance)})"
                with w.block(head):
                    _block(w, step, prefix, count)
        if step.groups == 1 and step.points > 1:
            w(f"in += {step.length};")
    return Emitted(arrays, str(w), ("int8", "int16"))


def _block(w: Writer, step: Dense16, prefix: str, count: int) -> None:
    scaling = step.scaling
    starts = ", ".join(scaling.start(j) for j in range(count))
    if not scaling.long:
        w(f"int32_t a[{count}] = {{{starts}}};")
        w(f"{prefix}_sums{count}(in, w, a, {step.length // 4}, {step.length % 4});")
    else:
        w(f"int64_t a[{count}] = {{{starts}}};")
        done = 0
        for portion in step.portions:
            with w.block(""):
                w(f"int32_t t[{count}] = {{0}};")
                at = f"in + {done}, w + {done * count}" if done else "in, w"
                w(f"{prefix}_sums{count}({at}, t, {portion // 4}, {portion % 4});")
                w(f"for (int i = 0; i < {count}; ++i) a[i] += t[i];")
            done += portion
    for j in range(count):
        w(f"out[{j}] = {scaling.value(f'a[{j}]', j)};")


def _sums(w: Writer, prefix: str, count: int) -> None:
    """The function that adds products with ``count`` channels' weights to their sums."""
    tail = "HIL_FLASH int8_t *w, int32_t *a, int fours, int rest)"
    names = [f"a{j}" for j in range(count)]
    with w.block(f"HIL_KERNEL {prefix}_sums{count}(const int16_t *x, {tail}"):
        w(f"int32_t {', '.join(f'{n} = a[{j}]' for j, n in enumerate(names))};")
        with w.block(f"for (int k = 0; k < fours; ++k, x += 4, w += {4 * count})"):
            w("const hil_v4_t v = hil_v4(x);")
            for j, name in enumerate(names):
                w(f"const hil_x4_t w{j} = hil_w4(w{f' + {4 * j}' if j else ''});")
                w(f"{name} = hil_mac_v4({name}, v, w{j});")
        with w.block(f"for (int k = 0; k < rest; ++k, ++x, w += {count})"):
            w("const int32_t v = *x;")
            for j, name in enumerate(names):
                w(f"{name} += v * {read('int8_t', 'w', j)};")
        for j, name in enumerate(names):
            w(f"a[{j}] = {name};")
    w()


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
        more = scaling.advance(1)
        advance = f"w += {taps}" + (f", {more}" if more else "")
        with w.block(f"for (int c = 0; c < {step.cout}; ++c, {advance})"):
            w(f"{'int64_t' if scaling.long else 'int32_t'} a = {scaling.start(0)};")
            with w.block(f"for (int v = {y0}; v < {y1}; ++v)"):
                channel = "c" if each == 1 else f"c / {each}"
                w(f"const int16_t *p = in + (int32_t)v * {columns.size * step.cin} + {channel};")
                w(f"const int row = (v - ys) * {columns.window} - xs;")
                with w.block(f"for (int u = {x0}; u < {x1}; ++u)"):
                    w(f"a += (int32_t)p[u * {step.cin}] * {read('int8_t', 'w', 'row + u')};")
            w(f"*out++ = {scaling.value('a', 0)};")
    return Emitted([weights, *scaling.arrays(prefix)], str(w), ("int8", "int16"))
