# SPDX-License-Identifier: Apache-2.0
"""Instructions and estimated cycles of each kind of layer, for aot and TFLM + CMSIS-NN. Markdown.

    python benchmarks/cycles.py [--board mps2,cortex-m4] [--only NAME...] [MODEL.tflite...]

Each layer is a network of its own, in int8, whose inference is counted in QEMU and timed by LLVM's
models as `hil bench --cycles` does it (docs/cycles.md). MODELs are measured as whole networks.
TFLM's columns need its source tree, and CMSIS-NN's for its kernels: HIL_TFLM_DIR and
HIL_CMSIS_NN_DIR (docs/engines.md).
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from engines import CMSIS_NN, TREE, line, only
from networks import PROJECT, batches, encoding_of, samples

from hil.boards.config import Board, load_board
from hil.boards.session import open_board
from hil.core.errors import HilError
from hil.core.records import pack_rows
from hil.cycles.counting import CALIBRATION, compiled, counted, windows
from hil.cycles.estimate import Estimate, estimate
from hil.cycles.models import core_of
from hil.device import Device
from hil.engines import ENGINES, Special
from hil.firmware import build
from hil.tflite import Graph, read_model
from tests.support.recurrent import lstm
from tests.support.reductions import reduced
from tests.support.tflite import RELU, SAME, Net

COLUMNS = (
    *("layer", "core", "instructions aot", "cycles aot", "per MAC", "limited by"),
    *(
        "instructions TFLM",
        "cycles TFLM",
        "per MAC",
        "instructions TFLM / aot",
        "cycles TFLM / aot",
    ),
)
Make = Callable[[], Net]


def _net(*shape: int) -> Net:
    return Net().input((1, *shape), "int8", 0.02, -128)


def _weights(*shape: int) -> Any:
    return np.random.default_rng(0).integers(-60, 61, shape).astype(np.int8)


def _conv(inputs: tuple[int, ...], *shape: int, **more: Any) -> Net:
    channels = shape[3] if more.get("depthwise") else shape[0]
    quantised: dict[str, Any] = {"scales": [0.001] * channels, "scale": 0.05, "zero": -128}
    return _net(*inputs).conv(_weights(*shape), padding=SAME, act=RELU, **quantised, **more)


def _binary(code: str, options: Any) -> Net:
    net = _net(16, 16, 32)
    second = net.activation(net.shape, "int8", 0.03, 5)
    net.graph.inputs = [net.current, second]
    return net.op(code, net.shape, options, f"{code.title()}Options", [second], scale=0.05)


LAYERS: dict[str, Make] = {
    "fully connected 256 to 128": lambda: _net(256).dense(
        _weights(128, 256), act=RELU, scales=[0.001], scale=0.05, zero=-128
    ),
    "convolution 1x1, 64 to 64": lambda: _conv((25, 5, 64), 64, 1, 1, 64),
    "convolution 3x3, 32 to 32": lambda: _conv((12, 12, 32), 32, 3, 3, 32),
    "convolution 3x3, 3 to 16": lambda: _conv((32, 32, 3), 16, 3, 3, 3),
    "convolution 10x4, 1 to 64, stride 2": lambda: _conv((49, 10, 1), 64, 10, 4, 1, strides=(2, 2)),
    "depthwise 3x3, 64": lambda: _conv((25, 5, 64), 1, 3, 3, 64, depthwise=True),
    "average pooling 2x2": lambda: _net(16, 16, 32).pool((2, 2), (2, 2), average=True),
    "maximum pooling 2x2": lambda: _net(16, 16, 32).pool((2, 2), (2, 2)),
    "mean over 8x8": lambda: reduced(_net(8, 8, 64), "MEAN", [1, 2]),
    "add": lambda: _binary("ADD", schema.AddOptionsT()),
    "mul": lambda: _binary("MUL", schema.MulOptionsT()),
    "softmax over 12": lambda: _net(12).softmax(),
    "logistic": lambda: _net(1024).simple("LOGISTIC", scale=1 / 256, zero=-128),
    "LSTM, 16 of 20 in 10 steps": lambda: lstm(_net(10, 20), 16, np.random.default_rng(0)),
}


@dataclass(frozen=True, slots=True)
class Counted:
    """The estimate of one network, or why there is none."""

    found: Estimate | None = None
    why: str = ""


def measured(graphs: Mapping[Path, Graph], board: Board, engine: str) -> dict[Path, Counted]:
    """Every network with one engine."""
    results: dict[Path, Counted] = {}
    taken = []
    for path, graph in graphs.items():
        try:
            ENGINES[engine].compile(graph, "net", path.name, Special())
        except HilError as refusal:
            results[path] = Counted(why=str(refusal).splitlines()[0])
        else:
            taken.append(path)
    with only((TREE, CMSIS_NN) if engine == "tflm" else ()):
        for batch in batches(taken):
            results.update(_image(graphs, batch, board, engine))
    return results


def _image(
    graphs: Mapping[Path, Graph], batch: Sequence[Path], board: Board, engine: str
) -> Iterator[tuple[Path, Counted]]:
    models = [(f"net{i}", path) for i, path in enumerate(batch)]
    elf = build(board.name, models, engine, PROJECT).elf
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "windows.txt"
        plugged = counted(board, elf, compiled(Path(name)), out)
        with open_board(plugged, elf) as link:
            device = Device(link)
            device.hello()
            for i, path in enumerate(batch):
                graph = graphs[path]
                (row,) = pack_rows(graph.inputs, samples(graph, 1))
                for _ in device.infer(i, encoding_of(graph), [row.tobytes()], sequence=False):
                    pass
                found = list(windows(out.read_text()))
                window = found[-1].less(found[CALIBRATION - 1])
                yield path, Counted(estimate(elf, window, core_of(board.core)))


def main() -> None:
    parser = argparse.ArgumentParser(description="Cycles of each kind of layer, in Markdown.")
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL.tflite")
    parser.add_argument("--board", default="mps2,cortex-m4", help="emulated boards")
    parser.add_argument("--only", nargs="*", default=[""], help="parts of the layers' names")
    options = parser.parse_args()
    engines = ["aot", *(["tflm"] if os.environ.get(TREE) else [])]
    with tempfile.TemporaryDirectory() as name:
        titles = {path: path.stem for path in options.models}
        layers = [] if options.models else list(LAYERS.items())
        for title, make in layers:
            if any(part in title for part in options.only):
                path = Path(name) / f"{len(titles)}.tflite"
                path.write_bytes(make().finish())
                titles[path] = title
        graphs = {path: read_model(path) for path in titles}
        print(line(COLUMNS), line(["---"] * len(COLUMNS)), sep="\n")
        for board in map(load_board, options.board.split(",")):
            made = [measured(graphs, board, engine) for engine in engines]
            for path, title in titles.items():
                found = [results[path] for results in made]
                print(line([title, board.core, *_cells(found, graphs[path].macs)]), flush=True)


def _cells(found: Sequence[Counted], macs: int) -> Iterator[str]:
    """Figures of aot and, if it was measured, of TFLM."""
    figures = []
    for number, one in enumerate(found):
        if one.found is None:
            yield one.why
            continue
        instructions, cycles = one.found.instructions, one.found.cycles.count
        figures.append((instructions, cycles))
        yield f"{instructions:,}"
        yield f"{cycles:,}"
        yield f"{cycles / macs:.2f}" if macs else ""
        if number == 0:
            yield one.found.functions[0].bottleneck
    if len(figures) > 1:
        yield from (f"{theirs / ours:.2f}" for ours, theirs in zip(*figures, strict=True))


if __name__ == "__main__":
    main()
