# SPDX-License-Identifier: Apache-2.0
"""Compares the engine aot with its goals, and counts instructions per layer. Prints Markdown.

    python benchmarks/engine.py [--limit DIGITS]

One run: the firmware of QEMU's mps2-an500 (Cortex-M7, -O2) and rv32 with each network, then each
network alone in a bare program that counts the instructions of every layer. Counts of an emulator
are exact.

flash over weights: the bytes of code and constants that the generated header compiles to, less the
weights and biases in the .tflite file. The C library (memcpy, expf) is not counted.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from hil import datasets
from hil.bench import Request, make_plan, run
from hil.bench.events import Event
from hil.engines.aot import generate
from hil.engines.aot.engine import layers_of
from hil.engines.aot.plan import plan
from hil.engines.aot.weighted.conv import Conv
from hil.engines.aot.weighted.gather_layout import products
from hil.report import write
from hil.tflite import Graph, read_model
from hil.tflite.graph import constant_bytes
from tests.support.bare_metal import start_up

PROJECT = Path(__file__).parents[1]
MODELS = PROJECT / "models" / "mnist"
FIRMWARE = PROJECT / "firmware"
GCC = (
    *("arm-none-eabi-gcc", "-mcpu=cortex-m7", "-mthumb", "-mfpu=fpv5-d16", "-mfloat-abi=hard"),
    *("-std=c11", "-O2", "-ffp-contract=off", "-ffunction-sections", "-fdata-sections"),
    *("--specs=nosys.specs", f"-I{FIRMWARE / 'lib/TinymlHil/src/hil_engine'}"),
)
QEMU = (
    *("qemu-system-arm", "-M", "mps2-an500", "-icount", "shift=10", "-display", "none"),
    *("-monitor", "none", "-serial", "none", "-semihosting-config", "enable=on,target=native"),
)
COLUMNS = (
    *("network", "board", "engine", "instructions", "goal", "stretch goal"),
    *("arena B", "limit", "flash over weights B", "limit", "differing outputs"),
)
FLASH = 6 * 1024


@dataclass(frozen=True, slots=True)
class Goal:
    """The project's goal for one network: instructions (on ``board``), bytes of arena."""

    network: str  # stem of the model's file
    engine: str
    wanted: int
    stretch: int | None
    arena: int
    board: str = "mps2"


GOALS = (
    Goal("student_int8", "aot", 280_000, 180_000, 1_400),
    Goal("teacher_int8", "aot", 3_300_000, 2_200_000, 7_100),
    Goal("student_float32", "aot", 420_000, 300_000, 5_500),
    Goal("teacher_float32", "aot", 9_500_000, 7_500_000, 28_100),
    Goal("student_float32", "aot-fast", 240_000, 170_000, 5_500),
    Goal("teacher_float32", "aot-fast", 7_000_000, 4_500_000, 28_100),
    Goal("student_int8", "aot", 1_000_000, None, 1_400, "rv32"),
)

PROGRAM = """
#define HIL_LAYERS
#include "net.h"
#define TIMER ((volatile uint32_t *)0x40000000) /* 25 MHz; an instruction takes 1,024 ns */
static uint32_t arena[{arena} / 4 + 1], out[{output} / 4 + 1], in[{input} / 4 + 1];
static void start(void) {{
  TIMER[0] = 0, TIMER[1] = TIMER[2] = 0xffffffff, TIMER[0] = 1;
}}
static void say(const char *text) {{
  register int r0 __asm__("r0") = 4; /* SYS_WRITE0 */
  register const char *r1 __asm__("r1") = text;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}}
static void layer(hil_observer_t *self, uint16_t number, uint8_t type, const void *data,
                  uint32_t size) {{
  uint32_t n = (uint32_t)((uint64_t)(0xffffffff - TIMER[1]) * 10 / 256);
  char digits[12] = {{0}}, *p = digits + 11;
  (void)self, (void)number, (void)type, (void)data, (void)size;
  *--p = '\\n';
  do *--p = (char)('0' + n % 10);
  while (n /= 10);
  say(p);
  start();
}}
int main(void) {{
  hil_observer_t observer = {{layer}};
  start();
  net_observe((const void *)in, (void *)out, arena, &observer);
  return 0;
}}
"""


