# SPDX-License-Identifier: Apache-2.0
"""Windows of a convolution, copied together so that the values of each sum are adjacent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hil.engines.aot.source import Writer
from hil.engines.aot.steps import item_bytes
from hil.tflite.graph import Axis


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows that may skip rows or columns, of pixels of ``cin`` values in ``groups``.

    ``rows``, ``columns``: with windows that include what is skipped. ``steps``: from one tap to the
    next. ``zero``: C code of the byte that stands for values outside the input. ``source``: the C
    pointer to the input.
    """

    ctype: str
    rows: Axis
    columns: Axis
    steps: tuple[int, int]
    cin: int
    groups: int = 1
    zero: str = "0"
    source: str = "in"

    @property
    def taps(self) -> tuple[int, int]:
        """Rows and columns of the weights."""
        pairs = zip((self.rows, self.columns), self.steps, strict=True)
        rows, columns = ((axis.window - 1) // step + 1 for axis, step in pairs)
        return rows, columns

    @property
    def length(self) -> int:
        """Values of a window."""
        rows, columns = self.taps
        return rows * columns * self.cin


@contextmanager
def over_pixels(w: Writer, windows: Windows, points: int = 1) -> Iterator[str]:
    """Loops over the output, ``points`` pixels at a time; yields the number of the first of them.

    ``ox`` is its column, ``iy`` the first input row of its window.
    """
    rows, columns = windows.rows, windows.columns
    tiles = -(-columns.count // points)
    with w.loop("y", rows.count), w.loop("x", tiles):
        y = "y" if rows.count > 1 else "0"
        start = f"x * {points}" if tiles > 1 else "0"
        if columns.count % points:  # the last ones overlap those before them
            last = columns.count - points
            start = f"x * {points} < {last} ? x * {points} : {last}"
        w(f"const int32_t ox = {start};")
        w(f"const int32_t iy = {y} * {rows.stride} - {rows.before};")
        yield f"({y} * {columns.count} + ox)" if rows.count > 1 else "ox"


def collect(w: Writer, windows: Windows, to: str, column: str) -> None:
    """Copies the window of the pixel in ``column`` to the pointer ``to``, which advances after
    each tap, or the code of zero where there is no input."""
    taken, source, cin = windows.ctype, windows.source, windows.cin
    rows, columns = windows.rows, windows.columns
    advance = cin // windows.groups
    height, width = windows.taps
    down, right = windows.steps
    w(f"const int32_t ix = ({column}) * {columns.stride} - {columns.before};")
    inside = f"iy >= 0 && iy <= {rows.size - rows.window} && "
    inside += f"ix >= 0 && ix <= {columns.size - columns.window}"
    possible = rows.size >= rows.window and columns.size >= columns.window
    padded = _padded(rows) or _padded(columns)
    if possible:
        with w.block(f"if ({inside})", padded):
            w(f"const {taken} *r = {source} + (iy * {columns.size} + ix) * {cin};")
            skip = f"r += {(down * columns.size - width * right) * cin}"
            taps = f"r += {right * cin}, {to} += {advance}"
            with (
                w.block(f"for (int ky = 0; ky < {height}; ++ky, {skip})"),
                w.block(f"for (int kx = 0; kx < {width}; ++kx, {taps})"),
            ):
                _copy(w, windows, to)
    if padded:
        with (
            w.block("else", possible),
            w.loop("ky", height),
            w.block(f"for (int kx = 0; kx < {width}; ++kx, {to} += {advance})"),
        ):
            w(f"const int32_t v = iy + {'ky' if height > 1 else '0'} * {down};")
            w(f"const int32_t u = ix + kx * {right};")
            edge = f"v < 0 || v >= {rows.size} || u < 0 || u >= {columns.size}"
            w(f"const {taken} *r = {edge} ? 0 : {source} + (v * {columns.size} + u) * {cin};")
            with w.block("if (r)"):
                _copy(w, windows, to)
            with w.block("else"):
                _copy(w, windows, to, windows.zero)


def _copy(w: Writer, windows: Windows, to: str, value: str = "") -> None:
    """One tap of all groups: from the pixel ``r``, or bytes of ``value``."""
    height, width = windows.taps
    values = windows.cin // windows.groups
    nbytes = values * item_bytes(windows.ctype)
    group = f" + g * {height * width * values}" if windows.groups > 1 else ""
    source = f"r + g * {values}" if windows.groups > 1 else "r"
    with w.loop("g", windows.groups):
        w(f"mem{'set' if value else 'cpy'}({to}{group}, {value or source}, {nbytes});")


def _padded(axis: Axis) -> bool:
    return bool(axis.before) or (axis.count - 1) * axis.stride + axis.window > axis.size
