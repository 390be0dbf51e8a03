# SPDX-License-Identifier: Apache-2.0
"""Convolutions in groups: each output channel reads only the input channels of its group."""

from __future__ import annotations

import numpy as np

from hil.engines.aot.source import Array, Emitted, Writer
from hil.engines.aot.weighted.around import Collected
from hil.engines.aot.weighted.conv import Conv
from hil.engines.aot.weighted.finish import Finish
from hil.engines.aot.weighted.sums import KERNELS, blocks, call, emit_sums, pack
from hil.engines.aot.weighted.windows import collect, over_pixels


def emit_grouped(step: Collected, conv: Conv, prefix: str) -> Emitted:
    """The C code of a convolution in groups; its function is ``prefix(in, out, s)``."""
    finish = Finish(conv, prefix, False)
    taken, made = step.ctypes
    length = conv.cin
    packed = [pack(rows, taken) for rows in conv.weights.reshape(step.groups, -1, length)]
    weights = Array(f"{prefix}_w", np.concatenate(packed), "weights, in groups and blocks")
    channels = blocks(conv.cout // step.groups)
    w = Writer()
    for count, _ in channels:
        emit_sums(w, prefix, count, taken, fused=conv.fused)
    head = f"static inline void {prefix}(const {taken} *in, {made} *out, int16_t *s)"
    with w.block(head), over_pixels(w, step.windows) as pixel:
        w(f"{taken} *t = ({taken} *)(void *)s;")
        collect(w, step.windows, "t", "ox")
        w(f"const {taken} *d = (const {taken} *)(const void *)s;")
        w(f"HIL_FLASH {weights.ctype} *w = {prefix}_w;")
        w(f"HIL_FLASH {finish.ctype} *q = {prefix}_q;")
        w(f"{made} *o = out + {pixel} * {conv.cout};")
        with w.loop("g", step.groups, f"d += {length}"):
            for count, times in channels:
                advance = f"w += {count * length}, q += {count * finish.stride}, o += {count}"
                with w.block(f"for (int c = 0; c < {times}; ++c, {advance})"):
                    starts = ", ".join(finish.start(j) for j in range(count))
                    w(f"{finish.ctype} a[{count}] = {{{starts}}};")
                    w(call(prefix, count, taken, length, "d, w, a"))
                    for j in range(count):
                        finish.store(w, j, [f"o[{j}]"], [f"a[{j}]"])
    return Emitted([weights, *finish.arrays()], str(w), (*finish.kernels, *KERNELS[taken]))
