# SPDX-License-Identifier: Apache-2.0
"""Reductions over any axes: MEAN, SUM, REDUCE_MAX, REDUCE_MIN, REDUCE_PROD, REDUCE_ALL, REDUCE_ANY,
ARG_MAX and ARG_MIN.

The arithmetic is that of TFLM's reduce_common.cc, reference/reduce.h and reference/arg_min_max.h.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import groupby
from typing import ClassVar

import numpy as np

from hil.engines.aot.arithmetic import FLT_MAX, quantize_multiplier
from hil.engines.aot.source import Emitted, Writer, real_literal
from hil.engines.aot.steps import Buffer
from hil.tflite import Graph, Operator, Tensor
from hil.tflite.graph import BOOL, FLOAT32, INT16, reduced_axes, refuse

_LIMITS = {"int8_t": (-128, 127), "int16_t": (-32768, 32767)}
_SIGNS = {"mean": "+", "sum": "+", "prod": "*", "all": "&", "any": "|"}  # in C
_STARTS = {"prod": "1.0f", "all": "1", "any": "0"}
_SAFE = 1 << 30  # sums below can be doubled
_LONGEST = 1 << 16  # int16 values whose sum fits 32 bits
_TFLM_AXES = 4  # that TFLM's MEAN of float32 has room for


@dataclass(frozen=True, slots=True)
class Group:
    """Adjacent axes that are all kept or all ``reduced``, as one: ``stride`` in elements."""

    count: int
    stride: int
    reduced: bool


def groups(shape: Sequence[int], axes: Sequence[int]) -> tuple[Group, ...]:
    """The axes of ``shape``, adjacent ones of the same kind merged; those of size 1 are dropped."""
    sized = [(i in axes, n) for i, n in enumerate(shape) if n != 1]
    runs = [
        (reduced, math.prod(n for _, n in run))
        for reduced, run in groupby(sized, key=lambda pair: pair[0])
    ]
    stride = math.prod(shape)
    found = []
    for reduced, count in runs:
        stride //= count
        found.append(Group(count, stride, reduced))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Reduction:
    """``kind``: mean, sum, max, min, prod, all or any; argmax or argmin, which give the number of
    the first one.

    ``start`` is the initial value of a sum, ``multiplier`` and ``shift`` scale it (not float32).
    """

    scratch_bytes: ClassVar[int] = 0

    name: str
    note: str
    kind: str
    source: Buffer
    target: Buffer
    groups: tuple[Group, ...]
    start: int = 0
    multiplier: int = 0
    shift: int = 0
    zero: int = 0

    @property
    def sources(self) -> tuple[Buffer, ...]:
        return (self.source,)

    @property
    def targets(self) -> tuple[Buffer, ...]:
        return (self.target,)

    @property
    def reduced(self) -> int:
        """How many values become one."""
        return math.prod(g.count for g in self.groups if g.reduced)

    @property
    def leads(self) -> tuple[int | None, ...]:
        # result j is written after its values were read; those of j + 1 start at first[j + 1]
        first = np.zeros(1, np.int64)
        for group in self.groups:
            if not group.reduced:
                step = np.arange(group.count) * group.stride
                first = (first[:, None] + step).reshape(-1)
        size = self.source.nbytes // math.prod(g.count for g in self.groups)
        ends = np.arange(1, first.size) * (self.target.nbytes // first.size)
        return (int((ends - first[1:] * size).max(initial=0)),)


def plan_reduction(operator: Operator, graph: Graph, name: str, note: str) -> Reduction:
    """Raises `ModelError` for axes that are not constant, and for what TFLM does not run."""
    x, y = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    axes = reduced_axes(operator, graph.tensors)
    if axes is None:
        raise refuse(operator, "its axes are not a constant", "export with fixed axes")
    kind = operator.code.lower().removeprefix("reduce_").replace("_", "")
    step = Reduction(name, note, kind, Buffer.of(x), Buffer.of(y), groups(x.shape, axes))
    if kind in ("argmax", "argmin"):
        return step
    if x.dtype in (FLOAT32, BOOL):
        if kind == "mean" and graph.tensors[operator.inputs[1]].elements > _TFLM_AXES:
            raise refuse(operator, f"more than {_TFLM_AXES} axes", "reshape its input")
        return step
    if kind in ("max", "min"):
        if (x.scale, x.zero_point) != (y.scale, y.zero_point):
            raise refuse(
                operator, "its input and output differ in scale", "TFLM takes the same scale only"
            )
        return step
    return plan_sum(operator, step, x, y)


def plan_sum(operator: Operator, step: Reduction, x: Tensor, y: Tensor) -> Reduction:
    """With the constants of reference_ops::QuantizedMeanOrSum()."""
    if not x.scales or not y.scales:
        raise refuse(operator, "a tensor without a scale", "export the model again")
    count = step.reduced
    if x.dtype == INT16 and count > _LONGEST:
        raise refuse(operator, f"a sum of {count} int16 values", f"{_LONGEST} are the limit")
    multiplier, shift = quantize_multiplier(x.scale / y.scale)
    if step.kind == "mean":
        more = min(count.bit_length() - 1, 32, 31 + shift)
        multiplier, shift = (multiplier << more) // count, shift - more
    start = -x.zero_point * count
    return replace(step, start=start, multiplier=multiplier, shift=shift, zero=y.zero_point)


def emit_reduction(step: Reduction, prefix: str) -> Emitted:
    """The C code of a reduction; it may work in place."""
    w = Writer()
    source, target = step.source.ctype, step.target.ctype
    with w.block(f"static inline void {prefix}(const {source} *in, {target} *out)"):
        if step.kind in ("argmax", "argmin"):
            _positions(w, step)
        elif _in_fours(step):
            _columns(w, step)
        else:
            _values(w, step)
    kernels = ("float32",) if source == "float" else ("int8",)
    return Emitted([], str(w), (*kernels, "reductions") if _in_fours(step) else kernels)


def _in_fours(step: Reduction) -> bool:
    """Whether it sums int8 columns of at least four values that lie next to each other."""
    last = step.groups[-1:]
    return (
        step.kind in ("mean", "sum")
        and step.source.ctype == "int8_t"
        and [g.reduced for g in step.groups].count(True) == 1
        and not last[0].reduced
        and last[0].count >= 4
    )


def _columns(w: Writer, step: Reduction) -> None:
    *outer, rows, columns = step.groups
    count = columns.count
    with w.loop("o", outer[0].count if outer else 1, f"in += {rows.count * count}"):
        whole = count // 4 * 4
        with w.block(f"for (int c = 0; c < {whole}; c += 4)"):
            w(f"int32_t m[4] = {{{', '.join([str(step.start)] * 4)}}};")
            w(f"hil_sum4(in + c, {rows.count}, {count}, m);")
            w(f"for (int i = 0; i < 4; ++i) *out++ = (int8_t){_finished(step, 'm[i]')};")
        if whole < count:
            with w.block(f"for (int c = {whole}; c < {count}; ++c)"):
                w(f"int32_t m = {step.start};")
                w(f"for (int r = 0; r < {rows.count}; ++r) m += in[r * {count} + c];")
                w(f"*out++ = (int8_t){_finished(step, 'm')};")


def _values(w: Writer, step: Reduction) -> None:
    """One result after the other."""
    real = step.source.ctype == "float"
    total = "float" if real else "int32_t"
    with ExitStack() as stack:
        base = _loops(w, stack, step, "k", reduced=False)
        w(f"{total} m = {_first(step, real)};")
        with ExitStack() as inner:
            index = " + ".join([*base, *_loops(w, inner, step, "r", reduced=True)]) or "0"
            if step.kind in _SIGNS:
                w(f"m {_SIGNS[step.kind]}= in[{index}];")
            else:
                w(f"const {total} x = in[{index}];")
                w(f"if (x {'>' if step.kind == 'max' else '<'} m) m = x;")
        value = f"m / {real_literal(step.reduced)}" if step.kind == "mean" and real else "m"
        if not real and step.kind in ("mean", "sum"):
            value = _finished(step, "m")
        w(f"*out++ = {'' if real else f'({step.target.ctype})'}{value};")


def _loops(
    w: Writer, stack: ExitStack, step: Reduction, letter: str, *, reduced: bool
) -> list[str]:
    """Opens a loop over each group of one kind; the terms of the index in C."""
    terms: list[str] = []
    for group in step.groups:
        if group.reduced == reduced:
            name = f"{letter}{len(terms)}"
            stack.enter_context(w.loop(name, group.count))
            terms.append(name if group.stride == 1 else f"{name} * {group.stride}")
    return terms


def _first(step: Reduction, real: bool) -> str:
    if step.kind in _SIGNS:
        return _STARTS.get(step.kind, "0.0f" if real else str(step.start))
    sign = -1 if step.kind == "max" else 1
    if real:
        return real_literal(sign * FLT_MAX)
    return str(_LIMITS[step.source.ctype][0 if step.kind == "max" else 1])


def _finished(step: Reduction, total: str) -> str:
    """The C expression of a sum's result."""
    low, high = _LIMITS[step.target.ctype]
    largest = step.reduced * (high - low)
    if step.shift < 0 and largest < _SAFE:
        scaled = f"hil_requant_right({total}, {step.multiplier}, {-1 - step.shift}, {step.zero})"
    else:
        scaled = f"hil_requant({total}, {step.multiplier}, {step.shift}) + {step.zero}"
    return f"hil_clamp8({scaled})" if high == 127 else f"hil_clamp({scaled}, {low}, {high})"


def _positions(w: Writer, step: Reduction) -> None:
    real = step.source.ctype == "float"
    total = "float" if real else "int32_t"
    (axis,) = [g for g in step.groups if g.reduced] or [Group(1, 1, True)]
    with ExitStack() as stack:
        base = _loops(w, stack, step, "k", reduced=False)
        start = " + ".join(base) or "0"
        w(f"{total} m = in[{start}];")
        w(f"{step.target.ctype} at = 0;")
        place = "r" if axis.stride == 1 else f"r * {axis.stride}"
        with w.block(f"for (int r = 1; r < {axis.count}; ++r)"):
            w(f"const {total} x = in[{' + '.join([*base, place])}];")
            with w.block(f"if (x {'>' if step.kind == 'argmax' else '<'} m)"):
                w("m = x;")
                w("at = r;")
        w("*out++ = at;")
