# SPDX-License-Identifier: Apache-2.0
"""Builds for QEMU's MPS2 boards with the arm-none-eabi-gcc on PATH; `upload` starts QEMU."""

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
    "arm-none-eabi",
    "gcc-arm-none-eabi libnewlib-arm-none-eabi libstdc++-arm-none-eabi-newlib",
    [f"-mcpu={build['cpu']}", "-mthumb", f"-mfpu={build['fpu']}", "-mfloat-abi=hard"],
)
env.Append(LINKFLAGS=["--specs=nano.specs"])
bare_metal.program(env, f"{platforms}/mps2/bsp")
