# SPDX-License-Identifier: Apache-2.0
"""For engine `tflm`: compiles the adapter, and what the image needs from a local TFLM tree.

The tree is the folder HIL_TFLM_DIR or else in a library of the env's lib_deps. Kernels of the
chip's vendor replace TFLM's, see find_vendor. This script downloads nothing. Run by image.py.
"""

import os
import re
import sys
from pathlib import Path

from SCons.Script import DefaultEnvironment, Import
from SCons.Subst import Literal

Import("env", "generated", "says")
env, generated, says = (globals()[name] for name in ("env", "generated", "says"))

FIRMWARE = Path(env.subst("$PROJECT_DIR")) / "firmware"
ADAPTER = FIRMWARE / "lib" / "hil_tflm"
MICRO = Path("tensorflow", "lite", "micro")
NOT_FIRMWARE = ("test", "mock_", "fake_", "recording_", "kernel_runner", "_f16", "_f32")
INCLUDED = re.compile(r'^#include "([^"]+)"', re.MULTILINE)
BOTH = ("lstm_eval",)  # needs lstm_eval.cc and lstm_eval_common.cc
# For the adapter too: the first changes structures. TFLM needs C++17 and has many warnings.
DEFINES = ["-DTF_LITE_STATIC_MEMORY", "-DTF_LITE_STRIP_ERROR_STRINGS", "-DNDEBUG"]
CPP = ["-std=gnu++17", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics"]
VENDOR = {
    "CMSIS-NN": ["-DCMSIS_NN", "-DARM_NN_ENABLE_F16=0", "-DARM_NN_ENABLE_F32=0"],
    "ESP-NN": ["-DESP_NN", "-DCONFIG_NN_OPTIMIZED"],
}
CMSIS_HEADER, ESP_HEADER = Path("Include", "arm_nnfunctions.h"), Path("include", "esp_nn.h")


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
        "engine tflm needs TensorFlow Lite Micro; run `hil doctor --install --engine tflm`, "
        "set HIL_TFLM_DIR to a TFLM tree, or name one in lib_deps (docs/engines.md)"
    )


def named(variable, header):
    """The folder in an environment variable, which must contain `header`; None if it is not set."""
    if not (value := os.environ.get(variable)):
        return None
    folder = Path(value).expanduser().resolve()
    if not (folder / header).is_file():
        fail(f"{variable}={value} is not the folder of these sources: it has no {header}")
    return folder


def find_vendor():
    """The vendor's kernels for this board: (name, their folder, folder of TFLM's glue to them).

    HIL_CMSIS_NN_DIR or HIL_ESP_NN_DIR selects them on every board. Those that `hil` downloaded
    are for the boards of that vendor, unless HIL_TFLM_KERNELS names others.
    """
    board = env.BoardConfig()
    kernels = tree / MICRO / "kernels"
    cmsis = named("HIL_CMSIS_NN_DIR", CMSIS_HEADER) or named("HIL_TFLM_CMSIS", CMSIS_HEADER)
    esp = named("HIL_ESP_NN_DIR", ESP_HEADER) or named("HIL_TFLM_ESP", ESP_HEADER)
    glue = named("HIL_TFLM_GLUE", MICRO / "kernels" / "cmsis_nn" / "conv.cc")
    found = {
        "cmsis_nn": ("CMSIS-NN", cmsis, (glue or tree) / MICRO / "kernels" / "cmsis_nn"),
        "esp_nn": ("ESP-NN", esp, kernels / "esp_nn"),
    }
    wanted = os.environ.get("HIL_TFLM_KERNELS", "")
    if wanted not in ("", "reference", *found):
        fail(f"HIL_TFLM_KERNELS={wanted} is not known; set it to reference, cmsis_nn or esp_nn")
    if not wanted:
        on_arm = board.get("build.cpu", "").startswith("cortex-m")
        if os.environ.get("HIL_CMSIS_NN_DIR") or (cmsis and on_arm):
            wanted = "cmsis_nn"
        elif os.environ.get("HIL_ESP_NN_DIR") or (esp and chip.startswith("esp32")):
            wanted = "esp_nn"
    if wanted in ("", "reference"):
        return None, None, None
    name, folder, place = found[wanted]
    if not folder:
        option = wanted.replace("_", "-")
        fail(f"{name} is not on this machine; hil doctor --install --engine {option}")
    if not place.is_dir():
        fail(f"{tree} has no kernels for {name}; unset HIL_TFLM_DIR or use another tree")
    return name, folder, place


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
    if vendor == "CMSIS-NN":
        folders += [library, library / "Include"]
    if vendor == "ESP-NN":
        folders += [library / "include", library / "src" / "common"]
        folders += [] if chip.startswith("esp32") else [ADAPTER / "esp_timer"]
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
    if vendor == "CMSIS-NN":
        found |= {f for f in library.glob("Source/**/*.c") if wanted(f.name)}
    if vendor == "ESP-NN":  # without the assembly of one chip, whose buffers would not be reserved
        found |= {f for f in library.glob("src/**/*.c") if "_esp32" not in f.name}
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
            left += defining(tree / header if "/" in header else better.parent / header)
    return set(done.values())


