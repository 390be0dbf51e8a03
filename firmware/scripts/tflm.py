# SPDX-License-Identifier: Apache-2.0
"""For engine `tflm`: compiles the adapter, and what the image needs from a local TFLM tree.

The tree is the folder HIL_TFLM_DIR or else in a library of the env's lib_deps. HIL_CMSIS_NN_DIR
adds CMSIS-NN's kernels. This script downloads nothing. Run by image.py.
"""

import os
import re
import sys
from pathlib import Path

from SCons.Script import DefaultEnvironment, Import
from SCons.Subst import Literal

Import("env", "generated")
env, generated = globals()["env"], globals()["generated"]

FIRMWARE = Path(env.subst("$PROJECT_DIR")) / "firmware"
MICRO = Path("tensorflow", "lite", "micro")
NOT_FIRMWARE = ("test", "mock_", "fake_", "recording_", "kernel_runner", "_f16", "_f32")
INCLUDED = re.compile(r'^#include "((?:tensorflow/lite/micro/kernels|signal)/[^"]+)"', re.MULTILINE)
BOTH = ("lstm_eval",)  # needs lstm_eval.cc and lstm_eval_common.cc
# For the adapter too: the first changes structures. TFLM needs C++17 and has many warnings.
DEFINES = ["-DTF_LITE_STATIC_MEMORY", "-DTF_LITE_STRIP_ERROR_STRINGS", "-DNDEBUG"]
CPP = ["-std=gnu++17", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics"]
CMSIS = ["-DCMSIS_NN", "-DARM_NN_ENABLE_F16=0", "-DARM_NN_ENABLE_F32=0"]


def fail(message):
    sys.stderr.write(f"Error: {message}\n")
    env.Exit(1)


def inside(folder):
    """The folder that contains tensorflow/: `folder` or its src/; None if neither does."""
    found = [path for path in (folder, folder / "src") if (path / MICRO).is_dir()]
    return found[0] if found else None


def find_tree():
    if named := os.environ.get("HIL_TFLM_DIR"):
        tree = inside(Path(named).expanduser().resolve())
        return tree or fail(f"HIL_TFLM_DIR={named} does not contain {MICRO}; set it to a TFLM tree")
    libraries = Path(env.subst("$PROJECT_LIBDEPS_DIR"), env["PIOENV"])
    trees = [inside(path) for path in sorted(libraries.glob("*"))]
    return next(filter(None, trees), None) or fail(
        "engine tflm needs TensorFlow Lite Micro; set HIL_TFLM_DIR to a TFLM tree, "
        "or name one in lib_deps (docs/engines.md)"
    )


def find_cmsis_nn():
    if not (named := os.environ.get("HIL_CMSIS_NN_DIR")):
        return None
    folder = Path(named).expanduser().resolve()
    if not (folder / "Include" / "arm_nnfunctions.h").is_file():
        fail(f"HIL_CMSIS_NN_DIR={named} is not CMSIS-NN: it has no Include/arm_nnfunctions.h")
    if not (tree / MICRO / "kernels" / "cmsis_nn").is_dir():
        fail(f"{tree} has no kernels for CMSIS-NN; unset HIL_CMSIS_NN_DIR or use another tree")
    return folder


def cxx_headers():
    """Folders of C++ headers, for a board whose JSON names those of another compiler as a glob."""
    if not (pattern := env.BoardConfig().get("build.cxx_headers", "")):
        return []
    if not (found := sorted(Path("/").glob(pattern.lstrip("/")))):
        fail(
            f"engine tflm needs the headers of a C++ library, but there is no {pattern}; "
            "install them: sudo apt-get install libstdc++-arm-none-eabi-newlib"
        )
    return [found[-1].parent, found[-1]]


def includes():
    """The tree, and the headers of other projects, from where TFLM's own tools put them."""
    folders = [tree]
    for name, header, inner in (
        ("flatbuffers", "flatbuffers/flatbuffers.h", "include"),
        ("gemmlowp", "fixedpoint/fixedpoint.h", "."),
        ("ruy", "ruy/profiler/instrumentation.h", "."),
    ):
        places = [tree / "third_party" / name, tree / MICRO / "tools/make/downloads" / name]
        found = [place / inner for place in places if (place / inner / header).is_file()]
        if not found:
            fail(
                f"{tree} has no {name}: {header} is not in third_party/{name}; see docs/engines.md"
            )
        folders.append(found[0])
    kissfft = [place.parent / "kissfft" for place in places]  # for operators of signal/ only
    folders += [place for place in kissfft if (place / "kiss_fft.h").is_file()][:1]
    if cmsis_nn:
        folders += [cmsis_nn, cmsis_nn / "Include"]
    return folders


def sources():
    """The interpreter, the kernels of this image's operators, and all that those include."""
    lite, micro = tree / "tensorflow" / "lite", tree / MICRO
    folders = [micro, micro / "arena_allocator", micro / "memory_planner", micro / "tflite_bridge"]
    folders += [lite / "kernels", lite / "core/c", lite / "core/api", lite / "schema"]
    folders += [lite / "kernels/internal", lite / "kernels/internal/reference"]
    folders += [tree / "tensorflow/compiler/mlir/lite" / name for name in ("schema", "core/api")]
    found = {file for folder in folders for file in folder.glob("*.c*") if wanted(file.name)}
    stems = (generated / "hil_tflm_kernels.txt").read_text().split()
    found |= with_included([file for stem in stems for file in kernel(stem)])
    if cmsis_nn:
        found |= {f for f in cmsis_nn.glob("Source/**/*.c") if wanted(f.name)}
    return sorted(found)


def kernel(stem):
    """The file of a kernel, by its name in hil_tflm_kernels.txt."""
    if stem.startswith("signal/"):
        return [tree / "signal" / "micro" / "kernels" / f"{stem.removeprefix('signal/')}.cc"]
    return [tree / MICRO / "kernels" / f"{stem}.cc"]


def with_included(files):
    """`files`, and the files that define what the headers declare which they include.

    DEPTHWISE_CONV_2D, for example, includes conv.h, and needs conv_common.cc.
    """
    left, done = [*files], {}
    while left:
        file = left.pop()
        if file in done:
            continue
        done[file] = better = replaced(file)
        for header in INCLUDED.findall(better.read_text(errors="replace")):
            left += defining(header)
    return set(done.values())


def replaced(file):
    """CMSIS-NN's variant of a kernel, if there is one."""
    better = file.parent / "cmsis_nn" / file.name
    return better if cmsis_nn and better.is_file() else file


def defining(header):
    """The files beside a header of a kernel that define what it declares."""
    path = tree / header
    if path.parent.parts[-2:] == ("micro", "kernels"):
        common = f"{path.stem.removesuffix('_kernel')}_common"
        stems = [common, *([path.stem] if path.stem in BOTH else [])]
        found = [path.with_name(f"{stem}.cc") for stem in stems]
        found = found if any(f.is_file() for f in found) else [path.with_suffix(".cc")]
    elif "signal/src" in header:  # rfft.h: rfft_float.cc, rfft_int16.cc, rfft_int32.cc
        found = [path.with_suffix(".cc"), *path.parent.glob(f"{path.stem}_*[0-9t].cc")]
    else:
        return []
    return [path, *(f for f in found if f.is_file())]


def wanted(name):
    return not name.startswith("_") and not any(word in name for word in NOT_FIRMWARE)


def compile_all(files, where, **overrides):
    """Compile `files` into the build folder, at the paths that they have below `where`."""
    for file in files:
        flags = [*DEFINES, *(CMSIS if cmsis_nn else []), *overrides.get("flags", [])]
        flags += CPP if file.suffix != ".c" else []
        target = Path(env.subst("$BUILD_DIR"), "tflm", *file.relative_to(where).parts)
        flags += [Literal(f"-isystem{path}") for path in (*cxx, *tflm_includes)]
        paths = [str(path) for path in overrides.get("paths", [])]
        node = env.Object(f"{target}.o", str(file), CPPFLAGS=flags, CPPPATH=paths)
        DefaultEnvironment().Append(PIOBUILDFILES=[node])


cxx = cxx_headers()
tree = find_tree()
cmsis_nn = find_cmsis_nn()
tflm_includes = includes()
found = [file for file in sources() if file.suffix != ".h"]
compile_all([f for f in found if tree in f.parents], tree, flags=["-w"])
compile_all([f for f in found if tree not in f.parents], cmsis_nn, flags=["-w"])
adapter = FIRMWARE / "lib" / "hil_tflm"
own = [adapter, FIRMWARE / "lib" / "TinymlHil" / "src" / "hil_engine", generated]
compile_all(sorted(adapter.glob("*.cpp")), FIRMWARE, paths=own)
