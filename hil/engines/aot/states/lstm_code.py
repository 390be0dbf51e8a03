# SPDX-License-Identifier: Apache-2.0
"""The C code of an LSTM: rows one after the other, cell by cell, all gates of a cell together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hil.engines.aot.source import Array, Emitted, Writer, read, real_literal
from hil.engines.aot.states.lstm import GATES, Lstm
from hil.engines.aot.values.fixed_point import SIGMOID
from hil.engines.aot.weighted.fours import FOUR, Sums, four_biases, scaled

_LARGEST = 32767 * 32768  # of a product of a gate and a cell


def emit_lstm(step: Lstm, prefix: str) -> Emitted:
    """Its function is ``prefix(in, hidden, cell, out, scratch)``; only int8 needs scratch."""
    w = Writer()
    if step.real:
        arrays, kernels = _real_arrays(step, prefix), ("float32", "lstm_real")
        _real_cells(w, step, prefix)
    else:
        arrays = _whole_arrays(step, prefix)
        kernels = ("int8", "lstm" if step.widens else "lstm16")
        _whole_cells(w, step, prefix)
    ctype, more = step.ctype, ", int16_t *s" if step.widens else ""
    states = f"{ctype} *hidden, {step.cell_type} *cell"
    with w.block(f"static inline void {prefix}(const {ctype} *in, {states}, {ctype} *out{more})"):
        taken, cells = step.inputs.values, step.cells
        apart = step.batch if step.time_major else 1  # rows of the same sequence
        if step.widens:
            w(f"int16_t *const r = s + {FOUR * step.inputs.groups};")
        with w.loop("b", step.batch, f"hidden += {cells}, cell += {cells}"):
            first = "" if step.batch == 1 else f" + b * {1 if step.time_major else step.rows}"
            w(f"const {ctype} *x = in{f'{first} * {taken}' if first else ''};")
            w(f"{ctype} *y = out{f'{first} * {cells}' if first else ''};")
            if step.widens:
                w(f"hil_widen_row(r, hidden, {cells});")
            else:
                w(f"const {ctype} *h = hidden;")
            advance = f"x += {apart * taken}, y += {apart * cells}"
            with w.block(f"for (int t = 0; t < {step.rows}; ++t, {advance})"):
                if step.widens:
                    w(f"hil_widen_row(s, x, {taken});")
                    w(f"{prefix}_cells(s, r, cell, y);")
                    w(f"hil_widen_row(r, y, {cells});")
                else:
                    w(f"{prefix}_cells(x, h, cell, y);")
                    w("h = y;")
            w(f"memcpy(hidden, y - {apart * cells}, {cells * step.item});")
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


def _whole_arrays(step: Lstm, prefix: str) -> list[Array]:
    """Of int8 and int16 values."""
    arrays = []
    for letter, sums, what in (("w", step.inputs, "inputs"), ("v", step.hidden, "hidden state")):
        note = f"weights of the {what}, of gates {', '.join(GATES)}"
        name = f"{prefix}_{letter}"
        if step.widens:
            arrays.append(sums.array(name, note))
        else:
            each = np.ascontiguousarray(sums.weights.transpose(0, 2, 1)).astype("<i1")
            arrays.append(Array(name, each, f"{note}, four per value"))
    both = [step.inputs.bias, step.hidden.bias] if step.widens else [step.inputs.bias]
    biases = np.concatenate(both, axis=1).astype("<i4" if step.widens else "<i8")
    arrays.append(Array(f"{prefix}_q", biases, "of each cell: four biases of each side"))
    entries = (np.array(SIGMOID) - (1 << 15)).astype("<i2")
    return [*arrays, Array(f"{prefix}_lut", entries, "the logistic function, see sigmoid16.h")]


def _whole_cells(w: Writer, step: Lstm, prefix: str) -> None:
    """The function that computes a row of outputs; inputs and hidden state have 16 bits."""
    head = f"const int16_t *x, const int16_t *h, int16_t *cell, {step.ctype} *y"
    with w.block(f"HIL_KERNEL {prefix}_cells({head})"):
        advance = [f"q += {2 * FOUR if step.widens else FOUR}"]
        for letter, sums in (("w", step.inputs), ("v", step.hidden)):
            w(f"HIL_FLASH {sums.ctype if step.widens else 'int8_t'} *{letter} = {prefix}_{letter};")
            if step.widens:
                advance.append(f"{letter} += {sums.block}")
        w(f"HIL_FLASH {'int32_t' if step.widens else 'int64_t'} *q = {prefix}_q;")
        with w.block(f"for (int j = 0; j < {step.cells}; ++j, {', '.join(advance)})"):
            if step.widens:
                w(f"int32_t a[4] = {{{four_biases('q')}}}, b[4] = {{{four_biases('q', FOUR)}}};")
                w(step.inputs.call("x", "w", "a"))
                w(step.hidden.call("h", "v", "b"))
            else:
                starts = ", ".join(read("int64_t", "q", i) for i in range(FOUR))
                w(f"int64_t a[4] = {{{starts}}}, b[4] = {{0, 0, 0, 0}};")
                w(f"w = hil_gates16(x, w, a, {step.inputs.values});")
                w(f"v = hil_gates16(h, v, b, {step.cells});")
            for i, (name, curve) in enumerate(_CURVES):
                value = f"3 * hil_add16({_gate(step, 'a', i)}, {_gate(step, 'b', i)})"
                w(f"const int32_t {name} = hil_{curve}16({value}, {prefix}_lut);")
            kept = scaled("f * cell[j]", step.forget_scale, _LARGEST)
            more = scaled("i * g", step.input_scale, _LARGEST)
            w(f"int32_t c = hil_add16({kept}, {more});")
            if step.clip is not None:
                w(f"c = hil_clamp(c, -{step.clip}, {step.clip});")
            w("cell[j] = (int16_t)c;")
            tanh = f"hil_tanh16({_shifted(step.cell_power)}, {prefix}_lut)"
            made = scaled(f"{tanh} * o", step.output_scale, _LARGEST, step.zero)
            w(f"y[j] = ({step.ctype})hil_clamp{8 if step.widens else 16}({made});")


def _gate(step: Lstm, side: str, gate: int) -> str:
    """One side's sum of a gate as a Q3.12 number, in C."""
    sums = step.inputs if side == "a" else step.hidden
    multiplier, shift = sums.scales[gate]
    if not step.widens:
        return f"hil_requant64({side}[{gate}], {multiplier}, {shift})"
    return scaled(f"{side}[{gate}]", (multiplier, shift), int(sums.largest[:, gate].max()))


def _shifted(power: int) -> str:
    """A cell's value as the argument of its tanh, as Tanh() of lstm_eval.cc shifts it."""
    left = 15 + power - 3
    if left >= 0:
        return f"c * {3 << left}"
    return f"(c * 3 + {1 << (-left - 1)}) >> {-left}"
