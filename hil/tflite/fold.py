# SPDX-License-Identifier: Apache-2.0
"""Constant folding: operators on constants are evaluated once, here, and leave the graph.

Only what every reference computes to the same bits is folded: moves, integer arithmetic and
float32 operations that IEEE 754 rounds correctly. Shapes are static, so SHAPE is always a constant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hil.core.errors import ModelError
from hil.tflite.graph import (
    BOOL,
    FLOAT16,
    FLOAT32,
    INT8,
    INT16,
    INT32,
    INT64,
    NUMPY_TYPES,
    UINT8,
    Graph,
    Operator,
    Tensor,
)
from hil.tflite.moves import moved, moves, padding_value, positions

_MAX_ELEMENTS = 1 << 24  # of a folded constant
_MAX_FACTORS = 1 << 10  # of a product, which is one of shapes
_EXACT = (FLOAT32, INT32, INT64)  # types in which the arithmetic is done
_QUANTISED = (INT8, UINT8, INT16)
Values = npt.NDArray[Any]
Evaluator = Callable[[Operator, Sequence[Tensor], list[Values]], list[Values] | None]


def folded(graph: Graph) -> Graph:
    """The graph without the operators whose results do not depend on its inputs.

    Tensors keep their indices, operators their numbers. What cannot be folded stays.
    """
    kept, tensors = fold(graph.operators, graph.tensors)
    if len(kept) == len(graph.operators):
        return graph
    return replace(graph, tensors=tuple(tensors), operators=tuple(kept))


def fold(
    operators: Sequence[Operator], tensors: Sequence[Tensor]
) -> tuple[list[Operator], list[Tensor]]:
    """The operators that depend on more than constants, and the tensors with the values of the
    others' results."""
    made = list(tensors)
    kept = []
    for operator in operators:
        values = evaluated(operator, made)
        if values is None:
            kept.append(operator)
            continue
        for i, data in zip(operator.outputs, values, strict=True):
            made[i] = replace(made[i], data=data)
    return kept, made


def evaluated(operator: Operator, tensors: Sequence[Tensor]) -> list[Values] | None:
    """The outputs of an operator; None if it cannot be folded."""
    if operator.code in _SUMS:
        return _zero_sums(operator, tensors)
    outputs = [tensors[i] for i in operator.outputs]
    if not outputs or not operator.inputs or -1 in operator.inputs:
        return None
    if any(y.dtype not in NUMPY_TYPES or y.elements > _MAX_ELEMENTS for y in outputs):
        return None
    data = [tensors[i].data for i in operator.inputs]
    constants = [values for values in data if values is not None]
    if len(constants) < len(data) and operator.code not in _SHAPED:
        return None
    count, evaluate = _EVALUATORS.get(operator.code, (0, None))
    if moves(operator.code):
        count, evaluate = len(operator.inputs), _move
    if evaluate is None or len(operator.inputs) != count:
        return None
    try:
        found = evaluate(operator, tensors, constants)
    except ModelError:
        return None  # an engine that needs it refuses it, and says why
    if found is None or len(found) != len(outputs):
        return None
    if any(values.size != y.elements for values, y in zip(found, outputs, strict=True)):
        return None
    return [
        np.ascontiguousarray(values, NUMPY_TYPES[y.dtype]).reshape(y.shape)
        for values, y in zip(found, outputs, strict=True)
    ]


def _move(operator: Operator, tensors: Sequence[Tensor], data: list[Values]) -> list[Values] | None:
    met = {tensors[operator.inputs[i]].dtype for i in positions(operator)}
    if met != {tensors[i].dtype for i in operator.outputs}:
        return None
    values = [data[i] for i in positions(operator)]
    return moved(operator, tensors, values, padding_value(operator, tensors))


_SHAPED = ("SHAPE", "ZEROS_LIKE")  # which read no values


def _zeros(operator: Operator, tensors: Sequence[Tensor], _: list[Values]) -> list[Values]:
    return [np.zeros(tensors[operator.outputs[0]].shape)]  # codes of 0, whatever the zero point


_SUMS = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D")


def _zero_sums(operator: Operator, tensors: Sequence[Tensor]) -> list[Values] | None:
    """A layer of zeros, as a recurrent one reads in its first time step: the bias.

    Exact: each product is a zero, and a sum that starts at +0 stays there.
    """
    x, w = (tensors[i] for i in operator.inputs[:2])
    y = tensors[operator.outputs[0]]
    if x.data is None or w.data is None or x.data.any() or operator.options["activation"]:
        return None
    finite = w.data.dtype.kind == "i" or bool(np.isfinite(w.data).all())
    if {x.dtype, y.dtype} != {FLOAT32} or not finite or y.elements > _MAX_ELEMENTS:
        return None
    bias: Values = np.zeros(1, np.float32)
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
        given = tensors[operator.inputs[2]].data
        if given is None or given.dtype != np.float32:
            return None
        bias = given.reshape(-1)
    return [np.broadcast_to(bias, y.shape) + np.float32(0)]


