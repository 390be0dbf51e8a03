# SPDX-License-Identifier: Apache-2.0
"""What would make a network fit the boards that are too small for it. Every sentence states figures
that were computed, not a rule of thumb."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from hil.bench.cases import Network
from hil.bench.networks import read_network
from hil.bench.sizing import Need, Sizer, in_a_sketch
from hil.boards.config import Board, BoardMemory
from hil.core.errors import BuildFailed, ModelError, ToolMissing
from hil.core.records import Precision
from hil.engines import model_name
from hil.tflite import Graph
from hil.tflite.graph import NUMPY_TYPES

_FLOAT: Final = re.compile(r"float32|float|fp32|f32")
_INT8: Final = ("int8", "i8", "quant", "quantized", "q")
_MOST: Final = 0.5  # share of one tensor, or one layer, from which on it is named


@dataclass(frozen=True, slots=True)
class Sized:
    """A board, its memory, and what the network takes there."""

    board: Board
    room: BoardMemory
    need: Need

    @property
    def short_of(self) -> str:
        """The memory that is certainly too small, "flash" first; empty if none is."""
        left = self.need.spare(self.room)
        if left.flash + self.need.error < 0 or (left.constants is not None and left.constants < 0):
            return "flash"
        return "ram" if left.ram + self.need.ram_error < 0 else ""


def smaller(network: Network, engine: str, sized: Sequence[Sized], sizer: Sizer) -> tuple[str, ...]:
    """Sentences without their full stops; none if the network fits every board."""
    small = [one for one in sized if one.short_of]
    if not small:
        return ()
    return (
        *_in_int8(network, engine, small, sizer),
        *_own_sketch(network.graph, small),
        *_largest_constant(network.graph, small),
        *_largest_layer(network.graph, small),
    )


def _in_int8(network: Network, engine: str, small: Sequence[Sized], sizer: Sizer) -> Iterator[str]:
    """Whether the int8 version of a float32 network fits, if there is one beside it."""
    if network.graph.precision is not Precision.FLOAT32:
        return
    other = int8_beside(network)
    if other is None:
        if any(one.short_of == "flash" for one in small):
            count = network.graph.parameters
            saves = f"int8 weights take about {count:,} B instead of {4 * count:,} B"
        else:
            saves = "in int8, inputs and outputs of layers take a quarter of the RAM"
        yield f"{saves}: convert the model with `hil export --precision int8 --data DATA`"
        return
    held = []
    for one in small:
        try:
            need = sizer.need(one.board, engine, other)
        except (BuildFailed, ModelError, ToolMissing):
            continue
        if need.fits(one.room):
            held.append(one.board.name)
    does = f"fits {_listed(held)}" if held else "does not fit these boards either"
    yield f"its int8 version, {other.path.name}, {does}"


def int8_beside(network: Network) -> Network | None:
    """The int8 file beside a float32 one, by its name and its shapes; None if there is none."""
    path = network.path
    shapes = [tuple(one.shape) for one in (*network.graph.inputs, *network.graph.outputs)]
    for name in _names(path.stem):
        file = path.with_name(f"{name}{path.suffix}")
        if file == path or not file.is_file():
            continue
        try:
            found = read_network(model_name(file), file)
        except ModelError:
            continue
        graph = found.graph
        same = [tuple(one.shape) for one in (*graph.inputs, *graph.outputs)] == shapes
        if graph.precision is Precision.INT8 and same:
            return found
    return None


def _names(stem: str) -> Iterator[str]:
    for word in _INT8:
        if _FLOAT.search(stem):
            yield _FLOAT.sub(word, stem)
        yield f"{stem}_{word}"


def _own_sketch(graph: Graph, small: Sequence[Sized]) -> Iterator[str]:
    """The boards on which only the buffer of the bench's requests is too much."""
    held = [
        one.board.name
        for one in small
        if one.short_of == "ram" and in_a_sketch(graph, one.need).fits(one.room)
    ]
    if held:
        need = small[0].need
        saved = need.buffers - in_a_sketch(graph, need).buffers
        yield (
            f"{saved:,} B of the RAM hold the bench's requests: a sketch of your own that fills "
            f"the network's input itself fits {_listed(held)}"
        )


def _largest_constant(graph: Graph, small: Sequence[Sized]) -> Iterator[str]:
    if not any(one.short_of == "flash" for one in small):
        return
    sizes = _constants(graph)
    every = sum(sizes.values())
    if not sizes:
        return
    code, index = max(sizes, key=lambda key: sizes[key])
    size = sizes[code, index]
    if size >= _MOST * every:
        shape = "x".join(map(str, graph.tensors[index].shape))
        yield (
            f"{size / every:.0%} of its constants ({size:,} B) are the {shape} weights of one "
            f"{code}"
        )


def _largest_layer(graph: Graph, small: Sequence[Sized]) -> Iterator[str]:
    short = [one for one in small if one.short_of == "ram"]
    if not any(one.need.arena > one.need.buffers for one in short):
        return
    sizes = {
        i: (_bytes(graph, op.inputs[0]), _bytes(graph, op.outputs[0]))
        for i, op in enumerate(graph.operators)
        if op.inputs and op.inputs[0] >= 0 and op.outputs
    }
    if not sizes:
        return
    most = max(sizes, key=lambda i: sum(sizes[i]))
    op = graph.operators[most]
    before, after = (
        "x".join(map(str, graph.tensors[i].shape)) for i in (op.inputs[0], op.outputs[0])
    )
    taken, made = sizes[most]
    yield (
        f"the arena holds inputs and outputs of layers; the largest are those of a {op.code}, "
        f"{before} ({taken:,} B) to {after} ({made:,} B)"
    )


def _constants(graph: Graph) -> dict[tuple[str, int], int]:
    """Bytes of every constant, by an operator that reads it and its tensor."""
    found = {}
    seen: set[int] = set()
    for op in graph.operators:
        for i in op.inputs:
            if i >= 0 and i not in seen and graph.tensors[i].data is not None:
                seen.add(i)
                found[op.code, i] = _bytes(graph, i)
    return found


def _bytes(graph: Graph, index: int) -> int:
    tensor = graph.tensors[index]
    return tensor.elements * np.dtype(NUMPY_TYPES.get(tensor.dtype, "u1")).itemsize


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else "".join(names)
