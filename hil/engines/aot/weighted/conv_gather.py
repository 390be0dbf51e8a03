# SPDX-License-Identifier: Apache-2.0
"""Convolutions and dense layers that widen their inputs to 16 bits in a buffer first.

The input below a pooling window (or below a tile of two pixels, or of one) is gathered once and
serves all channels. The kernels (`kernels/pairs.h`) then widen only weights: one word
for two taps of two channels. The buffer takes RAM, so a layer does this only where that is free
or saves enough work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

import numpy as np
import numpy.typing as npt

from hil.engines.aot.source import Array, Emitted, Writer
from hil.engines.aot.weighted.conv import (
    GATHERED_CHANNELS,
    QUAD,
    Conv,
    Scratch,
    Tile,
    scratch,
)
from hil.engines.aot.weighted.conv_place import Place, scaled
from hil.engines.aot.weighted.finish import Finish
from hil.engines.aot.weighted.gather_layout import beside, pack_pairs, portions, step
from hil.engines.aot.weighted.gather_sums import emit_blocks
from hil.tflite.graph import Axis

_QUADS = "HIL_DSP && !HIL_MVE"  # cores that compute four points at a time
_SHARED = 1 << 20  # of a sum that shares words with those of other points
_FEW = 32  # points: with fewer, the cost of an unpaired one counts


def _rest(w: Writer, start: str, points: int, taps: Sequence[str], more: str = "") -> None:
    """The last taps of a row, which are fewer than four, to ``start``."""
    for i, tap in enumerate(taps):
        pair = f" + {'HIL_GROUP2 / 2' if points == 2 else '2'}" if i & 1 else ""
        w(f"s[{start}{pair}{' + 1' if i >> 1 else ''}{more}] = {tap};")


def in_one_call(conv: Conv, finish: Finish) -> bool:
    """Whether one kernel computes all channels of a point, up to their outputs."""
    return finish.scaled and len(portions(conv)) == 1


def _pointwise(conv: Conv) -> bool:
    """Whether point i reads pixel i."""
    return {(a.window, a.stride) for a in (conv.rows, conv.columns)} == {(1, 1)}


def shareable(conv: Conv, finish: Finish) -> bool:
    """Whether four points can be computed at a time (`kernels/quads.h`)."""
    assert conv.quant is not None
    count = conv.rows.count * conv.columns.count
    return (
        conv.pool is None
        and count >= QUAD
        and _pointwise(conv)
        and conv.cin % 4 == 0
        and conv.quant.bound < _SHARED
        and in_one_call(conv, finish)
        and not finish.away
    )


def pack_scales(conv: Conv, finish: Finish) -> npt.NDArray[np.int32]:
    """Of each block of four channels: biases in pairs as `kernels/rows.h` has them, and scales."""
    assert conv.quant is not None
    bias = conv.quant.bias
    pairs = np.stack([256 * bias[0::2] + bias[1::2], bias[1::2]], axis=1)
    scales = finish.scale_columns()
    blocks = conv.cout // GATHERED_CHANNELS
    together = np.concatenate([pairs.reshape(blocks, -1), scales.reshape(blocks, -1)], axis=1)
    return together.astype("<i8").astype("<i4")  # sums of two biases may wrap


def emit_gather(conv: Conv, tile: Tile, prefix: str) -> Emitted:
    """The C code of a gathered layer; its function is ``prefix(in, out, scratch)``."""
    place = Place(conv, tile, prefix)
    finish = Finish(conv, prefix, place.wide)
    buffer = scratch(conv)
    note = "weights, 256 * even channel + odd channel, in blocks of four channels"
    fast = in_one_call(conv, finish)
    about = "per four channels: biases, and multiplier, offset, shift of each"
    scales = [Array(f"{prefix}_q", pack_scales(conv, finish), about)] if fast else finish.arrays()
    special = (_QUADS, pack_pairs(conv, tile, apart=True)) if conv.shared else None
    weights = Array(f"{prefix}_w", pack_pairs(conv, tile), note, special=special)
    arrays = [weights, *scales, *place.arrays()]
    w = Writer()
    if conv.direct:
        with w.block(f"static inline void {prefix}(const int8_t *in, int8_t *out)"):
            kernel = f"hil_direct1{'_away' if finish.away else ''}"
            w(f"{kernel}(in, {prefix}_w, {prefix}_q, out, {conv.cout}u, {buffer.groups}u);")
        return Emitted(arrays, str(w), (*finish.kernels, "rows"))
    place.helper(w)
    if conv.pool is None or conv.averaged:
        if not (_pointwise(conv) and tile.points == 2):
            _point(w, place, buffer)
        averages = _averages(w, place, finish, buffer) if conv.averaged else None
        away = "_away" if finish.away else ""
        constants = f"{prefix}_w, {prefix}_q"
        sizes = f"{conv.cout}u, {conv.rows.window * buffer.groups}u"
        single = f"hil_rows1{away}(s, {constants}, o, {sizes});"
        with averages or _points(w, place, single if fast else "", sizes):
            if fast and tile.points == 1:
                w(single)
            elif fast:
                w(f"hil_rows2{away}(s, {constants}, o, p, {sizes});")
            else:
                emit_blocks(w, place, finish, buffer)
        return Emitted(arrays, str(w), (*finish.kernels, "quads" if conv.shared else "rows"))
    _gather(w, place, buffer)
    with place.function(w, ", int16_t *s"):
        start = "0, 0" if place.single else "iy, ix"
        w(f"{prefix}_gather(in, {start}, s);")
        emit_blocks(w, place, finish, buffer)
    return Emitted(arrays, str(w), (*finish.kernels, "pairs"))


@contextmanager
def _points(w: Writer, place: Place, single: str, sizes: str) -> Iterator[None]:
    """The function of a layer without pooling: its points one after the other, or in pairs.

    The outputs of a pair start at o and p. A last single point is computed twice, or by the
    statement ``single`` where that saves something. ``sizes``: those that kernels take.
    """
    conv, points = place.conv, place.tile.points
    count = conv.rows.count * conv.columns.count
    head = f"static inline void {place.prefix}(const int8_t *in, int8_t *out, int16_t *s)"
    with w.block(head):
        if points == 1:
            w("int8_t *o = out;")
            w(f"{place.prefix}_point(in, s);")
            yield
            return
        alone = bool(single) and count % 2 == 1 and count < _FEW and _pointwise(conv)
        paired = count - alone
        if conv.shared:
            w(f"#if {_QUADS}")
            _quads(w, conv, place.prefix, sizes)
            w("#else")
        with w.block(f"for (int i = 0; i < {paired}; i += 2)", paired > 2):
            i = "i" if paired > 2 else "0"
            second = f"{i} + 1"
            if paired % 2:
                w(f"const int j = i + 1 < {count} ? i + 1 : i;")
                second = "j"
            w(f"int8_t *o = out + {i} * {conv.cout};")
            w(f"int8_t *p = out + ({second}) * {conv.cout};")
            _both_points(w, place, i, second)
            yield
        if alone:
            w(f"in += {paired * conv.cin};")
            w(f"int8_t *o = out + {paired * conv.cout};")
            _widen_one(w, conv.cin, 1)
            w(single)
        if conv.shared:
            w("#endif")


def _quads(w: Writer, conv: Conv, prefix: str, sizes: str) -> None:
    """Points four at a time; the last ones may stand for several of them."""
    count, cin = conv.rows.count * conv.columns.count, conv.cin
    with w.block(f"for (int i = 0; i < {count}; i += {QUAD})"):
        rest = f"{count} - i" if count % QUAD else str(QUAD)
        if count % QUAD:
            rest = f"{rest} < {QUAD} ? {rest} : {QUAD}"
        w(f"const int points = {rest};")
        w(f"const int8_t *x = in + i * {cin};")
        for p in range(1, QUAD):
            at = f"({p} < points ? {p} : points - 1)" if count % QUAD else str(p)
            w(f"const int8_t *x{p} = x + {at} * {cin};")
        with w.block(f"for (int k = 0; k < {cin}; k += 4)"):
            w("hil_share(s + 3 * k, x + k, x1 + k, x2 + k, x3 + k);")
        w(f"hil_rows4(s, {prefix}_w, {prefix}_q, out + i * {conv.cout}, {sizes}, points);")


def _both_points(w: Writer, place: Place, first: str, second: str) -> None:
    """Widens the windows of two points to s."""
    conv = place.conv
    if _pointwise(conv):
        w(f"const int8_t *x = in + {first} * {conv.cin};")
        w(f"const int8_t *y = in + ({second}) * {conv.cin};")
        _widen_both(w, conv.cin, beside(scratch(conv)))
    else:
        w(f"{place.prefix}_point(in, {first}, s);")
        w(f"{place.prefix}_point(in, {second}, s + {beside(scratch(conv))});")


@contextmanager
def _averages(w: Writer, place: Place, finish: Finish, buffer: Scratch) -> Iterator[None]:
    """The function of a layer whose outputs are averaged over all points."""
    conv, cout = place.conv, place.conv.cout
    count = conv.rows.count * conv.columns.count
    head = f"static inline void {place.prefix}(const int8_t *in, int8_t *out, int16_t *s)"
    with w.block(head):
        w(f"int32_t *total = (int32_t *)(void *)(s + {buffer.nbytes // 2});")
        w(f"int8_t *o = (int8_t *)(total + {cout});")
        w(f"memset(total, 0, {4 * cout});")
        with w.block(f"for (int i = 0; i < {count}; i += 2)"):
            # a last single point is computed twice, and counts once
            second = "i + 1"
            if count % 2:
                w(f"const int j = i + 1 < {count} ? i + 1 : i;")
                second = "j"
            w(f"int8_t *p = o + {cout};")
            _both_points(w, place, "i", second)
            yield
            if count % 2:
                w(f"if (i == j) memset(p, 0, {cout});")
            w(f"for (int c = 0; c < {cout}; ++c) total[c] += o[c] + p[c];")
        with w.block(f"for (int c = 0; c < {cout}; ++c)"):
            w("const int32_t m0 = total[c];")
            finish.store(w, 0, ["out[c]"], ())


def _widen_both(w: Writer, length: int, other: str) -> None:
    """From x and y, the values below two points, to s; ``length`` of each."""
    whole, rest = divmod(length, 4)
    if whole:
        unroll = 2 if whole % 2 == 0 else 1
        w("int16_t *t = s;")
        ahead = f"x += {4 * unroll}, y += {4 * unroll}, t += {step(unroll, 2)}"
        with w.block(f"for (int k = 0; k < {whole // unroll}; ++k, {ahead})"):
            for u in range(unroll):
                w(f"hil_widen2(t + {step(u, 2)}, x + {4 * u}, y + {4 * u}, {other});")
    for x, more in (("x", ""), ("y", f" + {other}")):
        _rest(w, step(whole, 2), 2, [f"{x}[{i}]" for i in range(rest)], more)


def _point(w: Writer, place: Place, buffer: Scratch) -> None:
    """The function that widens the window of point i to s, beside that of another point."""
    conv, points = place.conv, buffer.points
    rows, columns, cin = conv.rows, conv.columns, conv.cin
    length = columns.window * cin
    index = "" if rows.count * columns.count == 1 else "int i, "
    head = f"static inline void {place.prefix}_point(const int8_t *in, {index}int16_t *s)"
    with w.block(head):
        y = "0" if rows.count == 1 else f"i / {columns.count}" if columns.count > 1 else "i"
        x = "0" if columns.count == 1 else f"i % {columns.count}" if rows.count > 1 else "i"
        w(f"const int y = {_window_start(y, rows)}, x = {_window_start(x, columns)};")
        inside = rows.size >= rows.window and columns.size >= columns.window
        if conv.padded:
            outside = f"y < 0 || y > {rows.size - rows.window}"
            outside += f" || x < 0 || x > {columns.size - columns.window}"
            with w.block(f"if ({outside})", inside):
                (_point_edge if cin % 4 else _point_edge_in_fours)(w, place, buffer)
                w("return;" if inside else "")
        if inside:
            w(f"in += (y * {columns.size} + x) * {cin};")
            down = f", in += {columns.size * cin}, s += {step(buffer.groups, points)}"
            with w.loop("r", rows.window, down[2:]):
                _widen_one(w, length, points)
    w()


def _window_start(index: str, axis: Axis) -> str:
    """The first input position of the window of output ``index``."""
    if index == "0":
        return str(-axis.before)
    group = f"({index})" if "%" in index or "/" in index else index
    return scaled(group if axis.stride > 1 else index, axis.stride, -axis.before)


def _widen_one(w: Writer, length: int, points: int, source: str = "in") -> None:
    """``length`` values from ``source`` to s, beside those of another point."""
    whole, rest = divmod(length, 4)
    kernel = "hil_widen1" if points == 1 else "hil_widen_beside"
    with w.loop("k", whole) if whole else nullcontext():
        if whole:
            k = "k" if whole > 1 else "0"
            w(f"{kernel}(s + {step(1, points)} * {k}, {source} + 4 * {k});")
    _rest(w, step(whole, points), points, [f"{source}[{4 * whole + i}]" for i in range(rest)])


def _point_edge_in_fours(w: Writer, place: Place, buffer: Scratch) -> None:
    """Near an edge, pixel by pixel; a pixel has whole groups of four channels."""
    conv = place.conv
    with w.loop("r", conv.rows.window), w.loop("u", conv.columns.window):
        r = "r" if conv.rows.window > 1 else "0"
        u = "u" if conv.columns.window > 1 else "0"
        w(f"const int8_t *p = {place.prefix}_at(in, y + {r}, x + {u});")
        _widen_one(w, conv.cin, buffer.points, "p")
        w(f"s += {step(conv.cin // 4, buffer.points)};")


def _point_edge(w: Writer, place: Place, buffer: Scratch) -> None:
    """Near an edge, row by row, each first copied beside the values outside."""
    conv = place.conv
    rows, columns, cin = conv.rows, conv.columns, conv.cin
    length = columns.window * cin
    zero = conv.quant.input_zero if conv.quant else 0
    w(f"int8_t row[{length}], blank[{length}];")
    w(f"const int from = x < 0 ? -x * {cin} : 0;")
    last = columns.size - columns.window
    w(f"const int to = x > {last} ? ({columns.size} - x) * {cin} : {length};")
    w(f"memset(row, {zero}, sizeof row);")
    w(f"memset(blank, {zero}, sizeof blank);")
    with w.loop("r", rows.window, f"s += {step(buffer.groups, buffer.points)}"):
        r = "r" if rows.window > 1 else "0"
        w("const int8_t *p = blank;")
        with w.block(f"if (y + {r} >= 0 && y + {r} < {rows.size})"):
            w(f"p = in + ((y + {r}) * {columns.size} + x) * {cin};")
            with w.block(f"if (to - from < {length})"):
                w("for (int k = from; k < to; ++k) row[k] = p[k];")
                w("p = row;")
        _widen_one(w, length, buffer.points, "p")


def _gather(w: Writer, place: Place, buffer: Scratch) -> None:
    """The function that fills the buffer from the input at (y, x)."""
    conv, tile = place.conv, place.tile
    width = conv.columns.size * conv.cin
    across = tile.columns * conv.columns.stride * conv.cin  # from one tile to the next
    head = f"static inline void {place.prefix}_gather(const int8_t *in, int y, int x, int16_t *s)"
    last_y = conv.rows.size - buffer.rows
    extent = (buffer.columns * tile.columns - 1) * conv.columns.stride
    last_x = conv.columns.size - extent - conv.columns.window
    inside = last_y >= 0 and last_x >= 0  # anywhere; compilers warn about impossible conditions
    with w.block(head):
        if conv.padded:
            outside = f"if (y < 0 || y > {last_y} || x < 0 || x > {last_x})"
            with w.block(outside, inside):
                _gather_edge(w, place, buffer)
                w("return;")
        if inside:
            w(f"in += y * {width} + x * {conv.cin};")
            with w.loop("t", buffer.columns):
                along = f" + t * {across}" if buffer.columns > 1 else ""
                down = f" + r * {width}" if buffer.rows > 1 else ""
                with w.loop("r", buffer.rows):
                    w(f"const int8_t *p = in{along}{down};")
                    _gather_row(w, place, buffer)
                if buffer.columns > 1 and buffer.points == 2:  # the second points are behind
                    whole = 4 * buffer.rows * buffer.groups
                    w(f"s += {2 * whole} - {step(buffer.rows * buffer.groups, 2)};")
    w()


def _gather_row(w: Writer, place: Place, buffer: Scratch) -> None:
    """One row below the windows of a tile: from p to s, which advances."""
    conv, points = place.conv, place.tile.points
    apart = conv.columns.stride * conv.cin
    whole, rest = divmod(conv.columns.window * conv.cin, 4)
    by_vectors = points == 2 and whole > 0 and whole % 4 == 0
    if by_vectors:
        w("#if HIL_MVE")
        with w.block(f"for (int k = 0; k < {whole // 4}; ++k, p += 16, s += {step(4, 2)})"):
            w(f"hil_mve_widen2(s, p, p + {apart});")
    even = whole > 0 and whole % 2 == 0
    if even:  # two groups at a time save little where a group is few instructions
        w(f"#{'elif' if by_vectors else 'if'} HIL_DSP")
        _gather_groups(w, conv, buffer, 1)
        w("#else")
    if whole:
        _gather_groups(w, conv, buffer, 2 if even else 1)
    if even:
        w("#endif")
    for p in range(points):
        _rest(
            w, "0", points, [f"p[{t + p * apart}]" for t in range(rest)], f" + {beside(buffer)}" * p
        )
    if rest:  # the other values of the group are multiplied by weights of zero
        w(f"s += {step(1, points)};")


def _gather_groups(w: Writer, conv: Conv, buffer: Scratch, unroll: int) -> None:
    """The whole groups of a row, ``unroll`` at a time."""
    points = buffer.points
    apart = conv.columns.stride * conv.cin
    times = conv.columns.window * conv.cin // 4 // unroll
    ahead = f"p += {4 * unroll}, s += {step(unroll, points)}"
    with w.block(f"for (int k = 0; k < {times}; ++k, {ahead})"):
        for u in range(unroll):
            to, start = (f"s + {step(u, points)}", f"p + {4 * u}") if u else ("s", "p")
            second = f", p + {apart + 4 * u}, {beside(buffer)}" if points == 2 else ""
            w(f"hil_widen{points}({to}, {start}{second});")


def _gather_edge(w: Writer, place: Place, buffer: Scratch) -> None:
    """The same near an edge, pixel by pixel."""
    conv, points = place.conv, buffer.points
    apart = conv.columns.stride
    down = "r" if buffer.rows > 1 else "0"
    across = "u" if conv.columns.window > 1 else "0"
    along = f" + t * {points * apart}" if buffer.columns > 1 else ""
    row = [f"t * {buffer.rows * buffer.row}"] if buffer.columns > 1 else []
    row += [f"r * {step(buffer.groups, points)}"] if buffer.rows > 1 else []
    with (
        w.loop("t", buffer.columns),
        w.loop("r", buffer.rows),
        w.loop("u", conv.columns.window),
    ):
        for p in range(points):
            more = f" + {p * apart}" if p else ""
            x = f"x{along} + {across}{more}"
            w(f"const int8_t *p{p} = {place.prefix}_at(in, y + {down}, {x});")
        with w.block(f"for (int i = 0; i < {conv.cin}; ++i)"):
            w(f"const int k = {across} * {conv.cin} + i;")
            # the tap's group, its pair in that, its half of the pair
            pair = "HIL_GROUP2 / 2" if points == 2 else "2"
            tap = [f"(k >> 2) * {step(1, points)}", f"(k & 1) * ({pair})", "(k >> 1 & 1)"]
            w(f"int16_t *o = s + {' + '.join([*row, *tap])};")
            for p in range(points):
                w(f"o[{beside(buffer) if p else 0}] = p{p}[i];")
