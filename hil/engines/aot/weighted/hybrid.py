# SPDX-License-Identifier: Apache-2.0
"""float32 layers with int8 weights ("dynamic range"): inputs are rounded to int8 while running.

TFLM has no such kernels, so LiteRT's are the reference. Their roundings differ between operators.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hil.engines.aot.arithmetic import INT32_MAX, Activation, fused_activation
from hil.engines.aot.source import Array, Emitted, Writer, read
from hil.engines.aot.steps import OneToOne
from hil.engines.aot.weighted.finish import real_expression, simplified
from hil.engines.aot.weighted.sums import blocks, call, emit_sums, pack
from hil.engines.aot.weighted.windows import Windows, collect, over_pixels
from hil.tflite import Graph, Operator
from hil.tflite.graph import FLOAT32, INT8, Axis, refuse, window_axes


@dataclass(frozen=True, slots=True, eq=False)
class Hybrid(OneToOne):
    """One sample. ``weights`` (cout, values of a sum); ``windows`` are of the rounded input.

    ``offset``: the code of 0 varies. ``early``: a sum is multiplied with its channel's scale first,
    then with the input's; else with their product.
    """

    name: str
    note: str
    windows: Windows
    cout: int
    weights: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32] | None
    offset: bool
    early: bool
    activation: Activation

    @property
    def ctypes(self) -> tuple[str, str]:
        return "float", "float"

    @property
    def elements(self) -> int:
        """Values of the input."""
        return self.windows.rows.size * self.windows.columns.size * self.windows.cin

    @property
    def input_bytes(self) -> int:
        return 4 * self.elements

    @property
    def output_bytes(self) -> int:
        return 4 * self.windows.rows.count * self.windows.columns.count * self.cout

    @property
    def adjacent(self) -> bool:
        """Whether each window is one whole pixel, in order."""
        axes = (self.windows.rows, self.windows.columns)
        single = all(a.window == a.stride == 1 and a.count == a.size for a in axes)
        return single and self.windows.groups == 1

    @property
    def scratch_bytes(self) -> int:
        codes = -(-self.elements // 4) * 4
        return codes + (0 if self.adjacent else self.windows.length)

    @property
    def lead(self) -> int:
        return -self.input_bytes  # all of the input is rounded before anything is written


def plan_hybrid(operator: Operator, graph: Graph, name: str, note: str) -> Hybrid:
    """One sample of a convolution, or one row of a dense layer. Raises `ModelError`."""
    x, w, y = (graph.tensors[i] for i in (*operator.inputs[:2], operator.outputs[0]))
    if w.dtype != INT8 or w.data is None:
        raise refuse(
            operator, f"weights of TensorType {w.dtype} for float32 values", "export in float32"
        )
    cout = y.shape[-1]
    depthwise = operator.code == "DEPTHWISE_CONV_2D"
    dense = operator.code == "FULLY_CONNECTED"
    axis = 3 if depthwise else 0
    if any(w.zero_points) or not w.scales:
        raise refuse(operator, "weights that are not symmetric", "export the model again")
    many = len(w.scales) > 1 or (depthwise and cout == 1)
    if len(w.scales) > 1 and w.axis != axis:
        raise refuse(operator, f"weights scaled along axis {w.axis}", f"aot wants axis {axis}")
    raw = w.data[0].transpose(2, 0, 1) if depthwise else w.data
    weights = np.ascontiguousarray(raw.reshape(cout, -1).astype(np.int8))
    if int(np.abs(weights.astype(np.int64)).sum(axis=1).max()) * 255 > INT32_MAX:
        raise refuse(operator, "its sums may leave 32 bits", "use smaller layers")
    one = Axis(1, 1, 1, 0, 1)
    rows, columns, steps, groups, cin = one, one, (1, 1), 1, weights.shape[1]
    if not dense:
        rows, columns = window_axes(operator, graph.tensors)
        steps = (int(operator.options["dilation_h"]), int(operator.options["dilation_w"]))
        cin = x.shape[3]
        groups = cin if depthwise else cin // w.shape[3]
    if (groups > 1 or depthwise) and not many:
        raise refuse(operator, "one scale for all channels", "export with one per channel")
    offset = bool(operator.options["asymmetric"]) if dense else depthwise or many
    windows = Windows(
        "int8_t", rows, columns, steps, cin, groups, "offset" if offset else "0", "codes"
    )
    return Hybrid(
        name=name,
        note=note,
        windows=windows,
        cout=cout,
        weights=weights,
        scales=np.array(w.scales * (cout if len(w.scales) == 1 else 1), np.float32),
        bias=_bias(operator, graph, cout),
        offset=offset,
        early=offset and not dense and not depthwise,
        activation=fused_activation(operator, y, True),
    )


def _bias(operator: Operator, graph: Graph, cout: int) -> npt.NDArray[np.float32] | None:
    if len(operator.inputs) < 3 or operator.inputs[2] < 0:
        return None
    bias = graph.tensors[operator.inputs[2]]
    if bias.dtype != FLOAT32 or bias.data is None or not np.isfinite(bias.data).all():
        raise refuse(operator, f"a bias of TensorType {bias.dtype}", "export the model again")
    return bias.data.reshape(cout).astype(np.float32)


def emit_hybrid(step: Hybrid, prefix: str) -> Emitted:
    """The C code of a layer; its function is ``prefix(in, out, s)``."""
    windows, cout = step.windows, step.cout
    length = step.weights.shape[1]
    groups = windows.groups
    packed = [pack(rows, "int8_t") for rows in step.weights.reshape(groups, -1, length)]
    columns = [step.scales] + ([] if step.bias is None else [step.bias])
    arrays = [
        Array(f"{prefix}_w", np.concatenate(packed), "weights"),
        Array(f"{prefix}_q", np.stack(columns, axis=1), "per channel: scale, bias"),
    ]
    if step.offset:
        sums = step.weights.astype(np.int64).sum(axis=1).astype("<i4")
        arrays.append(Array(f"{prefix}_n", sums, "sums of weights"))
    channels = blocks(cout // groups)
    w = Writer()
    for count, _ in channels:
        emit_sums(w, prefix, count, "int8_t")
    head = f"static inline void {prefix}(const float *in, float *out, int16_t *s)"
    with w.block(head):
        w("int8_t *codes = (int8_t *)(void *)s;")
        if step.offset:
            w("int32_t offset;")
            w(f"const float scale = hil_quantize_offset(in, {step.elements}, codes, &offset);")
        else:
            w(f"const float scale = hil_quantize_even(in, {step.elements}, codes);")
        if step.adjacent:
            count = windows.rows.count * windows.columns.count
            with w.loop("p", count, f"codes += {length}, out += {cout}"):
                w("const int8_t *d = codes;")
                _channels(w, step, prefix, channels)
        else:
            with over_pixels(w, windows) as pixel:
                place = -(-step.elements // 4) * 4
                w(f"int8_t *t = codes + {place};")
                collect(w, windows, "t", "ox")
                w(f"const int8_t *d = codes + {place};")
                w(f"float *o = out + {pixel} * {cout};")
                _channels(w, step, prefix, channels, "o")
    return Emitted(arrays, str(w), ("float32", "hybrid", "products"))


def _channels(
    w: Writer, step: Hybrid, prefix: str, channels: list[tuple[int, int]], out: str = ""
) -> None:
    """All channels of one pixel, whose window is at ``d``."""
    length = step.weights.shape[1]
    stride = 1 if step.bias is None else 2
    if not out:
        w("float *o = out;")
    w(f"HIL_FLASH int8_t *w = {prefix}_w;")
    w(f"HIL_FLASH float *q = {prefix}_q;")
    if step.offset:
        w(f"HIL_FLASH int32_t *n = {prefix}_n;")
    with w.loop("g", step.windows.groups, f"d += {length}"):
        for count, times in channels:
            advance = f"w += {count * length}, q += {count * stride}, o += {count}"
            advance += f", n += {count}" if step.offset else ""
            with w.block(f"for (int c = 0; c < {times}; ++c, {advance})"):
                w(f"int32_t a[{count}] = {{0}};")
                w(call(prefix, count, "int8_t", length, "d, w, a"))
                for j in range(count):
                    w(f"o[{j}] = {_value(step, j, stride)};")


def _value(step: Hybrid, j: int, stride: int) -> str:
    total = f"a[{j}]"
    if step.offset:
        total = f"({total} - offset * {read('int32_t', 'n', j)})"
    scale = read("float", "q", stride * j)
    value = f"(float){total} * " + (f"{scale} * scale" if step.early else f"({scale} * scale)")
    if step.bias is not None:
        value += f" + {read('float', 'q', stride * j + 1)}"
    return real_expression(value, simplified(step.activation.real))
