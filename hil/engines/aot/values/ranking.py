# SPDX-License-Identifier: Apache-2.0
"""TOPK_V2, the largest values of rows and where they are, and ONE_HOT.

Only LiteRT has them. Sources: tensorflow/lite/kernels/{topk_v2,one_hot}.cc.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from hil.engines.aot.source import Array, Emitted, Writer, read
from hil.engines.aot.steps import Buffer
from hil.tflite import Graph, Operator
from hil.tflite.graph import INT32, NUMPY_TYPES, refuse


@dataclass(frozen=True, slots=True)
class TopK:
    """Of ``rows`` of ``depth`` values the largest ones, of equal ones the first."""

    scratch_bytes: ClassVar[int] = 0
    leads: ClassVar[tuple[int | None, ...]] = (None,)

    name: str
    note: str
    sources: tuple[Buffer, ...]
    targets: tuple[Buffer, ...]  # the values, then their places
    rows: int
    depth: int
    count: int


def plan_top_k(operator: Operator, graph: Graph, name: str, note: str) -> TopK:
    """A TOPK_V2. Raises `ModelError` for a number that is not a constant, or does not fit."""
    x, numbers = (graph.tensors[i] for i in operator.inputs)
    values, places = (graph.tensors[i] for i in operator.outputs)
    data = numbers.data
    if data is None or data.size != 1 or data.dtype.kind != "i":
        raise refuse(operator, "a number that is not a constant", "export the model again")
    count = int(data.reshape(-1)[0])
    shape = (*x.shape[:-1], count)
    fits = bool(x.shape) and 0 < count <= x.shape[-1] and values.shape == places.shape == shape
    if not fits or places.dtype != INT32 or values.dtype != x.dtype:
        raise refuse(operator, "its shapes or types do not fit together", "export it again")
    targets = Buffer.of(values), Buffer.of(places)
    rows = math.prod(x.shape[:-1])
    return TopK(name, note, (Buffer.of(x),), targets, rows, x.shape[-1], count)


def emit_top_k(step: TopK, prefix: str) -> Emitted:
    """The C code of a TOPK_V2: each value is moved up to its place."""
    kind, k = step.sources[0].ctype, step.count
    w = Writer()
    head = f"static inline void {prefix}(const {kind} *in, {kind} *out, int32_t *places)"
    with (
        w.block(head),
        w.loop("row", step.rows, f"in += {step.depth}, out += {k}, places += {k}"),
        w.block(f"for (int i = 0; i < {step.depth}; ++i)"),
    ):
        w(f"const {kind} x = in[i];")
        w(f"if (i >= {k} && !(x > out[{k - 1}])) continue;")
        w(f"int at = i < {k} ? i : {k - 1};")
        with w.block("for (; at > 0 && x > out[at - 1]; --at)"):
            w("out[at] = out[at - 1];")
            w("places[at] = places[at - 1];")
        w("out[at] = x;")
        w("places[at] = i;")
    return Emitted([], str(w))


@dataclass(frozen=True, slots=True, eq=False)
class OneHot:
    """``sizes``: outer, depth, inner values. ``values``: those off and on."""

    scratch_bytes: ClassVar[int] = 0
    leads: ClassVar[tuple[int | None, ...]] = (None,)

    name: str
    note: str
    sources: tuple[Buffer, ...]
    targets: tuple[Buffer, ...]
    sizes: tuple[int, int, int]
    values: npt.NDArray[np.generic]


def plan_one_hot(operator: Operator, graph: Graph, name: str, note: str) -> OneHot:
    """A ONE_HOT. Raises `ModelError` for values that are not constants, or do not fit."""
    numbers, *constants = (graph.tensors[i] for i in operator.inputs)
    y = graph.tensors[operator.outputs[0]]
    data = [t.data for t in constants if t.data is not None and t.data.size == 1]
    if len(data) < 3 or numbers.data is not None:
        raise refuse(operator, "values that are not constants", "export the model again")
    axis = int(operator.options["axis"])
    axis = len(numbers.shape) if axis == -1 else axis
    depth = int(data[0].reshape(-1)[0])
    shape = (*numbers.shape[:axis], depth, *numbers.shape[axis:])
    fits = 0 <= axis <= len(numbers.shape) and shape == y.shape
    if not fits or any(t.dtype != y.dtype for t in constants[1:]):
        raise refuse(operator, "its shapes or types do not fit together", "export it again")
    values = np.array([data[2].reshape(-1)[0], data[1].reshape(-1)[0]], NUMPY_TYPES[y.dtype])
    sizes = math.prod(numbers.shape[:axis]), depth, math.prod(numbers.shape[axis:])
    return OneHot(name, note, (Buffer.of(numbers),), (Buffer.of(y),), sizes, values)


def emit_one_hot(step: OneHot, prefix: str) -> Emitted:
    """The C code of a ONE_HOT; numbers beyond the depth give no value that is on."""
    outer, depth, inner = step.sizes
    array = Array(f"{prefix}_v", step.values, "off and on")
    w = Writer()
    head = f"static inline void {prefix}(const {step.sources[0].ctype} *in, "
    with (
        w.block(f"{head}{step.targets[0].ctype} *out)"),
        w.loop("o", outer, f"in += {inner}"),
        w.block(f"for (int d = 0; d < {depth}; ++d)"),
        w.block(f"for (int i = 0; i < {inner}; ++i)"),
    ):
        w(f"*out++ = {read(array.ctype, array.name, '(in[i] == d)')};")
    return Emitted([array], str(w))
