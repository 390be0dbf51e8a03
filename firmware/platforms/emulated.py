# SPDX-License-Identifier: Apache-2.0
"""What all builders of emulated boards share: a GCC cross compiler, `upload` and `size`."""

import re

from SCons.Script import AlwaysBuild, Default


def use_gcc(env, prefix, flash, ram):
    """Build firmware.elf with `prefix`-gcc; the sections `flash` and `ram` count for its size."""

    def sections(names):
        return rf"^(?:{'|'.join(map(re.escape, names))})\s+([0-9]+).*"

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
        SIZEPROGREGEXP=sections(flash),
        SIZEDATAREGEXP=sections(ram),
        SIZECHECKCMD="$SIZETOOL -A -d $SOURCES",
        SIZEPRINTCMD="$SIZETOOL -B -d $SOURCES",
    )


def offer(env, program, size="$SIZEPRINTCMD"):
    """Make `program` the default target, with `-t upload` and `-t size`."""
    emulate = ["$HIL_PYTHON", "-m", "hil", "emulate", "$PIOENV", "--firmware", "$SOURCE"]
    env.AddPlatformTarget(
        "upload",
        program,
        env.VerboseAction([[*emulate, "--detach"]], "Starting the emulator with $SOURCE"),
        "Upload",
        "Start the emulator with this firmware",
    )
    env.AddPlatformTarget(
        "size",
        program,
        env.VerboseAction(size, "Sizes of $SOURCE"),
        "Program Size",
        "Bytes per section",
    )
    AlwaysBuild(env.Alias("buildprog", program))
    Default([program])
