# SPDX-License-Identifier: Apache-2.0
"""For engine `bakenn`: compiles the sources generated for this kind of chip. Run by image.py.

That is CMSIS-NN's kernels on processors with DSP instructions, ESP-NN's on ESP32 and ESP32-S3, and
portable C elsewhere. HIL_BAKENN selects one of the generated folders instead.
"""

import os
import sys
from pathlib import Path

from SCons.Script import DefaultEnvironment, Import
from SCons.Subst import Literal

Import("env", "names", "generated", "says")
env, names, generated, says = (globals()[n] for n in ("env", "names", "generated", "says"))

GENERATED = generated / "bakenn"
KERNELS = {
    "portable": "bakenn's own",
    "cmsis_nn": "CMSIS-NN",
    "esp32": "ESP-NN",
    "esp32s3": "ESP-NN",
}
DSP = ("cortex-m4", "cortex-m7", "cortex-m33", "cortex-m35p", "cortex-m55", "cortex-m85")


def fail(message):
    sys.stderr.write(f"Error: {message}\n")
    env.Exit(1)


def kind():
    """The name of the folder of generated files for this chip."""
    board = env.BoardConfig()
    if forced := os.environ.get("HIL_BAKENN"):
        known = sorted(path.name for path in GENERATED.iterdir())
        if forced not in known:
            fail(f"HIL_BAKENN={forced} is not known; unset it, or choose one: {' '.join(known)}")
        return forced
    if board.get("build.mcu", "") in ("esp32", "esp32s3"):
        return board.get("build.mcu")
    return "cmsis_nn" if board.get("build.cpu", "") in DSP else "portable"


def listed(suffix):
    """The paths that the files NAME.`suffix` of this image list, in order, without repetition."""
    files = [folder / f"{name}.{suffix}" for name in names]
    return list(dict.fromkeys(folder / w for f in files for w in f.read_text().split()))


folder = GENERATED / kind()
kernels = KERNELS[folder.name]
(Path(env.subst("$BUILD_DIR")) / "kernels.txt").write_text(kernels)
says.append(f"kernels: {kernels}")
include = [Literal(f"-isystem{path}") for path in listed("include")]
# loads with memcpy of a constant size, which the compiler turns into one instruction
flags = ["-w", "-DBAKENN_CMSIS_NN_BUILTIN_MEMORY", *include]
for file in listed("sources"):
    target = Path(env.subst("$BUILD_DIR"), "bakenn", *file.relative_to(folder).parts)
    node = env.Object(f"{target}.o", str(file), CPPFLAGS=flags, CPPPATH=[])
    DefaultEnvironment().Append(PIOBUILDFILES=[node])
env.Append(CPPPATH=[str(path) for path in listed("include")[:1]])
