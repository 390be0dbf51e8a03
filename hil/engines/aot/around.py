# SPDX-License-Identifier: Apache-2.0
"""Steps around another step: over a batch, and over windows of dilated convolutions.

The inner step is emitted as it is, so both are as fast as their inner step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hil.engines.aot.conv import Conv
from hil.engines.aot.source import Emitted, Writer
from hil.engines.aot.steps import OneToOne, first_bytes, item
from hil.engines.aot.unweighted import Pooling
from hil.tflite.graph import Axis

_POINTS = 4  # of a dilated convolution, whose windows are in the buffer together


@dataclass(frozen=True, slots=True, eq=False)
class Dilated(OneToOne):
    """A convolution whose windows skip rows or columns: they are copied together first.

    ``inner`` computes ``points`` neighbouring pixels from their windows. ``rows``, ``columns``: as
    in the operator, with windows that include what is skipped. ``steps``: from one tap to the next.
    """

    inner: Conv
    rows: Axis
    columns: Axis
    cin: int
    steps: tuple[int, int]
    points: int

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def note(self) -> str:
        return self.inner.note

    @property
    def taps(self) -> tuple[int, int]:
        """Rows and columns of the weights."""
        pairs = zip((self.rows, self.columns), self.steps, strict=True)
        rows, columns = ((axis.window - 1) // step + 1 for axis, step in pairs)
        return rows, columns

    @property
    def ctypes(self) -> tuple[str, str]:
        return self.inner.ctypes

    @property
    def pixel(self) -> int:
        """Bytes of an input pixel."""
        return self.cin * item(self.inner.real)

    @property
    def input_bytes(self) -> int:
        return self.rows.size * self.columns.size * self.pixel

    @property
    def output_bytes(self) -> int:
        pixels = self.rows.count * self.columns.count
        return pixels * self.inner.cout * item(self.inner.real)

    @property
    def scratch_bytes(self) -> int:
        return self.inner.input_bytes

    @property
    def lead(self) -> int:
        # all windows of some neighbouring pixels are copied before the first of them is written
        first = first_bytes(self.rows, self.columns, self.pixel)
        pixel_out = self.inner.cout * item(self.inner.real)
        ends = (np.arange(first.size) + 1).reshape(first.shape) * pixel_out
        last = first.shape[1] - self.points
        starts = np.minimum(np.arange(0, first.shape[1], self.points), last)
        first, ends = first[:, starts].reshape(-1), ends[:, starts + self.points - 1].reshape(-1)
        following = np.append(first[1:], np.iinfo(np.int64).max)
        later = np.minimum.accumulate(following[::-1])[::-1]
        return int((ends - later).max())


def dilated(conv: Conv, steps: tuple[int, int]) -> Dilated:
    """``conv``, planned with windows that include what they skip, as a step."""
    rows, columns = conv.rows, conv.columns
    height, width = (
        (axis.window - 1) // step + 1 for axis, step in zip((rows, columns), steps, strict=True)
    )
    points = min(1 if conv.depthwise else _POINTS, columns.count)
    if conv.depthwise:  # pixel by pixel of one window after the other
        inner = replace(
            conv,
            rows=Axis(height, height, 1, 0, 1),
            columns=Axis(width * points, width, width, 0, points),
        )
    else:  # each window is one pixel
        cin = height * width * conv.cin
        inner = replace(
            conv,
            rows=Axis(1, 1, 1, 0, 1),
            columns=Axis(points, 1, 1, 0, points),
            cin=cin,
            weights=conv.weights.reshape(conv.cout, 1, 1, cin),
        )
    return Dilated(inner, rows, columns, conv.cin, steps, points)


def emit_dilated(step: Dilated, prefix: str, inner: str, emitted: Emitted) -> Emitted:
    """The C code of a dilated convolution; ``emitted``: that of the function ``inner``."""
    w = Writer()
    taken, made = step.ctypes
    rows, columns, points = step.rows, step.columns, step.points
    tiles = -(-columns.count // points)
    height, width = step.taps
    nbytes = step.pixel
    quant = step.inner.quant
    zero = quant.input_zero if quant else 0  # 0.0f is four bytes of 0
    cin = step.cin
    down, right = step.steps
    head = f"static inline void {prefix}(const {taken} *in, {made} *out, int16_t *s)"
    with w.block(head), w.loop("y", rows.count), w.loop("x", tiles):
        y = f"{'y' if rows.count > 1 else '0'} * {rows.stride} - {rows.before}"
        start = f"x * {points}" if tiles > 1 else "0"
        if columns.count % points:  # the last ones overlap those before them
            last = columns.count - points
            start = f"x * {points} < {last} ? x * {points} : {last}"
        w(f"const int32_t ox = {start};")
        w(f"const int32_t iy = {y};")
        w(f"{taken} *w = ({taken} *)(void *)s;")
        with w.loop("p", points):
            point = "ox + p" if points > 1 else "ox"
            w(f"const int32_t ix = ({point}) * {columns.stride} - {columns.before};")
            inside = f"iy >= 0 && iy <= {rows.size - rows.window} && "
            inside += f"ix >= 0 && ix <= {columns.size - columns.window}"
            possible = rows.size >= rows.window and columns.size >= columns.window
            padded = _padded(rows) or _padded(columns)
            if possible:
                with w.block(f"if ({inside})", padded):
                    place = f"in + (iy * {columns.size} + ix) * {cin}"
                    w(f"const {taken} *r = {place};")
                    advance = f"r += {(down * columns.size - width * right) * cin}"
                    with (
                        w.block(f"for (int ky = 0; ky < {height}; ++ky, {advance})"),
                        w.block(
                            f"for (int kx = 0; kx < {width}; ++kx, r += {right * cin}, w += {cin})"
                        ),
                    ):
                        w(f"memcpy(w, r, {nbytes});")
            if padded:
                with (
                    w.block("else", possible),
                    w.loop("ky", height),
                    w.block(f"for (int kx = 0; kx < {width}; ++kx, w += {cin})"),
                ):
                    w(f"const int32_t v = iy + {'ky' if height > 1 else '0'} * {down};")
                    w(f"const int32_t u = ix + kx * {right};")
                    edge = f"v < 0 || v >= {rows.size} || u < 0 || u >= {columns.size}"
                    w(f"if ({edge}) memset(w, {zero}, {nbytes});")
                    w(f"else memcpy(w, in + (v * {columns.size} + u) * {cin}, {nbytes});")
        place = f"(y * {columns.count} + ox)" if rows.count > 1 else "ox"
        w(f"{inner}((const {taken} *)(const void *)s, out + {place} * {step.inner.cout});")
    return Emitted(emitted.arrays, f"{emitted.functions}\n{w}", emitted.kernels)


def _padded(axis: Axis) -> bool:
    return bool(axis.before) or (axis.count - 1) * axis.stride + axis.window > axis.size


Inner = Conv | Dilated | Pooling


@dataclass(frozen=True, slots=True, eq=False)
class Repeated(OneToOne):
    """``inner`` over a batch: ``times`` inputs one after the other."""

    inner: Inner
    times: int

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def note(self) -> str:
        return self.inner.note

    @property
    def ctypes(self) -> tuple[str, str]:
        return self.inner.ctypes

    @property
    def input_bytes(self) -> int:
        return self.times * self.inner.input_bytes

    @property
    def output_bytes(self) -> int:
        return self.times * self.inner.output_bytes

    @property
    def scratch_bytes(self) -> int:
        return self.inner.scratch_bytes

    @property
    def lead(self) -> int:
        # of each: as the inner step says, and its output ends before the next one's input
        grows = self.inner.output_bytes - self.inner.input_bytes
        last = (self.times - 1) * grows
        return max(self.inner.lead + max(0, last), grows, last)


def repeated(step: Inner, times: int) -> Inner | Repeated:
    """``step`` over a batch of ``times``."""
    return step if times == 1 else Repeated(step, times)


def emit_repeated(step: Repeated, prefix: str, inner: str, emitted: Emitted) -> Emitted:
    """The C code of a step over a batch; ``emitted``: that of the function ``inner``."""
    w = Writer()
    taken, made = step.ctypes
    s = bool(step.scratch_bytes)
    head = f"static inline void {prefix}(const {taken} *in, {made} *out{', int16_t *s' * s})"
    sizes = {"float": 4, "int8_t": 1, "int16_t": 2}
    into = step.inner.input_bytes // sizes[taken]
    out = step.inner.output_bytes // sizes[made]
    with w.block(head), w.loop("b", step.times, f"in += {into}, out += {out}"):
        w(f"{inner}(in, out{', s' * s});")
    return Emitted(emitted.arrays, f"{emitted.functions}\n{w}", emitted.kernels)
