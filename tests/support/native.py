# SPDX-License-Identifier: Apache-2.0
"""Compile generated headers with the host's compiler, and run them in guarded memory."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hil.engines.aot import Header, generate
from hil.engines.aot.engine import CTYPES
from hil.tflite import Graph

STRICT = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off")
GUARD = 64  # bytes around every buffer that must not change


@dataclass(frozen=True, eq=False)
class Native:
    """One model in a loaded library."""

    graph: Graph
    header: Header
    function: ctypes._NamedFuncPointer

    def run(self, x: npt.NDArray[np.generic], poison: int = 0xA5) -> npt.NDArray[np.generic]:
        """Outputs of samples; asserts that nothing but output and arena was written."""
        spec = self.graph.output
        arena = np.full(self.header.arena + 2 * GUARD, poison, np.uint8)
        out = np.full(spec.nbytes + 2 * GUARD, poison, np.uint8)
        results = np.empty((len(x), spec.elements), spec.dtype.numpy)
        for i, sample in enumerate(x):
            data = np.frombuffer(bytearray(np.ascontiguousarray(sample).tobytes()), np.uint8)
            before = data.tobytes()
            arena[:] = poison
            self.function(_address(data), _address(out[GUARD:]), _address(arena[GUARD:]))
            assert data.tobytes() == before, "the input was changed"
            for buffer in (arena, out):
                edges = (*buffer[:GUARD], *buffer[len(buffer) - GUARD :])
                assert set(edges) == {poison}, "written outside a buffer"
            results[i] = out[GUARD:-GUARD].view(spec.dtype.numpy)
        return results


def _address(array: npt.NDArray[np.generic]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def library(
    graphs: Mapping[str, Graph],
    folder: Path,
    flags: Sequence[str] = ("-O1",),
    compiler: str = "gcc",
    *,
    fused: bool = False,
) -> dict[str, Native]:
    """Every graph as a header, all in one shared library."""
    headers = {
        name: generate(graph, name, f"{name}.tflite", fused=fused) for name, graph in graphs.items()
    }
    lines = []
    for name, header in headers.items():
        (folder / f"{name}.h").write_text(header.text)
        lines.append(f'#include "{name}.h"')
        lines.append(f"void run_{name}(const void *in, void *out, void *arena);")
        lines.append(f"void run_{name}(const void *in, void *out, void *arena) {{")
        source, target = (CTYPES[s.dtype] for s in (graphs[name].input, graphs[name].output))
        lines.append(f"  {name}_invoke((const {source} *)in, ({target} *)out, arena);\n}}")
    (folder / "all.c").write_text("\n".join(lines) + "\n")
    shared = folder / "all.so"
    subprocess.run(
        [compiler, *STRICT, *flags, "-shared", "-fPIC", "-o", shared, folder / "all.c", "-lm"],
        check=True,
        timeout=300,
    )
    loaded = ctypes.CDLL(str(shared))
    return {
        name: Native(graphs[name], headers[name], getattr(loaded, f"run_{name}")) for name in graphs
    }


def inputs(graph: Graph, count: int, seed: int) -> npt.NDArray[np.generic]:
    """Random model-ready inputs, the first two at the ends of the range."""
    random = np.random.default_rng(seed)
    shape = (count, *graph.input.shape)
    if graph.input.dtype == 9:
        x: npt.NDArray[np.generic] = random.integers(-128, 128, shape).astype(np.int8)
        x[0], x[min(1, count - 1)] = -128, 127
        return x
    return random.normal(scale=2, size=shape).astype(np.float32)


def ulps(a: npt.NDArray[np.generic], b: npt.NDArray[np.generic]) -> int:
    """The largest distance between float32 values, in units of the last place."""
    x, y = (np.asarray(v, np.float32).view(np.int32).astype(np.int64) for v in (a, b))
    x, y = (np.where(v < 0, -(v & 0x7FFFFFFF), v) for v in (x, y))
    return int(np.abs(x - y).max())
