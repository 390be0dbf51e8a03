# SPDX-License-Identifier: Apache-2.0
"""Convolutions in groups: each output channel reads only the input channels of its group."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hil.engines.aot.around import Collected, collect, over_pixels
from hil.engines.aot.conv import Conv
from hil.engines.aot.finish import Finish
from hil.engines.aot.source import Array, Emitted, Writer, read

_CHANNELS = 4  # at a time


def _blocks(channels: int) -> list[int]:
    """Sizes of the blocks of a group's channels."""
    whole, rest = divmod(channels, _CHANNELS)
    return [_CHANNELS] * whole + [rest] * bool(rest)


def _pack(conv: Conv, groups: int) -> npt.NDArray[np.generic]:
    """The weights in order of use: groups, blocks of channels, taps (int8: in fours), channels."""
    length = conv.cin
    whole = 0 if conv.real else length // 4 * 4
    rows = conv.weights.reshape(groups, -1, length)
    parts = []
    for group in rows:
        first = 0
        for count in _blocks(len(group)):
            block = group[first : first + count]
            fours = block[:, :whole].reshape(count, -1, 4).transpose(1, 0, 2)
            parts += [fours.reshape(-1), block[:, whole:].T.reshape(-1)]
            first += count
    return np.concatenate(parts)


def emit_grouped(step: Collected, conv: Conv, prefix: str) -> Emitted:
    """The C code of a convolution in groups; its function is ``prefix(in, out, s)``."""
    finish = Finish(conv, prefix, False)
    taken, made = step.ctypes
    channels = conv.cout // step.groups
    blocks = _blocks(channels)
    arrays = [
        Array(
            f"{prefix}_w",
            _pack(conv, step.groups),
            "weights, in groups and blocks",
        ),
        *finish.arrays(),
    ]
    weight = "float" if finish.real else "int8_t"
    w = Writer()
    for count in sorted(set(blocks)):
        tail = f"HIL_FLASH {weight} *w, {finish.ctype} *a)"
        with w.block(f"HIL_KERNEL {prefix}_sums{count}(const {taken} *x, {tail}"):
            _sums(w, finish, conv.cin, count)
        w()
    head = f"static inline void {prefix}(const {taken} *in, {made} *out, int16_t *s)"
    with w.block(head), over_pixels(w, step) as pixel:
        w(f"{taken} *t = ({taken} *)(void *)s;")
        collect(w, step, "t", conv.cin // (step.taps[0] * step.taps[1]), "ox")
        w(f"const {taken} *d = (const {taken} *)(const void *)s;")
        w(f"HIL_FLASH {weight} *w = {prefix}_w;")
        w(f"HIL_FLASH {finish.ctype} *q = {prefix}_q;")
        w(f"{made} *o = out + {pixel} * {conv.cout};")
        with w.loop("g", step.groups, f"d += {conv.cin}"):
            for count in sorted(set(blocks), reverse=True):
                advance = f"w += {count * conv.cin}, q += {count * finish.stride}, o += {count}"
                times = blocks.count(count)
                with w.block(f"for (int c = 0; c < {times}; ++c, {advance})"):
                    starts = ", ".join(finish.start(j) for j in range(count))
                    w(f"{finish.ctype} a[{count}] = {{{starts}}};")
                    w(f"{prefix}_sums{count}(d, w, a);")
                    for j in range(count):
                        finish.store(w, j, [f"o[{j}]"], [f"a[{j}]"])
    return Emitted(arrays, str(w), (*finish.kernels, *finish.products))


def _sums(w: Writer, finish: Finish, length: int, count: int) -> None:
    """Add the products of ``length`` values with ``count`` channels' weights to their sums."""
    names = [f"a{j}" for j in range(count)]
    w(f"{finish.ctype} {', '.join(f'{n} = a[{j}]' for j, n in enumerate(names))};")
    fours = 0 if finish.real else length // 4
    if fours:
        with w.block(f"for (int k = 0; k < {fours}; ++k, x += 4, w += {4 * count})"):
            w("const hil_x4_t v = hil_x4(x);")
            for j, name in enumerate(names):
                w(f"const hil_x4_t w{j} = hil_w4(w{f' + {4 * j}' if j else ''});")
                w(f"{name} = hil_mac4({name}, v, w{j});")
    rest = length - 4 * fours
    if rest:
        with w.block(f"for (int k = 0; k < {rest}; ++k, ++x, w += {count})"):
            for j, name in enumerate(names):
                weight = read("float" if finish.real else "int8_t", "w", j)
                w(finish.multiply(name, "*x", weight))
    for j, name in enumerate(names):
        w(f"a[{j}] = {name};")
