# SPDX-License-Identifier: Apache-2.0
"""Flash and RAM that the library TinymlHil adds to a sketch. Prints Markdown.

    python benchmarks/library.py

Per compiler on PATH and per type of input, two images are linked: one that calls an empty `predict`
in a loop, and one in which the library calls it. The difference is what the library takes: with the
parts of the C library and of libgcc that only it uses, and without the buffers for input and output
(their guards and the header of a request count). Compiled with -Os, as Arduino, ESP-IDF and Zephyr
do, for 784 inputs and 10 outputs. Only C code is compared: an Arduino core has its own costs.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LIBRARY: Final = Path(__file__).parents[1] / "firmware" / "lib" / "TinymlHil" / "src"
INPUTS, OUTPUTS = 784, 10
FLASH: Final = (".text", ".rodata", ".data", ".init_array", ".fini_array", ".ARM", ".literal")
RAM: Final = (".data", ".bss", ".noinit", ".sdata", ".sbss")


@dataclass(frozen=True, slots=True)
class Target:
    """A compiler and its flags; ``bound`` if the goals apply: 6 KB of flash, 1.2 KB of RAM."""

    prefix: str
    flags: tuple[str, ...]
    bound: bool = False

    @property
    def missing(self) -> list[str]:
        return [name for name in (f"{self.prefix}gcc",) if not shutil.which(name)]


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of input and output."""

    c_type: str
    code: str
    convert: str
    size: int


def _arm(*flags: str) -> Target:
    nano = ("--specs=nano.specs", "--specs=nosys.specs")
    return Target("arm-none-eabi-", ("-mthumb", *flags, *nano), bound=True)


TARGETS: Final = {
    "Cortex-M0+": _arm("-mcpu=cortex-m0plus"),
    "Cortex-M4F": _arm("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"),
    "Cortex-M7": _arm("-mcpu=cortex-m7", "-mfpu=fpv5-d16", "-mfloat-abi=hard"),
    "ESP32": Target("xtensa-esp32-elf-", ("-mlongcalls", "-nostartfiles", "-Wl,-e,main"), True),
    "RISC-V, rv32imc": Target(
        "riscv64-unknown-elf-", ("-march=rv32imc", "-mabi=ilp32", "--specs=picolibc.specs")
    ),
    "ATmega2560": Target("avr-", ("-mmcu=atmega2560",)),
}
KINDS: Final = {
    "uint8": Kind("uint8_t", "HIL_UINT8", "NULL", 1),
    "int8": Kind("int8_t", "HIL_INT8", "hil_convert_to_int8", 1),
    "float32": Kind("float", "HIL_FLOAT32", "hil_convert_to_float32", 4),
}

# What both images have: buffers, the callback, and a line that the compiler cannot look into.
COMMON: Final = """
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
static volatile uint8_t line;
static bool predict(void *context, const void *in, void *out) {
  (void)context;
  *(volatile uint8_t *)out = *(const volatile uint8_t *)in;
  return true;
}
"""
WITHOUT: Final = """
static uint8_t in[INPUTS * sizeof(TYPE)] __attribute__((aligned(16)));
static uint8_t out[OUTPUTS * sizeof(TYPE)] __attribute__((aligned(16)));
int main(void) {
  for (;;) {
    in[0] = line;
    line = predict(NULL, in, out);
  }
}
"""
WITH: Final = """
#include "hil_device.h"
static uint8_t in[HIL_DEVICE_RX_BYTES(INPUTS, TYPE)] HIL_DEVICE_ALIGNED;
static uint8_t out[HIL_DEVICE_OUT_BYTES(OUTPUTS, TYPE)] HIL_DEVICE_ALIGNED;
static size_t read_line(uint8_t *data, size_t limit) {
  data[0] = line;
  return limit > 0;
}
static void write_line(void *context, const uint8_t *data, size_t length) {
  (void)context;
  while (length-- > 0) {
    line = *data++;
  }
}
static uint32_t micros(void) { return line; }
static const hil_device_config_t config = {
    .name = "sketch", .version = "1.0",
    .input = {.dtype = CODE, .rank = 3, .dims = {28, 28, 1}},
    .output = {.dtype = CODE, .rank = 1, .dims = {OUTPUTS}},
    .convert = CONVERT, .predict = predict,
    .rx = in, .rx_size = sizeof in, .out = out, .out_size = sizeof out,
    .read = read_line, .write = write_line, .micros = micros,
};
static hil_device_t device;
int main(void) {
  hil_device_init(&device, &config);
  for (;;) {
    hil_device_poll(&device);
  }
}
"""


def sizes(elf: Path, prefix: str) -> tuple[int, int]:
    """Bytes of flash and of RAM, by the sections of an image."""
    listed = subprocess.run(
        [f"{prefix}size", "-A", "-d", str(elf)], capture_output=True, text=True, check=True
    ).stdout
    flash = ram = 0
    for line in listed.splitlines():
        words = line.split()
        if len(words) == 3 and words[0].startswith("."):
            flash += int(words[1]) * words[0].startswith(FLASH)
            ram += int(words[1]) * words[0].startswith(RAM)
    return flash, ram


def _linked(folder: Path, target: Target, kind: Kind, text: str, files: list[Path]) -> Path:
    main, elf = folder / "main.c", folder / "image.elf"
    main.write_text(COMMON + text)
    words = [f"{target.prefix}gcc", "-std=gnu11", "-Os", *target.flags]
    words += ["-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections", f"-I{LIBRARY}"]
    words += [f"-DINPUTS={INPUTS}", f"-DOUTPUTS={OUTPUTS}", f"-DTYPE={kind.c_type}"]
    words += [f"-DCODE={kind.code}", f"-DCONVERT={kind.convert}"]
    words += [str(main), *map(str, files), "-lm", "-o", str(elf)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return elf


def added(target: Target, kind: Kind) -> tuple[int, int]:
    """Bytes of flash and RAM that the library adds, beside the buffers for input and output."""
    files = [path for path in sorted(LIBRARY.rglob("*.c")) if "hil_arduino" not in path.parts]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before = sizes(_linked(folder, target, kind, WITHOUT, []), target.prefix)
        after = sizes(_linked(folder, target, kind, WITH, files), target.prefix)
    return after[0] - before[0], after[1] - before[1]


def main() -> None:
    print("| processor | " + " | ".join(f"{kind}: flash, RAM" for kind in KINDS) + " |")
    print("|---" * (len(KINDS) + 1) + "|")
    for name, target in TARGETS.items():
        if target.missing:
            print(f"{name}: there is no {target.missing[0]}", file=sys.stderr)
            continue
        found = [added(target, kind) for kind in KINDS.values()]
        print(f"| {name} | " + " | ".join(f"{flash:,}, {ram:,}" for flash, ram in found) + " |")


if __name__ == "__main__":
    main()
