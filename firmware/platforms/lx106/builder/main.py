# SPDX-License-Identifier: Apache-2.0
"""Builds for QEMU's Xtensa machine with the xtensa-lx106-elf-gcc on PATH; `upload` starts QEMU."""

import sys
from pathlib import Path

from SCons.Script import DefaultEnvironment

env = DefaultEnvironment()
platforms = str(Path(env.PioPlatform().get_dir()).parent)
sys.path.insert(0, platforms)
import bare_metal

bare_metal.setup(
    env,
    "xtensa-lx106-elf",
    "gcc-xtensa-lx106 picolibc-xtensa-lx106-elf",
    ["--specs=/usr/lib/xtensa-lx106-elf/picolibc.specs"],  # not in the compiler's search path
)
env.Replace(LINK="$CC")  # Debian has no C++ library for it, and the firmware does not need one
bare_metal.program(env, f"{platforms}/lx106/bsp")
