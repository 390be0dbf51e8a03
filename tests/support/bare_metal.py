# SPDX-License-Identifier: Apache-2.0
"""Generated headers in a bare program on an emulated core: no firmware, no serial line.

The program's exit code is the verdict.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from hil.core.errors import ModelError
from hil.engines.aot import generate
from hil.engines.aot.plan import plan
from hil.engines.aot.steps import CTYPES
from hil.reference import oracle
from hil.tflite import Graph, read_model
from tests.support.firmware import BSP, FIRMWARE, board_json, defines
from tests.support.native import STRICT, inputs
from tests.support.random_nets import make
from tests.support.weighted_nets import LAYERS, make_weighted

COUNT = 3  # inputs per network


@dataclass(frozen=True)
class Core:
    """An emulated core; ``clock``: start() and stop() in C, which returns instructions.

    ``board``: a file of firmware/platforms/bare_metal/boards, for its memory and start-up code.
    """

    board: str
    compiler: tuple[str, ...]
    emulator: tuple[str, ...]
    clock: str

    @property
    def tools(self) -> tuple[str, str]:
        """The programs that it needs."""
        return self.compiler[0], self.emulator[0]


MAIN = """
#include <stdint.h>
#include <string.h>
static uint32_t arena[ARENA / 4 + 1], out[OUTPUT / 4 + 1];
static uint32_t most; /* instructions of the longest inference */
static int wrong;
static void expect(const void *want, uint32_t size) {
  if (NEAR == 0 && memcmp(out, want, size) != 0) wrong = 1;
  for (uint32_t i = 0; NEAR > 0 && i < size / 4; ++i) {
    const float off = ((const float *)(const void *)out)[i] - ((const float *)want)[i];
    if (!(off <= NEAR && off >= -NEAR)) wrong = 1;
  }
}
static void took(uint32_t n) {
  if (n > most) most = n;
}
"""


def start_up(board: str) -> list[str]:
    """The words that compile and link the start-up code of a board, as its builder does."""
    settings = board_json(board)
    build, upload = settings["build"], settings["upload"]
    folder = {"arm": "arm", "ris": "riscv", "xte": "xtensa"}[build["toolchain"][:3]]
    symbols = {
        "flash": build["flash"],
        "flash_size": upload["maximum_size"],
        "ram": build["ram"],
        "ram_size": upload["maximum_ram_size"],
        "stack_size": build["stack"],
        **({"boot": build["boot"]} if "boot" in build else {}),
    }
    words = [*map(str, sorted((BSP / folder).glob("*.c"))), f"-I{FIRMWARE / 'port'}"]
    words += [f"-Wl,--defsym=__{name}={value}" for name, value in symbols.items()]
    return [*words, *defines(board), "-T", str(BSP / "bare_metal.ld"), "-nostartfiles"]


def numbers(data: bytes) -> str:
    return ", ".join(map(str, data))


def instructions(core: Core, model: Path, folder: Path) -> int:
    """The instructions of the longest inference, whose bytes must all be right.

    An exit code has eight bits, so the program runs once for each of four.
    """
    models = {"net": model}
    assert verdict(core, models, 1 << 31, folder) == 0, model
    return sum(verdict(core, models, 1 << 31, folder, part=n) << 8 * n for n in range(4))


def verdict(
    core: Core,
    models: Mapping[str, Path],
    limit: int,
    folder: Path,
    *,
    near: float = 0,
    part: int | None = None,
) -> int:
    """0 when all bytes are right and no inference takes more than ``limit`` instructions.

    1: other bytes, 2: too many instructions. With ``near`` the code is fused, and its float32
    values are right when they are as near as that. With ``part``: that byte of the count instead.
    """
    includes, body = "", ""
    arena = output = 1
    for name, path in models.items():
        graph: Graph = read_model(path)
        header = generate(graph, name, path.name, fused=near > 0)
        (folder / f"{name}.h").write_text(header.text)
        includes += f'#include "{name}.h"\n'
        arena, output = max(arena, header.arena), max(output, graph.output.nbytes)
        x = inputs(graph, COUNT, 11)
        y = oracle(path).predict(x)
        source, target = CTYPES[graph.input.dtype], CTYPES[graph.output.dtype]
        if header.stateful:  # the inputs are a sequence
            body += f"  {name}_reset(arena);\n"
        for i in range(COUNT):
            for kind, values in (("x", x[i]), ("y", y[i])):
                includes += (
                    f"static const uint8_t __attribute__((aligned(4))) {name}_{kind}{i}[] = "
                    f"{{{numbers(values.tobytes())}}};\n"
                )
            body += (
                "  start();\n"
                f"  {name}_invoke((const {source} *)(const void *){name}_x{i}, "
                f"({target} *)(void *)out, arena);\n"
                "  took(stop());\n"
                f"  expect({name}_y{i}, sizeof {name}_y{i});\n"
            )
    result = f"wrong ? 1 : most > {limit}u ? 2 : 0"
    if part is not None:
        result = f"(int)(most >> {8 * part} & 255u)"
    main = (
        f"#define NEAR {near:.9e}f\n#define ARENA {arena}\n#define OUTPUT {output}\n"
        f"{MAIN}{core.clock}{includes}"
        f"int main(void) {{\n{body}  return {result};\n}}\n"
    )
    (folder / "main.c").write_text(main)
    command = [*core.compiler, *STRICT, "-O2", "main.c", *start_up(core.board), "-lm"]
    subprocess.run([*command, "-o", "main.elf"], check=True, timeout=110, cwd=folder)
    emulator = [*core.emulator, "-display", "none", "-monitor", "none", "-serial", "none"]
    emulator += ["-semihosting-config", "enable=on,target=native", "-kernel", "main.elf"]
    done = subprocess.run(emulator, cwd=folder, timeout=110, stdin=subprocess.DEVNULL, check=False)
    return done.returncode


def weighted_models(kind: str, folder: Path) -> dict[str, Path]:
    """Networks of dilated, grouped and other weighted layers, by name."""
    models = {}
    for seed, layer in product(range(3), LAYERS):
        data = make_weighted(seed, kind, layer)
        with contextlib.suppress(ModelError):
            plan(read_model(data))
            models[f"{layer}{seed}"] = folder / f"{layer}{seed}.tflite"
            models[f"{layer}{seed}"].write_bytes(data)
    return models


def random_models(kind: str, folder: Path) -> dict[str, Path]:
    """Twelve random networks by name, without those in float32 that need an exponential."""
    models = {}
    for seed in range(500, 512):
        graph = read_model(make(seed, kind))
        if kind == "float32" and any(o.code == "SOFTMAX" for o in graph.operators):
            continue  # the C library's exponential is not glibc's
        path = folder / f"net{seed}.tflite"
        path.write_bytes(make(seed, kind))
        models[f"net{seed}"] = path
    assert len(models) >= 6
    return models
