# SPDX-License-Identifier: Apache-2.0
"""The C code of an LSTM: rows one after the other, cell by cell, all gates of a cell together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hil.engines.aot.curves import logistic_array
from hil.engines.aot.fours import FOUR, Sums, four_biases, scaled
from hil.engines.aot.lstm import GATES, Lstm
from hil.engines.aot.source import Array, Emitted, Writer, read, real_literal

_LARGEST = 32767 * 32768  # of a product of a gate and a cell


def emit_lstm(step: Lstm, prefix: str) -> Emitted:
    """Its function is ``prefix(in, hidden, cell, out, scratch)``; float32 needs no scratch."""
    w = Writer()
    ctype, cell = ("float", "float") if step.real else ("int8_t", "int16_t")
    arrays = _real_arrays(step, prefix) if step.real else _int8_arrays(step, prefix)
    (_real_cells if step.real else _int8_cells)(w, step, prefix)
    more = "" if step.real else ", int16_t *s"
    states = f"{ctype} *hidden, {cell} *cell"
    with w.block(f"static inline void {prefix}(const {ctype} *in, {states}, {ctype} *out{more})"):
        taken, cells = step.inputs.values, step.cells
        apart = step.batch if step.time_major else 1  # rows of the same sequence
        if not step.real:
            w(f"int16_t *const r = s + {FOUR * step.inputs.groups};")
        with w.loop("b", step.batch, f"hidden += {cells}, cell += {cells}"):
            first = "" if step.batch == 1 else f" + b * {1 if step.time_major else step.rows}"
            w(f"const {ctype} *x = in{f'{first} * {taken}' if first else ''};")
            w(f"{ctype} *y = out{f'{first} * {cells}' if first else ''};")
            if step.real:
                w("const float *h = hidden;")
            else:
                w(f"hil_widen_row(r, hidden, {cells});")
            advance = f"x += {apart * taken}, y += {apart * cells}"
            with w.block(f"for (int t = 0; t < {step.rows}; ++t, {advance})"):
                if step.real:
                    w(f"{prefix}_cells(x, h, cell, y);")
                    w("h = y;")
                else:
                    w(f"hil_widen_row(s, x, {taken});")
                    w(f"{prefix}_cells(s, r, cell, y);")
                    w(f"hil_widen_row(r, y, {cells});")
            last = f"y - {apart * cells}"
            w(f"memcpy(hidden, {last}, {cells * (4 if step.real else 1)});")
    kernels = ("float32", "lstm_real") if step.real else ("int8", "lstm")
    return Emitted(arrays, str(w), kernels)


def _real_arrays(step: Lstm, prefix: str) -> list[Array]:
    def rows(sums: Sums) -> npt.NDArray[np.generic]:
        return np.ascontiguousarray(sums.weights.transpose(0, 2, 1)).astype("<f4")

    about = "of each cell: values, gates (forget, input, cell, output)"
    return [
        Array(f"{prefix}_w", rows(step.inputs), f"weights of the inputs, {about}"),
        Array(f"{prefix}_v", rows(step.hidden), f"weights of the hidden state, {about}"),
        Array(f"{prefix}_q", step.inputs.bias.astype("<f4"), "biases of each cell"),
    ]


def _real_cells(w: Writer, step: Lstm, prefix: str) -> None:
    head = "const float *x, const float *h, float *cell, float *y"
    with w.block(f"HIL_KERNEL {prefix}_cells({head})"):
        w(f"HIL_FLASH float *w = {prefix}_w;")
        w(f"HIL_FLASH float *v = {prefix}_v;")
        w(f"HIL_FLASH float *q = {prefix}_q;")
        with w.block(f"for (int j = 0; j < {step.cells}; ++j, q += 4)"):
            w("float a[4] = {0.0f, 0.0f, 0.0f, 0.0f}, b[4] = {0.0f, 0.0f, 0.0f, 0.0f};")
            w(f"w = hil_gates_real(x, w, a, {step.inputs.values});")
            w(f"v = hil_gates_real(h, v, b, {step.cells});")
            for i, (name, curve) in enumerate(_CURVES):
                bias = read("float", "q", i)
                function = "hil_lstm_logistic" if curve == "logistic" else "tanhf"
                w(f"const float {name} = {function}((a[{i}] + {bias}) + b[{i}]);")
            w("const float kept = f * cell[j], more = i * g;")
            w("float c = kept + more;")
            if step.clip is not None:
                limit = real_literal(step.clip)
                w(f"c = hil_clampf(c, -{limit}, {limit});")
            w("cell[j] = c;")
            w("y[j] = tanhf(c) * o;")


_CURVES = (("f", "logistic"), ("i", "logistic"), ("g", "tanh"), ("o", "logistic"))


def _int8_arrays(step: Lstm, prefix: str) -> list[Array]:
    arrays = []
    for letter, sums, what in (("w", step.inputs, "inputs"), ("v", step.hidden, "hidden state")):
        note = f"weights of the {what}, of gates {', '.join(GATES)}"
        arrays.append(sums.array(f"{prefix}_{letter}", note))
    both = np.concatenate([step.inputs.bias, step.hidden.bias], axis=1).astype("<i4")
    arrays.append(Array(f"{prefix}_q", both, "of each cell: four biases of each side"))
    return [*arrays, logistic_array(f"{prefix}_lut")]


def _int8_cells(w: Writer, step: Lstm, prefix: str) -> None:
    """The function that computes a row of outputs from widened inputs and hidden state."""
    head = "const int16_t *x, const int16_t *h, int16_t *cell, int8_t *y"
    with w.block(f"HIL_KERNEL {prefix}_cells({head})"):
        advance = []
        for letter, sums in (("w", step.inputs), ("v", step.hidden)):
            w(f"HIL_FLASH {sums.ctype} *{letter} = {prefix}_{letter};")
            advance.append(f"{letter} += {sums.block}")
        w(f"HIL_FLASH int32_t *q = {prefix}_q;")
        with w.block(f"for (int j = 0; j < {step.cells}; ++j, {', '.join(advance)}, q += 8)"):
            for a, first in (("a", 0), ("b", 4)):
                w(f"int32_t {a}[4] = {{{four_biases('q', first)}}};")
            w(step.inputs.call("x", "w", "a"))
            w(step.hidden.call("h", "v", "b"))
            bounds = (step.inputs.largest.max(axis=0), step.hidden.largest.max(axis=0))
            for i, (name, curve) in enumerate(_CURVES):
                parts = [
                    scaled(f"{a}[{i}]", sums.scales[i], int(bound[i]))
                    for a, sums, bound in zip("ab", (step.inputs, step.hidden), bounds, strict=True)
                ]
                value = f"3 * hil_add16({', '.join(parts)})"
                w(f"const int32_t {name} = hil_{curve}16({prefix}_lut, {value});")
            kept = scaled("f * cell[j]", step.forget_scale, _LARGEST)
            more = scaled("i * g", step.input_scale, _LARGEST)
            w(f"int32_t c = hil_add16({kept}, {more});")
            if step.clip is not None:
                w(f"c = hil_clamp(c, -{step.clip}, {step.clip});")
            w("cell[j] = (int16_t)c;")
            tanh = f"hil_tanh16({prefix}_lut, {_shifted(step.cell_power)})"
            made = scaled(f"{tanh} * o", step.output_scale, _LARGEST, step.zero)
            w(f"y[j] = (int8_t)hil_clamp8({made});")


def _shifted(power: int) -> str:
    """A cell's value as the argument of its tanh, as Tanh() of lstm_eval.cc shifts it."""
    left = 15 + power - 3
    if left >= 0:
        return f"c * {3 << left}"
    return f"(c * 3 + {1 << (-left - 1)}) >> {-left}"
