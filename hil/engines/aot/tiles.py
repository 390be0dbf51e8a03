"""How many sums a convolution keeps in registers at once, and which kernel computes them."""

from __future__ import annotations

from dataclasses import dataclass

from hil.engines.aot.steps import Conv

# Registers bound these: float32 kernels have 32, the int8 kernels 13.
REAL_POINTS, INT8_POINTS = 4, 2
GATHERED_CHANNELS = 4  # of the kernels that read widened inputs
MAX_WINDOW = 9  # pooling windows up to this area are computed as one tile
PATCH_REAL, PATCH_INT8 = 20, 32  # values of a patch that is worth keeping in variables


@dataclass(frozen=True, slots=True)
class Tile:
    """``rows`` x ``columns`` neighbouring output pixels times ``channels``."""

    rows: int
    columns: int
    channels: int
    patch: bool  # the input patch is held in variables (few taps), not walked in memory

    @property
    def points(self) -> int:
        return self.rows * self.columns


def patch_values(conv: Conv, rows: int, columns: int) -> int:
    """Input values below a tile of output pixels."""
    height = (rows - 1) * conv.rows.stride + conv.rows.window
    width = (columns - 1) * conv.columns.stride + conv.columns.window
    return height * width * conv.cin


def tile(conv: Conv) -> Tile:
    """The tile that the emitted code works in."""
    real = conv.quant is None
    if conv.depthwise:
        rows, columns = _grid(conv, 4)
        return Tile(rows, columns, 1, True)
    if conv.gathered:
        width = conv.pool.columns.window if conv.pool else min(conv.columns.count, 2)
        return Tile(1, 1 if width % 2 else 2, GATHERED_CHANNELS, False)
    taps = conv.rows.window * conv.columns.window * conv.cin
    area = 1
    if conv.pool:
        area = conv.pool.rows.window * conv.pool.columns.window
        rows, columns = conv.pool.rows.window, conv.pool.columns.window
    else:
        rows, columns = 1, _columns(conv.columns.count, 4)
    if area <= MAX_WINDOW:
        few = patch_values(conv, rows, columns) <= PATCH_REAL
        if few if real else conv.cin % 4 and taps <= PATCH_INT8:
            return Tile(rows, columns, 1 if real else 2, True)
    rows, columns = _grid(conv, REAL_POINTS if real else INT8_POINTS)
    points = rows * columns
    channels = {1: 8, 2: 4, 3: 4, 4: 4}[points] if real else {1: 4, 2: 2, 3: 2}[points]
    return Tile(rows, columns, min(channels, conv.cout), False)


@dataclass(frozen=True, slots=True)
class Scratch:
    """The buffer of a gathered convolution: int16 values, ``points`` side by side.

    It holds the input below one window of the pooling (or one tile, where nothing is pooled): for
    each of its ``columns`` tiles ``rows`` input rows, of each what a tile's windows see of it,
    in ``groups`` of four taps.
    """

    columns: int
    rows: int
    groups: int
    points: int

    @property
    def row(self) -> int:
        """Values from one row to the next."""
        return 4 * self.groups * self.points

    @property
    def nbytes(self) -> int:
        return 2 * self.columns * self.rows * self.row


def scratch(conv: Conv) -> Scratch:
    """The buffer that a gathered convolution works in."""
    points = tile(conv).columns
    height, width = 1, points
    if conv.pool:
        height, width = conv.pool.rows.window, conv.pool.columns.window
    return Scratch(
        columns=width // points,
        rows=(height - 1) * conv.rows.stride + conv.rows.window,
        groups=-(-conv.columns.window * conv.cin // 4),
        points=points,
    )


def _grid(conv: Conv, limit: int) -> tuple[int, int]:
    """Pixels at a time: a part of the pooling window that tiles it, or a piece of a row."""
    if conv.pool is None:
        return 1, _columns(conv.columns.count, limit)
    height, width = conv.pool.rows.window, conv.pool.columns.window
    if height * width <= limit:
        return height, width
    limit = max(limit, 3) if width == 3 else limit
    return 1, max(n for n in range(1, limit + 1) if width % n == 0)


def _columns(count: int, limit: int) -> int:
    """Width of a piece of a row; the last piece overlaps its neighbour, so waste little."""
    return max(
        range(1, min(limit, count) + 1),
        key=lambda n: (count / (-(-count // n) * n) * (1 - 0.25 / n), n),
    )
