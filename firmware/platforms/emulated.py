"""How every builder of an emulated board ends: `upload` starts the emulator, `size` counts."""

from SCons.Script import AlwaysBuild, Default


def offer(env, program, size="$SIZEPRINTCMD"):
    """Make `program` the default, and offer `-t upload` and `-t size` for it."""
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
        "Bytes by section",
    )
    AlwaysBuild(env.Alias("buildprog", program))
    Default([program])
