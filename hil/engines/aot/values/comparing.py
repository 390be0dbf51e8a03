# SPDX-License-Identifier: Apache-2.0
"""Comparisons and logical operators of two values, which give bool, and SELECT_V2 by a bool.

Sources: TFLM's tensorflow/lite/micro/kernels/{comparisons,logical_common,select}.cc and
kernels/internal/reference/comparisons.h.
"""

from __future__ import annotations

from collections.abc import Mapping

from hil.engines.aot.arithmetic import NOTHING
from hil.engines.aot.values.additions import scaled_operand, smaller_than_one
from hil.engines.aot.values.formulas import Formula, Found
from hil.tflite import Operator, Tensor
from hil.tflite.graph import BOOL, FLOAT32, INT8, INT16, refuse

SIGNS: Mapping[str, str] = {
    "EQUAL": "==",
    "NOT_EQUAL": "!=",
    "GREATER": ">",
    "GREATER_EQUAL": ">=",
    "LESS": "<",
    "LESS_EQUAL": "<=",
    "LOGICAL_AND": "&",
    "LOGICAL_OR": "|",
}
_LEFT = 8  # bits by which int8 values are shifted before they are scaled


def comparison(operator: Operator, x: Tensor, y: Tensor, result: Tensor) -> Found:
    """The operators of `SIGNS`. int8 values are scaled first, as in TFLM."""
    sign = SIGNS[operator.code]
    if result.dtype != BOOL or x.dtype == INT16:
        raise refuse(operator, "a result that is not bool, or int16", "export the model again")
    if sign in "&|" and x.dtype != BOOL:
        raise refuse(operator, "values that are not bool", "export the model again")
    if x.dtype != INT8:
        return Formula(f"x {sign} y", "float" if x.dtype == FLOAT32 else "int32_t"), NOTHING
    stages = smaller_than_one(operator, (x.scale, y.scale))
    a = scaled_operand("x", x.zero_point, _LEFT, stages[0])
    b = scaled_operand("y", y.zero_point, _LEFT, stages[1])
    return Formula(f"{a} {sign} {b}", kernels=("scaling",)), NOTHING


def selection(operator: Operator, x: Tensor, y: Tensor, z: Tensor, result: Tensor) -> Formula:
    """SELECT_V2: y where x is true, else z. Codes are not scaled."""
    if x.dtype != BOOL or not y.dtype == z.dtype == result.dtype != BOOL:
        raise refuse(operator, "types that do not fit", "export the model again")
    if result.dtype == FLOAT32:
        return Formula("x != 0.0f ? y : z", "float")
    cast = {INT8: "(int8_t)", INT16: "(int16_t)"}.get(result.dtype, "")
    return Formula(f"{cast}(x ? y : z)", bounded=True)
