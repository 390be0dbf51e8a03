# SPDX-License-Identifier: Apache-2.0
"""Compares engine aot with TFLM + CMSIS-NN on any networks. Prints Markdown.

    python benchmarks/networks.py [--board BOARD] [--limit SAMPLES] MODEL.tflite...

One image has as many networks as fit, so that TFLM is compiled a few times only. Inputs are random
over the whole range of their type, and the same in every run. TFLM's columns need its source tree,
and CMSIS-NN's for its kernels: HIL_TFLM_DIR and HIL_CMSIS_NN_DIR (docs/engines.md). Instruction
counts of an emulator are exact, so there is no run-to-run noise to average.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from engines import CMSIS_NN, TREE, line, only

from hil.boards.config import Board, load_board
from hil.boards.session import open_board
from hil.core.errors import HilError
from hil.core.records import DType, Encoding, Instructions, pack_rows
from hil.device import Device
from hil.engines import ENGINES, Special
from hil.firmware import build
from hil.reference import cache_folder, litert, oracle, refusals
from hil.tflite import Graph, read_model

PROJECT = Path(__file__).parent.parent
COLUMNS = (
    *("network", "multiplications", "aot", "each", "TFLM", "TFLM / aot"),
    *("arena aot", "arena TFLM", "differing values of aot"),
)
SEED = 11
BATCH = 2_000_000  # bytes of models in one image: the emulated boards have 4 MB of flash
ENCODINGS = {
    DType.INT8: Encoding.INT8,
    DType.FLOAT32: Encoding.FLOAT32,
    DType.UINT8: Encoding.PIXELS,
}
Arrays = tuple[npt.NDArray[np.generic], ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What one network needs with one engine, or why there is no figure.

    ``outputs``: RESULT's bytes, one row per sample.
    """

    instructions: int = 0
    arena: int = 0
    outputs: tuple[bytes, ...] = ()
    why: str = ""


def samples(graph: Graph, count: int) -> Arrays:
    """Random values of each input: integers over the whole range, float32 normally distributed."""
    random = np.random.default_rng(SEED)
    found: list[npt.NDArray[np.generic]] = []
    for spec in graph.inputs:
        shape = (count, *spec.shape)
        if spec.dtype is DType.FLOAT32:
            found.append(random.normal(size=shape).astype(np.float32))
        else:
            limits: Any = np.iinfo(np.dtype(spec.dtype.numpy).name)
            values = random.integers(limits.min, limits.max + 1, shape)
            found.append(values.astype(spec.dtype.numpy))
    return tuple(found)


def encoding_of(graph: Graph) -> Encoding:
    """How the samples travel: in the input's own type, one input as ever, several as OWN."""
    plain = len(graph.inputs) == 1 and graph.input.dtype in ENCODINGS
    return ENCODINGS[graph.input.dtype] if plain else Encoding.OWN


def taken(graphs: Mapping[Path, Graph], engine: str, results: dict[Path, Result]) -> list[Path]:
    """The networks that the engine takes; the reasons of the others go to ``results``."""
    found = []
    for path, graph in graphs.items():
        try:
            ENGINES[engine].compile(graph, "net", path.name, Special())
        except HilError as refusal:
            results[path] = Result(why=str(refusal).splitlines()[0])
        else:
            found.append(path)
    return found


def batches(paths: Sequence[Path]) -> Iterator[list[Path]]:
    batch: list[Path] = []
    size = 0
    for path in paths:
        if batch and size + path.stat().st_size > BATCH:
            yield batch
            batch, size = [], 0
        batch.append(path)
        size += path.stat().st_size
    if batch:
        yield batch


def measure(
    graphs: Mapping[Path, Graph], board: Board, engine: str, limit: int
) -> dict[Path, Result]:
    """Every network with one engine."""
    results: dict[Path, Result] = {}
    wanted = (TREE, CMSIS_NN) if engine == "tflm" else ()
    with only(wanted):
        for batch in batches(taken(graphs, engine, results)):
            models = [(f"net{i}", path) for i, path in enumerate(batch)]
            image = build(board.name, models, engine, PROJECT)
            with open_board(board, image.elf) as link:
                device = Device(link)
                infos = device.hello().models
                for i, path in enumerate(batch):
                    graph, state = graphs[path], infos[i].stateful
                    rows = pack_rows(graph.inputs, samples(graph, limit))
                    try:
                        answers = list(
                            device.infer(
                                i,
                                encoding_of(graph),
                                [row.tobytes() for row in rows],
                                sequence=state,
                            )
                        )
                    except HilError as problem:
                        results[path] = Result(why=str(problem).splitlines()[0])
                        continue
                    times = [board.clock.time(answer.result) for answer in answers]
                    counts = [time.count for time in times if isinstance(time, Instructions)]
                    outputs = tuple(answer.result.output for answer in answers)
                    results[path] = Result(
                        round(statistics.median(counts)), infos[i].arena, outputs
                    )
    return results


def differing(path: Path, graph: Graph, result: Result) -> str:
    """How many values of aot differ from the reference that counts."""
    why_not = refusals(path, cache_folder())
    first = "oracle" if graph.precision.integer else "litert"
    names = [name for name in (first, "oracle", "litert") if name not in why_not]
    if not names or not result.outputs:
        return "no reference"
    x = samples(graph, len(result.outputs))
    wanted = {"oracle": oracle, "litert": litert}[names[0]](path).outputs(x)
    rows = pack_rows(graph.outputs, wanted)
    found = np.stack([np.frombuffer(row, np.uint8) for row in result.outputs])
    values = sum(spec.elements for spec in graph.outputs) * len(rows)
    # bytes that differ, so an upper bound of the values
    different = int((found != rows.view(np.uint8).reshape(found.shape)).sum())
    return f"{different} of {values:,}"


def main() -> None:
    parser = argparse.ArgumentParser(description="aot and TFLM on any networks, in Markdown.")
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL.tflite")
    parser.add_argument("--board", default="mps2", help="an emulated board (default: mps2)")
    parser.add_argument("--limit", type=int, default=3, help="samples per network (default: 3)")
    options = parser.parse_args()
    graphs: dict[Path, Graph] = {}
    for path in options.models:
        try:
            graphs[path] = read_model(path)
        except HilError as refusal:
            print(f"{path.name}: {refusal}")
    board = load_board(options.board)
    aot = measure(graphs, board, "aot", options.limit)
    tflm: dict[Path, Result] = {}
    if os.environ.get(TREE):
        tflm = measure(graphs, board, "tflm", options.limit)
    print(line(COLUMNS), line(["---"] * len(COLUMNS)), sep="\n")
    ratios = []
    for path, graph in graphs.items():
        ours, theirs = aot[path], tflm.get(path, Result(why="n/a"))
        both = bool(ours.instructions and theirs.instructions)
        if both:
            ratios.append(theirs.instructions / ours.instructions)
        each = ours.instructions / graph.macs if graph.macs else 0.0
        row = [
            path.stem,
            f"{graph.macs:,}",
            f"{ours.instructions:,}" if ours.instructions else ours.why,
            f"{each:.2f}" if each else "",
            f"{theirs.instructions:,}" if theirs.instructions else theirs.why,
            f"{ratios[-1]:.2f}" if both else "",
            f"{ours.arena:,}" if ours.instructions else "",
            f"{theirs.arena:,}" if theirs.instructions else "",
            differing(path, graph, ours) if ours.instructions else "",
        ]
        print(line(row), flush=True)
    if ratios:
        print(f"\nmedian of TFLM / aot: {statistics.median(ratios):.2f}, least: {min(ratios):.2f}")


if __name__ == "__main__":
    main()
