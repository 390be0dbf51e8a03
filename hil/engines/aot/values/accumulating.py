# SPDX-License-Identifier: Apache-2.0
"""ADD_N, which adds any number of tensors, and CUMSUM, which adds along an axis.

Sources: TFLM's tensorflow/lite/micro/kernels/{add_n,cumsum}.cc and the reference kernels that they
call. In int8, both start from the zero point as if it were a value, and may leave 32 bits: then
they wrap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from hil.engines.aot.source import Array, Emitted, Writer, read
from hil.engines.aot.steps import Buffer, InPlace
from hil.engines.aot.values.additions import smaller_than_one
from hil.engines.aot.values.binary import OfOperands, Operand
from hil.engines.aot.values.formulas import minus, plus
from hil.tflite import Graph, Operator, Tensor
from hil.tflite.graph import FLOAT32, INT8, refuse

_LEFT = 19  # bits of a fraction: TFLM shifts by 20 and halves


@dataclass(frozen=True, slots=True)
class Total:
    """How int8 values are added: they have ``zero``; ``last``: (multiplier, right shift) of the
    sum, to which ``result`` is added. float32 needs none of these."""

    real: bool
    zero: int = 0
    last: tuple[int, int] = (0, 0)
    result: int = 0

    @property
    def start(self) -> str:
        return "float sum = 0.0f;" if self.real else f"int32_t sum = {-self.zero * (1 << _LEFT)};"

    def plus(self, value: str) -> str:
        """Add one value."""
        if self.real:
            return f"sum += {value};"
        return f"sum = hil_wrapped(sum, {minus(value, self.zero)} * {1 << _LEFT});"

    @property
    def value(self) -> str:
        if self.real:
            return "sum"
        scaled = f"hil_scale_down(sum, {self.last[0]}, {self.last[1]})"
        return f"(int8_t)hil_clamp8({plus(scaled, self.result)})"

    @property
    def kernels(self) -> tuple[str, ...]:
        return ("float32",) if self.real else ("int8", "scaling")


def _total(operator: Operator, x: Tensor, y: Tensor) -> Total:
    if x.dtype == FLOAT32:
        return Total(True)
    ((multiplier, shift),) = smaller_than_one(operator, (2 * x.scale / ((1 << 20) * y.scale),))
    return Total(False, x.zero_point, (multiplier, shift), y.zero_point)


@dataclass(frozen=True, slots=True, eq=False)
class AddN(OfOperands):
    """``operands`` of the same shape, value by value."""

    elements: int
    total: Total

    @property
    def leads(self) -> tuple[int | None, ...]:
        return tuple(0 for _ in self.sources)  # value i is written after it was read


def plan_add_n(operator: Operator, graph: Graph, name: str, note: str) -> AddN:
    """An ADD_N. Raises `ModelError` for shapes and scales that TFLM does not run."""
    if len(operator.inputs) < 2 or -1 in operator.inputs or len(operator.outputs) != 1:
        raise refuse(operator, f"{len(operator.inputs)} inputs", "export the model again")
    first, *others = (graph.tensors[i] for i in operator.inputs)
    y = graph.tensors[operator.outputs[0]]
    for tensor in others:
        if (tensor.shape, tensor.dtype) != (first.shape, first.dtype):
            raise refuse(operator, "operands that differ in shape", "export the model again")
        same = (tensor.scales, tensor.zero_points) == (first.scales, first.zero_points)
        if first.dtype == INT8 and not same:
            raise refuse(operator, "operands that differ in scale", "TFLM takes one scale only")
    if y.elements != first.elements:
        raise refuse(operator, "a result of another shape", "export the model again")
    operands = tuple(Operand(Buffer.of(t), t.data) for t in (first, *others))
    total = _total(operator, first, y)
    return AddN(name, note, operands, Buffer.of(y), first.elements, total)


def emit_add_n(step: AddN, prefix: str) -> Emitted:
    """The C code of an ADD_N; its result may lie on an operand."""
    w = Writer()
    ctype = step.target.ctype
    arrays, taken, values = [], [], []
    for number, operand in enumerate(step.operands):
        if operand.values is None:
            taken.append(f"const {ctype} *x{number}")
            values.append(f"x{number}[i]")
        else:
            arrays.append(Array(f"{prefix}_x{number}", operand.values, "a constant operand"))
            values.append(read(ctype, arrays[-1].name, "i"))
    with (
        w.block(f"static inline void {prefix}({', '.join([*taken, f'{ctype} *out'])})"),
        w.block(f"for (int i = 0; i < {step.elements}; ++i)"),
    ):
        w(step.total.start)
        for value in values:
            w(step.total.plus(value))
        w(f"out[i] = {step.total.value};")
    return Emitted(arrays, str(w), step.total.kernels)


@dataclass(frozen=True, slots=True)
class CumSum:
    """Along the second of ``sizes``: outer, summed, inner values. ``exclusive``: without the value
    at the place of the sum. ``reverse``: from the last one."""

    scratch_bytes: ClassVar[int] = 0

    name: str
    note: str
    buffer: Buffer
    sizes: tuple[int, int, int]
    exclusive: bool
    reverse: bool
    total: Total

    @property
    def sources(self) -> tuple[Buffer, ...]:
        return (self.buffer,)

    @property
    def targets(self) -> tuple[Buffer, ...]:
        return (self.buffer,)

    @property
    def leads(self) -> tuple[int | InPlace | None, ...]:
        return (InPlace.EXACTLY,)


def plan_cumsum(operator: Operator, graph: Graph, name: str, note: str) -> CumSum:
    """A CUMSUM. Raises `ModelError` for an axis that is not a constant, or not one of the input."""
    if len(operator.inputs) != 2 or -1 in operator.inputs or len(operator.outputs) != 1:
        raise refuse(operator, f"{len(operator.inputs)} inputs", "export the model again")
    x, axes = (graph.tensors[i] for i in operator.inputs)
    y = graph.tensors[operator.outputs[0]]
    rank = len(x.shape)
    fits = axes.data is not None and axes.data.dtype.kind == "i" and axes.data.size == 1
    if x.data is not None or not fits or x.shape != y.shape:
        raise refuse(operator, "its axis or shapes do not fit", "export the model again")
    assert axes.data is not None
    axis = int(axes.data.reshape(-1)[0])
    if not -rank <= axis < rank:
        raise refuse(operator, f"axis {axis} of {rank} dimensions", "export the model again")
    axis %= rank
    sizes = (math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1 :]))
    exclusive, reverse = (bool(operator.options[key]) for key in ("exclusive", "reverse"))
    total = _total(operator, x, y)
    return CumSum(name, note, Buffer.of(y), sizes, exclusive, reverse, total)


def emit_cumsum(step: CumSum, prefix: str) -> Emitted:
    """The C code of a CUMSUM; it may work in place."""
    outer, count, inner = step.sizes
    ctype = step.buffer.ctype
    w = Writer()
    with (
        w.block(f"static inline void {prefix}(const {ctype} *in, {ctype} *out)"),
        w.loop("o", outer, f"in += {count * inner}, out += {count * inner}"),
        w.loop("i", inner),
    ):
        w(step.total.start)
        with w.block(f"for (int n = 0; n < {count}; ++n)"):
            at = f"({count - 1} - n)" if step.reverse else "n"
            place = f"{at} * {inner}" if inner > 1 else at
            w(f"const int at = {place}{' + i' if inner > 1 else ''};")
            w(f"const {'float' if step.total.real else 'int32_t'} x = in[at];")
            lines = [step.total.plus("x"), f"out[at] = {step.total.value};"]
            for line in reversed(lines) if step.exclusive else lines:
                w(line)
    return Emitted([], str(w), step.total.kernels)
