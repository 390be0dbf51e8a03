# SPDX-License-Identifier: Apache-2.0
"""The same values at other places: pictures turned, axes exchanged, channels in another order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import permutations
from typing import Final, TypeAlias

import numpy as np

from hil.checks.inputs import Array, Change
from hil.tflite import Graph

Move: TypeAlias = Callable[[Array], Array]  # (n, ...) in the shape of the samples' view

_CHANNELS: Final = (1, 3, 4)
_SIDE: Final = 4  # values, at least, along each side of a picture
_SERIES: Final = 3  # channels of a series whose order is tried: the axes of one sensor
_AXES: Final = 6  # of two sensors
_HEADER: Final = 16  # bytes of an IDX file before its first pixel
_LONG: Final = 64  # values of a sample in which a header can be missed


def view_of(graph: Graph, shape: Sequence[int]) -> tuple[int, ...]:
    """The shape in which the values of a sample have a meaning: that of the input, of the samples
    where the input is flat, or of the first RESHAPE where both are."""
    spec = graph.input
    wanted = spec.shape[1:] if spec.shape[:1] == (1,) else spec.shape
    for sides in (wanted, tuple(shape), _reshaped(graph)):
        if sum(side > 1 for side in sides) > 1:
            return sides
    return wanted


def _reshaped(graph: Graph) -> tuple[int, ...]:
    """The output of a RESHAPE that the input of ``graph`` goes through; empty if there is none."""
    for operator in graph.operators:
        if operator.code == "RESHAPE" and graph.input_index in operator.inputs:
            return graph.tensors[operator.outputs[0]].shape[1:]
    return ()


def layout_changes(graph: Graph, x: Array) -> list[Change]:
    """Every change of places to try for samples ``x``."""
    view = view_of(graph, x.shape[1:])
    sides = [side for side in view if side > 1]
    found: list[Change] = []

    def made(code: str, how: str, move: Move, advice: str = "", *, rare: bool = False) -> None:
        def apply(some: Array) -> Array:
            return np.ascontiguousarray(move(some.reshape(len(some), *view))).reshape(some.shape)

        found.append(Change(code, how, apply, advice, rare))

    flat = sum(side > 1 for side in graph.input.shape) < 2
    if len(view) == 3 and view[2] in _CHANNELS and min(view[:2]) >= _SIDE:
        _of_pictures(made, view)
        if flat and view[0] != view[1]:
            made("input-layout", "with rows and columns exchanged", lambda v: v.swapaxes(1, 2))
    elif len(view) == 3 and view[0] in _CHANNELS and min(view[1:]) >= _SIDE:
        _of_planes(made)
    elif len(sides) == 2:
        _of_series(made, sides)
        if flat and sides[0] != sides[1]:
            made("input-layout", "with their axes exchanged", _swapped(sides))
    elif len(sides) == 1 and sides[0] > 2:
        made("input-layout", "with their values in reverse order", lambda v: v[:, ::-1])
    if x.dtype == np.uint8 and x[0].size >= _LONG:
        made(
            "input-layout",
            f"moved by {_HEADER} values (an IDX file's header read as pixels)",
            lambda v: np.roll(v.reshape(len(v), -1), -_HEADER, axis=1),
            f"skip the first {_HEADER} bytes of the file",
            rare=True,
        )
    return found


def _of_pictures(made: Callable[..., None], view: Sequence[int]) -> None:
    height, width, channels = view
    for how, move in _turned(square=height == width):
        made("orientation", how, move)
    if height != width:
        words = _exchanged(height, width)
        made("input-layout", words, _read_as((width, height, channels), (0, 2, 1, 3)))
    if channels > 1:
        first = (channels, height, width)
        made(
            "input-layout",
            f"read as channels first ({_words(first)}, as PyTorch and planar cameras store them)",
            _read_as(first, (0, 2, 3, 1)),
            "save x.transpose(0, 2, 3, 1) of the array with channels first",
        )
        made(
            "input-layout",
            "with their channels moved to the front in memory",
            lambda v: v.transpose(0, 3, 1, 2),
            "save x.transpose(0, 3, 1, 2)",
        )
        made(
            "input-layout",
            "read column by column, as MATLAB and Fortran store them",
            _read_as((channels, width, height), (0, 3, 2, 1)),
            rare=True,
        )
    if channels == _SERIES:
        made("channels", "the channels in reverse order (RGB and BGR)", lambda v: v[..., ::-1])


def _of_planes(made: Callable[..., None]) -> None:
    """Pictures with channels first, for a network that takes a row."""
    made(
        "input-layout",
        "with their channels moved to the end",
        lambda v: v.transpose(0, 2, 3, 1),
        "save x.transpose(0, 2, 3, 1)",
    )
    made("orientation", "mirrored", lambda v: v[..., ::-1])
    made("orientation", "upside down", lambda v: v[:, :, ::-1])


def _swapped(sides: Sequence[int]) -> Move:
    return lambda v: v.reshape(len(v), *sides).swapaxes(1, 2)


def _turned(*, square: bool) -> Iterator[tuple[str, Move]]:
    yield "mirrored", lambda v: v[:, :, ::-1]
    yield "upside down", lambda v: v[:, ::-1]
    yield "turned by 180 degrees", lambda v: v[:, ::-1, ::-1]
    if square:
        yield "transposed", lambda v: v.swapaxes(1, 2)
        yield "turned by 90 degrees", lambda v: v.swapaxes(1, 2)[:, :, ::-1]
        yield "turned by 270 degrees", lambda v: v.swapaxes(1, 2)[:, ::-1]
        yield "transposed along the other diagonal", lambda v: v.swapaxes(1, 2)[:, ::-1, ::-1]


def _of_series(made: Callable[..., None], sides: Sequence[int]) -> None:
    """Two axes: a spectrogram, a series of sensor readings, or a picture without channels."""
    first, second = sides

    def flat(move: Move) -> Move:
        return lambda v: move(v.reshape(len(v), first, second))

    if first != second:
        back = _read_as((second, first), (0, 2, 1))
        made("input-layout", _exchanged(first, second), back, _advice(first, second))
    if min(sides) >= _SIDE:
        for how, move in _turned(square=first == second):
            made("orientation", how, flat(move))
    else:
        made("input-layout", "in reverse order in time", flat(lambda v: v[:, ::-1]))
    if second == _SERIES:
        for order in list(permutations(range(_SERIES)))[1:]:
            how = f"the channels in the order {', '.join(map(str, order))}"
            made("channels", how, flat(_taking(order)), f"save x[..., {list(order)}]")
    if second == _AXES:
        order = (3, 4, 5, 0, 1, 2)
        how = "the two halves of the channels exchanged (accelerometer and gyroscope)"
        made("channels", how, flat(_taking(order)), f"save x[..., {list(order)}]")


def _taking(order: Sequence[int]) -> Move:
    return lambda v: v[..., list(order)]


def _read_as(shape: Sequence[int], axes: Sequence[int]) -> Move:
    """The values in the order of memory, read as ``shape``, with its axes moved."""
    return lambda v: v.reshape(len(v), *shape).transpose(axes)


def _exchanged(first: int, second: int) -> str:
    return (
        f"with their axes exchanged (stored as {_words((second, first))}, the network takes "
        f"{_words((first, second))}: time and frequency, or rows and columns)"
    )


def _advice(first: int, second: int) -> str:
    return f"save x.reshape(-1, {second}, {first}).transpose(0, 2, 1)"


def _words(sides: Sequence[int]) -> str:
    return " x ".join(map(str, sides))
