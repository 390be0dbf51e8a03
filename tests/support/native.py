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

from hil.core.records import DType, TensorSpec, offsets_of, packed_bytes
from hil.engines.aot import Header, generate
from hil.engines.aot.steps import CTYPES
from hil.tflite import Graph

STRICT = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off")
GUARD = 64  # bytes around every buffer that must not change


@dataclass(frozen=True, eq=False)
class Native:
    """One model in a loaded library."""

    graph: Graph
    header: Header
    function: ctypes._NamedFuncPointer  # (in, out, arena): tensors as `hil_more_t` packs them
    reset: ctypes._NamedFuncPointer | None = None  # (arena)

    def run(self, x: npt.NDArray[np.generic], poison: int = 0xA5) -> npt.NDArray[np.generic]:
        """Outputs of samples of a model with one input and one output; see `run_all`."""
        (outputs,) = self.run_all([x], poison)
        return outputs.reshape(len(x), -1)

    def run_all(
        self, inputs: Sequence[npt.NDArray[np.generic]], poison: int = 0xA5
    ) -> list[npt.NDArray[np.generic]]:
        """Every output (samples, ...) for samples of every input.

        Asserts that nothing but outputs and arena was written. A model with state is reset first,
        and then sees the samples as a sequence.
        """
        outputs = self.graph.outputs
        arena = np.full(self.header.arena + 2 * GUARD, poison, np.uint8)
        out = np.full(packed_bytes(outputs) + 2 * GUARD, poison, np.uint8)
        count = len(inputs[0])
        results = [np.empty((count, *spec.shape), spec.dtype.numpy) for spec in outputs]
        if self.reset:
            self.reset(_address(arena[GUARD:]))
        for i in range(count):
            data = _packed(self.graph, [x[i] for x in inputs])
            before = data.tobytes()
            if not self.reset:
                arena[:] = poison
            self.function(_address(data), _address(out[GUARD:]), _address(arena[GUARD:]))
            assert data.tobytes() == before, "the input was changed"
            for buffer in (arena, out):
                edges = (*buffer[:GUARD], *buffer[len(buffer) - GUARD :])
                assert set(edges) == {poison}, "written outside a buffer"
            for result, spec, offset in zip(results, outputs, offsets_of(outputs), strict=True):
                raw = out[GUARD + offset :][: spec.nbytes]
                result[i] = raw.view(spec.dtype.numpy).reshape(spec.shape)
        return results


def _packed(graph: Graph, sample: Sequence[npt.NDArray[np.generic]]) -> npt.NDArray[np.uint8]:
    """One sample's inputs in one buffer."""
    data = np.zeros(packed_bytes(graph.inputs), np.uint8)
    for x, spec, offset in zip(sample, graph.inputs, offsets_of(graph.inputs), strict=True):
        raw = np.frombuffer(np.ascontiguousarray(x).tobytes(), np.uint8)
        assert raw.size == spec.nbytes
        data[offset : offset + raw.size] = raw
    return data


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
        graph = graphs[name]
        lines.append(f'#include "{name}.h"')
        lines.append(f"void run_{name}(const char *in, char *out, void *arena);")
        lines.append(f"void run_{name}(const char *in, char *out, void *arena) {{")
        taken, made = _pointers("const ", "in", graph.inputs), _pointers("", "out", graph.outputs)
        lines.append(f"  {name}_invoke({', '.join([*taken, *made])}, arena);\n}}")
        if header.stateful:
            lines.append(f"void reset_{name}(void *arena);")
            lines.append(f"void reset_{name}(void *arena) {{ {name}_reset(arena); }}")
    (folder / "all.c").write_text("\n".join(lines) + "\n")
    shared = folder / "all.so"
    subprocess.run(
        [compiler, *STRICT, *flags, "-shared", "-fPIC", "-o", shared, folder / "all.c", "-lm"],
        check=True,
        timeout=300,
    )
    loaded = ctypes.CDLL(str(shared))
    return {
        name: Native(
            graphs[name],
            header,
            getattr(loaded, f"run_{name}"),
            getattr(loaded, f"reset_{name}") if header.stateful else None,
        )
        for name, header in headers.items()
    }


def _pointers(const: str, side: str, specs: Sequence[TensorSpec]) -> list[str]:
    return [
        f"({const}{CTYPES[spec.dtype]} *)({const}void *)({side} + {offset})"
        for spec, offset in zip(specs, offsets_of(specs), strict=True)
    ]


def inputs(graph: Graph, count: int, seed: int) -> npt.NDArray[np.generic]:
    """Random values of the model's first input, see `all_inputs`."""
    return all_inputs(graph, count, seed)[0]


def all_inputs(graph: Graph, count: int, seed: int) -> list[npt.NDArray[np.generic]]:
    """Random model-ready values of each input, the first two at the ends of the range."""
    random = np.random.default_rng(seed)
    return [_values(random, spec, count) for spec in graph.inputs]


_LIMITS = {
    DType.INT8: (-128, 127),
    DType.UINT8: (0, 255),
    DType.INT16: (-32768, 32767),
    DType.BOOL: (0, 1),
}


def _values(random: np.random.Generator, spec: TensorSpec, count: int) -> npt.NDArray[np.generic]:
    shape, dtype = (count, *spec.shape), spec.dtype.numpy
    if dtype.kind == "f":
        return random.normal(scale=2, size=shape).astype(np.float32)
    low, high = _LIMITS.get(spec.dtype, (-1000, 1000))
    x: npt.NDArray[np.generic] = random.integers(low, high + 1, shape).astype(dtype)
    x[0], x[min(1, count - 1)] = low, high
    return x


def ulps(a: npt.NDArray[np.generic], b: npt.NDArray[np.generic]) -> int:
    """The largest distance between float32 values, in units of the last place."""
    x, y = (np.asarray(v, np.float32).view(np.int32).astype(np.int64) for v in (a, b))
    x, y = (np.where(v < 0, -(v & 0x7FFFFFFF), v) for v in (x, y))
    return int(np.abs(x - y).max())
