# SPDX-License-Identifier: Apache-2.0
"""What operators do that only move values, as NumPy functions.

They work on any array: on constants, which gives an operator's result (`hil.tflite.fold`), or on
the numbers of the values, which tells where each value comes from (`hil.engines.aot.moves.moving`).
Sources: tensorflow/lite/kernels/internal/reference and tensorflow/lite/micro/kernels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hil.tflite.graph import FLOAT32, INT8, RESHAPES, UINT8, Operator, Tensor, refuse

Values = npt.NDArray[Any]
_REFLECT = 0


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """An operator applied to the values of its `Move.data`; ``fill`` stands for padding."""

    operator: Operator
    tensors: Sequence[Tensor]
    data: Sequence[Values]
    fill: Any

    @property
    def x(self) -> Values:
        return self.data[0]

    def target(self, number: int = 0) -> tuple[int, ...]:
        """The shape of an output."""
        return self.tensors[self.operator.outputs[number]].shape

    def option(self, name: str) -> int:
        return int(self.operator.options[name])

    def constant(self, position: int) -> Values:
        """The values of an input that has to be a constant."""
        inputs = self.operator.inputs
        index = inputs[position] if position < len(inputs) else -1
        data = self.tensors[index].data if index >= 0 else None
        if data is None:
            raise self.wrong(f"its input {position} is not a constant")
        return data

    def whole(self, position: int) -> Values:
        """The same of an input that has to be integers."""
        values = self.constant(position)
        if values.dtype.kind not in "iu":
            raise self.wrong(f"its input {position} is not of an integer type")
        return values

    def numbers(self, position: int) -> list[int]:
        """The same as plain numbers."""
        return [int(v) for v in self.whole(position).reshape(-1)]

    def number(self, position: int) -> int:
        """The same of an input with one value."""
        values = self.numbers(position)
        self.expect(len(values) == 1)
        return values[0]

    def axis(self, axis: int, rank: int) -> int:
        """``axis`` counted from the first one."""
        if not -rank <= axis < rank:
            raise self.wrong(f"axis {axis} of {rank} dimensions")
        return axis % rank

    def expect(self, holds: bool) -> None:
        if not holds:
            raise self.wrong("its shapes or options do not fit together")

    def wrong(self, why: str) -> Exception:
        return refuse(self.operator, why, "export the model again")


def _pad(call: Call) -> list[Values]:
    x, pads = call.x, call.numbers(1)
    call.expect(len(pads) == 2 * x.ndim and all(0 <= p < 1 << 24 for p in pads))
    pairs = list(zip(pads[::2], pads[1::2], strict=True))
    call.expect(tuple(n + sum(p) for n, p in zip(x.shape, pairs, strict=True)) == call.target())
    return [np.pad(x, pairs, constant_values=call.fill)]


def _mirror_pad(call: Call) -> list[Values]:
    x, pads = call.x, call.numbers(1)
    call.expect(len(pads) == 2 * x.ndim and all(0 <= p < 1 << 24 for p in pads))
    pairs = zip(pads[::2], pads[1::2], strict=True)
    call.expect(tuple(n + sum(p) for n, p in zip(x.shape, pairs, strict=True)) == call.target())
    offset = 1 if call.option("mode") == _REFLECT else 0
    for axis, (before, after) in enumerate(zip(pads[::2], pads[1::2], strict=True)):
        size = x.shape[axis]
        call.expect(max(before, after) <= size - offset)
        first = np.arange(before - 1, -1, -1) + offset
        last = size - 1 - offset - np.arange(after)
        x = x.take(np.concatenate([first, np.arange(size), last]), axis)
    return [x]


def _concatenation(call: Call) -> list[Values]:
    if call.option("activation"):
        raise call.wrong(f"fused activation {call.option('activation')}")
    rank = len(call.target())
    axis = call.axis(call.option("axis"), rank)
    others = {v.shape[:axis] + v.shape[axis + 1 :] for v in call.data if v.ndim == rank}
    call.expect(len(others) == 1 and all(v.ndim == rank for v in call.data))
    call.expect(sum(v.size for v in call.data) == math.prod(call.target()))
    return [np.concatenate(call.data, axis)]


def _split(call: Call) -> list[Values]:
    x, count = call.x, len(call.operator.outputs)
    axis = call.axis(call.number(0), x.ndim)
    call.expect(x.shape[axis] % count == 0)
    return np.split(x, count, axis)


def _split_v(call: Call) -> list[Values]:
    x, count = call.x, len(call.operator.outputs)
    axis = call.axis(call.number(2), x.ndim)
    call.expect(all(len(call.target(i)) == x.ndim for i in range(count)))
    sizes = [call.target(i)[axis] for i in range(count)]
    call.expect(sum(sizes) == x.shape[axis])
    return np.split(x, np.cumsum(sizes)[:-1], axis)


def _strided_slice(call: Call) -> list[Values]:
    x = call.x
    if call.option("ellipsis") or call.option("new_axis"):
        raise call.wrong("a mask of an ellipsis or a new axis")
    begins, ends, strides = (call.numbers(i) for i in (1, 2, 3))
    call.expect(len(begins) == len(ends) == len(strides) == x.ndim and 0 not in strides)
    shrunk = []
    for axis, (begin, end, stride) in enumerate(zip(begins, ends, strides, strict=True)):
        size = x.shape[axis]
        low, high = (0, size) if stride > 0 else (-1, size - 1)
        first, last = (0, size) if stride > 0 else (size - 1, -1)
        start = min(max(begin + size if begin < 0 else begin, low), high)
        if call.option("begin") >> axis & 1:
            start = first
        if call.option("shrink") >> axis & 1:
            call.expect(0 <= start < size and stride > 0)
            numbers = np.array([start])
            shrunk.append(axis)
        else:
            end += start if call.option("offset") else 0
            stop = min(max(end + size if end < 0 else end, low), high)
            if call.option("end") >> axis & 1:
                stop = last
            numbers = np.arange(start, stop, stride)
        x = x.take(numbers, axis)
    return [x.reshape([n for axis, n in enumerate(x.shape) if axis not in shrunk])]


def _slice(call: Call) -> list[Values]:
    x, begins, sizes = call.x, call.numbers(1), call.numbers(2)
    call.expect(len(begins) == len(sizes) == x.ndim)
    for axis, (begin, size) in enumerate(zip(begins, sizes, strict=True)):
        size = x.shape[axis] - begin if size == -1 else size
        call.expect(min(begin, size) >= 0 and begin + size <= x.shape[axis])
        x = x.take(np.arange(begin, begin + size), axis)
    return [x]


def _transpose(call: Call) -> list[Values]:
    axes = call.numbers(1)
    call.expect(sorted(axes) == list(range(call.x.ndim)))
    return [call.x.transpose(axes)]


def _pack(call: Call) -> list[Values]:
    call.expect(len({v.shape for v in call.data}) == 1 and len(call.data) == call.option("count"))
    call.expect(call.x.size * len(call.data) == math.prod(call.target()))
    return [np.stack(call.data, call.axis(call.option("axis"), call.x.ndim + 1))]


def _unpack(call: Call) -> list[Values]:
    axis = call.axis(call.option("axis"), call.x.ndim)
    call.expect(call.x.shape[axis] == len(call.operator.outputs) == call.option("count"))
    return list(np.moveaxis(call.x, axis, 0))


def _gather(call: Call) -> list[Values]:
    x, numbers = call.x, call.whole(1)
    axis = call.axis(call.option("axis"), x.ndim)
    shared = call.option("batch_dims")
    shared += numbers.ndim if shared < 0 else 0
    call.expect(0 <= shared <= min(axis, numbers.ndim))
    call.expect(x.shape[:shared] == numbers.shape[:shared])
    call.expect(int(numbers.min()) >= 0 and int(numbers.max()) < x.shape[axis])
    shape = x.shape[:axis] + numbers.shape[shared:] + x.shape[axis + 1 :]
    call.expect(shape == call.target())
    if not shared:
        return [x.take(numbers, axis)]
    rows = x.reshape(-1, *x.shape[shared:])
    each = numbers.reshape(len(rows), *numbers.shape[shared:])
    taken = [row.take(n, axis - shared) for row, n in zip(rows, each, strict=True)]
    return [np.stack(taken).reshape(shape)]


def _gather_nd(call: Call) -> list[Values]:
    x, numbers = call.x, call.whole(1)
    call.expect(numbers.ndim >= 1 and 1 <= numbers.shape[-1] <= x.ndim)
    call.expect(numbers.shape[:-1] + x.shape[numbers.shape[-1] :] == call.target())
    columns = tuple(np.moveaxis(numbers, -1, 0))
    for size, column in zip(x.shape, columns, strict=False):
        call.expect(int(column.min()) >= 0 and int(column.max()) < size)
    return [x[columns]]


def _tile(call: Call) -> list[Values]:
    x, times = call.x, call.numbers(1)
    call.expect(tuple(n * t for n, t in zip(x.shape, times, strict=False)) == call.target())
    call.expect(len(times) == x.ndim)
    pairs = [n for pair in zip(times, x.shape, strict=True) for n in pair]
    ones = [n for size in x.shape for n in (1, size)]
    return [np.broadcast_to(x.reshape(ones), pairs)]


def _broadcast_to(call: Call) -> list[Values]:
    shape = call.target()
    own = (1,) * (len(shape) - call.x.ndim) + call.x.shape
    fits = len(own) == len(shape)
    call.expect(fits and all(n in (1, m) for n, m in zip(own, shape, strict=True)))
    return [np.broadcast_to(call.x.reshape(own), shape)]


def _resize_nearest(call: Call) -> list[Values]:
    x = call.x
    call.expect(x.ndim == 4 and len(call.target()) == 4)
    call.expect(call.numbers(1) == list(call.target()[1:3]))
    for axis in (1, 2):
        x = x.take(_nearest(call, x.shape[axis], call.target()[axis]), axis)
    return [x]


def _nearest(call: Call, size: int, made: int) -> npt.NDArray[np.int64]:
    """GetNearestNeighbor of resize_nearest_neighbor.h for every output position."""
    corners = bool(call.option("align_corners"))
    one = np.float32(1)
    scale = np.float32(size) / np.float32(made)
    if corners and made > 1:
        scale = np.float32(size - 1) / np.float32(made - 1)
    centre = np.float32(0.5 if call.option("half_pixel_centers") else 0)
    at = (np.arange(made, dtype=np.float32) * one + centre) * scale
    whole = np.floor(at)
    if corners:  # halves away from zero; `at` is not negative
        whole += (at - whole) >= np.float32(0.5)
    found: npt.NDArray[np.int64] = np.minimum(whole.astype(np.int64), size - 1)
    return found


def _space_to_depth(call: Call) -> list[Values]:
    x, block = call.x, call.option("block")
    call.expect(x.ndim == 4 and block >= 1 and not x.shape[1] % block and not x.shape[2] % block)
    n, height, width, depth = x.shape
    call.expect(call.target() == (n, height // block, width // block, depth * block * block))
    cut = x.reshape(n, height // block, block, width // block, block, depth)
    return [cut.transpose(0, 1, 3, 2, 4, 5)]


def _depth_to_space(call: Call) -> list[Values]:
    x, block = call.x, call.option("block")
    call.expect(x.ndim == 4 and block >= 1 and not x.shape[3] % (block * block))
    n, height, width, depth = x.shape
    depth //= block * block
    call.expect(call.target() == (n, height * block, width * block, depth))
    return [x.reshape(n, height, width, block, block, depth).transpose(0, 1, 3, 2, 4, 5)]


def _blocks(call: Call) -> tuple[Values, tuple[int, int], list[int]]:
    """The input with two spatial axes, its block's size, and the paddings or crops."""
    x, block, edges = call.x, call.numbers(1), call.numbers(2)
    call.expect(x.ndim in (3, 4) and len(block) == x.ndim - 2 and len(edges) == 2 * len(block))
    call.expect(all(b >= 1 for b in block) and all(0 <= e < 1 << 24 for e in edges))
    if x.ndim == 3:  # as in the references: the width is 1
        x, block, edges = x[:, :, None, :], [*block, 1], [*edges, 0, 0]
    return x, (block[0], block[1]), edges


