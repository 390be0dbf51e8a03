# SPDX-License-Identifier: Apache-2.0
"""Steps around another step: over a batch, and over windows of dilated convolutions.

The inner step is emitted as it is, so both are as fast as their inner step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hil.engines.aot.source import Emitted, Writer
from hil.engines.aot.steps import InPlace, OneToOne, first_bytes, item_bytes
from hil.engines.aot.values.unweighted import Pooling
from hil.engines.aot.weighted.conv import Conv
from hil.engines.aot.weighted.conv16 import Dense16, Depthwise16
from hil.engines.aot.weighted.hybrid import Hybrid
from hil.engines.aot.weighted.pool16 import Pooling16
from hil.engines.aot.weighted.transposed import Transposed
from hil.engines.aot.weighted.windows import Windows, collect, over_pixels
from hil.tflite.graph import Axis

_POINTS = 4  # of a dilated convolution, whose windows are in the buffer together


@dataclass(frozen=True, slots=True, eq=False)
class Collected(OneToOne):
    """A convolution whose windows skip rows or columns, or is in groups of channels.

    The windows of ``points`` neighbouring pixels are copied together first, group by group;
    ``inner`` computes the pixels from them. ``rows``, ``columns``: as in the operator, with windows
    that include what is skipped. ``steps``: from one tap to the next.
    """

    inner: Conv | Dense16
    rows: Axis
    columns: Axis
    cin: int
    steps: tuple[int, int]
    points: int
    groups: int = 1

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def note(self) -> str:
        return self.inner.note

    @property
    def windows(self) -> Windows:
        # 0.0f is four bytes of 0
        quant = self.inner.quant if isinstance(self.inner, Conv) else None
        zero = str(quant.input_zero if quant else 0)
        taken = self.ctypes[0]
        return Windows(taken, self.rows, self.columns, self.steps, self.cin, self.groups, zero)

    @property
    def ctypes(self) -> tuple[str, str]:
        return self.inner.ctypes

    @property
    def width(self) -> int:
        """Bytes of a value."""
        return item_bytes(self.ctypes[0])

    @property
    def pixel(self) -> int:
        """Bytes of an input pixel."""
        return self.cin * self.width

    @property
    def input_bytes(self) -> int:
        return self.rows.size * self.columns.size * self.pixel

    @property
    def output_bytes(self) -> int:
        pixels = self.rows.count * self.columns.count
        return pixels * self.inner.cout * self.width

    @property
    def scratch_bytes(self) -> int:
        return self.points * self.windows.length * self.width

    @property
    def lead(self) -> int:
        # all windows of some neighbouring pixels are copied before the first of them is written
        windows = first_bytes(self.rows, self.columns, self.pixel)
        pixel_out = self.inner.cout * self.width
        pixels = (np.arange(windows.size) + 1).reshape(windows.shape) * pixel_out
        last = windows.shape[1] - self.points
        starts = np.minimum(np.arange(0, windows.shape[1], self.points), last)
        first = windows[:, starts].reshape(-1)
        ends = pixels[:, starts + self.points - 1].reshape(-1)
        following = np.append(first[1:], np.iinfo(np.int64).max)
        later = np.minimum.accumulate(following[::-1])[::-1]
        return int((ends - later).max())


def collected(conv: Conv, steps: tuple[int, int], groups: int = 1) -> Collected:
    """``conv``, planned with windows that include what they skip and all input channels."""
    rows, columns = conv.rows, conv.columns
    height, width = (
        (axis.window - 1) // step + 1 for axis, step in zip((rows, columns), steps, strict=True)
    )
    points = min(1 if conv.depthwise or groups > 1 else _POINTS, columns.count)
    if conv.depthwise:  # pixel by pixel of one window after the other
        inner = replace(
            conv,
            rows=Axis(height, height, 1, 0, 1),
            columns=Axis(width * points, width, width, 0, points),
        )
    else:  # each window is one pixel
        cin = height * width * (conv.cin // groups)
        inner = replace(
            conv,
            rows=Axis(1, 1, 1, 0, 1),
            columns=Axis(points, 1, 1, 0, points),
            cin=cin,
            weights=conv.weights.reshape(conv.cout, 1, 1, cin),
        )
    return Collected(inner, rows, columns, conv.cin, steps, points, groups)


def emit_collected(step: Collected, prefix: str, inner: str, emitted: Emitted) -> Emitted:
    """The C code of a dilated convolution; ``emitted``: that of the function ``inner``."""
    w = Writer()
    taken, made = step.ctypes
    head = f"static inline void {prefix}(const {taken} *in, {made} *out, int16_t *s)"
    with w.block(head), over_pixels(w, step.windows, step.points) as pixel:
        w(f"{taken} *w = ({taken} *)(void *)s;")
        with w.loop("p", step.points):
            collect(w, step.windows, "w", "ox + p" if step.points > 1 else "ox")
        w(f"{inner}((const {taken} *)(const void *)s, out + {pixel} * {step.inner.cout});")
    return Emitted(emitted.arrays, f"{emitted.functions}\n{w}", emitted.kernels)


Inner = Conv | Collected | Dense16 | Depthwise16 | Hybrid | Pooling | Pooling16 | Transposed


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
    def lead(self) -> int | InPlace | None:
        # of each: as the inner step says, and its output ends before the next one's input
        grows = self.inner.output_bytes - self.inner.input_bytes
        last = (self.times - 1) * grows
        lead = self.inner.lead
        return max(lead + max(0, last), grows, last) if isinstance(lead, int) else None


def repeated(step: Inner, times: int) -> Inner | Repeated:
    """``step`` over a batch of ``times``."""
    return step if times == 1 else Repeated(step, times)


def emit_repeated(step: Repeated, prefix: str, inner: str, emitted: Emitted) -> Emitted:
    """The C code of a step over a batch; ``emitted``: that of the function ``inner``."""
    w = Writer()
    taken, made = step.ctypes
    s = bool(step.scratch_bytes)
    head = f"static inline void {prefix}(const {taken} *in, {made} *out{', int16_t *s' * s})"
    into = step.inner.input_bytes // item_bytes(taken)
    out = step.inner.output_bytes // item_bytes(made)
    with w.block(head), w.loop("b", step.times, f"in += {into}, out += {out}"):
        w(f"{inner}(in, out{', s' * s});")
    return Emitted(emitted.arrays, f"{emitted.functions}\n{w}", emitted.kernels)
