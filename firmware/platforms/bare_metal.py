# SPDX-License-Identifier: Apache-2.0
"""What the builders of bare-metal emulated boards share: compiler and linker flags, start-up code.

A builder calls `setup`, adds the flags of its board, then calls `program`. It first adds
firmware/platforms to sys.path, because PlatformIO runs builders without `__file__`.
"""

import os
import shutil
import sys
from pathlib import Path

import emulated


def setup(env, prefix, packages, machine):
    """Use the compiler `prefix`-gcc, from Debian's `packages`, with the flags `machine`."""
    if not shutil.which(f"{prefix}-gcc"):
        sys.stderr.write(
            f"Error: {prefix}-gcc is not installed; install it: sudo apt-get install {packages}\n"
        )
        env.Exit(1)
    machine = [
        *machine,
        "-O2",
        "-ffp-contract=off",  # without FMA, float32 results equal TFLite's bit for bit
    ]
    emulated.use_gcc(
        env,
        prefix,
        flash=[".text", ".data", ".ARM.exidx"],
        ram=[".data", ".bss", ".stack"],
    )
    env.Append(
        CCFLAGS=[*machine, "-ffunction-sections", "-fdata-sections"],
        CFLAGS=["-std=c11"],
        CXXFLAGS=["-std=c++11", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics"],
        LINKFLAGS=[*machine, "-nostartfiles", "-Wl,--gc-sections"],
        LIBS=["m"],
    )


def program(env, bsp):
    """Link with the start-up code in the folder `bsp`; `upload` starts the emulator."""
    script = Path(bsp) / env.BoardConfig().get("build.ldscript")
    # PlatformIO passes the path to the linker unquoted, so it is a relative one in the project
    local = Path(env.subst("$BUILD_DIR")) / script.name
    local.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(script, local)
    env.Replace(LDSCRIPT_PATH=os.path.relpath(local, env.subst("$PROJECT_DIR")))
    env.BuildSources("$BUILD_DIR/bsp", bsp)
    program = env.BuildProgram()
    env.Depends(program, str(script))
    emulated.offer(env, program)
