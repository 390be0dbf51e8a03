# SPDX-License-Identifier: Apache-2.0
"""Operators on two tensors, value by value: one of them may be smaller, or a constant."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from hil.engines.aot.arithmetic import NOTHING, Activation
from hil.engines.aot.source import Array, Emitted, Writer, read
from hil.engines.aot.steps import CTYPES, Buffer
from hil.engines.aot.values.additions import squared_difference, sum_formula
from hil.engines.aot.values.broadcast import Loop, broadcast_shape, lead, loops
from hil.engines.aot.values.channelwise import Channelwise, Stage
from hil.engines.aot.values.comparing import SIGNS, comparison, selection
from hil.engines.aot.values.formulas import Formula, Found, Quantised
from hil.engines.aot.values.linear import CODES
from hil.engines.aot.values.products import product_formula, quotient_formula
from hil.engines.aot.values.selections import larger_or_smaller, prelu
from hil.engines.aot.values.unweighted import Map
from hil.engines.aot.weighted.finish import (
    int8_expression,
    real_expression,
    real_kernels,
    simplified,
    table_array,
)
from hil.tflite import Graph, Operator, Tensor
from hil.tflite.graph import INT8, INT16, NUMPY_TYPES, refuse


@dataclass(frozen=True, slots=True, eq=False)
class Operand:
    """What is read: an activation, or the ``values`` of a constant."""

    buffer: Buffer
    values: npt.NDArray[np.generic] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class OfOperands:
    """What steps of several operands, some of them constants, share."""

    scratch_bytes: ClassVar[int] = 0

    name: str
    note: str
    operands: tuple[Operand, ...]
    target: Buffer

    @property
    def sources(self) -> tuple[Buffer, ...]:
        return tuple(o.buffer for o in self.operands if o.values is None)

    @property
    def targets(self) -> tuple[Buffer, ...]:
        return (self.target,)


@dataclass(frozen=True, slots=True, eq=False)
class Binary(OfOperands):
    """Two operands, or three of a SELECT_V2. ``nest``: the loops over the result. ``post``: what
    follows ``formula``."""

    nest: tuple[Loop, ...]
    formula: Formula
    post: Activation = NOTHING

    @property
    def leads(self) -> tuple[int | None, ...]:
        elements = np.prod([loop.count for loop in self.nest], dtype=np.int64)
        made = self.target.nbytes // int(elements)
        return tuple(
            lead(self.nest, i, _item(o), made)
            for i, o in enumerate(self.operands)
            if o.values is None
        )


def _item(operand: Operand) -> int:
    """Bytes of one value."""
    return np.dtype(_NUMPY[operand.buffer.ctype]).itemsize


_NUMPY = {ctype: NUMPY_TYPES[dtype] for dtype, ctype in CTYPES.items()}


# float32 only -> the C function
REAL_FUNCTIONS: Mapping[str, str] = {
    "ATAN2": "atan2f",
    "FLOOR_DIV": "hil_floor_div",
    "FLOOR_MOD": "hil_floor_mod",
    "POW": "powf",
}


def _called(operator: Operator, x: Tensor, y: Tensor, result: Tensor) -> Found:
    del x, y, result
    return Formula(f"{REAL_FUNCTIONS[operator.code]}(x, y)", "float"), NOTHING


# one line per operator
FORMULAS: Mapping[str, Callable[[Operator, Tensor, Tensor, Tensor], Found]] = {
    "ADD": sum_formula,
    "SUB": sum_formula,
    "SQUARED_DIFFERENCE": squared_difference,
    "MUL": product_formula,
    "DIV": quotient_formula,
    "MAXIMUM": larger_or_smaller,
    "MINIMUM": larger_or_smaller,
    "PRELU": prelu,
    **dict.fromkeys(SIGNS, comparison),
    **dict.fromkeys(REAL_FUNCTIONS, _called),
}


def plan_selection(operator: Operator, graph: Graph, name: str, note: str) -> Binary:
    """A SELECT_V2, or a SELECT, which does not broadcast. Raises `ModelError` for what the
    references do not run."""
    _check_count(operator, 3)
    x, y, z = (graph.tensors[i] for i in operator.inputs)
    result = graph.tensors[operator.outputs[0]]
    shapes = tuple(t.shape for t in (x, y, z))
    if operator.code == "SELECT" and len(set(shapes)) > 1:
        raise refuse(operator, "operands of different shapes", "use SELECT_V2")
    _check_shapes(operator, shapes, result)
    formula = selection(operator, x, y, z, result)
    operands = tuple(_operand(t) for t in (x, y, z))
    return Binary(name, note, operands, Buffer.of(result), loops(shapes), formula)


_CHANNELS = 1024  # constants that are folded: 4 or 8 bytes each


def plan_binary(
    operator: Operator, graph: Graph, name: str, note: str
) -> Binary | Channelwise | Map:
    """An operator of `FORMULAS`. Raises `ModelError` for what TFLM does not run."""
    _check_count(operator, 2)
    x, y = (graph.tensors[i] for i in operator.inputs)
    result = graph.tensors[operator.outputs[0]]
    shapes = (x.shape, y.shape)
    _check_shapes(operator, shapes, result)
    _check_constants(operator, x, y)
    scaled = result.dtype == INT16 and operator.code not in ("MAXIMUM", "MINIMUM")
    if scaled and not all(len(tensor.scales) == 1 for tensor in (x, y, result)):
        raise refuse(operator, "int16 without a scale", "export the model again")
    formula, post = FORMULAS[operator.code](operator, x, y, result)
    if formula.codes and (x.data is not None) != (y.data is not None):
        folded = _folded(name, note, (x, y), formula.codes, post)
        if folded is not None:
            return folded
    operands = (_operand(x), _operand(y))
    return Binary(name, note, operands, Buffer.of(result), loops(shapes), formula, post)


def _folded(
    name: str, note: str, pair: tuple[Tensor, Tensor], codes: Quantised, post: Activation
) -> Channelwise | Map | None:
    """An operator on int8 with a constant as a function of one value, where that is faster."""
    side = 0 if pair[0].data is None else 1
    value, constant = pair[side], pair[1 - side]
    assert constant.data is not None
    shapes = (value.shape, constant.shape)
    if broadcast_shape(shapes) != broadcast_shape((value.shape,)) or constant.elements > _CHANNELS:
        return None
    other = constant.data.reshape(-1, 1).astype(np.int64)
    results = codes.results(*((CODES, other) if side == 0 else (other, CODES)))
    if constant.elements == 1:
        table = tuple(post.table[q + 128] for q in results[0].clip(-128, 127).tolist())
        return Map(name, note, "activation", False, value.elements, Activation(table=table))
    assert post.limits is not None
    rows = codes.rows(side, other[:, 0], results, post.limits)
    if rows is None:
        return None
    return Channelwise(name, note, value.elements, loops(shapes), (Stage(rows, post),))


def _check_count(operator: Operator, inputs: int) -> None:
    given = [i for i in operator.inputs if i >= 0]
    if len(given) != len(operator.inputs) or len(given) != inputs or len(operator.outputs) != 1:
        raise refuse(operator, f"{len(given)} inputs", "export the model again")


def _check_shapes(operator: Operator, shapes: tuple[tuple[int, ...], ...], result: Tensor) -> None:
    made = broadcast_shape(shapes)
    if made is None or _trimmed(made) != _trimmed(result.shape):
        given = f"{' and '.join(str(list(s)) for s in shapes)} to {list(result.shape)}"
        raise refuse(operator, f"shapes {given}", "export the model again")


def _trimmed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Without leading ones."""
    while shape[:1] == (1,):
        shape = shape[1:]
    return shape


