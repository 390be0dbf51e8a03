"""Builds the firmware as a process of this machine with the gcc on PATH; `upload` starts it."""

import shutil
import sys

from SCons.Script import AlwaysBuild, Default, DefaultEnvironment

env = DefaultEnvironment()

for tool in ("gcc", "g++"):
    if not shutil.which(tool):
        sys.stderr.write(f"Error: {tool} is not installed; install it: sudo apt-get install g++\n")
        env.Exit(1)

env.Replace(
    CC="gcc",
    CXX="g++",
    LINK="g++",
    SIZETOOL=None,
)
env.Append(
    # float32 results equal TFLite's bit for bit only without FMA
    CCFLAGS=["-O2", "-ffp-contract=off", "-ffunction-sections", "-fdata-sections"],
    CFLAGS=["-std=c11"],
    CXXFLAGS=["-std=c++11", "-fno-exceptions", "-fno-rtti"],
    LINKFLAGS=["-Wl,--gc-sections"],
    LIBS=["m"],
)

program = env.BuildProgram()

env.AddPlatformTarget(
    "upload",
    program,
    env.VerboseAction(
        [["$HIL_PYTHON", "-m", "hil", "emulate", "$PIOENV", "--firmware", "$SOURCE", "--detach"]],
        "Starting $SOURCE",
    ),
    "Upload",
    "Start this firmware as a process",
)
env.AddPlatformTarget(
    "size", program, env.VerboseAction("size $SOURCE", "Sizes of $SOURCE"), "Program Size", "Bytes"
)
AlwaysBuild(env.Alias("buildprog", program))
Default([program])
