# SPDX-License-Identifier: Apache-2.0
"""Products of two matrices: BATCH_MATMUL, and dense layers whose weights are computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from hil.engines.aot.arithmetic import (
    INT32_MAX,
    Activation,
    float32_ratio,
    fused_activation,
    quantize_multiplier,
    quantized_limits,
)
from hil.engines.aot.source import Array, Emitted, Writer, read
from hil.engines.aot.steps import CTYPES, Buffer
from hil.engines.aot.weighted.finish import real_expression, simplified
from hil.engines.aot.weighted.scaling import INT16_LIMITS, Scaling
from hil.tflite import Graph, Operator, Tensor
from hil.tflite.graph import FLOAT32, INT8, INT16, INT32, refuse

_COLUMNS = 4  # at a time


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One operand. Strides in values: of the row or column of the result, of the sum, of each loop
    over the batch. ``values``: of a constant."""

    tensor: Tensor
    along: int
    inner: int
    batch: tuple[int, ...]

    @property
    def values(self) -> npt.NDArray[np.generic] | None:
        return self.tensor.data


@dataclass(frozen=True, slots=True, eq=False)
class Matmul:
    """``rows`` x ``columns`` sums of ``length`` products, for each of a ``batch``.

    ``bias``: per column. ``scaling``: of int8 or int16, None: float32.
    """

    scratch_bytes: ClassVar[int] = 0

    name: str
    note: str
    left: Side
    right: Side
    batch: tuple[int, ...]
    rows: int
    columns: int
    length: int
    result: Buffer
    bias: npt.NDArray[np.generic] | None
    scaling: Scaling | None
    activation: Activation | None

    @property
    def sources(self) -> tuple[Buffer, ...]:
        sides = (self.left, self.right)
        return tuple(Buffer.of(side.tensor) for side in sides if side.values is None)

    @property
    def targets(self) -> tuple[Buffer, ...]:
        return (self.result,)

    @property
    def leads(self) -> tuple[None, ...]:
        return tuple(None for _ in self.sources)


def plan_matmul(operator: Operator, graph: Graph, name: str, note: str) -> Matmul:
    """A BATCH_MATMUL. Raises `ModelError` for shapes and types that TFLM does not take."""
    x, w, y = (graph.tensors[i] for i in (*operator.inputs[:2], operator.outputs[0]))
    flipped, turned = (bool(operator.options[key]) for key in ("adj_x", "adj_y"))
    rank = max(len(x.shape), len(w.shape))
    if not 2 <= min(len(x.shape), len(w.shape)) <= rank <= 5:
        raise refuse(operator, "operands of rank 1 or above 5", "reshape them")
    if w.dtype != x.dtype:
        raise refuse(operator, f"a TensorType {w.dtype} operand", "export the model again")
    full = [(*(1,) * (rank - len(t.shape)), *t.shape) for t in (x, w)]
    length, rows = full[0][-2:] if flipped else full[0][:-3:-1]
    columns, inner = full[1][-2:] if turned else full[1][:-3:-1]
    outer = tuple(max(a, b) for a, b in zip(full[0][:-2], full[1][:-2], strict=True))
    fits = all({a, b} <= {1, n} for a, b, n in zip(full[0], full[1], outer, strict=False))
    if not fits or inner != length or tuple(y.shape) != (*outer, rows, columns):
        shapes = [list(t.shape) for t in (x, w, y)]
        raise refuse(operator, f"shapes {shapes} that do not fit", "export the model again")
    loops = tuple(n for n in outer if n > 1)
    left = Side(x, *((1, rows) if flipped else (length, 1)), _steps(full[0], outer))
    right = Side(w, *((length, 1) if turned else (1, columns)), _steps(full[1], outer))
    return Matmul(
        name=name,
        note=note,
        left=left,
        right=right,
        batch=loops,
        rows=rows,
        columns=columns,
        length=length,
        result=Buffer.of(y),
        bias=None,
        scaling=plan_factor(operator, (x, w, y), length, None),
        activation=None,
    )


def _steps(shape: Sequence[int], outer: Sequence[int]) -> tuple[int, ...]:
    """From one matrix of the batch to the next, for each loop; 0 where the same one is used."""
    found = []
    for i, count in enumerate(outer):
        if count > 1:
            found.append(0 if shape[i] == 1 else int(np.prod(shape[i + 1 :])))
    return tuple(found)


def plan_computed(operator: Operator, graph: Graph, name: str, note: str) -> Matmul:
    """A FULLY_CONNECTED whose weights are computed. Raises `ModelError`."""
    x, w, y = (graph.tensors[i] for i in (*operator.inputs[:2], operator.outputs[0]))
    if w.dtype != x.dtype or x.dtype not in (FLOAT32, INT8):
        raise refuse(operator, f"computed weights of TensorType {w.dtype}", "export in int8")
    columns, length = w.shape
    bias = None
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
        given = graph.tensors[operator.inputs[2]]
        if given.dtype != (FLOAT32 if x.dtype == FLOAT32 else INT32) or given.data is None:
            raise refuse(operator, f"a bias of TensorType {given.dtype}", "export the model again")
        bias = given.data.reshape(columns)
    real = x.dtype == FLOAT32
    return Matmul(
        name=name,
        note=note,
        left=Side(x, length, 1, ()),
        right=Side(w, length, 1, ()),
        batch=(),
        rows=x.elements // length,
        columns=columns,
        length=length,
        result=Buffer.of(y),
        bias=bias,
        scaling=plan_factor(operator, (x, w, y), length, bias),
        activation=fused_activation(operator, y, real) if real else None,
    )