def _shape(operator: Operator, tensors: Sequence[Tensor], _: list[Values]) -> list[Values]:
    return [np.array(tensors[operator.inputs[0]].shape, np.int64)]


def _dequantize(
    operator: Operator, tensors: Sequence[Tensor], data: list[Values]
) -> list[Values] | None:
    x, y = tensors[operator.inputs[0]], tensors[operator.outputs[0]]
    if y.dtype != FLOAT32:
        return None
    if x.dtype == FLOAT16:
        return [data[0].astype(np.float32)]
    if x.dtype not in _QUANTISED or not x.scales:
        return None
    shape = [1] * len(x.shape)
    if len(x.scales) > 1:
        if not 0 <= x.axis < len(shape) or x.shape[x.axis] != len(x.scales):
            return None
        shape[x.axis] = len(x.scales)
    # the product of both is exact in float64, so it is rounded once, as in the reference
    scales, zeros = (np.array(v).reshape(shape) for v in (x.scales, x.zero_points))
    return [(scales * (data[0].astype(np.int64) - zeros)).astype(np.float32)]


def _cast(operator: Operator, tensors: Sequence[Tensor], data: list[Values]) -> list[Values] | None:
    dtype = tensors[operator.outputs[0]].dtype
    x = data[0]
    if dtype == BOOL or x.dtype.kind not in "fiub":
        return [x != 0] if dtype == BOOL else None
    form = np.dtype(NUMPY_TYPES[dtype])
    if x.dtype.kind == "f" and form.kind in "iu":
        limits = np.iinfo(form)
        if not ((x >= limits.min) & (x <= limits.max / 2)).all():
            return None  # C does not define the result
    return [x.astype(form)]


def _arithmetic(compute: Callable[[Values, Values], Values]) -> Evaluator:
    def evaluate(
        operator: Operator, tensors: Sequence[Tensor], data: list[Values]
    ) -> list[Values] | None:
        if not _same_type(operator, tensors) or operator.options.get("activation", 0):
            return None
        wide = [v.astype(np.int64) if v.dtype.kind == "i" else v for v in data]
        y = tensors[operator.outputs[0]]
        try:
            if np.broadcast_shapes(*(v.shape for v in data)) != y.shape:
                return None
            with np.errstate(all="raise", under="ignore"):
                found = compute(wide[0], wide[1])
        except (FloatingPointError, ValueError):  # not defined, or shapes that do not fit
            return None
        return _in_range(found, y)

    return evaluate


def _unary(compute: Callable[[Values], Values]) -> Evaluator:
    def evaluate(
        operator: Operator, tensors: Sequence[Tensor], data: list[Values]
    ) -> list[Values] | None:
        if not _same_type(operator, tensors):
            return None
        wide = data[0].astype(np.int64) if data[0].dtype.kind == "i" else data[0]
        try:
            with np.errstate(all="raise", under="ignore"):
                found = compute(wide)
        except FloatingPointError:
            return None
        return _in_range(found, tensors[operator.outputs[0]])

    return evaluate


def _same_type(operator: Operator, tensors: Sequence[Tensor]) -> bool:
    met = {tensors[i].dtype for i in (*operator.inputs, *operator.outputs)}
    return len(met) == 1 and met.issubset(_EXACT)


def _in_range(values: Values, y: Tensor) -> list[Values] | None:
    if y.dtype == INT32 and values.size and int(np.abs(values).max()) >= 1 << 31:
        return None  # an overflow, which C does not define
    return [values]


def _divide(a: Values, b: Values) -> Values:
    if a.dtype.kind == "f":
        return np.divide(a, b)
    if not b.all():
        raise FloatingPointError
    whole: Values = np.abs(a) // np.abs(b)
    return np.sign(a) * np.sign(b) * whole  # C rounds towards zero


def _floor_divide(a: Values, b: Values) -> Values:
    if a.dtype.kind == "f" or not b.all():
        raise FloatingPointError
    found: Values = a // b
    return found


def _floor_mod(a: Values, b: Values) -> Values:
    if a.dtype.kind == "f" or not b.all():
        raise FloatingPointError
    found: Values = a % b
    return found


