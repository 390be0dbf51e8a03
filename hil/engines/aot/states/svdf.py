# SPDX-License-Identifier: Apache-2.0
"""SVDF: each filter keeps its last results, and a unit sums the weighted memories of its filters.

The arithmetic is that of TFLM's svdf_common.cc, with scales multiplied in double (older versions of
TFLM multiply them in float32). The state has the memory of each filter, the oldest
result first; it moves by one while it is summed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hil.engines.aot.arithmetic import (
    NOTHING,
    Activation,
    fused_activation,
    quantize_multiplier,
)
from hil.engines.aot.steps import CTYPES, Buffer
from hil.engines.aot.weighted.fours import FOUR, Scale, Sums
from hil.tflite import Graph, Operator, Tensor
from hil.tflite.graph import FLOAT32, INT8, INT16, INT32, refuse

_AGAIN = "export the model again"
_TOLERANCE = 1e-5  # of TFLM's check of the bias's scale
_WRAPS = 1 << 31


@dataclass(frozen=True, slots=True, eq=False)
class Svdf:
    """``features``: blocks of four filters, the last one filled; ``times`` (filters, memory).

    ``bias`` of each unit, with the state's zero point's share. float32 has no ``scale``.
    """

    name: str
    note: str
    batch: int
    rank: int
    state: str  # C type
    features: Sums
    times: npt.NDArray[np.generic]
    bias: npt.NDArray[np.generic]
    post: Activation = NOTHING
    scale: Scale = (0, 0)
    state_zero: int = 0
    zero: int = 0

    @property
    def real(self) -> bool:
        return self.state == "float"

    @property
    def ctype(self) -> str:
        """Of inputs and outputs."""
        return "float" if self.real else "int8_t"

    @property
    def memory(self) -> int:
        return int(self.times.shape[1])

    @property
    def filters(self) -> int:
        return int(self.times.shape[0])

    @property
    def sources(self) -> tuple[Buffer, ...]:
        size = 4 if self.real else 1
        state = self.batch * self.times.size * self.times.itemsize
        taken = self.batch * self.features.values * size
        return Buffer(self.ctype, taken), Buffer(self.state, state, kept=True)

    @property
    def targets(self) -> tuple[Buffer, ...]:
        count = self.batch * self.filters // self.rank
        return (Buffer(self.ctype, count * (4 if self.real else 1)),)

    @property
    def scratch_bytes(self) -> int:
        return 0 if self.real else 2 * FOUR * self.features.groups

    @property
    def leads(self) -> tuple[int | None, ...]:
        # int8: the input is widened before the first output is written
        return (None if self.real or self.batch > 1 else 0, None)


def plan_svdf(operator: Operator, graph: Graph, name: str, note: str) -> Svdf:
    """Raises `ModelError` for types and shapes that TFLM does not take."""
    if len(operator.inputs) != 5 or -1 in operator.inputs:
        raise refuse(operator, "an input is missing", "TFLM takes an SVDF with a bias and a state")
    x, features, times, bias, state = (graph.tensors[i] for i in operator.inputs)
    y = graph.tensors[operator.outputs[0]]
    _check(operator, (x, features, times, bias, state, y))
    rank, memory = int(operator.options["rank"]), times.shape[1]
    filters = features.shape[0]
    data = [t.data for t in (features, times, bias)]
    weights, by_time, biases = (d for d in data if d is not None)
    blocks = -(-filters // FOUR)
    filled = np.zeros((blocks * FOUR, x.shape[1]), weights.dtype)
    filled[:filters] = weights
    rows = filled.reshape(blocks, FOUR, -1)
    batch, ctype = x.shape[0], CTYPES[state.dtype]
    if x.dtype == FLOAT32:
        sums = Sums(rows, np.zeros((blocks, FOUR), np.float32))
        post = fused_activation(operator, y, True)
        return Svdf(name, note, batch, rank, ctype, sums, by_time, biases, post)
    share = -x.zero_point * rows.astype(np.int64).sum(axis=2)
    first = quantize_multiplier(x.scale * features.scale / state.scale)
    sums = Sums(rows, share.astype(np.int32), (first,) * FOUR)
    second = quantize_multiplier(state.scale * times.scale / y.scale)
    shares = by_time.astype(np.int64).reshape(-1, rank * memory).sum(axis=1)
    whole = biases.astype(np.int64).reshape(-1) - state.zero_point * shares
    return Svdf(
        name,
        note,
        batch,
        rank,
        ctype,
        sums,
        by_time,
        ((whole + _WRAPS) % (2 * _WRAPS) - _WRAPS).astype(np.int32),
        scale=second,
        state_zero=state.zero_point,
        zero=y.zero_point,
    )


def _check(operator: Operator, tensors: tuple[Tensor, ...]) -> None:
    x, features, times, bias, state, y = tensors
    if not state.variable:
        raise refuse(operator, "its state is not a variable", _AGAIN)
    if any(t.data is None for t in (features, times, bias)):
        raise refuse(operator, "weights that are not constant", _AGAIN)
    real = x.dtype == FLOAT32
    met = tuple(t.dtype for t in tensors)
    taken = [(INT8, INT8, t, INT32, t, INT8) for t in (INT8, INT16)]
    if met not in ([(FLOAT32,) * 6] if real else taken):
        raise refuse(
            operator,
            "other types than TFLM takes",
            "float32, or int8 with a state of int8 or int16",
        )
    rank = int(operator.options["rank"])
    fits = all(len(t.shape) == 2 for t in (x, features, times, state, y)) and rank > 0
    if fits:
        filters, memory = features.shape[0], times.shape[1]
        units = filters // rank
        fits = (
            filters % rank == 0
            and features.shape[1] == x.shape[1]
            and times.shape[0] == filters
            and bias.elements == units
            and state.shape == (x.shape[0], memory * filters)
            and y.shape == (x.shape[0], units)
        )
    if not fits:
        shapes = [list(t.shape) for t in tensors]
        raise refuse(operator, f"rank {rank} and tensors of shapes {shapes}", _AGAIN)
    if real:
        return
    if any(len(t.scales) != 1 for t in (features, times, bias)):
        raise refuse(operator, "weights or biases without one scale", _AGAIN)
    if features.zero_point or times.zero_point:
        raise refuse(operator, "weights with a zero point", _AGAIN)
    if abs(bias.scale - state.scale * times.scale) >= _TOLERANCE:
        raise refuse(operator, "a bias of another scale than its sums", "TFLM refuses it")