def _space_to_batch(call: Call) -> list[Values]:
    x, (high, wide), (top, bottom, left, right) = _blocks(call)
    n, height, width, depth = x.shape
    height, width = height + top + bottom, width + left + right
    call.expect(not height % high and not width % wide)
    shape = [n * high * wide, height // high, width // wide, depth]
    call.expect(list(call.target()) == (shape if call.x.ndim == 4 else [*shape[:2], depth]))
    x = np.pad(x, [(0, 0), (top, bottom), (left, right), (0, 0)], constant_values=call.fill)
    x = x.reshape(n, height // high, high, width // wide, wide, depth)
    return [x.transpose(2, 4, 0, 1, 3, 5)]


def _batch_to_space(call: Call) -> list[Values]:
    x, (high, wide), (top, bottom, left, right) = _blocks(call)
    n, height, width, depth = x.shape
    call.expect(not n % (high * wide))
    n, rows, columns = n // (high * wide), height * high, width * wide
    call.expect(top + bottom < rows and left + right < columns)
    x = x.reshape(high, wide, n, height, width, depth).transpose(2, 3, 0, 4, 1, 5)
    if top or bottom or left or right:
        x = x.reshape(n, rows, columns, depth)[:, top : rows - bottom, left : columns - right]
    shape = [n, rows - top - bottom, columns - left - right, depth]
    call.expect(list(call.target()) == (shape if call.x.ndim == 4 else [*shape[:2], depth]))
    return [x]


def _reverse(call: Call) -> list[Values]:
    axes = [call.axis(axis, call.x.ndim) for axis in call.numbers(1)]
    call.expect(len(set(axes)) == len(axes))
    return [np.flip(call.x, tuple(axes))]


def _reshape(call: Call) -> list[Values]:
    call.expect(call.x.size == math.prod(call.target()))
    return [call.x.reshape(call.target())]


@dataclass(frozen=True, slots=True)
class Move:
    """An operator that moves values. ``data``: the positions of the inputs that it moves; None:
    all of them. The others have to be constants.
    """

    apply: Callable[[Call], list[Values]]
    data: tuple[int, ...] | None = (0,)
    fills: bool = False  # with what `padding_value` gives

    def positions(self, operator: Operator) -> tuple[int, ...]:
        return tuple(range(len(operator.inputs))) if self.data is None else self.data


# one line per operator
MOVES: Mapping[str, Move] = {
    "BATCH_TO_SPACE_ND": Move(_batch_to_space),
    "BROADCAST_TO": Move(_broadcast_to),
    "CONCATENATION": Move(_concatenation, None),
    "DEPTH_TO_SPACE": Move(_depth_to_space),
    "GATHER": Move(_gather),
    "GATHER_ND": Move(_gather_nd),
    "MIRROR_PAD": Move(_mirror_pad),
    "PACK": Move(_pack, None),
    "PAD": Move(_pad, fills=True),
    "PADV2": Move(_pad, fills=True),
    "RESIZE_NEAREST_NEIGHBOR": Move(_resize_nearest),
    "REVERSE_V2": Move(_reverse),
    "SLICE": Move(_slice),
    "SPACE_TO_BATCH_ND": Move(_space_to_batch, fills=True),
    "SPACE_TO_DEPTH": Move(_space_to_depth),
    "SPLIT": Move(_split, (1,)),
    "SPLIT_V": Move(_split_v),
    "STRIDED_SLICE": Move(_strided_slice),
    "TILE": Move(_tile),
    "TRANSPOSE": Move(_transpose),
    "UNPACK": Move(_unpack),
}
_RESHAPES = dict.fromkeys(RESHAPES, Move(_reshape))
_ALL: Mapping[str, Move] = {**MOVES, **_RESHAPES}


def moved(
    operator: Operator, tensors: Sequence[Tensor], data: Sequence[Values], fill: Any
) -> list[Values]:
    """The outputs of an operator of `MOVES`, or of one that reshapes, in order.

    An array may have more dimensions than its output: then those of the loops that copy it; its
    values are in the same order. Raises `ModelError` for shapes and options that do not fit.
    """
    call = Call(operator, tensors, data, fill)
    call.expect(bool(operator.outputs))
    _check_scales(call)
    found = _ALL[operator.code].apply(call)
    call.expect(len(found) == len(operator.outputs))
    for number, values in enumerate(found):
        shape = call.target(number)
        same = values.shape == shape if values.ndim == len(shape) else True
        call.expect(same and values.size == math.prod(shape))
    return found


def moves(code: str) -> bool:
    """Whether an operator is one of those that `moved` takes."""
    return code in _ALL


def positions(operator: Operator) -> tuple[int, ...]:
    """The positions of the inputs that an operator moves. Raises `ModelError` if one is missing."""
    found = _ALL[operator.code].positions(operator)
    if not found or any(i >= len(operator.inputs) or operator.inputs[i] < 0 for i in found):
        raise refuse(operator, f"{len(operator.inputs)} inputs", "export the model again")
    return found


def padding_value(operator: Operator, tensors: Sequence[Tensor]) -> int | float:
    """What an operator of `MOVES` pads with: the real 0, or PADV2's constant."""
    y = tensors[operator.outputs[0]]
    if operator.code == "PADV2":
        (value,) = Call(operator, tensors, (), 0).constant(2).reshape(-1)[:1]
        return float(value) if y.dtype == FLOAT32 else int(value)
    return y.zero_point if y.dtype in (INT8, UINT8) else 0


def _check_scales(call: Call) -> None:
    """int8 and uint8 values must mean the same before and after: the references rescale none."""
    operator, tensors = call.operator, call.tensors
    if not any(tensors[i].dtype in (INT8, UINT8) for i in operator.outputs):
        return
    if operator.code not in ("CONCATENATION", "PADV2"):
        return
    y = tensors[operator.outputs[0]]
    for i in operator.inputs if operator.code == "CONCATENATION" else operator.inputs[2:3]:
        if i >= 0 and (tensors[i].scale, tensors[i].zero_point) != (y.scale, y.zero_point):
            raise call.wrong("an input whose scale or zero point is not the output's")
