"""Builds for QEMU's MPS2 boards with the arm-none-eabi-gcc on PATH; `upload` starts QEMU."""

import shutil
import sys

from SCons.Script import AlwaysBuild, Default, DefaultEnvironment

env = DefaultEnvironment()
build = env.BoardConfig().get("build")
bsp = env.subst("$PROJECT_DIR/firmware/platforms/mps2/bsp")

if not shutil.which("arm-none-eabi-gcc"):
    sys.stderr.write(
        "Error: arm-none-eabi-gcc is not installed; install it: sudo apt-get install "
        "gcc-arm-none-eabi libnewlib-arm-none-eabi libstdc++-arm-none-eabi-newlib\n"
    )
    env.Exit(1)

machine = [
    f"-mcpu={build['cpu']}",
    "-mthumb",
    f"-mfpu={build['fpu']}",
    "-mfloat-abi=hard",
    "-O2",
    "-ffp-contract=off",  # float32 results equal TFLite's bit for bit only without FMA
]

env.Replace(
    AR="arm-none-eabi-gcc-ar",
    AS="arm-none-eabi-gcc",
    CC="arm-none-eabi-gcc",
    CXX="arm-none-eabi-g++",
    LINK="arm-none-eabi-g++",
    RANLIB="arm-none-eabi-gcc-ranlib",
    SIZETOOL="arm-none-eabi-size",
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
    LINKFLAGS=[
        *machine,
        "-nostartfiles",
        "--specs=nano.specs",
        "-Wl,--gc-sections",
        f"-Wl,-T,{bsp}/{build['ldscript']}",
    ],
    LIBS=["m"],
)

env.BuildSources("$BUILD_DIR/bsp", bsp)
program = env.BuildProgram()
env.Depends(program, f"{bsp}/{build['ldscript']}")

env.AddPlatformTarget(
    "upload",
    program,
    env.VerboseAction(
        [["$HIL_PYTHON", "-m", "hil", "emulate", "$PIOENV", "--firmware", "$SOURCE", "--detach"]],
        "Starting the emulator with $SOURCE",
    ),
    "Upload",
    "Start the emulator with this firmware",
)
env.AddPlatformTarget(
    "size",
    program,
    env.VerboseAction("$SIZEPRINTCMD", "Sizes of $SOURCE"),
    "Program Size",
    "Bytes by section",
)
AlwaysBuild(env.Alias("buildprog", program))
Default([program])
