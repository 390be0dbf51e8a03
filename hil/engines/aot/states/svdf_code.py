# SPDX-License-Identifier: Apache-2.0
"""The C code of an SVDF: filter by filter, each with its memory."""

from __future__ import annotations

import numpy as np

from hil.engines.aot.source import Array, Emitted, Writer, read
from hil.engines.aot.states.svdf import Svdf
from hil.engines.aot.weighted.finish import real_expression
from hil.engines.aot.weighted.fours import FOUR, four_biases, scaled

_LIMITS = {"int8_t": (-128, 127), "int16_t": (-32768, 32767)}


def emit_svdf(step: Svdf, prefix: str) -> Emitted:
    """Its function is ``prefix(in, state, out, scratch)``; float32 needs no scratch."""
    w = Writer()
    more = "" if step.real else ", int16_t *s"
    head = f"const {step.ctype} *in, {step.state} *state, {step.ctype} *out{more}"
    loop = w.loop("n", step.batch, f"in += {step.features.values}")
    with w.block(f"static inline void {prefix}({head})"), loop:
        (_real if step.real else _int8)(w, step, prefix)
    arrays = [
        Array(f"{prefix}_t", step.times, "weights of the memory, filter by filter"),
        Array(f"{prefix}_q", step.bias, "biases"),
    ]
    if step.real:
        weights = step.features.weights.reshape(-1, step.features.values)[: step.filters]
        arrays.append(Array(f"{prefix}_w", weights, "weights of the features"))
        return Emitted(arrays, str(w), ("float32",))
    arrays.append(step.features.array(f"{prefix}_w", "weights of the features"))
    arrays.append(
        Array(f"{prefix}_z", step.features.bias, "of each filter: the zero point's share")
    )
    return Emitted(arrays, str(w), ("int8", "svdf"))


def _real(w: Writer, step: Svdf, prefix: str) -> None:
    w(f"HIL_FLASH float *w = {prefix}_w;")
    w(f"HIL_FLASH float *t = {prefix}_t;")
    with w.block(f"for (int u = 0; u < {step.filters // step.rank}; ++u)"):
        w(f"float m = {read('float', f'{prefix}_q', 'u')};")
        advance = f"w += {step.features.values}, t += {step.memory}, state += {step.memory}"
        with w.loop("r", step.rank, advance):
            w("float x = 0.0f, sum = 0.0f;")
            product = f"{read('float', 'w', 'k')} * in[k]"
            w(f"for (int k = 0; k < {step.features.values}; ++k) x += {product};")
            if step.memory > 1:
                with w.block(f"for (int k = 0; k < {step.memory - 1}; ++k)"):
                    w("state[k] = state[k + 1];")
                    w(f"sum += {read('float', 't', 'k')} * state[k];")
            last = step.memory - 1
            w(f"state[{last}] = x;")
            w(f"m += sum + {read('float', 't', last)} * x;")
        if step.rank == 1:
            w(f"{advance};")
        w(f"*out++ = {real_expression('m', step.post.real)};")


def _int8(w: Writer, step: Svdf, prefix: str) -> None:
    sums, blocks = step.features, step.features.weights.shape[0]
    w(f"HIL_FLASH {sums.ctype} *w = {prefix}_w;")
    w(f"HIL_FLASH {step.state} *t = {prefix}_t;")
    w(f"HIL_FLASH int32_t *z = {prefix}_z;")
    w(f"HIL_FLASH int32_t *q = {prefix}_q;")
    if step.rank > 1:
        w("int32_t m = 0;")
        w("int rank = 0;")
    w(f"hil_widen_row(s, in, {sums.values});")
    with w.block(f"for (int b = 0; b < {blocks}; ++b, w += {sums.block}, z += 4)"):
        w(f"int32_t a[4] = {{{four_biases('z')}}};")
        w(sums.call("s", "w", "a"))
        limit = "4"
        if step.filters % FOUR:
            w(f"const int count = b < {blocks - 1} ? 4 : {step.filters % FOUR};")
            limit = "count"
        advance = f"state += {step.memory}, t += {step.memory}"
        with w.block(f"for (int i = 0; i < {limit}; ++i, {advance})"):
            value = scaled("a[i]", sums.scales[0], int(sums.largest.max()))
            low, high = _LIMITS[step.state]
            plus = f"{step.state_zero} + " if step.state_zero else ""
            w(f"const {step.state} x = ({step.state})({plus}hil_clamp({value}, {low}, {high}));")
            kernel = "hil_memory8" if step.state == "int8_t" else "hil_memory16"
            moved = f"{kernel}(state, t, {step.memory}, x)"
            bias = read("int32_t", "q++")
            if step.rank == 1:
                _finish(w, step, f"{moved} + {bias}")
            else:
                w(f"m += {moved};")
                with w.block(f"if (++rank == {step.rank})"):
                    _finish(w, step, f"m + {bias}")
                    w("m = 0;")
                    w("rank = 0;")


def _finish(w: Writer, step: Svdf, total: str) -> None:
    sums = np.abs(step.times.astype(np.int64)).reshape(step.bias.size, -1).sum(axis=1)
    largest = -_LIMITS[step.state][0] * sums + np.abs(step.bias.astype(np.int64))
    value = scaled(total, step.scale, int(largest.max()), step.zero)
    w(f"*out++ = (int8_t)hil_clamp8({value});")
