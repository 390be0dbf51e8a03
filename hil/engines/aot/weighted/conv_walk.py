# SPDX-License-Identifier: Apache-2.0
"""Convolutions and dense layers with many taps: the kernel reads along the input in memory.

It sums a tile of neighbouring pixels times a block of channels in registers. The weights are
stored in exactly the order in which they are used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from hil.engines.aot.source import Array, Emitted, Writer, read
from hil.engines.aot.weighted.conv import Conv, Tile
from hil.engines.aot.weighted.conv_place import Place
from hil.engines.aot.weighted.finish import Finish

_UNROLL_REAL = 4
_UNROLL_INT8 = 2


def _segments(conv: Conv) -> tuple[int, int]:
    """(count, length) of the runs of taps that are adjacent in memory."""
    if conv.padded:  # near an edge, pixels come from different places
        return conv.rows.window * conv.columns.window, conv.cin
    return conv.rows.window, conv.columns.window * conv.cin


def pack(conv: Conv, tile: Tile) -> npt.NDArray[np.generic]:
    """The weights in order of use: blocks of channels, then taps, then channels.

    int8: within a run, four taps of one channel after four of the other; the rest of the run, less
    than four taps, follows tap by tap.
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


def emit_walk(conv: Conv, tile: Tile, prefix: str) -> Emitted:
    """The C code of a convolution; its function is ``prefix(in, out)``."""
    place = Place(conv, tile, prefix)
    finish = Finish(conv, prefix, place.wide)
    note = f"weights, in blocks of {tile.channels} channels"
    if conv.quant is not None:
        note += ", four taps of each at a time"
    arrays = [
        Array(f"{prefix}_w", pack(conv, tile), note),
        *finish.arrays(),
        *place.arrays(),
    ]
    w = Writer()
    place.helper(w)
    full, rest = divmod(conv.cout, tile.channels)
    for channels in (tile.channels, rest):
        if channels:
            _kernels(w, place, finish, channels)
    with place.function(w):
        w(f"HIL_FLASH {_wtype(finish)} *w = {prefix}_w;")
        w(f"HIL_FLASH {finish.ctype} *q = {prefix}_q;")
        taps = conv.rows.window * conv.columns.window * conv.cin
        step = f"w += {taps * tile.channels}, q += {finish.stride * tile.channels}"
        head = f"for (int c = 0; c < {full * tile.channels}; c += {tile.channels}, {step})"
        with w.block(head, full > 1):
            _block(w, place, finish, tile.channels, "c" if full > 1 else "0")
        if rest:
            if full == 1:
                for statement in step.split(", "):
                    w(f"{statement};")
            with w.block(""):
                _block(w, place, finish, rest, str(full * tile.channels))
    return Emitted(arrays, str(w), (*finish.kernels, *finish.products))


def _wtype(finish: Finish) -> str:
    return "float" if finish.real else "int8_t"


def _block(w: Writer, place: Place, finish: Finish, channels: int, c: str) -> None:
    """All of one block of channels at one tile; ``c`` is its first channel in C."""
    points = place.tile.points
    finish.begin(w, channels)
    with place.window(w):
        starts = ", ".join(finish.start(j) for j in range(channels) for _ in range(points))
        w(f"{finish.ctype} a[{points * channels}] = {{{starts}}};")
        kernel = f"{place.prefix}_sums{channels}"
        if place.conv.padded:
            y, x = place.start
            with w.block(f"if ({place.inside})"):
                w(f"{kernel}({place.pointer}, w, a);")
            with w.block("else"):
                w(f"{place.prefix}_edge{channels}(in, {y}, {x}, w, a);")
        else:
            w(f"{kernel}({place.pointer}, w, a);")
        for j in range(channels):
            sums = [f"a[{j * points + p}]" for p in range(points)]
            finish.combine(w, j, sums)
            if place.conv.pool is None:
                finish.store(w, j, place.targets(c, j), sums)
    if place.conv.pool is not None:
        for j in range(channels):
            finish.store(w, j, place.targets(c, j), ())


