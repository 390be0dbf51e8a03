# SPDX-License-Identifier: Apache-2.0
"""The places of a convolution's tiles in its input and output, as C text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from hil.engines.aot.source import Array, Writer
from hil.engines.aot.weighted.conv import Conv, Tile


def scaled(variable: str, factor: int, plus: int = 0) -> str:
    """``factor * variable + plus`` without terms that have no effect."""
    text = variable if factor == 1 else f"{factor} * {variable}"
    return f"{text} {'+' if plus > 0 else '-'} {abs(plus)}" if plus else text


@dataclass(frozen=True, slots=True)
class Place:
    """The places of one layer's tiles, as C text; ``prefix`` names its functions and arrays.

    Inside `function`, (iy, ix) is the input position of the output's window and ``o`` its output.
    Inside `window`, (ty, tx) is the input position of the tile.
    """

    conv: Conv
    tile: Tile
    prefix: str

    @property
    def ctype(self) -> str:
        return self.conv.ctypes[0]

    @property
    def wide(self) -> bool:
        """Whether a pooling window takes several tiles."""
        pool = self.conv.pool
        if pool is None:
            return False
        return (pool.rows.window, pool.columns.window) != (self.tile.rows, self.tile.columns)

    def arrays(self) -> list[Array]:
        """The pixel used outside the input: the code of zero."""
        if not self.conv.padded:
            return []
        zero = self.conv.quant.input_zero if self.conv.quant else 0
        values = np.full(self.conv.cin, zero, "<f4" if self.conv.quant is None else "<i1")
        return [Array(f"{self.prefix}_pad", values, "a pixel outside the input", flash=False)]

    def helper(self, w: Writer) -> None:
        """The function that finds any pixel, including those outside the input."""
        if not self.conv.padded:
            return
        height, width = self.conv.rows.size, self.conv.columns.size
        head = f"static inline const {self.ctype} *{self.prefix}_at"
        with w.block(f"{head}(const {self.ctype} *in, int y, int x)"):
            w(f"const int outside = y < 0 || y >= {height} || x < 0 || x >= {width};")
            w(f"return outside ? {self.prefix}_pad : in + (y * {width} + x) * {self.conv.cin};")
        w()

    @property
    def single(self) -> bool:
        """Whether there is only one tile, at the start of the input."""
        conv, tile = self.conv, self.tile
        counts = (conv.rows.count, conv.columns.count)
        return not conv.padded and not conv.pool and counts == (tile.rows, tile.columns)

    @contextmanager
    def function(self, w: Writer, more: str = "") -> Iterator[None]:
        """The function and its loops over the output; ``more``: further parameters."""
        conv, pool = self.conv, self.conv.pool
        rows, width = (pool or conv).rows.count, (pool or conv).columns.count
        tiles = width if pool else -(-width // self.tile.columns)
        head = f"static inline void {self.prefix}(const {self.ctype} *in, {self.ctype} *out{more})"
        with w.block(head), w.loop("y", rows), w.loop("x", tiles):
            y = "y" if rows > 1 else "0"
            x = "x" if tiles > 1 else "0"
            if pool is None and self.tile.columns > 1 and tiles > 1:
                last = width - self.tile.columns
                text = scaled("x", self.tile.columns)
                if width % self.tile.columns:  # the last tile overlaps the one before it
                    text = f"{text} < {last} ? {text} : {last}"
                w(f"const int ox = {text};")
                x = "ox"
            if rows == tiles == 1:
                w(f"{self.ctype} *o = out;")
            else:
                row = "" if rows == 1 else scaled(y, width)
                column = "" if tiles == 1 else x
                w(f"{self.ctype} *o = out + {_times(_sum(row, column), conv.cout)};")
            if self.single:
                yield
                return
            step_y = conv.rows.stride * (pool.rows.stride if pool else 1)
            step_x = conv.columns.stride * (pool.columns.stride if pool else 1)
            w(f"const int iy = {scaled(y, step_y, -conv.rows.before)};")
            w(f"const int ix = {scaled(x, step_x, -conv.columns.before)};")
            yield

    @contextmanager
    def window(self, w: Writer) -> Iterator[None]:
        """Loops over the tiles of a wide pooling window."""
        conv, pool = self.conv, self.conv.pool
        if pool is None or not self.wide:
            yield
            return
        rows = pool.rows.window // self.tile.rows
        columns = pool.columns.window // self.tile.columns
        with w.loop("wy", rows), w.loop("wx", columns):
            for axis, count, step in (
                ("y", rows, self.tile.rows * conv.rows.stride),
                ("x", columns, self.tile.columns * conv.columns.stride),
            ):
                more = f" + {scaled('w' + axis, step)}" if count > 1 else ""
                w(f"const int t{axis} = i{axis}{more};")
            yield

    @property
    def start(self) -> tuple[str, str]:
        """C names of the tile's first input row and column."""
        return ("ty", "tx") if self.wide else ("iy", "ix")

    @property
    def pointer(self) -> str:
        """The tile's first input pixel, if the tile lies inside the input."""
        if self.single:
            return "in"
        y, x = self.start
        return f"in + {_times(_sum(scaled(y, self.conv.columns.size), x), self.conv.cin)}"

    @property
    def _points(self) -> list[tuple[int, int]]:
        """Input rows and columns from the tile's start to each of its windows."""
        conv, tile = self.conv, self.tile
        return [
            (dy * conv.rows.stride, dx * conv.columns.stride)
            for dy in range(tile.rows)
            for dx in range(tile.columns)
        ]

    @property
    def offsets(self) -> list[int]:
        """The same as offsets in elements."""
        return [(dy * self.conv.columns.size + dx) * self.conv.cin for dy, dx in self._points]

    @property
    def inside(self) -> str:
        """The C condition that all windows of the tile lie inside the input."""
        conv, tile = self.conv, self.tile
        terms = []
        for name, axis, count in zip(
            self.start, (conv.rows, conv.columns), (tile.rows, tile.columns), strict=True
        ):
            last = axis.size - ((count - 1) * axis.stride + axis.window)
            terms.append(f"{name} >= 0 && {name} <= {last}")
        return " && ".join(terms)

    def at(self, y: int | str, x: int | str, start: tuple[str, str] | None = None) -> str:
        """A pointer to the pixel (y, x) from the tile's start, inside the input or not."""
        ty, tx = start or self.start
        return f"{self.prefix}_at(in, {_sum(ty, y)}, {_sum(tx, x)})"

    def edge_pointer(self, point: int, start: tuple[str, str] | None = None) -> str:
        """The pixel below tap (ky, kx) of one of the tile's windows."""
        dy, dx = self._points[point]
        ky = "ky" if self.conv.rows.window > 1 else 0
        kx = "kx" if self.conv.columns.window > 1 else 0
        return self.at(_sum(ky, dy), _sum(kx, dx), start)

    def targets(self, c: str, j: int) -> list[str]:
        """The output elements of channel c + j: of the tile's pixels, or of its pooled pixel."""
        points = 1 if self.conv.pool else self.tile.points
        first = c if not c.isdigit() else ""
        j += int(c) if c.isdigit() else 0
        return [f"o[{_sum(first, p * self.conv.cout + j)}]" for p in range(points)]


def _times(text: str, factor: int) -> str:
    """``(text) * factor`` without a factor of 1."""
    group = f"({text})" if " + " in text or factor == 1 else text
    return group if factor == 1 else f"{group} * {factor}"


def _sum(*terms: int | str) -> str:
    known = sum(t for t in terms if isinstance(t, int))
    named = [t for t in terms if isinstance(t, str) and t not in ("", "0")]
    return " + ".join([*named, *([str(known)] if known or not named else [])])
