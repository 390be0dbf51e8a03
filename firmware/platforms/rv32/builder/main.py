"""Builds for QEMU's RISC-V board with the riscv64-unknown-elf-gcc on PATH; `upload` starts QEMU."""

import sys

from SCons.Script import DefaultEnvironment

env = DefaultEnvironment()
platforms = env.subst("$PROJECT_DIR/firmware/platforms")
sys.path.insert(0, platforms)
import bare_metal

build = env.BoardConfig().get("build")
bare_metal.setup(
    env,
    "riscv64-unknown-elf",  # it makes code for 32 bits as well
    "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf",
    [
        f"-march={build['arch']}",
        f"-mabi={build['abi']}",
        "-mcmodel=medany",
        "--specs=picolibc.specs",
    ],
)
# There is no C++ library for it in Debian; the firmware needs none. TFLM wants the headers of one:
# those for newlib on Arm serve (build.cxx_headers of the board, read by firmware/scripts/tflm.py).
env.Replace(LINK="$CC")
bare_metal.program(env, f"{platforms}/rv32/bsp")