def _comparison(compute: Callable[[Values, Values], Values]) -> Evaluator:
    def evaluate(
        operator: Operator, tensors: Sequence[Tensor], data: list[Values]
    ) -> list[Values] | None:
        met = {tensors[i].dtype for i in operator.inputs}
        logical = operator.code.startswith("LOGICAL")
        if len(met) != 1 or not met.issubset((BOOL,) if logical else _EXACT):
            return None
        y = tensors[operator.outputs[0]]
        try:
            fits = np.broadcast_shapes(*(v.shape for v in data)) == y.shape
        except ValueError:
            return None
        return [compute(data[0], data[1])] if fits and y.dtype == BOOL else None

    return evaluate


def _fill(operator: Operator, tensors: Sequence[Tensor], data: list[Values]) -> list[Values] | None:
    y = tensors[operator.outputs[0]]
    if data[0].dtype.kind != "i" or data[1].size != 1:
        return None
    if tuple(int(n) for n in data[0].reshape(-1)) != y.shape:
        return None
    return [np.full(y.shape, data[1].reshape(-1)[0])]


def _range(
    operator: Operator, tensors: Sequence[Tensor], data: list[Values]
) -> list[Values] | None:
    if not _same_type(operator, tensors) or any(v.size != 1 for v in data) or len(data) != 3:
        return None
    # float32: the references add up rounding errors, unless all values are small whole numbers
    if not all(abs(v.item()) <= 1 << 20 and v.item() == np.trunc(v.item()) for v in data):
        return None
    start, limit, delta = (int(v.reshape(-1)[0]) for v in data)
    count = tensors[operator.outputs[0]].elements
    if not delta or max(-((start - limit) // delta), 0) != count:
        return None
    return [start + np.arange(count) * delta]


def _product(_: Operator, __: Sequence[Tensor], data: list[Values]) -> list[Values] | None:
    if data[0].dtype.kind != "i" or data[1].dtype.kind != "i" or data[0].size > _MAX_FACTORS:
        return None
    axes = tuple(int(a) for a in data[1].reshape(-1))
    if not all(-data[0].ndim <= a < data[0].ndim for a in axes):
        return None
    found = data[0].astype(object).prod(axis=axes)
    if not -(1 << 31) <= np.min(found) <= np.max(found) < 1 << 31:
        return None
    return [np.array(found, np.int64)]


def _broadcast_args(_: Operator, __: Sequence[Tensor], data: list[Values]) -> list[Values] | None:
    if any(v.dtype.kind != "i" or v.size > 8 or v.min() < 1 for v in data):
        return None
    shapes = [tuple(int(n) for n in v.reshape(-1)) for v in data]
    try:
        return [np.array(np.broadcast_shapes(*shapes), np.int64)]
    except ValueError:
        return None


# (number of inputs, how it is evaluated)
_EVALUATORS: Mapping[str, tuple[int, Evaluator]] = {
    "ABS": (1, _unary(np.abs)),
    "ADD": (2, _arithmetic(np.add)),
    "BROADCAST_ARGS": (2, _broadcast_args),
    "CAST": (1, _cast),
    "DEQUANTIZE": (1, _dequantize),
    "DIV": (2, _arithmetic(_divide)),
    "EQUAL": (2, _comparison(np.equal)),
    "FILL": (2, _fill),
    "FLOOR_DIV": (2, _arithmetic(_floor_divide)),
    "FLOOR_MOD": (2, _arithmetic(_floor_mod)),
    "GREATER": (2, _comparison(np.greater)),
    "GREATER_EQUAL": (2, _comparison(np.greater_equal)),
    "LESS": (2, _comparison(np.less)),
    "LESS_EQUAL": (2, _comparison(np.less_equal)),
    "LOGICAL_AND": (2, _comparison(np.logical_and)),
    "LOGICAL_OR": (2, _comparison(np.logical_or)),
    "MAXIMUM": (2, _arithmetic(lambda a, b: np.where(a > b, a, b))),
    "MINIMUM": (2, _arithmetic(lambda a, b: np.where(a < b, a, b))),
    "MUL": (2, _arithmetic(np.multiply)),
    "NEG": (1, _unary(np.negative)),
    "NOT_EQUAL": (2, _comparison(np.not_equal)),
    "RANGE": (3, _range),
    "REDUCE_PROD": (2, _product),
    "SHAPE": (1, _shape),
    "SQUARE": (1, _unary(np.square)),
    "SUB": (2, _arithmetic(np.subtract)),
    "ZEROS_LIKE": (1, _zeros),
}
