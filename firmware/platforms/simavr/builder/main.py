# SPDX-License-Identifier: Apache-2.0
"""Builds Arduino sketches for AVR with Debian's core and avr-gcc; `upload` starts simavr.

The core is the one that Debian's package arduino-core-avr installs; `board_build.arduino` names
another folder. The runner is part of this project; the host's gcc compiles it.
"""

import shutil
import sys
from pathlib import Path

from SCons.Script import DefaultEnvironment

env = DefaultEnvironment()
platforms = str(Path(env.PioPlatform().get_dir()).parent)
sys.path.insert(0, platforms)
import emulated

build = env.BoardConfig().get("build")
arduino = Path(build["arduino"])
runner_folder = Path(platforms) / "simavr" / "runner"
runner_sources = [str(runner_folder / name) for name in ("runner.c", "line.c", "response.c")]
PACKAGES = "gcc-avr avr-libc arduino-core-avr gcc libc6-dev libsimavr-dev libelf-dev"


def require(found, what):
    if not found:
        sys.stderr.write(
            f"Error: {what} is not installed; install it: sudo apt-get install {PACKAGES}\n"
        )
        env.Exit(1)


for tool in ("avr-gcc", "gcc"):
    require(shutil.which(tool), tool)
core = arduino / "cores" / "arduino"
require((core / "Arduino.h").is_file(), f"the Arduino core ({arduino})")

machine = [f"-mmcu={build['mcu']}", "-O2"]

emulated.use_gcc(
    env,
    "avr",
    flash=[".text", ".data"],
    ram=[".data", ".bss", ".noinit"],
)
env.Append(
    ASFLAGS=["-x", "assembler-with-cpp", f"-mmcu={build['mcu']}"],
    CCFLAGS=[*machine, "-ffunction-sections", "-fdata-sections"],
    CFLAGS=["-std=gnu11"],  # gnu: C11 does not have __flash
    CXXFLAGS=["-std=gnu++11", "-fno-exceptions", "-fno-threadsafe-statics"],
    CPPDEFINES=[
        ("F_CPU", build["f_cpu"]),
        ("ARDUINO", "10808"),
        "ARDUINO_ARCH_AVR",
        build["define"],
        ("DECIMAL_DIG", "__DECIMAL_DIG__"),  # GCC 5.4 needs it in C++
        "HIL_SHORT_OF_RAM",
        "HIL_TIMER1_CYCLES",
    ],
    CPPPATH=[str(core), str(arduino / "variants" / build["variant"])],
    LINKFLAGS=[*machine, "-Wl,--gc-sections"],
    LIBS=["m"],
)

# third-party code: hide its warnings
core_env = env.Clone()
core_env.Append(CCFLAGS=["-w"])
# wiring_pulse.S and .c would compile to the same object file; only pulseIn() needs the former
library = core_env.BuildLibrary("$BUILD_DIR/core", str(core), ["+<*>", "-<*.S>"])
env.Prepend(LIBS=[library])

program = env.BuildProgram()
firmware = Path(platforms).parent
words = ["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", f"-I{firmware / 'port'}"]
runner = env.Command(
    "$BUILD_DIR/simavr-runner",
    runner_sources,
    env.VerboseAction(  # a list, so that SCons quotes the path
        [[*words, "-o", "$TARGET", "$SOURCES", "-lsimavr", "-lelf"]],
        "Compiling the runner $TARGET",
    ),
)
headers = ["platforms/simavr/runner/line.h", "platforms/simavr/runner/response.h"]
headers += ["port/native/pty.h"]
env.Depends(runner, [str(firmware / name) for name in headers])
env.Depends(program, runner)

emulated.offer(env, program)
