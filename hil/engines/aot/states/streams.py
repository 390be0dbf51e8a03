# SPDX-License-Identifier: Apache-2.0
"""States of streaming networks: the last frames, to which each inference appends new ones.

Two forms occur, with f the length of the new frames:

- ``joined = CONCATENATION(state, frames)``, then the state becomes ``joined[f:]``
- ``joined = CONCATENATION(state[f:], frames)``, then the state becomes ``joined``

In both, ``joined`` of an inference is ``joined`` of the one before without its first frames,
followed by the new ones. So ``joined`` is kept as the state, and shifted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hil.core.errors import ModelError
from hil.tflite import Graph, Operator, Tensor
from hil.tflite.moves import moved

_LARGEST = 1 << 18  # values of a state; more do not fit a microcontroller
_SLICES = ("STRIDED_SLICE", "SLICE")


@dataclass(frozen=True, slots=True)
class Shifted:
    """Positions of two operators, and the tensor of the new frames."""

    concatenation: int
    slice: int
    frame: int


def find_shift(
    graph: Graph, reads: Sequence[int], writes: Sequence[int], last: Mapping[int, int]
) -> Shifted | None:
    """The shift of a variable that is read and assigned at these positions; None: another use.

    ``last``: tensor -> position of its last use.
    """
    if len(reads) != 1 or len(writes) != 1:
        return None
    uses = Counter(i for operator in graph.operators for i in operator.inputs)
    uses.update(graph.output_indices)
    maker = {i: at for at, op in enumerate(graph.operators) for i in op.outputs}
    old, new = graph.operators[reads[0]].outputs[0], graph.operators[writes[0]].inputs[1]
    at = maker.get(new, -1)
    user = last[old]
    if at < 0 or uses[old] != 1 or not 0 <= user < len(graph.operators):
        return None
    if graph.operators[at].code in _SLICES:  # the first form
        joined, cut = user, at
        kept, source, users = old, new, uses[new]
        if graph.operators[cut].inputs[0] not in graph.operators[joined].outputs:
            return None
    else:
        joined, cut = at, user
        if graph.operators[cut].code not in _SLICES:
            return None
        kept = source = graph.operators[cut].outputs[0]
        users = uses[kept]
    if users != 1 or not _joins(graph, graph.operators[joined], kept):
        return None
    return _shift(graph, joined, cut, source)


def _shift(graph: Graph, joined: int, cut: int, source: int) -> Shifted | None:
    """If the slice leaves out as much at the front as is appended."""
    operator = graph.operators[joined]
    frame, whole = graph.tensors[operator.inputs[1]], graph.tensors[operator.outputs[0]]
    taken = _moved(graph.operators[cut], graph.tensors, 1)
    total = graph.tensors[graph.operators[cut].inputs[0]].elements
    size = graph.tensors[source].elements
    if taken is None or size != whole.elements - frame.elements:
        return None
    if not np.array_equal(taken, np.arange(total - size, total)):
        return None
    return Shifted(joined, cut, operator.inputs[1])


def _joins(graph: Graph, operator: Operator, kept: int) -> bool:
    """Whether it appends a tensor to ``kept`` byte for byte."""
    if operator.code != "CONCATENATION" or len(operator.inputs) != 2 or operator.inputs[0] != kept:
        return False
    x, frame, y = (graph.tensors[i] for i in (*operator.inputs, *operator.outputs))
    same = {(t.dtype, t.scale, t.zero_point) for t in (x, frame, y)}
    if frame.data is not None or len(same) > 1:
        return False
    joined = _moved(operator, graph.tensors, 2)
    return joined is not None and np.array_equal(joined, np.arange(y.elements))


def _moved(
    operator: Operator, tensors: Sequence[Tensor], count: int
) -> npt.NDArray[np.int64] | None:
    """The numbers of the values of its first inputs that its result has; None: unknown."""
    first, values = 0, []
    for x in (tensors[i] for i in operator.inputs[:count]):
        values.append(np.arange(first, first + x.elements).reshape(x.shape))
        first += x.elements
    if first > _LARGEST:
        return None
    try:
        return moved(operator, tensors, values, 0)[0].reshape(-1)
    except ModelError:
        return None
