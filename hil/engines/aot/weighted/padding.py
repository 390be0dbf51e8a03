# SPDX-License-Identifier: Apache-2.0
"""A PAD before a convolution becomes the convolution's own padding, which reads no more values."""

from __future__ import annotations

from dataclasses import replace

from hil.engines.aot.steps import Step
from hil.engines.aot.weighted.around import Collected
from hil.engines.aot.weighted.conv import Conv
from hil.tflite import Graph, Operator
from hil.tflite.graph import Axis
from hil.tflite.moves import padding_value


def with_padding(pad: Operator, step: Step, graph: Graph, note: str) -> Step | None:
    """``step``, which reads what a PAD or PADV2 writes, on the PAD's input; None if it cannot.

    ``note`` is the PAD's.

    Exact: a product with padding is zero, in float32 too, as a sum never is -0.0.
    """
    if pad.code not in ("PAD", "PADV2") or not isinstance(step, Conv | Collected):
        return None
    inner = step.inner if isinstance(step, Collected) else step
    if not isinstance(inner, Conv) or inner.pool is not None:
        return None
    zero = inner.quant.input_zero if inner.quant else 0
    if padding_value(pad, graph.tensors) != zero:
        return None
    x, pads = graph.tensors[pad.inputs[0]], graph.tensors[pad.inputs[1]].data
    if pads is None or x.shape[0] != 1 or len(x.shape) not in (3, 4):
        return None
    pairs = [(int(a), int(b)) for a, b in pads.reshape(-1, 2)]
    spans = list(zip(x.shape[1:-1], pairs[1:-1], strict=True))
    if pairs[0] != (0, 0) or pairs[-1] != (0, 0):
        return None
    if len(spans) == 1:  # a series: the step sees it as one row or as one column
        one = (1, (0, 0))
        spans = [one, *spans] if step.rows.size == 1 else [*spans, one]
    axes = [
        _padded(axis, *span) for axis, span in zip((step.rows, step.columns), spans, strict=True)
    ]
    rows, columns = axes
    if rows is None or columns is None or step.cin != x.shape[-1]:
        return None
    if isinstance(step, Collected):
        inner = replace(inner, note=f"{note}, {inner.note}")
        return replace(step, rows=rows, columns=columns, inner=inner)
    return replace(step, rows=rows, columns=columns, note=f"{note}, {step.note}")


def _padded(axis: Axis, size: int, pair: tuple[int, int]) -> Axis | None:
    """The axis on an input of ``size``; None if a window could lie in the padding alone."""
    if axis.size != size + sum(pair):
        return None
    before = axis.before + pair[0]
    last = (axis.count - 1) * axis.stride - before
    if before >= axis.window or last >= size:
        return None
    return replace(axis, size=size, before=before)
