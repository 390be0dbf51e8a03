# SPDX-License-Identifier: Apache-2.0
"""Builds for QEMU's RISC-V board with the riscv64-unknown-elf-gcc on PATH; `upload` starts QEMU."""

import sys
from pathlib import Path

from SCons.Script import DefaultEnvironment

env = DefaultEnvironment()
platforms = str(Path(env.PioPlatform().get_dir()).parent)
sys.path.insert(0, platforms)
import bare_metal

build = env.BoardConfig().get("build")
bare_metal.setup(
    env,
    "riscv64-unknown-elf",  # also generates 32-bit code
    "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf",
    [
        f"-march={build['arch']}",
        f"-mabi={build['abi']}",
        "-mcmodel=medany",
        "--specs=picolibc.specs",
    ],
)
# Debian has no C++ library for it, and the firmware does not need one. TFLM needs C++ headers:
# those for newlib on Arm work (build.cxx_headers of the board, read by firmware/scripts/tflm.py).
env.Replace(LINK="$CC")
bare_metal.program(env, f"{platforms}/rv32/bsp")