def plan_factor(
    operator: Operator,
    tensors: tuple[Tensor, Tensor, Tensor],
    length: int,
    bias: npt.NDArray[np.generic] | None,
) -> Scaling | None:
    x, w, y = tensors
    if x.dtype == FLOAT32:
        return None
    wide = x.dtype == INT16
    most = 0 if bias is None else int(np.abs(bias.astype(np.int64)).max())
    bound = most + (length << 30 if wide else length * 255 * 255)
    if not wide and bound > INT32_MAX:
        raise refuse(operator, "its sums may leave 32 bits", "use smaller matrices")
    multiplier, shift = quantize_multiplier(float32_ratio(x.scale, w.scale) / y.scale)
    if wide:
        if shift >= 8:
            raise refuse(operator, "it scales its sums by 128 or more", "export the model again")
        multiplier, shift = min((multiplier + (1 << 15)) >> 16, 0x7FFF), 15 - shift
    limits = INT16_LIMITS if wide else (-128, 127)
    if "activation" in operator.options:
        limits = quantized_limits(operator, y, *limits)
    one = np.zeros(1, np.int64)
    return Scaling(
        ctype=CTYPES[y.dtype],
        bias=one,
        multipliers=one + multiplier,
        shifts=one + shift,
        zero=y.zero_point,
        limits=limits,
        bound=bound,
        exact=not wide,
    )


def emit_matmul(step: Matmul, prefix: str) -> Emitted:
    """The C code of a product of matrices."""
    ctype = step.result.ctype
    arrays = []
    names = {}
    parameters = []
    for name, side in (("l", step.left), ("r", step.right)):
        names[name] = name
        if side.values is None:
            parameters.append(f"const {ctype} *{name}")
        else:
            names[name] = f"{prefix}_{name}"
            arrays.append(Array(names[name], side.values, "a constant operand"))
    if step.bias is not None:
        dtype = "<f4" if step.scaling is None else "<i4"
        arrays.append(Array(f"{prefix}_b", step.bias.astype(dtype), "bias"))
    w = Writer()
    head = f"static inline void {prefix}({', '.join(parameters)}, {ctype} *out)"
    with w.block(head):
        _loops(w, step, names, prefix, 0)
    kernels = {"float": ("float32",), "int8_t": ("int8",), "int16_t": ("int8", "int16")}[ctype]
    return Emitted(arrays, str(w), kernels)


def _loops(w: Writer, step: Matmul, names: dict[str, str], prefix: str, depth: int) -> None:
    if depth < len(step.batch):
        with w.block(f"for (int b{depth} = 0; b{depth} < {step.batch[depth]}; ++b{depth})"):
            _loops(w, step, names, prefix, depth + 1)
        return
    starts = {}
    for name, side in (("l", step.left), ("r", step.right)):
        terms = [f"(int32_t)b{i} * {n}" for i, n in enumerate(side.batch) if n]
        starts[name] = " + ".join([names[name], *terms])
    full, rest = divmod(step.columns, _COLUMNS)
    with w.block(f"for (int i = 0; i < {step.rows}; ++i)"):
        for count, first, last in (
            (_COLUMNS, 0, full * _COLUMNS),
            (rest, full * _COLUMNS, step.columns),
        ):
            if last > first:
                head = f"for (int j = {first}; j < {last}; j += {count})"
                with w.block(head):
                    _sums(w, step, starts, prefix, count)


def _sums(w: Writer, step: Matmul, starts: dict[str, str], prefix: str, count: int) -> None:
    ctype, scaling = step.result.ctype, step.scaling
    total = "float" if scaling is None else "int64_t" if ctype == "int16_t" else "int32_t"
    sides = {"l": step.left, "r": step.right}
    value = {}
    for name, along in (("l", "i"), ("r", "j")):
        side = sides[name]
        const = f"const {ctype}" if side.values is None else f"HIL_FLASH {ctype}"
        w(f"{const} *{name}p = {starts[name]} + (int32_t){along} * {side.along};")
        value[name] = [
            f"{name}p[{c * side.along}]"
            if side.values is None
            else read(ctype, f"{name}p", c * side.along)
            for c in range(count)
        ]
    zeros = {k: side.tensor.zero_point if scaling else 0 for k, side in sides.items()}
    w(f"{total} {', '.join(f'a{c} = 0' for c in range(count))};")
    if zeros["r"]:
        w("int32_t all = 0; /* the sum of the left values */")
    advance = f"lp += {step.left.inner}, rp += {step.right.inner}"
    with w.block(f"for (int k = 0; k < {step.length}; ++k, {advance})"):
        one = "float" if scaling is None else "int32_t"
        less = f" - ({zeros['l']})" if zeros["l"] else ""
        w(f"const {one} v = {value['l'][0]}{less};")
        for c in range(count):
            w(f"a{c} += v * {value['r'][c]};")
        if zeros["r"]:
            w("all += v;")
    for c in range(count):
        result = f"a{c}"
        if zeros["r"]:
            result += f" - all * ({zeros['r']})"
        if step.bias is not None:
            kind = "float" if scaling is None else "int32_t"
            result += f" + {read(kind, f'{prefix}_b', f'j + {c}' if c else 'j')}"
        if scaling:
            result = scaling.value(result, 0)
        elif step.activation:
            result = real_expression(result, simplified(step.activation.real))
        w(f"*out++ = {result};")
