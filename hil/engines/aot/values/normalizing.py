# SPDX-License-Identifier: Apache-2.0
"""L2_NORMALIZATION over the last axis.

Sources: TFLM's tensorflow/lite/micro/kernels/l2norm.cc, kernels/internal/reference/
{l2normalization,integer_ops/l2normalization}.h. In int8, the result has the scale 1/128 whatever
the file says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hil.engines.aot.source import Emitted, Writer
from hil.engines.aot.steps import OneToOne, ctype, item
from hil.engines.aot.values.formulas import minus
from hil.tflite import Graph, Operator
from hil.tflite.graph import FLOAT32, refuse

_LONGEST = (1 << 31) // (255 * 255)  # int8 values whose squares fit 32 bits


@dataclass(frozen=True, slots=True)
class L2Norm(OneToOne):
    """``zero``: of the input, in int8."""

    scratch_bytes: ClassVar[int] = 0
    lead: ClassVar[int] = 0  # a value is read for the last time when its own result is written

    name: str
    note: str
    real: bool
    rows: int
    depth: int
    zero: int

    @property
    def ctypes(self) -> tuple[str, str]:
        return ctype(self.real), ctype(self.real)

    @property
    def input_bytes(self) -> int:
        return self.rows * self.depth * item(self.real)

    @property
    def output_bytes(self) -> int:
        return self.input_bytes


def plan_l2norm(operator: Operator, graph: Graph, name: str, note: str) -> L2Norm:
    """Raises `ModelError` for a fused activation, and rows whose sums may leave 32 bits."""
    x = graph.tensors[operator.inputs[0]]
    if operator.options["activation"]:
        raise refuse(operator, "a fused activation", "TFLM does not run it either")
    real = x.dtype == FLOAT32
    depth = x.shape[-1] if x.shape else 1
    if not real and depth > _LONGEST:
        raise refuse(operator, f"rows of {depth} values", f"{_LONGEST} are the limit")
    return L2Norm(name, note, real, x.elements // depth, depth, 0 if real else x.zero_point)


def emit_l2norm(step: L2Norm, prefix: str) -> Emitted:
    """The C code; it may work in place."""
    kind, total = step.ctypes[0], "float" if step.real else "int32_t"
    values = f"for (int i = 0; i < {step.depth}; ++i)"
    w = Writer()
    with (
        w.block(f"static inline void {prefix}(const {kind} *in, {kind} *out)"),
        w.loop("row", step.rows, f"in += {step.depth}, out += {step.depth}"),
    ):
        value = minus("in[i]", step.zero)
        w(f"{total} sum = 0;")
        w(f"{values} sum += {value} * {value};")
        if step.real:
            w("const float length = hil_maxf(sqrtf(sum), 1e-6f);")
            w(f"{values} out[i] = in[i] / length;")
        else:
            w("int32_t right;")
            w("const int32_t root = hil_inverse_sqrt(sum, &right);")
            scaled = f"hil_requant({value}, root, 7 - right)"
            w(f"{values} out[i] = (int8_t)hil_clamp8({scaled});")
    return Emitted([], str(w), ("float32",) if step.real else ("int8", "roots"))
