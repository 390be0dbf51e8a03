"""The kernels for the Cortex-M7 (16-bit SIMD) give the same bytes, in few instructions.

A bare program on QEMU's mps2-an500: no firmware, no serial line; its exit code is the verdict.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from hil.engines.aot import generate
from hil.reference import oracle
from hil.tflite import Graph, read_model
from tests.engines.native import STRICT, inputs
from tests.engines.random_nets import make

ROOT = Path(__file__).parents[2]
BSP = ROOT / "firmware" / "platforms" / "mps2" / "bsp"
CORE = ("-mcpu=cortex-m7", "-mthumb", "-mfpu=fpv5-d16", "-mfloat-abi=hard")
TOOLS = ("arm-none-eabi-gcc", "qemu-system-arm")
COUNT = 3  # inputs a network

# CMSDK timer 0 counts 25 MHz of virtual time; -icount shift=10 gives an instruction 1,024 ns.
MAIN = """
#include <stdint.h>
#include <string.h>
#define TIMER ((volatile uint32_t *)0x40000000)
static uint32_t arena[ARENA / 4 + 1], out[OUTPUT / 4 + 1];
static uint32_t most; /* instructions of the longest inference */
static int wrong;
static void expect(const void *want, uint32_t size) {
  if (memcmp(out, want, size) != 0) wrong = 1;
}
static void took(uint32_t ticks) {
  const uint32_t n = (uint32_t)((uint64_t)ticks * 10 / 256);
  if (n > most) most = n;
}
"""

pytestmark = [
    pytest.mark.firmware,
    pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason="no ARM compiler or no QEMU"),
]


def numbers(data: bytes) -> str:
    return ", ".join(map(str, data))


def verdict(models: Mapping[str, Path], limit: int, folder: Path) -> int:
    """0 when all bytes are right and no inference takes more than ``limit`` instructions.

    1: other bytes, 2: too many instructions.
    """
    includes, body = "", ""
    arena = output = 1
    for name, path in models.items():
        graph: Graph = read_model(path)
        header = generate(graph, name, path.name)
        (folder / f"{name}.h").write_text(header.text)
        includes += f'#include "{name}.h"\n'
        arena, output = max(arena, header.arena), max(output, graph.output.nbytes)
        x = inputs(graph, COUNT, 11)
        y = oracle(path).predict(x)
        types = {0: "float", 9: "int8_t"}
        source, target = types[graph.input.dtype], types[graph.output.dtype]
        for i in range(COUNT):
            for kind, values in (("x", x[i]), ("y", y[i])):
                includes += (
                    f"static const uint8_t __attribute__((aligned(4))) {name}_{kind}{i}[] = "
                    f"{{{numbers(values.tobytes())}}};\n"
                )
            body += (
                "  before = TIMER[1];\n"
                f"  {name}_invoke((const {source} *)(const void *){name}_x{i}, "
                f"({target} *)(void *)out, arena);\n"
                "  took(before - TIMER[1]);\n"
                f"  expect({name}_y{i}, sizeof {name}_y{i});\n"
            )
    main = (
        f"#define ARENA {arena}\n#define OUTPUT {output}\n{MAIN}{includes}"
        "int main(void) {\n  uint32_t before;\n"
        "  TIMER[1] = 0xffffffff;\n  TIMER[2] = 0xffffffff;\n  TIMER[0] = 1;\n"
        f"{body}  return wrong ? 1 : most > {limit}u ? 2 : 0;\n}}\n"
    )
    (folder / "main.c").write_text(main)
    command = ["arm-none-eabi-gcc", *CORE, *STRICT, "-O2", "main.c", str(BSP / "startup.c")]
    command += ["-T", str(BSP / "mps2.ld"), "-nostartfiles", "--specs=nosys.specs", "-lm"]
    subprocess.run([*command, "-o", "main.elf"], check=True, timeout=110, cwd=folder)
    emulator = ["qemu-system-arm", "-M", "mps2-an500", "-display", "none", "-monitor", "none"]
    emulator += ["-serial", "none", "-icount", "shift=10", "-kernel", "main.elf"]
    emulator += ["-semihosting-config", "enable=on,target=native"]
    done = subprocess.run(emulator, cwd=folder, timeout=60, stdin=subprocess.DEVNULL, check=False)
    return done.returncode


@pytest.mark.parametrize("kind", ["int8", "float32"])
def test_random_networks(kind: str, tmp_path: Path) -> None:
    models = {}
    for seed in range(500, 512):
        graph = read_model(make(seed, kind))
        if kind == "float32" and any(o.code == "SOFTMAX" for o in graph.operators):
            continue  # newlib's exponential is not glibc's
        path = tmp_path / f"net{seed}.tflite"
        path.write_bytes(make(seed, kind))
        models[f"net{seed}"] = path
    assert len(models) >= 6
    assert verdict(models, 1 << 31, tmp_path) == 0


@pytest.mark.parametrize(
    ("model", "limit"),
    [
        ("student_int8", 150_000),
        ("student_float32", 235_000),
        ("teacher_int8", 3_700_000),
        ("teacher_float32", 6_800_000),
    ],
)
def test_the_models_take_few_instructions(model: str, limit: int, tmp_path: Path) -> None:
    assert verdict({"net": ROOT / "models" / "mnist" / f"{model}.tflite"}, limit, tmp_path) == 0