def layer_counts(graph: Graph, *, fused: bool, folder: Path) -> list[int]:
    """Instructions of each layer on the emulated Cortex-M7."""
    header = generate(graph, "net", "", layers=True, fused=fused)
    (folder / "net.h").write_text(header.text)
    source = PROGRAM.format(
        arena=header.arena, input=graph.input.nbytes, output=graph.output.nbytes
    )
    (folder / "main.c").write_text(source)
    command = [*GCC, "main.c", *start_up("mps2_an500"), "-lm", "-o", "main.elf"]
    subprocess.run(command, cwd=folder, check=True, timeout=100)
    done = subprocess.run(
        [*QEMU, "-kernel", "main.elf"],
        cwd=folder,
        check=True,
        timeout=100,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    return [int(word) for word in (done.stdout + done.stderr).split()]


def flash_over_weights(graph: Graph, *, fused: bool, folder: Path) -> int:
    """Bytes of code and constants of the generated header, less the file's weights and biases."""
    (folder / "net.h").write_text(generate(graph, "net", "", fused=fused).text)
    call = "void run(const void *in, void *out, void *arena) { net_invoke(in, out, arena); }"
    (folder / "size.c").write_text(f'#include "net.h"\n{call}\n')
    command = [*GCC, "-c", "size.c", "-o", "size.o"]
    subprocess.run(command, cwd=folder, check=True, timeout=100)
    done = subprocess.run(
        ["arm-none-eabi-size", "size.o"],
        cwd=folder,
        check=True,
        timeout=20,
        capture_output=True,
        text=True,
    )
    text, data, *_ = done.stdout.splitlines()[1].split()
    return int(text) + int(data) - constant_bytes(graph)


@dataclass(frozen=True, slots=True)
class Measured:
    """One network in the firmware of a board; ``off`` is the largest difference from LiteRT."""

    instructions: int
    arena: int
    differing: int
    outputs: int
    off: float


def measure(board: str, engines: tuple[str, ...], dataset: str, limit: int) -> dict[str, Measured]:
    """By `engine model_precision`, for all networks that ``board`` can hold."""
    with tempfile.TemporaryDirectory() as folder:
        request = Request(PROJECT, (board,), engines=engines, dataset=dataset, limit=limit)
        run(make_plan(request), Path(folder), ignore)
        report = write(Path(folder))
    found = {}
    for made, row in zip(report.manifest.runs, report.summary.runs, strict=True):
        assert row.memory
        assert row.memory.arena is not None
        assert row.time.median is not None
        assert row.agreement
        assert row.agreement.max_abs is not None
        differing = row.agreement.differing_litert
        if row.precision == "int8":
            differing = row.agreement.differing_oracle
        assert differing is not None
        found[f"{row.engine} {row.model}_{row.precision}"] = Measured(
            round(row.time.median),
            row.memory.arena,
            differing,
            row.n * prod(made.output.shape),
            row.agreement.max_abs,
        )
    return found


def ignore(_: Event) -> None:
    """Show no progress: the tables at the end are enough."""


def line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def goals(dataset: str, limit: int, folder: Path) -> None:
    """The first table."""
    print(line(COLUMNS), line(["---"] * len(COLUMNS)), sep="\n")
    tables = {
        "mps2": measure("mps2", ("aot", "aot-fast"), dataset, limit),
        "rv32": measure("rv32", ("aot",), dataset, min(limit, 20)),
    }
    for goal in GOALS:
        found = tables[goal.board][f"{goal.engine} {goal.network}"]
        differing = f"{found.differing:,} of {found.outputs:,}"
        if goal.engine == "aot-fast":
            differing += f", by {found.off:.1e} at most"
        flash = ("n/a", "")
        if goal.board == "mps2":
            graph = read_model(MODELS / f"{goal.network}.tflite")
            over = flash_over_weights(graph, fused=goal.engine == "aot-fast", folder=folder)
            flash = (f"{over:,}", f"{FLASH:,}")
        stretch = "" if goal.stretch is None else f"{goal.stretch:,}"
        counts = [f"{found.instructions:,}", f"{goal.wanted:,}", stretch]
        arena = [f"{found.arena:,}", f"{goal.arena:,}"]
        name = goal.network.replace("_", " ")
        print(line([name, goal.board, goal.engine, *counts, *arena, *flash, differing]))


def layers(folder: Path) -> None:
    """The second table. Only multiplications of sums that an output needs are counted."""
    head = ("network", "engine", "layer", "multiplications", "instructions", "per multiplication")
    print(line(head), line(["---"] * len(head)), sep="\n")
    for goal in (goal for goal in GOALS if goal.board == "mps2"):
        graph = read_model(MODELS / f"{goal.network}.tflite")
        counts = layer_counts(graph, fused=goal.engine == "aot-fast", folder=folder)
        for step, layer, count in zip(plan(graph), layers_of(graph), counts, strict=True):
            macs = products(step) if isinstance(step, Conv) else 0
            each = f"{count / macs:.2f}" if macs else ""
            name = goal.network.replace("_", " ")
            print(line([name, goal.engine, layer.name, f"{macs:,}", f"{count:,}", each]))


def main() -> None:
    parser = argparse.ArgumentParser(description="The engine's goals and layers, in Markdown.")
    parser.add_argument("--limit", type=int, default=100, help="digits per network (default: 100)")
    options = parser.parse_args()
    dataset, note = datasets.choose("auto")
    with tempfile.TemporaryDirectory() as folder:
        goals(dataset, options.limit, Path(folder))
        print()
        layers(Path(folder))
    print("", f"Data set: {dataset}, {options.limit:,} digits at most.", sep="\n")
    if note:
        print(note)


if __name__ == "__main__":
    main()
