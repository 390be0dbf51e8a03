# SPDX-License-Identifier: Apache-2.0
"""GATHER by numbers that are computed or are an input: rows of a tensor, or of a table in flash."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from hil.engines.aot.source import Array, Emitted, Writer, read
from hil.engines.aot.steps import Buffer, item_bytes
from hil.tflite import Graph, Operator
from hil.tflite.graph import INT32, refuse


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """``sizes``: batch, outer, rows to choose from, numbers per batch, values of a row. ``table``:
    the rows, if they are constants.
    """

    scratch_bytes: ClassVar[int] = 0

    name: str
    note: str
    sources: tuple[Buffer, ...]
    targets: tuple[Buffer, ...]
    sizes: tuple[int, int, int, int, int]
    table: npt.NDArray[np.generic] | None

    @property
    def leads(self) -> tuple[int | None, ...]:
        return (None,) * len(self.sources)


def plan_gathered(operator: Operator, graph: Graph, name: str, note: str) -> Gathered:
    """A GATHER with numbers in int32. Raises `ModelError` for shapes and options that do not fit.

    The shapes are those of tensorflow/lite/micro/kernels/gather.cc.
    """
    x, numbers = (graph.tensors[i] for i in operator.inputs[:2])
    y = graph.tensors[operator.outputs[0]]
    if numbers.dtype != INT32 or x.dtype != y.dtype:
        raise refuse(operator, "types that do not fit together", "gather by int32")
    axis, shared = int(operator.options["axis"]), int(operator.options["batch_dims"])
    axis += len(x.shape) if axis < 0 else 0
    shared += len(numbers.shape) if shared < 0 else 0
    fits = 0 <= shared <= axis < len(x.shape) and shared <= len(numbers.shape)
    if (
        not fits
        or x.shape[:shared] != numbers.shape[:shared]
        or x.shape[:axis] + numbers.shape[shared:] + x.shape[axis + 1 :] != y.shape
    ):
        raise refuse(operator, "its shapes or options do not fit together", "export it again")
    sizes = (
        math.prod(x.shape[:shared]),
        math.prod(x.shape[shared:axis]),
        x.shape[axis],
        math.prod(numbers.shape[shared:]),
        math.prod(x.shape[axis + 1 :]),
    )
    sources = tuple(Buffer.of(t) for t in (x, numbers) if t.data is None)
    return Gathered(name, note, sources, (Buffer.of(y),), sizes, x.data)


def emit_gathered(step: Gathered, prefix: str) -> Emitted:
    """The C code of a GATHER. A number beyond the rows, which TFLM does not define, is clamped."""
    batch, outer, rows, count, row = step.sizes
    ctype = step.targets[0].ctype
    arrays = []
    taken = [f"const {ctype} *in"]
    if step.table is not None:
        arrays = [Array(f"{prefix}_c", step.table, "the rows")]
        taken = []
    w = Writer()
    head = (
        f"static inline void {prefix}({', '.join([*taken, 'const int32_t *n', f'{ctype} *out'])})"
    )
    j, i = ("j" if count > 1 else "0"), ("i" if row > 1 else "0")
    with w.block(head):
        w("int32_t first = 0;")
        with w.loop("b", batch):
            with w.loop("o", outer):
                with w.loop("j", count):
                    w(f"int32_t at = n[{j}];")
                    w(f"at = at < 0 ? 0 : at > {rows - 1} ? {rows - 1} : at;")
                    w(f"at = first + at * {row};")
                    if step.table is not None:
                        with w.loop("i", row):
                            w(f"out[{i}] = {read(ctype, arrays[0].name, f'at + {i}')};")
                    else:
                        w(f"memcpy(out, in + at, {row * item_bytes(ctype)});")
                    w(f"out += {row};")
                w(f"first += {rows * row};")
            w(f"n += {count};")
    return Emitted(arrays, str(w))
