# SPDX-License-Identifier: Apache-2.0
"""Sums and products of int8 values with constants, one per channel: a multiply-add per value.

The constants are folded when generating. Several such operators in a row are one pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hil.engines.aot.arithmetic import Activation
from hil.engines.aot.source import Array, Emitted, Writer, read
from hil.engines.aot.steps import OneToOne
from hil.engines.aot.values.broadcast import Loop
from hil.engines.aot.values.formulas import integer, plus
from hil.engines.aot.values.linear import Rows
from hil.engines.aot.weighted.finish import int8_expression, table_array


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """What ``rows`` say, per channel, and then ``post``."""

    rows: Rows
    post: Activation

    @property
    def width(self) -> int:
        """Constants per channel."""
        return 1 if self.rows.shared else 2


@dataclass(frozen=True, slots=True, eq=False)
class Channelwise(OneToOne):
    """``nest``: the loops over the values; its second stride is that of the channels."""

    scratch_bytes: ClassVar[int] = 0
    ctypes: ClassVar[tuple[str, str]] = ("int8_t", "int8_t")
    lead: ClassVar[int] = 0  # value by value

    name: str
    note: str
    elements: int
    nest: tuple[Loop, ...]
    stages: tuple[Stage, ...]

    @property
    def input_bytes(self) -> int:
        return self.elements

    @property
    def output_bytes(self) -> int:
        return self.elements


def emit_channelwise(step: Channelwise, prefix: str) -> Emitted:
    """The C code; it may work in place."""
    width = sum(stage.width for stage in step.stages)
    columns = []
    arrays = []
    values = []
    place = 0
    for number, stage in enumerate(step.stages):
        rows = stage.rows
        factor = integer(int(rows.factors[0]))
        if stage.width == 2:
            columns.append(rows.factors)
            factor = read("int32_t", "k", place)
        columns.append(rows.offsets)
        offset = read("int32_t", "k", place + stage.width - 1)
        table = f"{prefix}_lut{number or ''}"
        total = f"x * {factor} + {offset}"
        if rows.below or rows.offset:
            total = plus(f"hil_sided({total}, {integer(rows.below)})", rows.offset)
        if rows.above:
            high = plus(f"x * {integer(rows.above[0])}", rows.above[1])
            total = f"x >= {integer(rows.zero)} ? {high} : {total}"
        values.append(int8_expression(f"(({total}) >> {rows.shift})", stage.post, table))
        if stage.post.limits is None:
            arrays.append(table_array(table, stage.post))
        place += stage.width
    constants = np.stack(columns, axis=1).astype("<i4")
    arrays.append(Array(f"{prefix}_k", constants, "per channel: factors and offsets"))
    w = Writer()
    with w.block(f"static inline void {prefix}(const int8_t *in, int8_t *out)"):
        w(f"HIL_FLASH int32_t *k0 = {prefix}_k;")
        _nested(w, step, width, values)
    return Emitted(arrays, str(w), ("scaling",))


def _nested(w: Writer, step: Channelwise, width: int, values: list[str], depth: int = 0) -> None:
    loop = step.nest[depth]
    stride = loop.strides[1] * width
    inner = depth + 1 == len(step.nest)
    start = f"k{depth}" if stride or inner else ""
    if inner and not stride:
        w(f"HIL_FLASH int32_t *k = {start};")
    with w.block(f"for (int i{depth} = 0; i{depth} < {loop.count}; ++i{depth})"):
        name = "k" if inner else f"k{depth + 1}"
        if stride or not inner:
            where = f"k{depth} + {stride} * i{depth}" if stride else f"k{depth}"
            w(f"HIL_FLASH int32_t *{name} = {where};")
        if not inner:
            _nested(w, step, width, values, depth + 1)
            return
        w("int32_t x = *in++;")
        for value in values[:-1]:
            w(f"x = {value};")
        w(f"*out++ = (int8_t){values[-1]};")
