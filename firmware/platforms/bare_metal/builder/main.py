# SPDX-License-Identifier: Apache-2.0
"""Builds for an emulated board without an operating system; `upload` starts the emulator.

Everything that differs between boards is in the board's JSON file, under `build`:

toolchain  a key of TOOLCHAINS: the prefix of the compiler on PATH
flags      flags of compiler and linker for the core
board      the name that the firmware reports in HELLO
defines    macros of the port, NAME: value
flash, ram where they start; `upload` has their sizes
stack      bytes that are reserved for the stack, at the end of RAM
boot       where the core reads its first vectors, if that is not the start of flash
chip       a folder beside this one, of a chip that starts by code of its own at `boot`: sources,
           and a module of the same name whose finish() is the action after linking
"""

import importlib
import os
import shutil
import sys
from pathlib import Path

from SCons.Script import DefaultEnvironment

env = DefaultEnvironment()
platforms = Path(env.PioPlatform().get_dir()).parent
sys.path.insert(0, str(platforms))  # PlatformIO runs builders without `__file__`
import emulated

# Start-up code in bsp/, flags for compiler and linker, flags for the linker only. Without C++,
# Debian has no C++ library for the compiler, and the firmware does not need one. TFLM needs C++
# headers: those for newlib on Arm work (build.cxx_headers, read by firmware/scripts/tflm.py).
TOOLCHAINS = {
    "arm-none-eabi": {"bsp": "arm", "flags": [], "link": ["--specs=nano.specs"], "c++": True},
    "riscv64-unknown-elf": {  # also generates 32-bit code
        "bsp": "riscv",
        "flags": ["-mcmodel=medany", "--specs=picolibc.specs"],
        "link": [],
        "c++": False,
    },
    "xtensa-lx106-elf": {
        "bsp": "xtensa",
        # not in the compiler's search path
        "flags": ["--specs=/usr/lib/xtensa-lx106-elf/picolibc.specs"],
        "link": [],
        "c++": False,
    },
}

board = env.BoardConfig()
build = board.get("build")
prefix = build["toolchain"]
toolchain = TOOLCHAINS[prefix]
if not shutil.which(f"{prefix}-gcc"):
    sys.stderr.write(
        f"Error: {prefix}-gcc is not installed; install it: "
        f"hil doctor --install --board {env['PIOENV']}\n"
    )
    env.Exit(1)

emulated.use_gcc(
    env,
    prefix,
    flash=[".boot", ".text", ".data", ".ARM.exidx"],
    ram=[".data", ".bss", ".stack"],
)
if not toolchain["c++"]:
    env.Replace(LINK="$CC")

machine = [
    *build["flags"],
    *toolchain["flags"],
    "-O2",
    "-ffp-contract=off",  # without FMA, float32 results equal TFLite's bit for bit
]
defines = [*build["defines"].items(), ("HIL_BOARD_NAME", env.StringifyMacro(build["board"]))]
symbols = {  # of the linker script
    "__flash": build["flash"],
    "__flash_size": board.get("upload.maximum_size"),
    "__ram": build["ram"],
    "__ram_size": board.get("upload.maximum_ram_size"),
    "__stack_size": build["stack"],
}
if "boot" in build:
    symbols["__boot"] = build["boot"]
    if "chip" not in build:
        defines.append("HIL_BOOT")
env.Append(
    CCFLAGS=[*machine, "-ffunction-sections", "-fdata-sections"],
    CFLAGS=["-std=c11"],
    CXXFLAGS=["-std=c++11", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics"],
    CPPDEFINES=defines,
    LINKFLAGS=[
        *machine,
        *toolchain["link"],
        "-nostartfiles",
        "-Wl,--gc-sections",
        *(f"-Wl,--defsym={name}={value}" for name, value in symbols.items()),
    ],
    LIBS=["m"],
)

bsp = platforms / "bare_metal" / "bsp"
script = bsp / "bare_metal.ld"
# PlatformIO passes the path to the linker unquoted, so it is a relative one in the project
local = Path(env.subst("$BUILD_DIR")) / script.name
local.parent.mkdir(parents=True, exist_ok=True)
shutil.copyfile(script, local)
env.Replace(LDSCRIPT_PATH=os.path.relpath(local, env.subst("$PROJECT_DIR")))
env.BuildSources("$BUILD_DIR/bsp", str(bsp / toolchain["bsp"]))
if "chip" in build:
    folder = platforms / "bare_metal" / build["chip"]
    env.BuildSources("$BUILD_DIR/chip", str(folder))
    sys.path.insert(0, str(folder))
program = env.BuildProgram()
env.Depends(program, str(script))
if "chip" in build:
    finish = importlib.import_module(build["chip"]).finish
    env.AddPostAction(program, env.VerboseAction(finish, "Completing $TARGET"))
    env.Depends(program, env.Glob(f"{folder}/*.*"))
emulated.offer(env, program)