def _check_constants(operator: Operator, x: Tensor, y: Tensor) -> None:
    slopes = operator.code == "PRELU" and (x.dtype, y.dtype) == (INT16, INT8)
    if x.dtype != y.dtype and not slopes:
        raise refuse(operator, "its inputs differ in type", "export the model again")
    for tensor in (x, y):
        if tensor.data is None:
            continue
        if tensor.data.dtype.kind == "f" and not np.isfinite(tensor.data).all():
            raise refuse(operator, "a constant that is not a number", "export the model again")
        if tensor.dtype == INT8 and len(tensor.scales) != 1:
            raise refuse(operator, "a constant without one scale", "export the model again")


def _operand(tensor: Tensor) -> Operand:
    return Operand(Buffer.of(tensor), tensor.data)


def emit_binary(step: Binary, prefix: str) -> Emitted:
    """The C code of an operator on two tensors; its result may lie on a larger operand."""
    w = Writer()
    arrays: list[Array] = []
    names = "abc"[: len(step.operands)]
    taken = []
    for name, operand in zip(names, step.operands, strict=True):
        if operand.values is None:
            taken.append(f"const {operand.buffer.ctype} *{name}")
        else:
            arrays.append(Array(f"{prefix}_{name}", operand.values, "a constant operand"))
    ctype = step.target.ctype
    value = step.formula.expression
    if ctype == "float":
        value = real_expression(value, simplified(step.post.real))
    elif ctype == "int8_t" and not (step.formula.bounded and step.post == NOTHING):
        value = f"(int8_t){int8_expression(value, step.post, f'{prefix}_lut')}"
        if step.post.limits is None:
            arrays.append(table_array(f"{prefix}_lut", step.post))
    with w.block(f"static inline void {prefix}({', '.join([*taken, f'{ctype} *out'])})"):
        for name, operand in zip(names, step.operands, strict=True):
            if operand.values is not None:
                w(f"HIL_FLASH {operand.buffer.ctype} *{name} = {prefix}_{name};")
        _nested(w, step, list(names), value)
    kernels = ("float32", *real_kernels(step.post)) if ctype == "float" else ("int8",)
    return Emitted(arrays, str(w), (*kernels, *step.formula.kernels))


