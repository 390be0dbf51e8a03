# SPDX-License-Identifier: Apache-2.0
"""Convolutions with few taps, and depthwise ones: the input patch is kept in variables.

A convolution loads the patch once and loops over the channels. A depthwise convolution loads the
patch of one channel after the other.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from hil.engines.aot.source import Array, Emitted, Writer, read
from hil.engines.aot.weighted.conv import Conv, Tile
from hil.engines.aot.weighted.conv_place import Place
from hil.engines.aot.weighted.finish import Finish, largest

_MAC16_WORDS = 5  # of a channel's weights that fit the registers beside four sums
_LANES = 8  # of a vector of int16
_SINGLES = 20  # values of a patch that are kept one by one
_MAX_UNROLLED = 32  # taps of a depthwise window that are unrolled; more are in a loop


def _pairs(conv: Conv) -> list[tuple[int, ...]]:
    """Pairs of taps for the int8 kernel, as flat (ky, kx, ic) indices.

    Neighbours within a row, then remaining taps one above the other, so that adjacent windows share
    most of their pairs.
    """
    rows, length = conv.rows.window, conv.columns.window * conv.cin
    pairs: list[tuple[int, ...]] = [
        (y * length + k, y * length + k + 1) for y in range(rows) for k in range(0, length - 1, 2)
    ]
    left = [(y + 1) * length - 1 for y in range(rows)] if length % 2 else []
    return pairs + [tuple(left[i : i + 2]) for i in range(0, len(left), 2)]


def _pack_pairs(conv: Conv) -> npt.NDArray[np.generic]:
    flat = conv.weights.reshape(conv.cout, -1).astype("<i2")
    packed = np.zeros((conv.cout, 2 * len(_pairs(conv))), "<i2")
    for i, pair in enumerate(_pairs(conv)):
        for half, tap in enumerate(pair):
            packed[:, 2 * i + half] = flat[:, tap]
    return packed


def emit_patch(conv: Conv, tile: Tile, prefix: str) -> Emitted:
    """The C code of a convolution with few taps; its function is ``prefix(in, out)``."""
    place = Place(conv, tile, prefix)
    finish = Finish(conv, prefix, False)
    if finish.real:
        weights = conv.weights.reshape(conv.cout, -1)
        note = "weights, channel by channel"
    else:
        weights = _pack_pairs(conv)
        note = "weights, channel by channel, two taps at a time"
    arrays = [Array(f"{prefix}_w", weights, note), *finish.arrays(), *place.arrays()]
    w = Writer()
    place.helper(w)
    points = [_patch_indices(place, p) for p in range(tile.points)]
    if finish.real:
        with place.function(w):
            _load_patch(w, place, conv.cin)
            _all_channels(w, place, finish, points, {}, weights.shape[1])
        return Emitted(arrays, str(w), (*finish.kernels, *finish.products))
    pairs = list(dict.fromkeys(tuple(i[t] for t in pair) for pair in _pairs(conv) for i in points))
    names = {pair: f"pairs[{i}]" for i, pair in enumerate(pairs)}
    on_mac16 = len(_pairs(conv)) <= _MAC16_WORDS
    on_mve = on_mac16 and 2 * len(_pairs(conv)) >= _LANES
    cells = _cells(place, conv.cin)
    on_singles = len(cells) <= _SINGLES
    if on_mac16:
        w("#if HIL_MAC16")
        _mac16_channels(w, place, finish)
        if on_mve:
            w("#elif HIL_MVE")
            _mve_channels(w, place, finish)
    if on_singles:
        w("#elif HIL_SINGLES" if on_mac16 else "#if HIL_SINGLES")
        _single_channels(w, place, finish, points)
    if on_mac16 or on_singles:
        w("#else")
    with w.block(f"HIL_DSP_KERNEL {prefix}_channels(const hil_x2_t *pairs, int8_t *o)"):
        _all_channels(w, place, finish, points, names, weights.shape[1])
    if on_mac16 or on_singles:
        w("#endif")
    w()
    with place.function(w):
        if on_mac16:
            w("#if HIL_MAC16 || HIL_MVE" if on_mve else "#if HIL_MAC16")
            _store_patch(w, place, points)
            w(f"{prefix}_channels(patch, o);")
        if on_singles:
            w("#elif HIL_SINGLES" if on_mac16 else "#if HIL_SINGLES")
            w(f"int32_t patch[{len(cells)}];")
            numbers = {n: i for i, n in enumerate(cells)}
            _read_patch(w, place, cells, "", lambda n, value: f"patch[{numbers[n]}] = {value};")
            w(f"{prefix}_channels(patch, o);")
        if on_mac16 or on_singles:
            w("#else")
        _load_patch(w, place, conv.cin)
        calls = (f"hil_x{len(pair)}({', '.join(f'x{v}' for v in pair)})" for pair in pairs)
        w(f"const hil_x2_t pairs[{len(pairs)}] = {{")
        for call in calls:
            w(f"  {call},")
        w("};")
        w(f"{prefix}_channels(pairs, o);")
        if on_mac16 or on_singles:
            w("#endif")
    return Emitted(arrays, str(w), (*finish.kernels, *finish.products))


def _mac16_channels(w: Writer, place: Place, finish: Finish) -> None:
    """Every channel at one tile, by Xtensa's MAC16; ``patch``: the pairs of one point after those
    of the other. Their number may be odd, so registers m0 and m1 alternate throughout."""
    prefix, pairs, points = place.prefix, _pairs(place.conv), range(place.tile.points)
    words = len(pairs)
    with w.block(f"HIL_KERNEL {prefix}_channels(const int16_t *patch, int8_t *o)"):
        w(f"HIL_FLASH int16_t *w = {prefix}_w;")
        w(f"HIL_FLASH int32_t *q = {prefix}_q;")
        step = f"w += {2 * words}, q += {finish.stride}, ++o"
        with w.block(f"for (; w < {prefix}_w + {2 * words * place.conv.cout}; {step})"):
            w("const int16_t *x = patch - 2;")
            sums = ["s0", "s1"] if finish.late else [f"s{p}" for p in points]
            w(f"uint32_t {', '.join(sums)};")
            w("__asm__ volatile(HIL_BEGIN")
            for p in points:
                for i, pair in enumerate(pairs):
                    n = (p * words + i) % 2
                    name = "HIL_FIRST" if i == 0 else "HIL_NEXT" if len(pair) == 2 else "HIL_SINGLE"
                    w(f'  {name}("m{n}", "m{1 - n}", "%[w{i}]")')
                if finish.late:  # the largest of the sums
                    w(
                        '  HIL_SUM("%[s1]") HIL_LARGER("%[s0]", "%[s1]")'
                        if p
                        else '  HIL_SUM("%[s0]")'
                    )
                else:
                    w(f'  HIL_SUM("%[s{p}]")')
            outputs = (f'[{name}] "=&r"({name})' for name in sums)
            w(f'  : [x] "+r"(x), {", ".join(outputs)}')
            inputs = (f'[w{i}] "r"(hil_word(w + {2 * i}))' for i in range(words))
            w(f'  : {", ".join(inputs)} : "memory");')
            values = [f"(int32_t){s} + {finish.start(0)}" for s in sums]
            finish.combine(w, 0, values[:1] if finish.late else values)
            finish.store(w, 0, place.targets("0", 0), values)


def _mve_channels(w: Writer, place: Place, finish: Finish) -> None:
    """Every channel at one tile, where eight products are one instruction; ``patch`` as above."""
    prefix, pairs, points = place.prefix, _pairs(place.conv), range(place.tile.points)
    values = 2 * len(pairs)
    taps = [2 * i + half for i, pair in enumerate(pairs) for half in range(len(pair))]
    rest = [t for t in taps if t >= _LANES]
    with w.block(f"HIL_KERNEL {prefix}_channels(const int16_t *patch, int8_t *o)"):
        w(f"HIL_FLASH int16_t *w = {prefix}_w;")
        w(f"HIL_FLASH int32_t *q = {prefix}_q;")
        end = f"{prefix}_w + {values * place.conv.cout}"
        vectors = finish.by_vectors
        if vectors:
            with w.block(f"for (; w < {end}; w += {4 * values}, q += {4 * finish.stride}, o += 4)"):
                for c in range(4):
                    w(f"const int16x8_t y{c} = vldrhq_s16(w + {c * values});")
                for t in rest:
                    w(f"const int32x4_t w{t} = hil_mve_column16(w + {t}, {2 * values});")
                w("int32x4_t most;")
                for p in points:  # one after the other, so that registers are enough
                    with w.block(""):
                        w(f"const int16x8_t v = vldrhq_s16(patch + {p * values});")
                        four = ", ".join(f"vmladavq_s16(v, y{c})" for c in range(4))
                        w(f"int32x4_t a = hil_mve_four({four});")
                        for t in rest:
                            w(f"a = vmlaq_n_s32(a, w{t}, patch[{p * values + t}]);")
                        w(f"most = {'vmaxq_s32(most, a)' if p else 'a'};")
                        w("HIL_IN_ORDER;")
                w(f"hil_mve_store(o, most, {vectors});")
            return
        for p in points:
            w(f"const int16x8_t v{p} = vldrhq_s16(patch + {p * values});")
            for t in rest:
                w(f"const int32_t x{p}_{t} = patch[{p * values + t}];")
        step = f"w += {values}, q += {finish.stride}, ++o"
        with w.block(f"for (; w < {end}; {step})"):
            w("const int16x8_t y = vldrhq_s16(w);")
            sums = [f"a{p}" for p in points]
            for p in points:
                more = "".join(f" + x{p}_{t} * w[{t}]" for t in rest)
                w(f"const int32_t a{p} = vmladavq_s16(v{p}, y){more};")
            if finish.late:
                sums = [f"{largest(sums)} + {finish.start(0)}"]
            else:
                sums = [f"{a} + {finish.start(0)}" for a in sums]
            finish.combine(w, 0, sums)
            finish.store(w, 0, place.targets("0", 0), sums)


def _single_channels(w: Writer, place: Place, finish: Finish, points: list[list[int]]) -> None:
    """Every channel at one tile, where products are single: the patch stays in registers."""
    conv, prefix = place.conv, place.prefix
    cells = _cells(place, conv.cin)
    with w.block(f"HIL_KERNEL {prefix}_channels(const int32_t *patch, int8_t *o)"):
        w(f"HIL_FLASH int16_t *w = {prefix}_w;")
        w(f"HIL_FLASH int32_t *q = {prefix}_q;")
        xs = (f"x{n} = patch[{i}]" for i, n in enumerate(cells))
        w(f"const int32_t {', '.join(xs)};")
        if conv.cout % 2:
            _single_loop(w, place, finish, points, 1)
            return
        w("#if HIL_THUMB1")  # its offsets are short
        _single_loop(w, place, finish, points, 1)
        w("#else")
        _single_loop(w, place, finish, points, 2)
        w("#endif")


def _single_loop(
    w: Writer, place: Place, finish: Finish, points: list[list[int]], unroll: int
) -> None:
    """``unroll`` channels at a time, so that pointers advance less often."""
    words = 2 * len(_pairs(place.conv))
    step = f"w += {words * unroll}, q += {finish.stride * unroll}, o += {unroll}"
    with w.block(f"for (; w < {place.prefix}_w + {words * place.conv.cout}; {step})"):
        for c in range(unroll):
            with w.block("", unroll > 1):
                _single_channel(w, place, finish, points, c)


def _single_channel(
    w: Writer, place: Place, finish: Finish, points: list[list[int]], c: int
) -> None:
    sums = [f"a{p}" for p in range(len(points))]
    pairs = _pairs(place.conv)
    start = "0" if finish.late else finish.start(c)
    w(f"int32_t {', '.join(f'{a} = {start}' for a in sums)}, v;")
    for i, pair in enumerate(pairs):
        for half, tap in enumerate(pair):
            w(f"v = {read('int16_t', 'w', 2 * (c * len(pairs) + i) + half)};")
            for a, indices in zip(sums, points, strict=True):
                w(f"{a} += x{indices[tap]} * v;")
            w("HIL_IN_ORDER;")
    if finish.late:  # the bias of the largest sum is enough
        sums = [f"{largest(sums)} + {finish.start(c)}"]
    finish.combine(w, c, sums)
    finish.store(w, c, place.targets("0", c), sums)


def _all_channels(
    w: Writer,
    place: Place,
    finish: Finish,
    points: list[list[int]],
    names: dict[tuple[int, ...], str],
    taps: int,
) -> None:
    """Every channel at one tile: from its patch to the output ``o``."""
    conv, prefix = place.conv, place.prefix
    w(f"HIL_FLASH {'float' if finish.real else 'int16_t'} *w = {prefix}_w;")
    w(f"HIL_FLASH {finish.ctype} *q = {prefix}_q;")
    channels = min(place.tile.channels, conv.cout)
    full, rest = divmod(conv.cout, channels)
    step = f"w += {taps * channels}, q += {finish.stride * channels}, o += {channels}"
    end = f"{prefix}_w + {full * channels * taps}"
    with w.block(f"for (; w < {end}; {step})", full > 1):
        _channels(w, place, finish, points, names, channels, taps, "0")
    if rest:
        if full == 1:
            w(f"w += {taps * channels};")
            w(f"q += {finish.stride * channels};")
        with w.block(""):
            _channels(
                w,
                place,
                finish,
                points,
                names,
                rest,
                taps,
                "0" if full > 1 else str(full * channels),
            )


def _channels(
    w: Writer,
    place: Place,
    finish: Finish,
    points: list[list[int]],
    names: dict[tuple[int, ...], str],
    channels: int,
    taps: int,
    c: str,
) -> None:
    sums = [[f"a{p}_{j}" for p in range(len(points))] for j in range(channels)]
    for j, row in enumerate(sums):
        w(f"{finish.ctype} {', '.join(f'{a} = {finish.start(j)}' for a in row)};")
    if finish.real:
        for j, row in enumerate(sums):
            for t in range(taps):
                w(f"const float w{j}_{t} = {read('float', 'w', j * taps + t)};")
                for a, indices in zip(row, points, strict=True):
                    w(finish.multiply(a, f"x{indices[t]}", f"w{j}_{t}"))
    else:
        for i, pair in enumerate(_pairs(place.conv)):
            for j in range(channels):
                w(f"const hil_x2_t w{j}_{i} = hil_w2(w + {j * taps + 2 * i});")
            for p, indices in enumerate(points):
                x = names[tuple(indices[t] for t in pair)]
                for j in range(channels):
                    w(f"{sums[j][p]} = hil_mac2({sums[j][p]}, {x}, w{j}_{i});")
    for j, row in enumerate(sums):
        finish.combine(w, j, row)
        finish.store(w, j, place.targets(c, j), row)


def _patch_size(place: Place) -> tuple[int, int]:
    conv, tile = place.conv, place.tile
    return (
        (tile.rows - 1) * conv.rows.stride + conv.rows.window,
        (tile.columns - 1) * conv.columns.stride + conv.columns.window,
    )


def _patch_indices(place: Place, point: int, depth: int | None = None) -> list[int]:
    """Numbers of the patch variables below each tap (ky, kx, ic) of one window."""
    conv, tile = place.conv, place.tile
    depth = conv.cin if depth is None else depth
    _, width = _patch_size(place)
    dy, dx = divmod(point, tile.columns)
    return [
        ((dy * conv.rows.stride + ky) * width + dx * conv.columns.stride + kx) * depth + ic
        for ky in range(conv.rows.window)
        for kx in range(conv.columns.window)
        for ic in range(depth)
    ]


def _cells(place: Place, depth: int) -> dict[int, tuple[int, int, int]]:
    """(row, column, channel) of the patch variables that a tile uses, by their number."""
    height, width = _patch_size(place)
    every = [(r, x, i) for r in range(height) for x in range(width) for i in range(depth)]
    # strides may skip values
    used = {n for p in range(place.tile.points) for n in _patch_indices(place, p, depth)}
    return {n: cell for n, cell in enumerate(every) if n in used}


def _load_patch(w: Writer, place: Place, depth: int, channel: str = "") -> None:
    """Variables x0, x1, ...: the patch below a tile, of all channels or of one."""
    cells = _cells(place, depth)
    ctype = "float" if place.conv.quant is None else "int32_t"
    if not place.conv.padded:
        _read_patch(w, place, cells, channel, lambda n, value: f"const {ctype} x{n} = {value};")
        return
    w(f"{ctype} {', '.join(f'x{n}' for n in cells)};")
    _read_patch(w, place, cells, channel, lambda n, value: f"x{n} = {value};")


def _store_patch(w: Writer, place: Place, points: list[list[int]]) -> None:
    """The array ``patch`` of `_mac16_channels`: each value is read once and stored wherever it is
    used, so that few registers are enough."""
    pairs = _pairs(place.conv)
    uses: dict[int, list[int]] = {}
    for p, indices in enumerate(points):
        for i, pair in enumerate(pairs):
            for half, tap in enumerate(pair):
                uses.setdefault(indices[tap], []).append(2 * (p * len(pairs) + i) + half)
    w(f"int16_t patch[{2 * len(points) * len(pairs) + 2}] HIL_ALIGNED;")
    cells = _cells(place, place.conv.cin)

    def put(n: int, value: str) -> str:
        stores = " ".join(f"hil_put(patch + {use}, x{n});" for use in uses[n])
        return f"const int32_t x{n} = {value}; {stores}"

    _read_patch(w, place, cells, "", put)


def _read_patch(
    w: Writer,
    place: Place,
    cells: dict[int, tuple[int, int, int]],
    channel: str,
    put: Callable[[int, str], str],
) -> None:
    """A statement for each value of the patch, which ``put`` makes from its number and its C text:
    for a tile inside the input, and for a tile near an edge."""
    conv = place.conv
    row = conv.columns.size * conv.cin
    start = f"{place.pointer}{' + ' + channel if channel else ''}"
    with w.block(f"if ({place.inside})", conv.padded):
        w(f"const {place.ctype} *p = {start};")
        for n, (r, x, i) in cells.items():
            w(put(n, f"p[{r * row + x * conv.cin + i}]"))
    if conv.padded:
        with w.block("else"):
            for n, (r, x, i) in cells.items():
                w(put(n, f"{place.at(r, x)}[{channel or i}]"))


def emit_depthwise(conv: Conv, tile: Tile, prefix: str) -> Emitted:
    """The C code of a depthwise convolution; its function is ``prefix(in, out)``."""
    place = Place(conv, tile, prefix)
    finish = Finish(conv, prefix, place.wide)
    weights = conv.weights.reshape(conv.cout, -1)
    taps = weights.shape[1]
    arrays = [
        Array(f"{prefix}_w", weights, "weights, channel by channel"),
        *finish.arrays(),
        *place.arrays(),
    ]
    w = Writer()
    place.helper(w)
    with place.function(w):
        w(f"HIL_FLASH {'float' if finish.real else 'int8_t'} *w = {prefix}_w;")
        w(f"HIL_FLASH {finish.ctype} *q = {prefix}_q;")
        advance = f"w += {taps}, q += {finish.stride}"
        with w.loop("c", conv.cout, advance):
            multiplier = conv.cout // conv.cin
            channel = "c" if multiplier == 1 else f"c / {multiplier}"
            sums = [f"a{p}_0" for p in range(tile.points)]
            finish.begin(w, 1)
            with place.window(w):
                w(f"{finish.ctype} {', '.join(f'{a} = {finish.start(0)}' for a in sums)};")
                if taps <= _MAX_UNROLLED:
                    _unrolled(w, place, finish, sums, channel, taps)
                else:
                    _looped(w, place, finish, sums, channel)
                finish.combine(w, 0, sums)
                if conv.pool is None:
                    finish.store(w, 0, place.targets("c" if conv.cout > 1 else "0", 0), sums)
            if conv.pool is not None:
                finish.store(w, 0, place.targets("c" if conv.cout > 1 else "0", 0), sums)
    return Emitted(arrays, str(w), finish.kernels)


def _unrolled(
    w: Writer, place: Place, finish: Finish, sums: list[str], channel: str, taps: int
) -> None:
    _load_patch(w, place, 1, channel)
    points = [_patch_indices(place, p, 1) for p in range(len(sums))]
    stored, ctype = ("float", "float") if finish.real else ("int8_t", "int32_t")
    for t in range(taps):
        w(f"const {ctype} w{t} = {read(stored, 'w', t)};")
        for a, indices in zip(sums, points, strict=True):
            w(finish.multiply(a, f"x{indices[t]}", f"w{t}"))


def _looped(w: Writer, place: Place, finish: Finish, sums: list[str], channel: str) -> None:
    conv = place.conv
    height, width = conv.rows.window, conv.columns.window
    weight = read("float" if finish.real else "int8_t", "w", "t")
    with w.loop("ky", height), w.loop("kx", width):
        w(f"const int t = {'ky' if height > 1 else '0'} * {width} + {'kx' if width > 1 else '0'};")
        for p, a in enumerate(sums):
            if conv.padded:
                x = f"{place.edge_pointer(p)}[{channel}]"
            else:
                tap = f"(t / {width} * {conv.columns.size} + t % {width}) * {conv.cin}"
                x = f"({place.pointer})[{tap} + {place.offsets[p]} + {channel}]"
            w(finish.multiply(a, x, weight))
