# SPDX-License-Identifier: Apache-2.0
"""Compares engine aot with TFLM + CMSIS-NN on any networks. Prints Markdown.

    python benchmarks/networks.py [--board BOARD] [--limit SAMPLES] MODEL.tflite...

Inputs are random over the whole range of their type, and the same in every run. TFLM's columns need
its source tree, and CMSIS-NN's for its kernels: HIL_TFLM_DIR and HIL_CMSIS_NN_DIR
(docs/engines.md). Instruction counts of an emulator are exact, so there is no run-to-run noise to
average. Without --limit every network gets 3 samples.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from engines import CMSIS_NN, TREE, ignore, line, only

from hil.bench import Request, make_plan, run
from hil.core.errors import HilError
from hil.core.records import DType, TensorSpec
from hil.report import write
from hil.tflite import read_model

PROJECT = Path(__file__).parent.parent
COLUMNS = (
    *("network", "multiplications", "aot", "each", "TFLM", "TFLM / aot"),
    *("arena aot", "arena TFLM", "differing outputs of aot"),
)
SEED = 11


@dataclass(frozen=True, slots=True)
class Result:
    """What one network needs with one engine, or why there is no figure."""

    instructions: int = 0
    arena: int = 0
    differing: str = ""
    why: str = ""


def samples(specs: tuple[TensorSpec, ...], count: int, path: Path) -> Path:
    """A file of random inputs: integers over the whole range, float32 of a normal distribution."""
    random = np.random.default_rng(SEED)
    arrays: dict[str, Any] = {}
    for i, spec in enumerate(specs):
        shape = (count, *spec.shape)
        if spec.dtype is DType.FLOAT32:
            x = random.normal(size=shape).astype(np.float32)
        else:
            info = np.iinfo(np.dtype(spec.dtype.numpy).name)
            x = random.integers(info.min, info.max + 1, shape).astype(spec.dtype.numpy)
        arrays["x" if len(specs) == 1 else f"x{i}"] = x
    np.savez(path, **arrays)
    return path


def measure(model: Path, board: str, engine: str, data: Path) -> Result:
    """Bench one network with one engine."""
    wanted = (TREE, CMSIS_NN) if engine == "tflm" else ()
    with only(wanted), tempfile.TemporaryDirectory() as folder:
        request = Request(PROJECT, (board,), models=(str(model),), engines=(engine,), data=data)
        try:
            run(make_plan(request), Path(folder), ignore)
            report = write(Path(folder))
        except HilError as error:
            return Result(why=str(error).splitlines()[0])
    (plan,), (row,) = report.manifest.runs, report.summary.runs
    if not row.memory or row.memory.arena is None or row.time.median is None or not row.agreement:
        return Result(why="no figures")
    agreement = row.agreement
    differing = agreement.differing_oracle
    if differing is None:
        differing = agreement.differing_litert
    outputs = row.n * prod(plan.output.shape)
    return Result(round(row.time.median), row.memory.arena, f"{differing} of {outputs:,}")


def cells(model: Path, board: str, limit: int) -> list[str]:
    """One row of the table."""
    graph = read_model(model)
    with tempfile.TemporaryDirectory() as folder:
        data = samples(graph.inputs, limit, Path(folder) / "x.npz")
        aot = measure(model, board, "aot", data)
        tflm = Result(why="n/a")
        if os.environ.get(TREE):
            tflm = measure(model, board, "tflm", data)
    both = bool(aot.instructions and tflm.instructions)
    return [
        model.stem,
        f"{graph.macs:,}",
        f"{aot.instructions:,}" if aot.instructions else aot.why,
        f"{aot.instructions / graph.macs:.2f}" if aot.instructions and graph.macs else "",
        f"{tflm.instructions:,}" if tflm.instructions else tflm.why,
        f"{tflm.instructions / aot.instructions:.2f}" if both else "",
        f"{aot.arena:,}" if aot.instructions else "",
        f"{tflm.arena:,}" if tflm.instructions else "",
        aot.differing,
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="aot and TFLM on any networks, in Markdown.")
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL.tflite")
    parser.add_argument("--board", default="mps2", help="an emulated board (default: mps2)")
    parser.add_argument("--limit", type=int, default=3, help="samples per network (default: 3)")
    options = parser.parse_args()
    print(line(COLUMNS), line(["---"] * len(COLUMNS)), sep="\n")
    for model in options.models:
        print(line(cells(model, options.board, options.limit)), flush=True)


if __name__ == "__main__":
    main()
