# SPDX-License-Identifier: Apache-2.0
"""The operators of engine ``aot``: the functions that plan a step for each, and write its C code.

A new operator is registered here. One that maps each value by itself is registered in
`value_functions.VALUE_FUNCTIONS` instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hil.engines.aot.moves.copying import Copy, Shift, emit_copy, emit_shift, plan_assignment
from hil.engines.aot.moves.gathering import Gathered, emit_gathered, plan_gathered
from hil.engines.aot.moves.moving import Moved, emit_moved, plan_moved
from hil.engines.aot.moves.resizing import Bilinear, emit_bilinear, plan_bilinear
from hil.engines.aot.source import Emitted
from hil.engines.aot.states.lstm import Lstm, plan_lstm
from hil.engines.aot.states.lstm_code import emit_lstm
from hil.engines.aot.states.svdf import Svdf, plan_svdf
from hil.engines.aot.states.svdf_code import emit_svdf
from hil.engines.aot.steps import CTYPES, Step
from hil.engines.aot.values.accumulating import (
    AddN,
    CumSum,
    emit_add_n,
    emit_cumsum,
    plan_add_n,
    plan_cumsum,
)
from hil.engines.aot.values.binary import FORMULAS as PAIRS
from hil.engines.aot.values.binary import (
    REAL_FUNCTIONS,
    Binary,
    emit_binary,
    plan_binary,
    plan_selection,
)
from hil.engines.aot.values.channelwise import Channelwise, emit_channelwise
from hil.engines.aot.values.comparing import SIGNS
from hil.engines.aot.values.conversions import FUNCTIONS, Conversion, emit_conversion
from hil.engines.aot.values.normalizing import L2Norm, emit_l2norm, plan_l2norm
from hil.engines.aot.values.ranking import (
    OneHot,
    TopK,
    emit_one_hot,
    emit_top_k,
    plan_one_hot,
    plan_top_k,
)
from hil.engines.aot.values.reductions import Reduction, emit_reduction, plan_reduction
from hil.engines.aot.values.softmax import (
    LogSoftmax,
    Softmax,
    emit_log_softmax,
    emit_softmax,
    plan_log_softmax,
    plan_softmax,
)
from hil.engines.aot.values.unweighted import (
    Map,
    Pooling,
    emit_map,
    emit_pooling,
    plan_map,
)
from hil.engines.aot.values.value_functions import VALUE_FUNCTIONS
from hil.engines.aot.weighted.around import Collected, Repeated, emit_collected, emit_repeated
from hil.engines.aot.weighted.conv import Conv, tile
from hil.engines.aot.weighted.conv16 import Dense16, Depthwise16, emit_dense16, emit_depthwise16
from hil.engines.aot.weighted.conv_gather import emit_gather
from hil.engines.aot.weighted.conv_patch import emit_depthwise, emit_patch
from hil.engines.aot.weighted.conv_planes import Planar, emit_planes
from hil.engines.aot.weighted.conv_walk import emit_walk
from hil.engines.aot.weighted.grouped import emit_grouped
from hil.engines.aot.weighted.hybrid import Hybrid, emit_hybrid
from hil.engines.aot.weighted.matmul import Matmul, emit_matmul, plan_matmul
from hil.engines.aot.weighted.pool16 import Pooling16, emit_pooling16
from hil.engines.aot.weighted.transposed import Transposed, emit_transposed
from hil.engines.aot.weighted.weighted import plan_pools, plan_transpose, plan_weighted
from hil.tflite import Graph, Operator
from hil.tflite.graph import BOOL, FLOAT32, INT8, INT16, INT32, INT64, RESHAPES, UINT8
from hil.tflite.moves import MOVES


@dataclass(frozen=True, slots=True)
class Family:
    """Operators that become the same kind of step.

    ``types``: TensorType codes of the activations that it takes. ``converts``: its inputs and
    outputs may differ in type. ``offsets``: it takes int16 with a zero point other than 0.
    """

    step: type
    plan: Callable[[Operator, Graph, str, str], Step]  # (operator, graph, name and note)
    emit: Callable[[Any, str], Emitted]  # (the step, prefix of its names)
    types: tuple[int, ...] = (FLOAT32, INT8)
    converts: bool = False
    offsets: bool = False


def _emit_conv(step: Conv, prefix: str) -> Emitted:
    shape = tile(step)
    if step.depthwise:
        return emit_depthwise(step, shape, prefix)
    if step.gathered or step.direct:
        return emit_gather(step, shape, prefix)
    return (emit_patch if shape.patch else emit_walk)(step, shape, prefix)


def _emit_collected(step: Collected, prefix: str) -> Emitted:
    if step.groups > 1 and isinstance(step.inner, Conv):
        return emit_grouped(step, step.inner, prefix)
    inner = f"{prefix}_inner"
    return emit_collected(step, prefix, inner, emit(step.inner, inner))


def _emit_repeated(step: Repeated, prefix: str) -> Emitted:
    inner = f"{prefix}_once"
    return emit_repeated(step, prefix, inner, emit(step.inner, inner))


# a move means the same in every type
_MOVED = Family(Moved, plan_moved, emit_moved, (FLOAT32, INT8, UINT8, INT16, INT32, INT64, BOOL))
_CONV = Family(Conv, plan_weighted, _emit_conv, (FLOAT32, INT8, INT16))
_POOLING = Family(Pooling, plan_pools, emit_pooling, (FLOAT32, INT8, INT16))
_MAP = Family(Map, plan_map, emit_map)
_CONVERSION = replace(_MAP, types=(FLOAT32, INT8, UINT8, INT16, INT32), converts=True, offsets=True)
_SOFTMAX = Family(Softmax, plan_softmax, emit_softmax)
_SELECTION = Family(
    Binary, plan_selection, emit_binary, (FLOAT32, INT8, INT16, INT32, BOOL), converts=True
)
_BINARY = Family(Binary, plan_binary, emit_binary, (FLOAT32, INT8, INT16, INT32))
_REDUCTION = Family(Reduction, plan_reduction, emit_reduction)
_POSITION = replace(_REDUCTION, types=(FLOAT32, INT8, INT32, INT64), converts=True)


def _plan_gather(operator: Operator, graph: Graph, name: str, note: str) -> Step:
    """By constants it is a move like others."""
    inputs = operator.inputs
    if len(inputs) == 2 and inputs[1] >= 0 and graph.tensors[inputs[1]].data is None:
        return plan_gathered(operator, graph, name, note)
    return plan_moved(operator, graph, name, note)


def _types(code: str) -> tuple[int, ...]:
    """The types that a function of one value has."""
    return VALUE_FUNCTIONS[code].types + ((INT16,) if code in FUNCTIONS else ())


# one line per operator
FAMILIES: Mapping[str, Family] = {
    "CONV_2D": _CONV,
    "DEPTHWISE_CONV_2D": _CONV,
    "FULLY_CONNECTED": _CONV,
    "BATCH_MATMUL": Family(Matmul, plan_matmul, emit_matmul, (FLOAT32, INT8, INT16)),
    "TRANSPOSE_CONV": Family(Transposed, plan_transpose, emit_transposed, (FLOAT32, INT8, INT16)),
    "MAX_POOL_2D": _POOLING,
    "AVERAGE_POOL_2D": _POOLING,
    **dict.fromkeys(MOVES, _MOVED),
    "GATHER": replace(_MOVED, plan=_plan_gather, converts=True),
    "RESIZE_BILINEAR": Family(Bilinear, plan_bilinear, emit_bilinear, (FLOAT32, INT8, INT16)),
    **{code: replace(_MAP, types=_types(code)) for code in VALUE_FUNCTIONS},
    **dict.fromkeys(PAIRS, _BINARY),
    **dict.fromkeys(REAL_FUNCTIONS, replace(_BINARY, types=(FLOAT32,))),
    "ADD_N": Family(AddN, plan_add_n, emit_add_n),
    "CUMSUM": Family(CumSum, plan_cumsum, emit_cumsum),
    "L2_NORMALIZATION": Family(L2Norm, plan_l2norm, emit_l2norm),
    **dict.fromkeys(SIGNS, replace(_BINARY, types=(*_BINARY.types, BOOL), converts=True)),
    **dict.fromkeys(("SELECT", "SELECT_V2"), _SELECTION),
    "SOFTMAX": replace(_SOFTMAX, types=(FLOAT32, INT8, INT16), converts=True, offsets=True),
    "LOG_SOFTMAX": Family(LogSoftmax, plan_log_softmax, emit_log_softmax),
    "MEAN": replace(_REDUCTION, types=(FLOAT32, INT8, INT16)),
    "SUM": replace(_REDUCTION, types=(FLOAT32, INT8, INT16)),
    "REDUCE_MAX": replace(_REDUCTION, types=(FLOAT32, INT8, INT16)),
    "REDUCE_MIN": replace(_REDUCTION, types=(FLOAT32, INT8, INT16)),
    "REDUCE_ALL": replace(_REDUCTION, types=(BOOL,)),
    "REDUCE_ANY": replace(_REDUCTION, types=(BOOL,)),
    "REDUCE_PROD": replace(_REDUCTION, types=(FLOAT32,)),
    "TOPK_V2": replace(_MOVED, step=TopK, plan=plan_top_k, emit=emit_top_k, converts=True),
    "ONE_HOT": replace(_MOVED, step=OneHot, plan=plan_one_hot, emit=emit_one_hot, converts=True),
    "ARG_MAX": _POSITION,
    "ARG_MIN": _POSITION,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Family(
        Lstm, plan_lstm, emit_lstm, (FLOAT32, INT8, INT16), converts=True
    ),
    "SVDF": Family(Svdf, plan_svdf, emit_svdf, (FLOAT32, INT8, INT16), converts=True),
    "ASSIGN_VARIABLE": Family(Shift, plan_assignment, emit_shift, tuple(CTYPES)),
    "LOGICAL_NOT": replace(_MAP, types=(BOOL,)),
    "QUANTIZE": _CONVERSION,
    "DEQUANTIZE": _CONVERSION,
    "CAST": replace(_CONVERSION, types=(*_CONVERSION.types, BOOL, INT64)),
}
# operators whose output is their input under another shape: no step, no bytes of their own
VIEWS = (*RESHAPES, "READ_VARIABLE")
# operators that `variables.with_states` resolves
RESOLVED = ("VAR_HANDLE", "CALL_ONCE")
_EMITTERS = {family.step: family.emit for family in FAMILIES.values()} | {
    Channelwise: emit_channelwise,
    Conversion: emit_conversion,
    Copy: emit_copy,
    Collected: _emit_collected,
    Dense16: emit_dense16,
    Depthwise16: emit_depthwise16,
    Hybrid: emit_hybrid,
    Pooling16: emit_pooling16,
    Repeated: _emit_repeated,
    Gathered: emit_gathered,
    Planar: emit_planes,
}


def emit(step: Step, prefix: str) -> Emitted:
    """The C code of a step, whose names all start with ``prefix``."""
    return _EMITTERS[type(step)](step, prefix)
