# SPDX-License-Identifier: Apache-2.0
"""The sums of a gathered layer: blocks of four channels, of the windows in its buffer."""

from __future__ import annotations

from dataclasses import replace

from hil.engines.aot.source import Writer
from hil.engines.aot.weighted.conv import GATHERED_CHANNELS, Conv, Scratch
from hil.engines.aot.weighted.conv_place import Place
from hil.engines.aot.weighted.finish import Finish
from hil.engines.aot.weighted.gather_layout import beside, portions, step


def emit_blocks(w: Writer, place: Place, finish: Finish, buffer: Scratch) -> None:
    """All channels of the tiles in the buffer."""
    conv, tile = place.conv, place.tile
    w(f"HIL_FLASH int16_t *w = {place.prefix}_w;")
    w(f"HIL_FLASH int32_t *q = {place.prefix}_q;")
    groups = conv.rows.window * buffer.groups
    ahead = f"w += {8 * groups}, q += {finish.stride * tile.channels}"
    many = conv.cout > tile.channels
    by_eight = tile.points == 1 and conv.pool is None and conv.cout % (2 * tile.channels) == 0
    if by_eight:
        w("#if HIL_RV32")
        ahead8 = f"w += {16 * groups}, q += {2 * finish.stride * tile.channels}"
        eight = conv.cout > 2 * tile.channels
        with w.block(
            f"for (int c = 0; c < {conv.cout}; c += {2 * tile.channels}, {ahead8})", eight
        ):
            _eight(w, place, finish, 8 * groups, "c" if eight else "0")
        w("#else")
    with w.block(f"for (int c = 0; c < {conv.cout}; c += {tile.channels}, {ahead})", many):
        _block(w, place, finish, buffer, "c" if many else "0")
    if by_eight:
        w("#endif")


def _eight(w: Writer, place: Place, finish: Finish, apart: int, c: str) -> None:
    """Eight channels, from ``c`` on, of one point; the weights of the last four are ``apart``."""
    channels = range(2 * GATHERED_CHANNELS)
    w(f"int32_t a[{len(channels)}] = {{{', '.join(finish.start(j) for j in channels)}}};")
    first, *others = portions(place.conv)
    w(f"hil_rv32_sums8(s, w, w + {apart}, a, {first}u);")
    done = first
    for groups in others:
        with w.block(""):
            w(f"int32_t b[{len(channels)}] = {{0}};")
            weights = f"w + {8 * done}, w + {8 * done + apart}"
            w(f"hil_rv32_sums8(s + {4 * done}, {weights}, b, {groups}u);")
            w(f"for (int i = 0; i < {len(channels)}; ++i) a[i] += b[i];")
        done += groups
    for j in channels:
        finish.store(w, j, [f"o[{c} + {j}]"], [f"a[{j}]"])


def _block(w: Writer, place: Place, finish: Finish, buffer: Scratch, c: str) -> None:
    """Four channels, from ``c`` on, of all tiles of the buffer."""
    conv, tile = place.conv, place.tile
    channels = range(tile.channels)
    rows = conv.pool.rows.window if conv.pool else 1
    if conv.pool is not None and (rows, buffer.columns, tile.points) == (2, 1, 2):
        _whole_window(w, place, replace(finish, wide=False), buffer, c)
        return
    finish.begin(w, tile.channels)
    with w.loop("wy", rows), w.loop("wx", buffer.columns):
        starts = ", ".join(finish.start(j) for j in channels for _ in range(tile.points))
        w(f"int32_t a[{tile.points * tile.channels}] = {{{starts}}};")
        down = conv.rows.stride * buffer.groups
        start = f"s + wy * {step(down, tile.points)}" if rows > 1 else "s"
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


def _whole_window(w: Writer, place: Place, finish: Finish, buffer: Scratch, c: str) -> None:
    """Four channels of a pooling window of two rows and two columns, which is one tile."""
    conv, channels = place.conv, range(place.tile.channels)
    targets = [place.targets(c, j) for j in channels]
    down = step(conv.rows.stride * buffer.groups, 2)
    vectors = finish.by_vectors
    largest = finish.late and len(portions(conv)) == 1
    if vectors:
        w("#if HIL_MVE")
        with w.block(""):
            w("int32_t a[16];")
            for i, start in enumerate(("s", f"s + {down}")):
                _mve_sums(w, conv, start, f"a + {8 * i}" if i else "a")
            first = targets[0][0].replace("o[", "o + ").rstrip("]")
            w(f"hil_mve_store({first}, hil_mve_largest(a), {vectors});")
    if largest:
        w(f"#{'elif' if vectors else 'if'} HIL_RV32")
        w(f"int32_t a[{len(channels)}];")
        w(f"hil_rv32_largest4(s, s + {down}, w, a, {conv.rows.window * buffer.groups}u);")
        for j in channels:
            finish.combine(w, j, [f"a[{j}] + {finish.start(j)}"])
            finish.store(w, j, targets[j], ())
    if vectors or largest:
        w("#else")
    starts = ", ".join(finish.start(j) for _ in "rs" for j in channels for _ in "op")
    w(f"int32_t a[{4 * len(channels)}] = {{{starts}}};")
    _sums(w, conv, buffer, "s", 2)
    for j in channels:
        finish.combine(w, j, [f"a[{8 * r + 2 * j + p}]" for r in range(2) for p in range(2)])
        finish.store(w, j, targets[j], ())
    if vectors or largest:
        w("#endif")


def _mve_sums(w: Writer, conv: Conv, s: str, to: str) -> None:
    """All products of four channels at two points, without biases."""
    done = 0
    for groups in portions(conv):
        kernel = "hil_pair_sums" if done else "hil_mve_sums"
        more = f" + {step(done, 2)}, w + {8 * done}" if done else ", w"
        w(f"{kernel}({s}{more}, {to}, {groups}u);")
        done += groups


def _sums(w: Writer, conv: Conv, buffer: Scratch, s: str, rows: int) -> None:
    """All products of a tile, or of two, one below the other, added to ``a``."""
    points = buffer.points
    kernel = f"hil_sums{points * rows}"
    more = f", {beside(buffer)}" if points == 2 else ""
    more += f", {step(conv.rows.stride * buffer.groups, points)}" if rows == 2 else ""
    first, *others = portions(conv)
    w(f"{kernel}({s}, w, a, {first}u{more});")
    done = first
    for groups in others:
        count = points * rows * GATHERED_CHANNELS
        with w.block(""):
            w(f"int32_t b[{count}] = {{0}};")
            w(f"{kernel}({s} + {step(done, points)}, w + {done * 8}, b, {groups}u{more});")
            w(f"for (int i = 0; i < {count}; ++i) a[i] += b[i];")
        done += groups
