# SPDX-License-Identifier: Apache-2.0
"""Compile headers that show their layers with the host's compiler, and collect the layers."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hil.engines import ENGINES
from hil.engines.aot import generate
from hil.engines.aot.faults import Fault
from hil.engines.aot.steps import CTYPES
from hil.tflite import Graph
from hil.tflite.graph import NUMPY_TYPES
from tests.support.native import STRICT

ENGINE = Path(__file__).parents[2] / "firmware" / "lib" / "TinymlHil" / "src" / "hil_engine"
ROOM = 1 << 20
RECORD = """#define HIL_LAYERS
#include "hil_engine.h"
#include <string.h>
static uint8_t *room;
static uint32_t used;
static void record(hil_observer_t *self, uint16_t layer, uint8_t dtype, const void *data,
                   uint32_t bytes) {
  (void)self;
  room[used++] = (uint8_t)layer;
  room[used++] = dtype;
  memcpy(room + used, data, bytes);
  used += bytes;
}
"""

Values = npt.NDArray[np.generic]


class Observed:
    """One network that shows its layers."""

    def __init__(self, graph: Graph, function: ctypes._NamedFuncPointer, arena: int) -> None:
        self.graph = graph
        self.tensors = [layer.tensor for layer in ENGINES["aot"].layers(graph)]
        self._function, self._arena = function, arena

    def run(self, x: Values, *, watch: bool = True) -> tuple[list[Values], Values]:
        """The outputs of all layers for one sample (none without ``watch``), and the answer."""
        room = np.zeros(ROOM, np.uint8)
        arena = np.full(self._arena + 16, 0xA5, np.uint8)
        out = np.zeros(self.graph.output.elements, self.graph.output.dtype.numpy)
        data = np.ascontiguousarray(x)
        buffers = [ctypes.c_void_p(array.ctypes.data) for array in (data, out, arena, room)]
        used = self._function(*buffers, int(watch))
        found: list[Values] = []
        at = 0
        for number, index in enumerate(self.tensors if watch else ()):
            tensor = self.graph.tensors[index]
            dtype = np.dtype(NUMPY_TYPES[tensor.dtype])
            assert room[at : at + 2].tolist() == [number, tensor.dtype]
            size = tensor.elements * dtype.itemsize
            found.append(room[at + 2 : at + 2 + size].view(dtype).reshape(tensor.shape))
            at += 2 + size
        assert used == at
        return found, out


def observed(
    graphs: Mapping[str, Graph], folder: Path, fault: Fault | None = None
) -> dict[str, Observed]:
    """Every graph in one shared library; ``fault`` breaks the one that it names."""
    text, arenas = RECORD, {}
    for name, graph in graphs.items():
        broken = fault if fault and fault.model == name else None
        header = generate(graph, name, f"{name}.tflite", layers=True, fault=broken)
        (folder / f"{name}.h").write_text(header.text)
        arenas[name] = header.arena
        source, target = (CTYPES[s.dtype] for s in (graph.input, graph.output))
        head = f"uint32_t run_{name}(const void *in, void *out, void *arena, void *r, int watch)"
        text += (
            f'#include "{name}.h"\n{head};\n{head} {{\n'
            "  hil_observer_t observer = {record};\n  room = (uint8_t *)r;\n  used = 0;\n"
            f"  {name}_observe((const {source} *)in, ({target} *)out, arena,\n"
            "      watch ? &observer : 0);\n  return used;\n}\n"
        )
    (folder / "all.c").write_text(text)
    shared = folder / "all.so"
    words = ["gcc", *STRICT, "-O1", f"-I{ENGINE}", "-shared", "-fPIC", "-o", str(shared)]
    subprocess.run([*words, str(folder / "all.c"), "-lm"], check=True, timeout=300)
    loaded = ctypes.CDLL(str(shared))
    found = {}
    for name, graph in graphs.items():
        function = getattr(loaded, f"run_{name}")
        function.restype = ctypes.c_uint32
        found[name] = Observed(graph, function, arenas[name])
    return found
