# SPDX-License-Identifier: Apache-2.0
"""A few small networks for which engine aot writes, together, every kernel that it can write."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema

import hil.engines.aot
from hil.core.errors import ModelError
from hil.engines.aot import Header, generate
from hil.engines.aot.plan import plan
from hil.engines.aot.steps import Step
from hil.tflite import Graph, read_model
from tests.support import elementwise, products, recurrent
from tests.support.one_move import gathering, one_move
from tests.support.random_nets import make, make_long
from tests.support.tflite import RELU, SAME, Net
from tests.support.weighted_nets import LAYERS, make_weighted

FOLDER: Final = Path(str(hil.engines.aot.__file__)).parent
NAMES: Final = (
    *("accumulating", "around", "channelwise", "conv16", "finish", "fours", "gather_sums"),
    *("gathering", "grouped", "lstm_code", "matmul", "moving", "normalizing", "pool16"),
    *("ranking", "reductions", "resizing", "scaling", "softmax", "sums", "svdf_code"),
    *("transposed", "unweighted", "windows"),
)
# the modules that write C for a layer; a new conv_*.py belongs to them
WRITERS: Final = (
    *sorted(FOLDER.rglob("conv_*.py")),
    *(file for name in NAMES for file in FOLDER.rglob(f"{name}.py")),
)
KINDS: Final = ("int8", "float32", "mixed", "in fours", "apart")
SEEDS: Final = range(700, 800)
# moves that fill, take tables and constants, and copy few and many values
MOVES: Final = (
    (7, "PAD", "float32"),
    (6, "PAD", "int64"),
    (14, "GATHER", "int8"),
    (17, "CONCATENATION", "float32"),
    (17, "RESIZE_NEAREST_NEIGHBOR", "int8"),
    (7, "BROADCAST_TO", "int8"),
    (1, "RESIZE_BILINEAR", "int8"),
)
RAM: Final = 5_500  # bytes for input, output and arena: an ATmega2560 has 8 KB in total

Line = tuple[str, int]


@dataclass(frozen=True, eq=False)
class Network:
    """A network and its header by engine aot (``fused``: aot-fast)."""

    name: str
    data: bytes
    graph: Graph
    header: Header
    fused: bool


@lru_cache
def covering() -> tuple[tuple[Network, ...], frozenset[Line]]:
    """Networks that each reach new lines of `WRITERS`, and the lines that none of them reaches."""
    every = frozenset(_lines())
    left = set(every)
    found: list[tuple[Network, set[Line]]] = []
    for name, data in _candidates():
        graph = read_model(data)
        fused = name.startswith("float32") and name.endswith(("1", "3", "5", "7", "9"))
        header, reached = _traced(graph, name, fused)
        small = header.arena + graph.input.nbytes + graph.output.nbytes <= RAM
        if small:
            found.append((Network(name, data, graph, header, fused), reached & every))
            left -= reached
        if not left:
            break
    chosen = []
    missing = set(every) - left
    while missing:  # the one that adds most
        network, reached = max(found, key=lambda one: len(one[1] & missing))
        chosen.append(network)
        missing -= reached
    kept = dict.fromkeys(chosen)
    lines = {network: reached for network, reached in found if network in kept}
    for network in chosen:  # those that later ones made superfluous
        if lines[network] <= set().union(*(lines[one] for one in kept if one is not network)):
            del kept[network]
    return tuple(kept), frozenset(left)


def _candidates() -> Iterator[tuple[str, bytes]]:
    yield "heavy", _heavy()
    yield "wide", _wide()
    yield "elementwise", elementwise.several()
    for dtype in ("int8", "float32", "int16"):
        yield f"recurrent_{dtype}", recurrent.several(dtype)
    yield "narrow", _narrow()
    for table in (True, False):
        yield f"gather_by_numbers_{int(table)}", gathering(1, "int8", table=table)
    for seed, code, dtype in MOVES:
        data = one_move(seed, code, dtype)
        assert data is not None
        yield f"{code.lower()}_{dtype}", data
    yield "dilated", _dilated()
    yield "pooled", _pooled()
    yield "ranked", _ranked()
    yield "long_chain", _long()
    yield "squared_int8", products.squared("int8")
    yield "squared_float32", products.squared("float32")
    for kind, seed in product(("int8", "float32", "int16"), range(8)):
        data = products.product(seed, kind)
        if len(read_model(data).inputs) == 1:
            yield f"product_{kind}_{seed}", data
    for kind, seed in product(("in fours", "apart"), range(12)):
        yield f"many_{kind.replace(' ', '_')}_{seed}", make_long(seed, kind)
    yield from _plain(SEEDS[:8])
    for kind, layer, batch in product(("int8", "float32", "int16"), LAYERS, (1, 2)):
        for seed in range(3):
            data = make_weighted(seed, kind, layer, batch)
            with contextlib.suppress(ModelError):
                plan(read_model(data))
                yield f"{kind}_{layer}_{batch}_{seed}", data
    yield from _plain(SEEDS[8:])


def _plain(seeds: range) -> Iterator[tuple[str, bytes]]:
    for seed, kind in product(seeds, KINDS):
        yield f"{kind.replace(' ', '_')}_{seed}", make(seed, kind)


def _heavy() -> bytes:
    """Sums too large for one portion of a layer, after tensors that leave room to gather it."""
    net = Net().input((1, 28, 20, 4), "int8", 0.01, 3).simple("RELU", scale=0.02, zero=-5)
    net.pool((2, 2), (2, 2)).reshape((1, 560))
    weights = np.full((8, 560), 127, np.int8)
    weights[:, ::5] = -100
    return net.dense(weights, scales=[0.01] * 8, scale=10.0, zero=0).finish()


def _narrow() -> bytes:
    """Pointwise convolutions of an odd number of points, with room to gather pixels that are not
    whole groups of four; the second one computes four points at a time, the last one is averaged
    over all points."""
    random = np.random.default_rng(3)
    net = Net().input((1, 10, 6, 34), "int8", 0.01, 3).simple("RELU", scale=0.02, zero=-5)
    net.pool((2, 2), (2, 2))
    for cin, cout in ((34, 36), (36, 16), (16, 4)):
        weights = random.integers(-127, 128, (cout, 1, 1, cin)).astype(np.int8)
        net.conv(weights, scales=[0.01] * cout, scale=0.5, zero=-128)
    return net.pool((5, 3), (5, 3), average=True).finish()


def _dilated() -> bytes:
    """Seven pixels, computed four at a time."""
    random = np.random.default_rng(4)
    net = Net().input((1, 4, 7, 2), "int8", 0.01, 3)
    weights = random.integers(-127, 128, (3, 3, 3, 2)).astype(np.int8)
    net.conv(weights, padding=SAME, dilation=(2, 2), scales=[0.01] * 3, scale=0.1, zero=5)
    return net.finish()


def _pooled() -> bytes:
    """The largest sums of six channels, which are not whole groups of four."""
    random = np.random.default_rng(6)
    net = Net().input((1, 8, 8, 1), "int8", 0.01, 3)
    weights = random.integers(-127, 128, (6, 3, 3, 1)).astype(np.int8)
    net.conv(weights, act=RELU, scales=[0.01] * 6, scale=0.1, zero=-128)
    return net.pool((2, 2), (2, 2)).finish()


def _ranked() -> bytes:
    """A picture is enlarged; of each pixel, the number of its largest value becomes a vector."""
    net = Net().input((1, 3, 4, 2))
    options = schema.ResizeBilinearOptionsT()
    options.halfPixelCenters = True
    size = net.tensor((2,), "int32", np.array([5, 3], np.int32))
    net.op("RESIZE_BILINEAR", (1, 5, 3, 2), options, "ResizeBilinearOptions", [size], version=3)
    one = net.tensor((), "int32", np.array(1, np.int32))
    places = net.tensor((1, 5, 3, 1), "int32")
    net.op("TOPK_V2", (1, 5, 3, 1), schema.TopKV2OptionsT(), "TopKV2Options", [one])
    net.graph.operators[-1].outputs = [net.current, places]
    net.current = places
    options = schema.OneHotOptionsT()
    options.axis = -1
    depth = net.tensor((), "int32", np.array(2, np.int32))
    values = [net.tensor((), "float32", np.array(v, np.float32)) for v in (1, -0.5)]
    net.op("ONE_HOT", (1, 5, 3, 1, 2), options, "OneHotOptions", [depth, *values])
    return net.finish()


def _long() -> bytes:
    """Sums of int16 values that leave 32 bits, of two scalings."""
    random = np.random.default_rng(5)
    net = Net().input((1, 600), "int16", 0.01)
    bias = random.integers(-(1 << 34), 1 << 34, 3)
    weights = random.integers(-127, 128, (3, 600)).astype(np.int8)
    net.dense(weights, bias, scales=[0.01, 0.02, 0.03], scale=300.0, zero=0)
    return net.finish()


def _wide() -> bytes:
    """A depthwise window that is not unrolled, and never leaves the input."""
    random = np.random.default_rng(2)
    net = Net().input((1, 9, 9, 2), "int8", 0.01, 3)
    weights = random.integers(-127, 128, (1, 7, 7, 2)).astype(np.int8)
    net.conv(weights, depthwise=True, act=RELU, scales=[0.01, 0.02], scale=0.1, zero=-128)
    return net.finish()


def _lines() -> Iterator[Line]:
    for file in map(str, WRITERS):
        for code in _codes(compile(Path(file).read_text(), file, "exec")):
            # CO_OPTIMIZED: a function, neither a class nor the module
            if code.co_flags & 0x1 and not _writes_nothing(code.co_name):
                found = {line for _, _, line in code.co_lines() if line}
                yield from ((file, line) for line in found - {code.co_firstlineno})


def _writes_nothing(function: str) -> bool:
    """Whether it makes a step, or is what a step has, rather than what writes its C code."""
    return function.startswith("plan_") or function in vars(Step)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _traced(graph: Graph, name: str, fused: bool) -> tuple[Header, set[Line]]:
    """The header, and the lines of Python that wrote it."""
    reached: set[Line] = set()
    files = set(map(str, WRITERS))

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename not in files:
            return None
        if event == "line":
            reached.add((frame.f_code.co_filename, frame.f_lineno))
        return trace

    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        return generate(graph, name, f"{name}.tflite", fused=fused), reached
    finally:
        sys.settrace(previous)
