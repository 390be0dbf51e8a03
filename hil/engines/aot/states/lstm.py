# SPDX-License-Identifier: Apache-2.0
"""UNIDIRECTIONAL_SEQUENCE_LSTM, as TFLM's lstm_eval.{h,cc} and lstm_eval_common.cc compute it.

The four gates of a cell are computed together, from two sums each, of the inputs and of the hidden
state. The state of the last inference is the first hidden state; after a row, that row's output is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hil.engines.aot.arithmetic import quantize_multiplier
from hil.engines.aot.steps import CTYPES, Buffer
from hil.engines.aot.weighted.fours import Scale, Sums
from hil.tflite import Graph, Operator, Tensor
from hil.tflite.graph import FLOAT32, INT8, INT16, INT32, INT64, refuse

GATES = ("forget", "input", "cell", "output")
_INPUT_WEIGHTS, _HIDDEN_WEIGHTS, _BIASES = (2, 1, 3, 4), (6, 5, 7, 8), (13, 12, 14, 15)
_HIDDEN, _CELL = 18, 19  # the states
_OMITTED = {
    "peephole weights": (9, 10, 11),
    "a projection": (16, 17),
    "layer normalisation": (20, 21, 22, 23),
}
# of input, hidden state, cell and output -> of weights and biases
_TYPES = {
    (FLOAT32, FLOAT32, FLOAT32, FLOAT32): (FLOAT32, FLOAT32),
    (INT8, INT8, INT16, INT8): (INT8, INT32),
    (INT16, INT16, INT16, INT16): (INT8, INT64),
}
_TANH = 4
_GATE_SCALE = 2.0**-12  # of the sums
_CURVE_SCALE = 2.0**-15  # of the results of logistic and tanh
_MOST = 14  # a cell's value is shifted by so many bits for its tanh, else TFLM's may overflow
_AGAIN = "export the model again"


@dataclass(frozen=True, slots=True, eq=False)
class Lstm:
    """``rows``: time steps of each of ``batch`` sequences; ``clip``: of the cell, None: none.

    A block of ``inputs`` and ``hidden`` is a cell's four gates, in the order of `GATES`.
    """

    name: str
    note: str
    ctype: str  # of inputs, outputs and hidden state: float, int8_t or int16_t
    batch: int
    rows: int
    time_major: bool
    inputs: Sums
    hidden: Sums
    clip: float | None
    # not of float32
    forget_scale: Scale = (0, 0)  # forget gate x cell
    input_scale: Scale = (0, 0)  # input gate x cell gate
    output_scale: Scale = (0, 0)  # tanh of the cell x output gate
    zero: int = 0  # of the hidden state
    cell_power: int = 0  # the cell's scale is about 2 to this

    @property
    def cells(self) -> int:
        return int(self.inputs.weights.shape[0])

    @property
    def real(self) -> bool:
        return self.ctype == "float"

    @property
    def widens(self) -> bool:
        """Whether rows are widened to 16 bits before their outputs are written."""
        return self.ctype == "int8_t"

    @property
    def item(self) -> int:
        """Bytes of an input or output."""
        return {"float": 4, "int16_t": 2, "int8_t": 1}[self.ctype]

    @property
    def cell_type(self) -> str:
        return "float" if self.real else "int16_t"

    @property
    def sources(self) -> tuple[Buffer, ...]:
        size = self.batch * self.cells
        taken = self.batch * self.rows * self.inputs.values
        hidden = Buffer(self.ctype, size * self.item, kept=True)
        cell = Buffer(self.cell_type, size * (4 if self.real else 2), kept=True)
        return (Buffer(self.ctype, taken * self.item), hidden, cell)

    @property
    def targets(self) -> tuple[Buffer, ...]:
        return (Buffer(self.ctype, self.batch * self.rows * self.cells * self.item),)

    @property
    def scratch_bytes(self) -> int:
        return 8 * (self.inputs.groups + self.hidden.groups) if self.widens else 0

    @property
    def leads(self) -> tuple[int | None, ...]:
        if self.batch > 1:
            return (None, None, None)
        # the outputs of a row may lie over the row only if that was widened
        rows, first = np.arange(self.rows), 1 if self.widens else 0
        ends = (rows + 1) * self.cells - (rows + first) * self.inputs.values
        if self.widens:
            ends = ends[:-1]
        return (int(self.item * ends.max(initial=0)), None, None)


def plan_lstm(operator: Operator, graph: Graph, name: str, note: str) -> Lstm:
    """Raises `ModelError` for variants that TFLM does not run, and for shapes that do not fit."""
    _check_variant(operator)
    tensors = [graph.tensors[i] if i >= 0 else None for i in operator.inputs]
    x, y = _some(operator, tensors[0]), graph.tensors[operator.outputs[0]]
    hidden, cell = _some(operator, tensors[_HIDDEN]), _some(operator, tensors[_CELL])
    types = (x.dtype, hidden.dtype, cell.dtype, y.dtype)
    if types not in _TYPES:
        raise refuse(operator, "other types than TFLM takes", "export in float32 or int8")
    weights, biased = _TYPES[types]
    if not hidden.variable or not cell.variable:
        raise refuse(operator, "its states are not variables", _AGAIN)
    if len(x.shape) != 3 or len(y.shape) != 3:
        raise refuse(operator, f"an input of shape {list(x.shape)}", "export with 3 dimensions")
    major = bool(operator.options["time_major"])
    rows, batch = x.shape[:2] if major else x.shape[1::-1]
    cells, values = hidden.shape[-1] if hidden.shape else 0, x.shape[2]
    fits = y.shape == (*x.shape[:2], cells)
    if not fits or hidden.elements != batch * cells or cell.elements != batch * cells:
        shapes = [list(t.shape) for t in (x, hidden, cell, y)]
        raise refuse(operator, f"input, states and output of shapes {shapes}", _AGAIN)
    sides = []
    for places, count in ((_INPUT_WEIGHTS, values), (_HIDDEN_WEIGHTS, cells)):
        gates = [_constant(operator, tensors[i], (cells, count), weights) for i in places]
        sides.append(gates)
    biases = [_constant(operator, tensors[i], (cells,), biased) for i in _BIASES]
    clip = float(operator.options["cell_clip"])
    if x.dtype == FLOAT32:
        first = Sums(_stacked(sides[0]), _stacked(biases))
        second = Sums(_stacked(sides[1]), np.zeros((cells, 4), np.float32))
        return Lstm(
            name, note, "float", batch, rows, major, first, second, clip if clip > 0 else None
        )
    first = _sums(operator, x, sides[0], biases)
    second = _sums(operator, hidden, sides[1], [])
    power = math.floor(math.log2(cell.scale) + 0.5)  # CheckedLog2()
    if not -_MOST <= 12 + power <= _MOST:
        raise refuse(operator, f"a cell state of scale {cell.scale:.3g}", _AGAIN)
    most = min(max(float(np.float32(clip)) / cell.scale, -32768.0), 32767.0)
    curves = _CURVE_SCALE * _CURVE_SCALE
    return Lstm(
        name,
        note,
        CTYPES[x.dtype],
        batch,
        rows,
        major,
        first,
        second,
        int(most) if clip > 0 else None,
        quantize_multiplier(_CURVE_SCALE * cell.scale / cell.scale),
        quantize_multiplier(curves / cell.scale),
        quantize_multiplier(curves / hidden.scale),
        hidden.zero_point,
        power,
    )


def _check_variant(operator: Operator) -> None:
    inputs = operator.inputs
    if len(inputs) != 24:
        raise refuse(operator, f"{len(inputs)} inputs", "TFLM takes an LSTM with 24 inputs")
    for what, places in _OMITTED.items():
        if any(inputs[i] >= 0 for i in places):
            raise refuse(operator, what, "TFLM takes the plain LSTM of Keras only")
    needed = (*_INPUT_WEIGHTS, *_HIDDEN_WEIGHTS, *_BIASES)
    if any(inputs[i] < 0 for i in needed):
        raise refuse(operator, "a gate without weights", "TFLM takes the plain LSTM of Keras only")
    activation = int(operator.options["activation"])
    if activation != _TANH:
        raise refuse(operator, f"activation {activation}", "TFLM takes tanh only")


def _some(operator: Operator, tensor: Tensor | None) -> Tensor:
    if tensor is None:
        raise refuse(operator, "an input or state is missing", _AGAIN)
    return tensor


def _constant(
    operator: Operator, tensor: Tensor | None, shape: tuple[int, ...], dtype: int
) -> Tensor:
    tensor = _some(operator, tensor)
    if tensor.data is None:
        raise refuse(operator, "weights that are not constant", _AGAIN)
    if tensor.shape != shape or tensor.dtype != dtype:
        raise refuse(operator, f"weights or biases of shape {list(tensor.shape)}", _AGAIN)
    return tensor


def _stacked(gates: list[Tensor]) -> npt.NDArray[np.generic]:
    """(cells, gates, ...)"""
    return np.stack([gate.data for gate in gates if gate.data is not None], axis=1)


def _sums(operator: Operator, x: Tensor, gates: list[Tensor], biases: list[Tensor]) -> Sums:
    """As CreateGateParams() scales them."""
    if any(len(g.scales) != 1 or g.zero_point for g in gates):
        raise refuse(operator, "weights without one scale and zero point 0", _AGAIN)
    weights = _stacked(gates)
    share = -x.zero_point * weights.astype(np.int64).sum(axis=2)
    bias = share + _stacked(biases).astype(np.int64) if biases else share
    scales = [quantize_multiplier(x.scale * g.scale / _GATE_SCALE) for g in gates]
    if x.dtype == INT8:
        if np.abs(bias).max(initial=0) >= 1 << 31:
            raise refuse(operator, "a bias beyond 32 bits", _AGAIN)
        return Sums(weights, bias.astype(np.int32), tuple(scales))
    # 64-bit sums are scaled by a multiplier of 15 bits
    if max(shift for _, shift in scales) >= 8 or np.abs(bias.astype(float)).max() >= 2.0**46:
        raise refuse(operator, "sums that TFLM cannot scale", _AGAIN)
    short = [(min((m + (1 << 15)) >> 16, 0x7FFF), 15 - shift) for m, shift in scales]
    return Sums(weights, bias, tuple(short))
