# SPDX-License-Identifier: Apache-2.0
"""TRANSPOSE_CONV: each input pixel adds a window of weights to the output.

Computed output by output: the taps that meet an output pixel depend only on its position modulo
the strides, its *phase*. Its input pixels are copied together, then multiplied with the weights of
the phase. They are taken in the order in which TFLite adds them, from the last tap to the first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hil.engines.aot.arithmetic import Activation, fused_activation
from hil.engines.aot.source import Array, Emitted, Writer, read
from hil.engines.aot.steps import CTYPES, OneToOne, item_bytes
from hil.engines.aot.weighted.finish import real_expression, simplified
from hil.engines.aot.weighted.scaling import Scaling, plan_scaling
from hil.engines.aot.weighted.sums import KERNELS, blocks, call, emit_sums, pack
from hil.tflite import Graph, Operator
from hil.tflite.graph import FLOAT32, INT8, INT16, INT32, INT64, refuse, window_axis


@dataclass(frozen=True, slots=True)
class Spread:
    """One axis: input pixel i adds to the output pixels i * stride - before + (0 to window - 1)."""

    size: int  # of the input
    window: int
    stride: int
    before: int
    count: int  # of output positions

    def taps(self, phase: int) -> list[int]:
        """The taps of a phase, in the order of the input pixels that meet them."""
        return list(range(phase, self.window, self.stride))[::-1]

    @property
    def most(self) -> int:
        """Taps of the phase that has most."""
        return len(self.taps(0))


@dataclass(frozen=True, slots=True, eq=False)
class Transposed(OneToOne):
    """``weights`` (cout, rows, columns, cin); ``scaling`` by phase and channel, None: float32."""

    name: str
    note: str
    ctype: str
    rows: Spread
    columns: Spread
    cin: int
    cout: int
    weights: npt.NDArray[np.generic]
    scaling: Scaling | None
    zero: int  # the code of zero
    bias: npt.NDArray[np.float32] | None = None  # float32 only
    activation: Activation | None = None  # float32 only

    @property
    def ctypes(self) -> tuple[str, str]:
        return self.ctype, self.ctype

    @property
    def width(self) -> int:
        """Bytes of a value."""
        return item_bytes(self.ctype)

    @property
    def input_bytes(self) -> int:
        return self.rows.size * self.columns.size * self.cin * self.width

    @property
    def output_bytes(self) -> int:
        return self.rows.count * self.columns.count * self.cout * self.width

    @property
    def scratch_bytes(self) -> int:
        return self.rows.most * self.columns.most * self.cin * self.width

    @property
    def lead(self) -> int:
        # all channels of a pixel are written while its window is still read
        def first(axis: Spread) -> npt.NDArray[np.int64]:
            last = (np.arange(axis.count) + axis.before) // axis.stride
            return np.clip(last - axis.most + 1, 0, axis.size)

        reads = first(self.rows)[:, None] * self.columns.size + first(self.columns)[None, :]
        reads = reads.reshape(-1) * self.cin * self.width
        later = np.minimum.accumulate(reads[::-1])[::-1]
        return int(((np.arange(reads.size) + 1) * self.cout * self.width - later).max())

    @property
    def phases(self) -> list[npt.NDArray[np.generic]]:
        """The weights (cout, values) of each phase, row by row of phases."""
        return [
            self.weights[:, self.rows.taps(down)][:, :, self.columns.taps(right)].reshape(
                self.cout, -1
            )
            for down in range(self.rows.stride)
            for right in range(self.columns.stride)
        ]


def plan_transposed(operator: Operator, graph: Graph, name: str, note: str) -> Transposed:
    """One sample of a TRANSPOSE_CONV. Raises `ModelError` for weights that are computed, for types
    that TFLM does not take, and for sums that may leave 32 bits."""
    tensors = graph.tensors
    w, x, y = (tensors[i] for i in (*operator.inputs[1:3], operator.outputs[0]))
    wanted = FLOAT32 if x.dtype == FLOAT32 else INT8
    if w.dtype != wanted or w.data is None:
        raise refuse(operator, f"weights of TensorType {w.dtype}", "export the model again")
    options = {k: int(v) for k, v in operator.options.items()}
    axes = []
    for place, side in ((1, "h"), (2, "w")):
        stride = options[f"stride_{side}"]
        window = window_axis(y.shape[place], w.shape[place], stride, options["padding"])
        axes.append(Spread(x.shape[place], w.shape[place], stride, window.before, y.shape[place]))
    step = Transposed(
        name=name,
        note=note,
        ctype=CTYPES[x.dtype],
        rows=axes[0],
        columns=axes[1],
        cin=x.shape[3],
        cout=y.shape[3],
        weights=w.data,
        scaling=None,
        zero=x.zero_point,
    )
    return plan_finish(operator, graph, step)


def plan_finish(operator: Operator, graph: Graph, step: Transposed) -> Transposed:
    """With bias, activation and scaling."""
    w, x, y = (graph.tensors[i] for i in (*operator.inputs[1:3], operator.outputs[0]))
    taken = {FLOAT32: [FLOAT32], INT8: [INT32], INT16: [INT64, INT16]}[x.dtype]
    given = graph.tensors[operator.inputs[3]] if len(operator.inputs) > 3 else None
    if given is not None and operator.inputs[3] < 0:
        given = None
    if given is not None and (given.dtype not in taken or given.data is None):
        raise refuse(operator, f"a bias of TensorType {given.dtype}", "export the model again")
    bias = np.zeros(step.cout) if given is None or given.data is None else given.data
    bias = bias.reshape(step.cout)
    if x.dtype == FLOAT32:
        if not np.isfinite(step.weights).all() or not np.isfinite(bias).all():
            raise refuse(operator, "a weight that is not a finite number", "train the model again")
        activation = fused_activation(operator, y, True)
        return replace(step, bias=bias.astype(np.float32), activation=activation)
    wide = bias.astype(np.int64)
    sums = [phase.astype(np.int64).sum(axis=1) for phase in step.phases]
    folded = np.concatenate([wide - x.zero_point * phase for phase in sums])
    exact = x.dtype == INT8
    scaling = plan_scaling(operator, (x, w, y), folded, step.weights, exact=exact)
    if scaling.long:
        raise refuse(operator, "its sums may leave 32 bits", "export with smaller biases")
    return replace(step, scaling=scaling)


def emit_transposed(step: Transposed, prefix: str) -> Emitted:
    """The C code of a TRANSPOSE_CONV; its function is ``prefix(in, out, s)``."""
    ctype, scaling = step.ctype, step.scaling
    rows, columns = step.rows, step.columns
    phases = step.phases
    weights = Array(f"{prefix}_w", np.concatenate([pack(p, ctype) for p in phases]), "weights")
    starts = np.cumsum([0, *(p.size for p in phases)])[:-1].astype("<i4")
    arrays = [weights]
    several = len(phases) > 1
    if several:
        arrays.append(Array(f"{prefix}_p", starts, "where the weights of each phase start"))
    if scaling:
        arrays += scaling.arrays(prefix)
    else:
        assert step.bias is not None
        arrays.append(Array(f"{prefix}_q", step.bias, "bias"))
    w = Writer()
    for count, _ in blocks(step.cout):
        emit_sums(w, prefix, count, ctype)
    head = f"static inline void {prefix}(const {ctype} *in, {ctype} *out, int16_t *s)"
    with w.block(head), w.loop("y", rows.count):
        _place(w, "y", rows)
        with w.loop("x", columns.count):
            _place(w, "x", columns)
            _pixel(w, step, prefix, weights, several)
    return Emitted(arrays, str(w), KERNELS[ctype])


def _pixel(w: Writer, step: Transposed, prefix: str, weights: Array, several: bool) -> None:
    """All channels of an output pixel."""
    scaling, cout, columns = step.scaling, step.cout, step.columns
    _collect(w, step)
    start = ""
    if several:
        w(f"const int phase = py * {columns.stride} + px;")
        start = f" + {read('int32_t', f'{prefix}_p', 'phase')}"
    w(f"HIL_FLASH {weights.ctype} *w = {prefix}_w{start};")
    if scaling:
        scaling.pointers(w, prefix, f"phase * {cout}" if several else "")
    else:
        w(f"HIL_FLASH float *q = {prefix}_q;")
    for count, times in blocks(cout):
        advance = [f"w += {count} * length", f"out += {count}"]
        advance += scaling.advance(count) if scaling else [f"q += {count}"]
        with w.block(f"for (int c = 0; c < {times}; ++c, {', '.join(advance)})"):
            _block(w, step, prefix, count)


def _place(w: Writer, name: str, axis: Spread) -> None:
    """The phase of a row or column, its number of taps, and the last input that meets them."""
    place = f"{name} + {axis.before}" if axis.count > 1 else str(axis.before)
    w(f"const int t{name} = {place};")
    w(f"const int p{name} = t{name} % {axis.stride};")
    w(f"const int i{name} = t{name} / {axis.stride};")
    w(f"const int n{name} = ({axis.window - 1} - p{name} + {axis.stride}) / {axis.stride};")


def _collect(w: Writer, step: Transposed) -> None:
    """Copies the input pixels of an output pixel to ``d``, ``length`` values, or points there."""
    rows, columns, cin = step.rows, step.columns, step.cin
    w(f"const int length = ny * nx * {cin};")
    w(f"const {step.ctype} *d = (const {step.ctype} *)(const void *)s;")
    w(f"{step.ctype} *t = ({step.ctype} *)(void *)s;")
    nbytes = cin * step.width
    w("const int32_t v0 = iy - ny + 1, u0 = ix - nx + 1;")
    inside = f"v0 >= 0 && iy < {rows.size} && u0 >= 0 && ix < {columns.size}"
    first = f"in + (v0 * {columns.size} + u0) * {cin}"
    with w.block(f"if (ny == 1 && {inside})"):
        w(f"d = {first};")
    with w.block(f"else if ({inside})"):
        w(f"const {step.ctype} *r = {first};")
        with (
            w.block(f"for (int v = 0; v < ny; ++v, r += ({columns.size} - nx) * {cin})"),
            w.block(f"for (int u = 0; u < nx; ++u, t += {cin}, r += {cin})"),
        ):
            w(f"memcpy(t, r, {nbytes});")
    with (
        w.block("else for (int32_t v = v0; v <= iy; ++v)"),
        w.block(f"for (int32_t u = u0; u <= ix; ++u, t += {cin})"),
    ):
        inside = f"v >= 0 && v < {rows.size} && u >= 0 && u < {columns.size}"
        place = f"in + (v * {columns.size} + u) * {cin}"
        w(f"if ({inside}) memcpy(t, {place}, {nbytes});")
        w(f"else memset(t, {step.zero}, {nbytes});")


def _block(w: Writer, step: Transposed, prefix: str, count: int) -> None:
    scaling = step.scaling
    total = "int32_t" if scaling else "float"
    starts = [scaling.start(j) if scaling else "0.0f" for j in range(count)]
    w(f"{total} a[{count}] = {{{', '.join(starts)}}};")
    w(call(prefix, count, step.ctype, "length", "d, w, a"))
    for j in range(count):
        if scaling:
            value = scaling.value(f"a[{j}]", j)
        else:
            assert step.activation is not None
            biased = f"a[{j}] + {read('float', 'q', j)}"
            value = real_expression(biased, simplified(step.activation.real))
        w(f"out[{j}] = {value};")