def _kernels(w: Writer, place: Place, finish: Finish, channels: int) -> None:
    """The functions that add all products of one tile to the sums ``a``."""
    conv = place.conv
    tail = f"HIL_FLASH {_wtype(finish)} *w, {finish.ctype} *a)"
    head = f"HIL_KERNEL {place.prefix}_sums{channels}(const {place.ctype} *tile, {tail}"
    row = f" + ky * {conv.columns.size * conv.cin}" if conv.rows.window > 1 else ""
    length = conv.columns.window * conv.cin
    in_fours = not finish.real and (conv.cin if conv.padded else length) % 4 == 0
    if in_fours:
        w("#if HIL_MAC16")
        with w.block(head), w.loop("ky", conv.rows.window, f"w += {length * channels}"):
            apart = place.offsets[1] if place.tile.points > 1 else 0
            count = f"{length // 4}u, {channels}, {place.tile.points}, {apart}"
            w(f"hil_walk(tile{row}, w, a, {count});")
        if (channels, place.tile.points) == (4, 1):
            w("#elif HIL_THUMB1")
            with w.block(head), w.loop("ky", conv.rows.window, f"w += {length * channels}"):
                w(f"hil_thumb1_walk(tile{row}, w, a, {length // 4}u);")
            w("#elif HIL_MVE")
            with w.block(head), w.loop("ky", conv.rows.window, f"w += {length * channels}"):
                w(f"hil_mve_walk(tile{row}, w, a, {length // 4}u);")
        w("#else")
    with w.block(head), _sums(w, place, finish, channels), w.loop("ky", conv.rows.window):
        w(f"const {place.ctype} *p = tile{row};")
        points = [("p", offset) for offset in place.offsets]
        if not conv.padded or finish.real or conv.cin % 4 == 0:
            _run(w, finish, points, channels, length)
        else:  # packed pixel by pixel
            with w.loop("kx", conv.columns.window):
                _run(w, finish, points, channels, conv.cin)
    if in_fours:
        w("#endif")
    w()
    if not conv.padded:
        return
    head = f"HIL_KERNEL {place.prefix}_edge{channels}(const {place.ctype} *in, int y, int x, {tail}"
    with (
        w.block(head),
        _sums(w, place, finish, channels),
        w.loop("ky", conv.rows.window),
        w.loop("kx", conv.columns.window),
    ):
        pointers = [f"p{p}" for p in range(place.tile.points)]
        for i, p in enumerate(pointers):
            w(f"const {place.ctype} *{p} = {place.edge_pointer(i, ('y', 'x'))};")
        _run(w, finish, [(p, 0) for p in pointers], channels, conv.cin)
    w()


@contextmanager
def _sums(w: Writer, place: Place, finish: Finish, channels: int) -> Iterator[None]:
    """Keeps the sums in variables, so that the compiler keeps them in registers."""
    points = range(place.tile.points)
    names = [f"a{p}_{j}" for j in range(channels) for p in points]
    w(f"{finish.ctype} {', '.join(f'{n} = a[{i}]' for i, n in enumerate(names))};")
    yield
    for i, n in enumerate(names):
        w(f"a[{i}] = {n};")


def _run(
    w: Writer, finish: Finish, points: Sequence[tuple[str, int]], channels: int, length: int
) -> None:
    """``length`` adjacent taps; points are (pointer, offset); pointers and w advance."""
    pointers = sorted({p for p, _ in points})
    taps = 1 if finish.real else 4
    groups = length // taps
    unroll = _UNROLL_REAL if finish.real else _UNROLL_INT8
    unroll = next(u for u in (unroll, 3, 2, 1) if u <= unroll and groups % u == 0) if groups else 1
    if groups:
        size = unroll * taps
        step = ", ".join([*(f"{p} += {size}" for p in pointers), f"w += {size * channels}"])
        times = groups // unroll
        with w.loop("k", times, step):
            for u in range(unroll):
                with w.block("", unroll > 1 or times == 1):
                    if finish.real:
                        _real_tap(w, finish, points, channels, u)
                    else:
                        _four_taps(w, points, channels, u)
        if times == 1:
            for statement in step.split(", "):
                w(f"{statement};")
    for _ in range(length - groups * taps):
        for j in range(channels):
            weight = read(_wtype(finish), "w", j)
            for i, (p, offset) in enumerate(points):
                w(finish.multiply(f"a{i}_{j}", f"{p}[{offset}]", weight))
        for p in pointers:
            w(f"++{p};")
        w(f"w += {channels};")


def _real_tap(
    w: Writer, finish: Finish, points: Sequence[tuple[str, int]], channels: int, u: int
) -> None:
    values = [f"x{i} = {p}[{offset + u}]" for i, (p, offset) in enumerate(points)]
    w(f"const float {', '.join(values)};")
    for j in range(channels):
        w(f"const float w{j} = {read('float', 'w', u * channels + j)};")
        for i in range(len(points)):
            w(finish.multiply(f"a{i}_{j}", f"x{i}", f"w{j}"))


def _four_taps(w: Writer, points: Sequence[tuple[str, int]], channels: int, u: int) -> None:
    for i, (p, offset) in enumerate(points):
        w(f"const hil_x4_t x{i} = hil_x4({p} + {offset + 4 * u});")
    for j in range(channels):
        w(f"const hil_x4_t w{j} = hil_w4(w + {4 * (u * channels + j)});")
        for i in range(len(points)):
            w(f"a{i}_{j} = hil_mac4(a{i}_{j}, x{i}, w{j});")
        w("HIL_IN_ORDER;")
