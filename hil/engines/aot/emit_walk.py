"""Convolutions and dense layers with many taps: the kernel walks along the input in memory.

A tile of neighbouring pixels times a block of channels is summed in registers; the weights are
stored in exactly the order in which they are used.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hil.engines.aot.finish import Finish
from hil.engines.aot.place import Place
from hil.engines.aot.source import Array, Writer
from hil.engines.aot.steps import Conv
from hil.engines.aot.tiles import Tile

_UNROLL_REAL = 4
_UNROLL_INT8 = 2


def _segments(conv: Conv) -> tuple[int, int]:
    """(count, length) of the runs of taps that lie side by side in memory."""
    if conv.padded:  # near an edge, pixels come from different places
        return conv.rows.window * conv.columns.window, conv.cin
    return conv.rows.window, conv.columns.window * conv.cin


def pack(conv: Conv, tile: Tile) -> npt.NDArray[np.generic]:
    """The weights in order of use: blocks of channels, then taps, then channels.

    int8: within a run, four taps of one channel after four of the other, and what does not
    fill four at the run's end tap by tap.
    """
    count, length = _segments(conv)
    whole = length // 4 * 4
    parts = []
    for first in range(0, conv.cout, tile.channels):
        block = conv.weights[first : first + tile.channels]
        if conv.quant is None:
            parts.append(np.moveaxis(block, 0, -1).reshape(-1))
            continue
        runs = block.reshape(len(block), count, length)
        fours = runs[:, :, :whole].reshape(len(block), count, whole // 4, 4).transpose(1, 2, 0, 3)
        rest = runs[:, :, whole:].transpose(1, 2, 0).reshape(count, -1)
        parts.append(np.concatenate([fours.reshape(count, -1), rest], axis=1).reshape(-1))
    return np.concatenate(parts)


def emit_walk(conv: Conv, tile: Tile, prefix: str) -> tuple[list[Array], str]:
    """(arrays, function) of a convolution: ``prefix(in, out)``."""
    place = Place(conv, tile, prefix)
    finish = Finish(conv, prefix, place.wide)
    count = tile.channels if conv.quant is None else f"{tile.channels} x 4 taps"
    arrays = [
        Array(f"{prefix}_w", pack(conv, tile), f"weights, in blocks of {count} channels"),
        *finish.arrays(),
        *place.arrays(),
    ]
    w = Writer()
    place.helper(w)
    with place.function(w):
        w(f"HIL_FLASH {'float' if finish.real else 'int8_t'} *w = {prefix}_w;")
        w(f"HIL_FLASH {finish.ctype} *q = {prefix}_q;")
        full, rest = divmod(conv.cout, tile.channels)
        step = f"q += {finish.stride * tile.channels}"
        c = "c" if full > 1 else ""
        with w.block(
            f"for (int c = 0; c < {full * tile.channels}; c += {tile.channels}, {step})", full > 1
        ):
            _block(w, place, finish, tile.channels, c)
        if rest:
            if full == 1:
                w(f"{step};")
            with w.block(""):
                _block(w, place, finish, rest, str(full * tile.channels))
    return arrays, str(w)


def _block(w: Writer, place: Place, finish: Finish, channels: int, c: str) -> None:
    """All of one block of channels at one tile; ``c`` is its first channel in C."""
    points = place.tile.points
    finish.begin(w, channels)
    if finish.wide:
        w(f"HIL_FLASH {'float' if finish.real else 'int8_t'} *w0 = w;")
    with place.window(w):
        if finish.wide:
            w("w = w0;")
        for j in range(channels):
            names = ", ".join(f"a{p}_{j} = {finish.start(j)}" for p in range(points))
            w(f"{finish.ctype} {names};")
        _sums(w, place, finish, channels)
        for j in range(channels):
            finish.combine(w, j, [f"a{p}_{j}" for p in range(points)])
        if place.conv.pool is None:
            for j in range(channels):
                finish.store(w, j, place.targets(c, j), [f"a{p}_{j}" for p in range(points)])
    if place.conv.pool is not None:
        for j in range(channels):
            finish.store(w, j, place.targets(c, j), ())


def _sums(w: Writer, place: Place, finish: Finish, channels: int) -> None:
    conv = place.conv
    if not conv.padded:
        _inside(w, place, finish, channels)
        return
    with w.block(f"if ({place.inside})"):
        _inside(w, place, finish, channels)
    with w.block("else"), w.loop("ky", conv.rows.window), w.loop("kx", conv.columns.window):
        starts = [place.edge_pointer(p) for p in range(place.tile.points)]
        for p, start in enumerate(starts):
            w(f"const {place.ctype} *p{p} = {start};")
        pointers = [f"p{p}" for p in range(len(starts))]
        _run(w, finish, [(p, 0) for p in pointers], channels, conv.cin)


def _inside(w: Writer, place: Place, finish: Finish, channels: int) -> None:
    conv = place.conv
    row = f" + ky * {conv.columns.size * conv.cin}" if conv.rows.window > 1 else ""
    with w.loop("ky", conv.rows.window):
        w(f"const {place.ctype} *p = {place.pointer}{row};")
        points = [("p", offset) for offset in place.offsets]
        count, length = _segments(conv)
        if finish.real:
            length = conv.columns.window * conv.cin
            _run(w, finish, points, channels, length)
        elif count == conv.rows.window or conv.cin % 4 == 0:
            _run(w, finish, points, channels, conv.columns.window * conv.cin)
        else:
            with w.loop("kx", conv.columns.window):
                _run(w, finish, points, channels, conv.cin)


def _run(
    w: Writer, finish: Finish, points: Sequence[tuple[str, int]], channels: int, length: int
) -> None:
    """``length`` taps side by side: points are (pointer, offset); pointers and w advance."""
    pointers = sorted({p for p, _ in points})
    taps = 1 if finish.real else 4
    groups = length // taps
    unroll = _UNROLL_REAL if finish.real else _UNROLL_INT8
    unroll = next(u for u in (unroll, 3, 2, 1) if u <= unroll and groups % u == 0) if groups else 1
    emit = _real_tap if finish.real else _four_taps
    if groups:
        size = unroll * taps
        step = ", ".join([*(f"{p} += {size}" for p in pointers), f"w += {size * channels}"])
        times = groups // unroll
        with w.loop("k", times, step):
            for u in range(unroll):
                with w.block("", unroll > 1 or times == 1):
                    emit(w, points, channels, u)
        if times == 1:
            w("; ".join(step.split(", ")) + ";")
    for _ in range(length - groups * taps):
        for j in range(channels):
            for i, (p, offset) in enumerate(points):
                w(f"a{i}_{j} += {p}[{offset}] * w[{j}];")
        for p in pointers:
            w(f"++{p};")
        w(f"w += {channels};")


def _real_tap(w: Writer, points: Sequence[tuple[str, int]], channels: int, u: int) -> None:
    values = [f"x{i} = {p}[{offset + u}]" for i, (p, offset) in enumerate(points)]
    w(f"const float {', '.join(values)};")
    for j in range(channels):
        w(f"const float w{j} = w[{u * channels + j}];")
        for i in range(len(points)):
            w(f"a{i}_{j} += x{i} * w{j};")


def _four_taps(w: Writer, points: Sequence[tuple[str, int]], channels: int, u: int) -> None:
    for i, (p, offset) in enumerate(points):
        w(f"const hil_x4_t x{i} = hil_x4({p} + {offset + 4 * u});")
    for j in range(channels):
        w(f"const hil_x4_t w{j} = hil_w4(w + {4 * (u * channels + j)});")
        for i in range(len(points)):
            w(f"a{i}_{j} = hil_mac4(a{i}_{j}, x{i}, w{j});")
