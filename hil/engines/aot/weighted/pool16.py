# SPDX-License-Identifier: Apache-2.0
"""Poolings of int16 values."""

from __future__ import annotations

from dataclasses import dataclass

from hil.engines.aot.arithmetic import quantized_limits
from hil.engines.aot.source import Emitted, Writer
from hil.engines.aot.steps import Int16ToInt16, Pool
from hil.engines.aot.values.unweighted import plan_windows, pooling_lead, window_bounds
from hil.engines.aot.weighted.finish import average
from hil.engines.aot.weighted.scaling import INT16_LIMITS
from hil.tflite import Graph, Operator
from hil.tflite.graph import refuse

_LONGEST = 1 << 16  # values whose sum fits 32 bits


@dataclass(frozen=True, slots=True)
class Pooling16(Int16ToInt16):
    """A pooling; ``limits``: of the fused activation."""

    name: str
    note: str
    pool: Pool
    channels: int
    limits: tuple[int, int]

    @property
    def values(self) -> tuple[int, int]:
        rows, columns = self.pool.rows, self.pool.columns
        return rows.size * columns.size * self.channels, rows.count * columns.count * self.channels

    @property
    def lead(self) -> int:
        return pooling_lead(self.pool, self.channels, 2)


def plan_pooling16(operator: Operator, graph: Graph, name: str, note: str) -> Pooling16:
    """One sample of a pooling. Raises `ModelError` for empty windows and sums beyond 32 bits."""
    x, y = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    pool = plan_windows(operator, graph)
    if pool.average and pool.rows.window * pool.columns.window > _LONGEST:
        raise refuse(operator, "sums that may leave 32 bits", f"{_LONGEST} values are the limit")
    limits = quantized_limits(operator, y, *INT16_LIMITS)
    return Pooling16(name, note, pool, x.shape[3], limits)


def emit_pooling16(step: Pooling16, prefix: str) -> Emitted:
    """The C code of a pooling. Windows are clipped to the input, as in TFLite."""
    pool, channels = step.pool, step.channels
    w = Writer()
    head = f"static inline void {prefix}(const int16_t *in, int16_t *out)"
    with w.block(head), w.loop("y", pool.rows.count), w.loop("x", pool.columns.count):
        y0, y1, rows = window_bounds(w, "y", pool.rows)
        x0, x1, columns = window_bounds(w, "x", pool.columns)
        with w.block(f"for (int c = 0; c < {channels}; ++c)"):
            w(f"int32_t m = {0 if pool.average else INT16_LIMITS[0]};")
            with w.block(f"for (int v = {y0}; v < {y1}; ++v)"):
                w(f"const int16_t *p = in + (int32_t)v * {pool.columns.size * channels} + c;")
                with w.block(f"for (int u = {x0}; u < {x1}; ++u)"):
                    x = f"p[u * {channels}]"
                    w(f"m += {x};" if pool.average else f"m = hil_max(m, {x});")
            value = average("m", False, f"({rows} * {columns})") if pool.average else "m"
            w(f"*out++ = (int16_t)hil_clamp({value}, {step.limits[0]}, {step.limits[1]});")
    return Emitted([], str(w), ("int8",))
