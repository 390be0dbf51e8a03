"""What the builders of emulated boards share: a GCC cross compiler on PATH, `upload`, `size`.

A builder calls `setup`, sets its board's own flags, then calls `program`. It is imported with
the project's firmware/platforms in sys.path: PlatformIO runs builders without `__file__`.
"""

import os
import shutil
import sys

import emulated


def setup(env, prefix, packages, machine):
    """Use the compiler `prefix`-gcc, which Debian's `packages` bring, with the flags `machine`."""
    if not shutil.which(f"{prefix}-gcc"):
        sys.stderr.write(
            f"Error: {prefix}-gcc is not installed; install it: sudo apt-get install {packages}\n"
        )
        env.Exit(1)
    machine = [
        *machine,
        "-O2",
        "-ffp-contract=off",  # float32 results equal TFLite's bit for bit only without FMA
    ]
    env.Replace(
        AR=f"{prefix}-gcc-ar",
        AS=f"{prefix}-gcc",
        CC=f"{prefix}-gcc",
        CXX=f"{prefix}-g++",
        LINK=f"{prefix}-g++",
        RANLIB=f"{prefix}-gcc-ranlib",
        SIZETOOL=f"{prefix}-size",
        PROGNAME="firmware",
        PROGSUFFIX=".elf",
        SIZEPROGREGEXP=r"^(?:\.text|\.data|\.ARM\.exidx)\s+([0-9]+).*",
        SIZEDATAREGEXP=r"^(?:\.data|\.bss|\.stack)\s+([0-9]+).*",
        SIZECHECKCMD="$SIZETOOL -A -d $SOURCES",
        SIZEPRINTCMD="$SIZETOOL -B -d $SOURCES",
    )
    env.Append(
        CCFLAGS=[*machine, "-ffunction-sections", "-fdata-sections"],
        CFLAGS=["-std=c11"],
        CXXFLAGS=["-std=c++11", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics"],
        LINKFLAGS=[*machine, "-nostartfiles", "-Wl,--gc-sections"],
        LIBS=["m"],
    )


def program(env, bsp):
    """Link with the board's start-up code in `bsp`; `upload` starts the emulator."""
    script = f"{bsp}/{env.BoardConfig().get('build.ldscript')}"
    # relative: PlatformIO hands it to the linker unquoted
    env.Replace(LDSCRIPT_PATH=os.path.relpath(script, env.subst("$PROJECT_DIR")))
    env.BuildSources("$BUILD_DIR/bsp", bsp)
    program = env.BuildProgram()
    env.Depends(program, script)
    emulated.offer(env, program)