def _nested(w: Writer, step: Binary, pointers: list[str], value: str, depth: int = 0) -> None:
    """The loops from ``depth`` on; ``pointers`` are where their operands start."""
    loop = step.nest[depth]
    inner = depth + 1 == len(step.nest)
    index = f"i{depth}" if not inner else "i"
    if inner:
        for x, pointer, operand, stride in _each(step, pointers, loop):
            if not stride:
                w(f"const {step.formula.ctype} {x} = {_read(operand, pointer, '')};")
    together = _together(step, loop) if inner else 1
    more = f"++{index}" if together == 1 else f"{index} += {together}"
    with w.block(f"for (int {index} = 0; {index} < {loop.count}; {more})"):
        if inner:
            suffixes = [""] if together == 1 else [str(number) for number in range(together)]
            for each in [_read_strided(w, step, pointers, loop, s, value) for s in suffixes]:
                w(f"*out++ = {each};")
            return
        following = []
        for _, pointer, operand, stride in _each(step, pointers, loop):
            if stride:
                const = "const" if operand.values is None else "HIL_FLASH"
                times = f"{stride} * " if stride != 1 else ""
                name = f"{pointer[0]}{depth}"
                w(f"{const} {operand.buffer.ctype} *{name} = {pointer} + {times}{index};")
                pointer = name
            following.append(pointer)
        _nested(w, step, following, value, depth + 1)


def _together(step: Binary, loop: Loop) -> int:
    """Results per round. Two are computed from operands that are read first, so that a core does
    not wait for each result before it reads on."""
    return 2 if step.target.ctype == "int8_t" and loop.count % 2 == 0 else 1


def _read_strided(
    w: Writer, step: Binary, pointers: list[str], loop: Loop, suffix: str, value: str
) -> str:
    """Read the operands that differ in ``loop``, to variables with ``suffix``, which is the number
    of the result in a round. Returns ``value`` with these variables."""
    number = int(suffix or 0)
    for x, pointer, operand, stride in _each(step, pointers, loop):
        if stride:
            where = f"{stride} * i" if stride > 1 else "i"
            where += f" + {stride * number}" if number else ""
            w(f"const {step.formula.ctype} {x}{suffix} = {_read(operand, pointer, where)};")
            value = re.sub(rf"\b{x}\b", f"{x}{suffix}", value)
    return value


def _each(step: Binary, pointers: list[str], loop: Loop) -> zip[tuple[str, str, Operand, int]]:
    """For each operand: its variable, pointer, itself, and its stride in ``loop``."""
    return zip("xyz"[: len(pointers)], pointers, step.operands, loop.strides, strict=True)


def _read(operand: Operand, pointer: str, index: str) -> str:
    if operand.values is not None:
        return read(operand.buffer.ctype, pointer, index)
    return f"{pointer}[{index or 0}]"
