# SPDX-License-Identifier: Apache-2.0
"""Cycles of the hot loops of engine aot, and of CMSIS-NN's for the same layers. Prints Markdown.

    python benchmarks/cycles.py

Instructions say nothing about stalls. So the innermost loop of each kernel is taken from the object
file that GCC makes for a Cortex-M7, and run through LLVM's model of the Cortex-M7 and the Cortex-M4
(`llvm-mca`): 100 iterations, all loads from a memory without wait states, no caches. CMSIS-NN's
rows need its sources: HIL_CMSIS_NN_DIR (docs/engines.md).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hil.engines.aot import generate
from hil.tflite import read_model
from tests.support.tflite import RELU, SAME, Net

GCC = ("arm-none-eabi-gcc", "-mcpu=cortex-m7", "-mthumb", "-mfpu=fpv5-d16", "-mfloat-abi=hard")
CORES = ("cortex-m7", "cortex-m4")
COLUMNS = (
    *("layer", "engine", "function", "products per iteration", "instructions", "code bytes"),
    *(f"cycles per product, {core}" for core in CORES),
)
ITERATIONS = 100
PRODUCTS = {"smlad": 2, "smladx": 2, "smlabb": 1, "smlabt": 1, "smlatb": 1, "smlatt": 1, "mla": 1}
SHARED = {"hil_rows4": 4 / 3}  # functions whose three sums are those of four points
SOURCES = "Source/ConvolutionFunctions", "Source/NNSupportFunctions"
CMSIS = {  # CMSIS-NN's functions for each layer
    "pointwise convolution": ("arm_nn_mat_mult_nt_t_s8",),
    "convolution 3x3": ("arm_nn_mat_mult_kernel_s8_s16",),
    "dense": ("arm_nn_vec_mat_mult_t_s8",),
    "depthwise convolution 3x3": ("arm_depthwise_conv_3x3_s8", "arm_depthwise_conv_s8_opt"),
}


@dataclass(frozen=True, slots=True)
class Loop:
    """An innermost loop: its instructions as text, and the bytes of its code."""

    function: str
    lines: tuple[str, ...]
    nbytes: int

    @property
    def products(self) -> int:
        found = sum(PRODUCTS.get(line.split()[0], 0) for line in self.lines)
        return round(found * SHARED.get(self.function, 1))


_HEAD = re.compile(r"^[0-9a-f]+ <([\w.]+)>:$")
_LINE = re.compile(r"^\s*([0-9a-f]+):\t([0-9a-f ]+)\t(\S+)(?:\t([^;@]*))?")
_JUMP = re.compile(r"^(b|bne|beq|bcc|bcs|bhi|bls|bge|blt|bgt|ble|bpl|bmi|cbz|cbnz)(\.[nw])?$")


def loops(obj: Path) -> Iterator[Loop]:
    """All innermost loops of an object file."""
    words = ["arm-none-eabi-objdump", "-d", str(obj)]
    text = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout
    function = ""
    found: list[tuple[int, int, str, str]] = []
    for line in [*text.splitlines(), "0 <end>:"]:
        if head := _HEAD.match(line):
            yield from _innermost(function, found)
            function, found = head[1], []
        elif part := _LINE.match(line):
            size = len(part[2].replace(" ", "")) // 2
            found.append((int(part[1], 16), size, part[3], (part[4] or "").strip()))


def _narrow(name: str) -> str:
    """Without the width of its encoding, which LLVM does not accept everywhere."""
    return name.removesuffix(".n").removesuffix(".w")


def _innermost(function: str, code: list[tuple[int, int, str, str]]) -> Iterator[Loop]:
    spans = []
    for at, _, name, operands in code:
        if _JUMP.match(name):
            target = int(operands.split(",")[-1].split()[0], 16)
            if target < at:
                spans.append((target, at))
    for first, last in spans:
        if any((a, b) != (first, last) and first <= a and b <= last for a, b in spans):
            continue
        inside = [one for one in code if first <= one[0] <= last]
        lines = [
            "bne.w 1b" if at == last else f"{_narrow(name)} {operands}"
            for at, _, name, operands in inside
            if at == last or not _JUMP.match(name)
        ]
        yield Loop(function, tuple(lines), sum(size for _, size, _, _ in inside))


def cycles(loop: Loop, core: str) -> float:
    """Of one iteration."""
    installed = sorted(Path("/usr/lib").glob("llvm-*/bin/llvm-mca"))
    mca = shutil.which("llvm-mca") or installed[0]
    source = "\n".join([".syntax unified", "1:", *loop.lines, ""])
    words = [str(mca), "-mtriple=thumbv7em-none-eabihf", f"-mcpu={core}"]
    words.append(f"-iterations={ITERATIONS}")
    done = subprocess.run(
        words, input=source, check=True, capture_output=True, text=True, timeout=60
    )
    total = re.search(r"Total Cycles:\s+(\d+)", done.stdout)
    assert total
    return int(total[1]) / ITERATIONS


def networks() -> dict[str, bytes]:
    """A network for each layer."""
    random = np.random.default_rng(0)

    def conv(shape: tuple[int, ...], depthwise: bool = False) -> bytes:
        cin = shape[3]
        net = Net().input((1, 12, 12, cin), "int8", 0.02, -128)
        net.simple("RELU", scale=0.02, zero=-128)
        scales = [0.001] * (cin if depthwise else shape[0])
        weights = random.integers(-60, 61, shape).astype(np.int8)
        more = {"padding": SAME, "act": RELU, "scales": scales, "scale": 0.05, "zero": -128}
        return net.conv(weights, depthwise=depthwise, **more).finish()  # type: ignore[arg-type]

    dense = Net().input((1, 256), "int8", 0.02, -128).simple("RELU", scale=0.02, zero=-128)
    weights = random.integers(-60, 61, (64, 256)).astype(np.int8)
    dense.dense(weights, act=RELU, scales=[0.001], scale=0.05, zero=-128)
    return {
        "pointwise convolution": conv((64, 1, 1, 64)),
        "convolution 3x3": conv((32, 3, 3, 32)),
        "dense": dense.finish(),
        "depthwise convolution 3x3": conv((1, 3, 3, 64), depthwise=True),
    }


def hottest(found: Iterable[Loop], wanted: tuple[str, ...] = ()) -> Loop | None:
    """The loop with the most products, of the functions ``wanted`` (else of all)."""
    those = [loop for loop in found if not wanted or loop.function in wanted]
    return max(those, key=lambda loop: loop.products, default=None)


def aot(data: bytes, folder: Path) -> Loop | None:
    (folder / "net.h").write_text(generate(read_model(data), "net", "").text)
    call = "void run(const void *in, void *out, void *arena) { net_invoke(in, out, arena); }"
    (folder / "net.c").write_text(f'#include "net.h"\n{call}\n')
    words = [*GCC, "-O2", "-std=c11", "-c", "net.c", "-o", "net.o"]
    subprocess.run(words, cwd=folder, check=True, timeout=100)
    used = subprocess.run(
        ["arm-none-eabi-nm", "net.o"], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.split()
    return hottest(loop for loop in loops(folder / "net.o") if loop.function in used)


def cmsis_nn(tree: Path, layer: str, folder: Path) -> Loop | None:
    found: list[Loop] = []
    for name in CMSIS[layer]:
        (source,) = (f for part in SOURCES for f in (tree / part).glob(f"{name}.c"))
        words = [*GCC, "-O3", f"-I{tree / 'Include'}", "-c", str(source), "-o", "cmsis.o"]
        subprocess.run(words, cwd=folder, check=True, timeout=100)
        found += loops(folder / "cmsis.o")
    return hottest(found, CMSIS[layer])


def line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    print(line(COLUMNS), line(["---"] * len(COLUMNS)), sep="\n")
    tree = os.environ.get("HIL_CMSIS_NN_DIR")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for layer, data in networks().items():
            rows = [("aot", aot(data, folder))]
            if tree:
                rows.append(("CMSIS-NN", cmsis_nn(Path(tree), layer, folder)))
            for engine, loop in rows:
                if loop is None:
                    continue
                each = [f"{cycles(loop, core) / loop.products:.2f}" for core in CORES]
                size = [str(n) for n in (loop.products, len(loop.lines), loop.nbytes)]
                print(line([layer, engine, f"`{loop.function}`", *size, *each]))
    if not tree:
        print("\nCMSIS-NN: HIL_CMSIS_NN_DIR is not set.")


if __name__ == "__main__":
    main()
