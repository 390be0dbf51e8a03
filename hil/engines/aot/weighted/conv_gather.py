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
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from hil.engines.aot.source import Array, Emitted, Writer
from hil.engines.aot.weighted.conv import (
    GATHERED_CHANNELS,
    Conv,
    Scratch,
    Tile,
    scratch,
)
from hil.engines.aot.weighted.conv_place import Place, scaled
from hil.engines.aot.weighted.finish import Finish
from hil.tflite.graph import Axis

_FEW = 32  # points: with fewer, the cost of an unpaired one counts
_PORTIONS = 4
_LIMIT = 1 << 23  # of a sum that shares its register with another one


def portions(conv: Conv) -> list[int]:
    """How many groups of four taps to sum at a time, so that no sum of a portion (of the first one
    with the bias) reaches 2^23. Empty if that takes more than `_PORTIONS`."""
    assert conv.quant is not None
    padded = filled_rows(conv)
    heavy = np.abs(padded.astype(np.int64)).reshape(conv.cout, -1, 4).sum(axis=2)
    for count in range(1, _PORTIONS + 1):
        size = -(-heavy.shape[1] // count)
        cuts = range(0, heavy.shape[1], size)
        sums = np.stack([128 * heavy[:, cut : cut + size].sum(axis=1) for cut in cuts])
        sums[0] += np.abs(conv.quant.bias)
        if sums.max() < _LIMIT:
            return [min(size, heavy.shape[1] - cut) for cut in cuts]
    return []


def filled_rows(conv: Conv) -> npt.NDArray[np.int16]:
    """The weights (cout, window rows, taps), rows padded with zeros to whole groups of four."""
    height, length = conv.rows.window, conv.columns.window * conv.cin
    rows = np.zeros((conv.cout, height, -(-length // 4) * 4), np.int16)
    rows[:, :, :length] = conv.weights.reshape(conv.cout, height, length)
    return rows


def products(conv: Conv) -> int:
    """Multiplications of an inference, without those of sums that the pooling does not use."""
    points = conv.rows.count * conv.columns.count
    if conv.pool:
        rows, columns = conv.pool.rows, conv.pool.columns
        points = rows.count * rows.window * columns.count * columns.window
    return points * conv.weights.size


_ORDER = (0, 2, 1, 3)  # of four taps: widening four bytes pairs 0 with 2, 1 with 3


def pack_pairs(conv: Conv, tile: Tile) -> npt.NDArray[np.int16]:
    """The weights in order of use: blocks of four channels, rows, pairs of taps, pairs of channels.

    A value is 256 * (a weight of the even channel) + (one of the odd channel). Rows are
    those of `filled_rows`.
    """
    height = conv.rows.window
    taps = filled_rows(conv).reshape(conv.cout, height, -1, 4)[..., _ORDER]
    words = 256 * taps[0::2] + taps[1::2]  # (channel pair, row, group, tap)
    pairs = words.reshape(conv.cout // tile.channels, tile.channels // 2, height, -1, 2, 2)
    return np.ascontiguousarray(pairs.transpose(0, 2, 3, 4, 1, 5)).reshape(-1)


def _step(groups: int, points: int) -> str:
    """The values from a group of four taps to the one that is ``groups`` later, as C text."""
    return str(4 * groups) if points == 1 else f"{groups} * HIL_GROUP2"


def _beside(buffer: Scratch) -> str:
    """The values from a tap of the first point to the same tap of the second one, as C text."""
    return f"HIL_BESIDE({4 * buffer.rows * buffer.groups})"


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
    arrays = [Array(f"{prefix}_w", pack_pairs(conv, tile), note), *scales, *place.arrays()]
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
        with averages or _points(w, place, single if fast else ""):
            if fast and tile.points == 1:
                w(single)
            elif fast:
                w(f"hil_rows2{away}(s, {constants}, o, p, {sizes});")
            else:
                _blocks(w, place, finish, buffer)
        return Emitted(arrays, str(w), (*finish.kernels, "rows"))
    _gather(w, place, buffer)
    with place.function(w, ", int16_t *s"):
        start = "0, 0" if place.single else "iy, ix"
        w(f"{prefix}_gather(in, {start}, s);")
        _blocks(w, place, finish, buffer)
    return Emitted(arrays, str(w), (*finish.kernels, "pairs"))


@contextmanager
def _points(w: Writer, place: Place, single: str) -> Iterator[None]:
    """The function of a layer without pooling: its points one after the other, or in pairs.

    The outputs of a pair start at o and p. A last single point is computed twice, or by the
    statement ``single`` where that saves something.
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


def _both_points(w: Writer, place: Place, first: str, second: str) -> None:
    """Widens the windows of two points to s."""
    conv = place.conv
    if _pointwise(conv):
        w(f"const int8_t *x = in + {first} * {conv.cin};")
        w(f"const int8_t *y = in + ({second}) * {conv.cin};")
        _widen_both(w, conv.cin, _beside(scratch(conv)))
    else:
        w(f"{place.prefix}_point(in, {first}, s);")
        w(f"{place.prefix}_point(in, {second}, s + {_beside(scratch(conv))});")


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


def _widen_both(w: Writer, length: int, beside: str) -> None:
    """From x and y, the values below two points, to s; ``length`` of each."""
    whole, rest = divmod(length, 4)
    if whole:
        unroll = 2 if whole % 2 == 0 else 1
        w("int16_t *t = s;")
        step = f"x += {4 * unroll}, y += {4 * unroll}, t += {_step(unroll, 2)}"
        with w.block(f"for (int k = 0; k < {whole // unroll}; ++k, {step})"):
            for u in range(unroll):
                w(f"hil_widen2(t + {_step(u, 2)}, x + {4 * u}, y + {4 * u}, {beside});")
    for x, more in (("x", ""), ("y", f" + {beside}")):
        _rest(w, _step(whole, 2), 2, [f"{x}[{i}]" for i in range(rest)], more)


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
            down = f", in += {columns.size * cin}, s += {_step(buffer.groups, points)}"
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
            w(f"{kernel}(s + {_step(1, points)} * {k}, {source} + 4 * {k});")
    _rest(w, _step(whole, points), points, [f"{source}[{4 * whole + i}]" for i in range(rest)])


def _point_edge_in_fours(w: Writer, place: Place, buffer: Scratch) -> None:
    """Near an edge, pixel by pixel; a pixel has whole groups of four channels."""
    conv = place.conv
    with w.loop("r", conv.rows.window), w.loop("u", conv.columns.window):
        r = "r" if conv.rows.window > 1 else "0"
        u = "u" if conv.columns.window > 1 else "0"
        w(f"const int8_t *p = {place.prefix}_at(in, y + {r}, x + {u});")
        _widen_one(w, conv.cin, buffer.points, "p")
        w(f"s += {_step(conv.cin // 4, buffer.points)};")


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
    with w.loop("r", rows.window, f"s += {_step(buffer.groups, buffer.points)}"):
        r = "r" if rows.window > 1 else "0"
        w("const int8_t *p = blank;")
        with w.block(f"if (y + {r} >= 0 && y + {r} < {rows.size})"):
            w(f"p = in + ((y + {r}) * {columns.size} + x) * {cin};")
            with w.block(f"if (to - from < {length})"):
                w("for (int k = from; k < to; ++k) row[k] = p[k];")
                w("p = row;")
        _widen_one(w, length, buffer.points, "p")


def _blocks(w: Writer, place: Place, finish: Finish, buffer: Scratch) -> None:
    """All channels of the tiles in the buffer."""
    conv, tile = place.conv, place.tile
    w(f"HIL_FLASH int16_t *w = {place.prefix}_w;")
    w(f"HIL_FLASH int32_t *q = {place.prefix}_q;")
    groups = conv.rows.window * buffer.groups
    step = f"w += {8 * groups}, q += {finish.stride * tile.channels}"
    many = conv.cout > tile.channels
    with w.block(f"for (int c = 0; c < {conv.cout}; c += {tile.channels}, {step})", many):
        _block(w, place, finish, buffer, "c" if many else "0")


def _block(w: Writer, place: Place, finish: Finish, buffer: Scratch, c: str) -> None:
    """Four channels, from ``c`` on, of all tiles of the buffer."""
    conv, tile = place.conv, place.tile
    channels = range(tile.channels)
    rows = conv.pool.rows.window if conv.pool else 1
    if conv.pool is not None and (rows, buffer.columns, tile.points) == (2, 1, 2):
        vectors = finish.by_vectors
        if vectors:
            w("#if HIL_MVE")
            with w.block(""):
                w("int32_t a[16] = {0};")
                _sums(w, conv, buffer, "s", rows)
                arguments = f"q, {', '.join(map(str, vectors))}"
                w(
                    f"hil_mve_store({place.targets(c, 0)[0].replace('o[', 'o + ').rstrip(']')}, "
                    f"hil_mve_largest(a), {arguments});"
                )
            w("#else")
        starts = ", ".join(finish.start(j) for _ in range(rows) for j in channels for _ in "op")
        w(f"int32_t a[{rows * tile.points * tile.channels}] = {{{starts}}};")
        _sums(w, conv, buffer, "s", rows)
        finish = replace(finish, wide=False)  # these are all tiles of the window
        for j in channels:
            finish.combine(w, j, [f"a[{8 * r + 2 * j + p}]" for r in range(rows) for p in range(2)])
            finish.store(w, j, place.targets(c, j), ())
        if vectors:
            w("#endif")
        return
    finish.begin(w, tile.channels)
    with w.loop("wy", rows), w.loop("wx", buffer.columns):
        starts = ", ".join(finish.start(j) for j in channels for _ in range(tile.points))
        w(f"int32_t a[{tile.points * tile.channels}] = {{{starts}}};")
        down = conv.rows.stride * buffer.groups
        start = f"s + wy * {_step(down, tile.points)}" if rows > 1 else "s"
        start += f" + wx * {buffer.rows * buffer.row}" if buffer.columns > 1 else ""
        _sums(w, conv, buffer, start, 1)
        for j in channels:
            sums = [f"a[{j * tile.points + p}]" for p in range(tile.points)]
            finish.combine(w, j, sums)
            if conv.pool is None:
                targets = [f"{p}[{c} + {j}]" for p in "op"[: tile.points]]
                finish.store(w, j, targets, sums)
    if conv.pool is not None:
        for j in channels:
            finish.store(w, j, place.targets(c, j), ())


def _sums(w: Writer, conv: Conv, buffer: Scratch, s: str, rows: int) -> None:
    """All products of a tile, or of two, one below the other, added to ``a``."""
    points = buffer.points
    kernel = f"hil_sums{points * rows}"
    more = f", {_beside(buffer)}" if points == 2 else ""
    more += f", {_step(conv.rows.stride * buffer.groups, points)}" if rows == 2 else ""
    first, *others = portions(conv)
    w(f"{kernel}({s}, w, a, {first}u{more});")
    done = first
    for groups in others:
        count = points * rows * GATHERED_CHANNELS
        with w.block(""):
            w(f"int32_t b[{count}] = {{0}};")
            w(f"{kernel}({s} + {_step(done, points)}, w + {done * 8}, b, {groups}u{more});")
            w(f"for (int i = 0; i < {count}; ++i) a[i] += b[i];")
        done += groups


def _gather(w: Writer, place: Place, buffer: Scratch) -> None:
    """The function that fills the buffer from the input at (y, x)."""
    conv, tile = place.conv, place.tile
    width = conv.columns.size * conv.cin
    step = tile.columns * conv.columns.stride * conv.cin  # from one tile to the next
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
                along = f" + t * {step}" if buffer.columns > 1 else ""
                down = f" + r * {width}" if buffer.rows > 1 else ""
                with w.loop("r", buffer.rows):
                    w(f"const int8_t *p = in{along}{down};")
                    _gather_row(w, place, buffer)
                if buffer.columns > 1 and buffer.points == 2:  # the second points are behind
                    whole = 4 * buffer.rows * buffer.groups
                    w(f"s += {2 * whole} - {_step(buffer.rows * buffer.groups, 2)};")
    w()


def _gather_row(w: Writer, place: Place, buffer: Scratch) -> None:
    """One row below the windows of a tile: from p to s, which advances."""
    conv, points = place.conv, place.tile.points
    apart = conv.columns.stride * conv.cin
    whole, rest = divmod(conv.columns.window * conv.cin, 4)
    beside = _beside(buffer)
    by_vectors = points == 2 and whole > 0 and whole % 4 == 0
    if by_vectors:
        w("#if HIL_MVE")
        with w.block(f"for (int k = 0; k < {whole // 4}; ++k, p += 16, s += {_step(4, 2)})"):
            w(f"hil_mve_widen2(s, p, p + {apart});")
        w("#else")
    if whole:
        with w.block(f"for (int k = 0; k < {whole}; ++k, p += 4, s += {_step(1, points)})"):
            w(f"hil_widen{points}(s, p{f', p + {apart}, {beside}' if points == 2 else ''});")
    if by_vectors:
        w("#endif")
    for p in range(points):
        _rest(w, "0", points, [f"p[{t + p * apart}]" for t in range(rest)], f" + {beside}" * p)
    if rest:  # the other values of the group are multiplied by weights of zero
        w(f"s += {_step(1, points)};")


def _gather_edge(w: Writer, place: Place, buffer: Scratch) -> None:
    """The same near an edge, pixel by pixel."""
    conv, points = place.conv, buffer.points
    apart = conv.columns.stride
    down = "r" if buffer.rows > 1 else "0"
    across = "u" if conv.columns.window > 1 else "0"
    along = f" + t * {points * apart}" if buffer.columns > 1 else ""
    row = [f"t * {buffer.rows * buffer.row}"] if buffer.columns > 1 else []
    row += [f"r * {_step(buffer.groups, points)}"] if buffer.rows > 1 else []
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
            tap = [f"(k >> 2) * {_step(1, points)}", f"(k & 1) * ({pair})", "(k >> 1 & 1)"]
            w(f"int16_t *o = s + {' + '.join([*row, *tap])};")
            for p in range(points):
                w(f"o[{_beside(buffer) if p else 0}] = p{p}[i];")