def replaced(file):
    """The vendor's variant of a kernel, if there is one."""
    is_kernel = file.parent == tree / MICRO / "kernels"
    better = glue / file.name if glue and is_kernel else file
    return better if better.is_file() else file


def defining(header):
    """A header of a kernel, and the files beside it that define what it declares."""
    folder = header.parent
    if header.name == "micro_ops.h":  # declares the registrations of all kernels
        return []
    if folder.parts[-2:] == ("micro", "kernels"):
        common = f"{header.stem.removesuffix('_kernel')}_common"
        stems = [common, *([header.stem] if header.stem in BOTH else [])]
        found = [header.with_name(f"{stem}.cc") for stem in stems]
        found = found if any(f.is_file() for f in found) else [header.with_suffix(".cc")]
    elif folder.is_relative_to(tree / "signal" / "src"):  # rfft.h: rfft_float.cc, rfft_int16.cc
        found = [header.with_suffix(".cc"), *folder.glob(f"{header.stem}_*[0-9t].cc")]
    else:
        return []
    return [f for f in (header, *found) if f.is_file()]


def wanted(name):
    return not name.startswith("_") and not any(word in name for word in NOT_FIRMWARE)


def compile_all(files, where, **overrides):
    """Compile `files` into the build folder, at the paths that they have below `where`."""
    for file in files:
        flags = [*DEFINES, *VENDOR.get(vendor, []), *overrides.get("flags", [])]
        flags += CPP if file.suffix != ".c" else []
        target = Path(env.subst("$BUILD_DIR"), "tflm", *file.relative_to(where).parts)
        flags += [Literal(f"-isystem{path}") for path in (*cxx, *tflm_includes)]
        paths = [str(path) for path in overrides.get("paths", [])]
        node = env.Object(f"{target}.o", str(file), CPPFLAGS=flags, CPPPATH=paths)
        DefaultEnvironment().Append(PIOBUILDFILES=[node])


chip = env.BoardConfig().get("build.mcu", "")
cxx = cxx_headers()
tree = find_tree()
vendor, library, glue = find_vendor()
tflm_includes = includes()
found = [file for file in sources() if file.suffix != ".h"]
for place in dict.fromkeys((tree, glue, library)):
    compile_all([f for f in found if place and f.is_relative_to(place)], place, flags=["-w"])
    found = [f for f in found if not (place and f.is_relative_to(place))]
own = [ADAPTER, FIRMWARE / "lib" / "TinymlHil" / "src" / "hil_engine", generated]
compile_all(sorted(ADAPTER.glob("*.cpp")), FIRMWARE, paths=own)
kernels = vendor if vendor else "TFLM's own"
(Path(env.subst("$BUILD_DIR")) / "kernels.txt").write_text(kernels)
says.append(f"kernels: {kernels}")
