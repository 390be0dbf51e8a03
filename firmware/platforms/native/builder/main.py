# SPDX-License-Identifier: Apache-2.0
"""Builds the firmware as a process of this machine with the gcc on PATH; `upload` starts it."""

import shutil
import sys
from pathlib import Path

from SCons.Script import DefaultEnvironment

env = DefaultEnvironment()
platforms = str(Path(env.PioPlatform().get_dir()).parent)
sys.path.insert(0, platforms)
import emulated

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
    # without FMA, float32 results equal TFLite's bit for bit
    CCFLAGS=["-O2", "-ffp-contract=off", "-ffunction-sections", "-fdata-sections"],
    CFLAGS=["-std=c11"],
    CXXFLAGS=["-std=c++11", "-fno-exceptions", "-fno-rtti"],
    LINKFLAGS=["-Wl,--gc-sections"],
    LIBS=["m"],
)

program = env.BuildProgram()

emulated.offer(env, program, "size $SOURCE")
