# SPDX-License-Identifier: Apache-2.0
"""Every C and C++ file of the firmware, and every generated header, compiles without a warning: by
every compiler that Debian has, in every standard that a core uses.

The core chooses the standard, not this project: ESP32's core 2 compiles C as gnu99, where newlib
has no static_assert, and core 3 as gnu17 and gnu++2b. Files are found by their folder, so a new one
is compiled without being listed: a port and a platform belong to the compiler of the PlatformIO
envs that name them, everything else to all compilers. The headers of the C library are the host's,
newlib (arm), picolibc (riscv64, lx106) and avr-libc.

Compiled elsewhere: files that include TensorFlow Lite Micro (test_tflm.py, with its sources), and
the Arduino port for chips other than an AVR, because Debian does not have their cores
(test_arduino_port.py and test_cores.py, with fakes of them).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from configparser import ConfigParser, SectionProxy
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest

from hil.engines import write_image
from hil.engines.aot.steps import CTYPES
from hil.firmware.toolchain import compilers
from hil.tflite import Graph
from tests.engines.test_bakenn import needs_bakenn
from tests.support.covering import covering
from tests.support.firmware import (
    DEVICE,
    FIRMWARE,
    INCLUDES,
    LIBRARY,
    PROJECT,
    SOURCES,
    STRICT,
    defines,
    run,
    write_golden_header,
)
from tests.support.needs import needs
from tests.support.tflite import int8_cnn

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(1200)]

ARDUINO: Final = Path("/usr/share/arduino/hardware/arduino/avr")
WARNINGS: Final = ("-Wall", "-Wextra", "-Werror")
# options that remove code from the library or add to it
VARIANTS: Final = (
    "-DHIL_LAYERS",
    "-DHIL_UNPACKS=0",
    "-DHIL_MLPERF=0",
    "-UHIL_REPEAT",
    "-DHIL_MLPERF_ENERGY=1 -DHIL_MARKER_PIN=1",
)


@dataclass(frozen=True)
class Toolchain:
    """A C and a C++ compiler; the files of the PlatformIO env ``env`` are compiled only with it,
    and those of further ``ports`` of the same core."""

    c: str
    cxx: str
    env: str
    flags: tuple[str, ...] = ()
    cxx_flags: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        return [program for program in (self.c, self.cxx) if not shutil.which(program)]

    def command(self, standard: str) -> list[str]:
        """The compiler for a standard with its flags, without action and files."""
        program, more = (self.cxx, self.cxx_flags) if "++" in standard else (self.c, ())
        return [program, f"-std={standard}", *WARNINGS, *self.flags, *more]


TOOLCHAINS: Final = {
    "gcc": Toolchain("gcc", "g++", "native"),
    "clang": Toolchain("clang", "clang++", "native"),
    "arm": Toolchain(
        "arm-none-eabi-gcc",
        "arm-none-eabi-g++",
        "mps2",
        (
            "-mcpu=cortex-m7",
            "-mthumb",
            "-mfpu=fpv5-d16",
            "-mfloat-abi=hard",
            *defines("mps2_an500"),
        ),
        ports=("stm32h7",),
    ),
    "arm, Cortex-M0": Toolchain(
        "arm-none-eabi-gcc",
        "arm-none-eabi-g++",
        "cortex-m0",
        ("-mcpu=cortex-m0", "-mthumb", *defines("microbit")),
        ports=("rp2040",),
    ),
    "riscv64": Toolchain(
        "riscv64-unknown-elf-gcc",
        "riscv64-unknown-elf-g++",
        "rv32",
        ("-march=rv32imc", "-mabi=ilp32", "--specs=picolibc.specs", *defines("virt_rv32imc")),
    ),
    "avr": Toolchain(
        "avr-gcc",
        "avr-g++",
        "mega2560",
        ("-mmcu=atmega2560",),
        (
            *("-DARDUINO=10808", "-DARDUINO_ARCH_AVR", "-DARDUINO_AVR_MEGA2560"),
            *("-DF_CPU=16000000L", "-DHIL_SHORT_OF_RAM", "-Os"),  # <util/delay.h> warns without
            # -isystem would make everything in them extern "C"
            *(f"-I{ARDUINO / folder}" for folder in ("cores/arduino", "variants/mega")),
        ),
    ),
    "lx106": Toolchain(
        "xtensa-lx106-elf-gcc",
        "xtensa-lx106-elf-g++",
        "lx106",
        ("--specs=/usr/lib/xtensa-lx106-elf/picolibc.specs", *defines("sim_lx106")),
    ),
}

FOLDERS: Final = {  # of start-up code, and its compiler
    "arm": "arm-none-eabi-gcc",
    "riscv": "riscv64-unknown-elf-gcc",
    "xtensa": "xtensa-lx106-elf-gcc",
}


@lru_cache
def env(name: str) -> SectionProxy | dict[str, str]:
    """The section of an env in platformio.ini; empty if it has none."""
    parser = ConfigParser(interpolation=None)
    parser.read(PROJECT / "platformio.ini")
    return parser[f"env:{name}"] if parser.has_section(f"env:{name}") else {}


def needs_others(file: Path) -> bool:
    """Whether it includes a library of others, as examples do (test_other_engines.py)."""
    return "examples" in file.parts or '#include "tensorflow/' in file.read_text()


def belongs(file: Path, toolchain: Toolchain) -> bool:
    """Whether a file of the firmware is for this compiler, by its folder."""
    place, *rest = file.relative_to(FIRMWARE).parts
    section = env(toolchain.env)
    if needs_others(file):
        return False
    if place == "port":
        return rest[0] in (section.get("custom_hil_port"), *toolchain.ports)
    if place == "platforms" and rest[1] == "runner":  # part of an emulator, so for the host
        return toolchain.env == "native"
    if place == "platforms" and rest[1] == "bsp":
        return FOLDERS[rest[2]] == toolchain.c
    if place == "platforms":
        return Path(section.get("platform", "")).name == rest[0]
    if place == "test" and rest[0].startswith("test_"):
        ignored = section.get("test_ignore", "").split()
        return bool(section) and not any(fnmatch(rest[0], pattern) for pattern in ignored)
    return True


def sources(toolchain: Toolchain, suffix: str) -> list[Path]:
    return [file for file in sorted(FIRMWARE.rglob(f"*{suffix}")) if belongs(file, toolchain)]


def includes(toolchain: Toolchain) -> list[str]:
    port = env(toolchain.env).get("custom_hil_port", "")
    return [*INCLUDES, f"-I{FIRMWARE / 'lib' / 'hil_tflm'}", f"-I{FIRMWARE / 'port' / port}"]


@dataclass(frozen=True)
class Generated:
    """Generated files: C of images, the same for HIL_LAYERS, and sketches in C and C++."""

    images: list[Path]
    layers: list[Path]
    sketches: list[Path]
    golden: Path

    def sketch(self, suffix: str) -> list[Path]:
        return [file for file in self.sketches if file.suffix == suffix]


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    """Every kernel of aot as `hil export` and as the firmware use it, the glue code of the other
    engines, and golden.h of the unit tests."""
    folder = tmp_path_factory.mktemp("generated")
    graphs: dict[str, list[tuple[str, Path, Graph]]] = {"aot": [], "aot-fast": []}
    for network in covering()[0]:
        path = folder / f"{network.name}.tflite"
        path.write_bytes(network.data)
        engine = "aot-fast" if network.fused else "aot"
        graphs[engine].append((network.name, path, network.graph))
    small = folder / "small.tflite"
    small.write_bytes(int8_cnn().finish())
    images, layers, sketches = [], [], [_headers(folder)]
    for engine, networks in graphs.items():
        models = [(name, path) for name, path, _ in networks]
        write_image(engine, models, folder / engine)
        write_image(engine, models, folder / f"{engine}-layers", layers=True)
        images.append(folder / engine / "hil_image.c")
        layers.append(folder / f"{engine}-layers" / "hil_image.c")
        for suffix in (".c", ".cpp"):
            sketch = folder / engine / f"sketch_{engine}{suffix}"
            sketch.write_text(_sketch([(name, graph) for name, _, graph in networks]))
            sketches.append(sketch)
    if find_spec("tflite_micro"):  # only for Linux x86-64
        write_image("tflm", [("small", small)], folder / "tflm")
        images.append(folder / "tflm" / "hil_image.c")
    write_golden_header(folder)
    return Generated(images, layers, sketches, folder)


def _sketch(networks: Sequence[tuple[str, Graph]]) -> str:
    """A program that uses the headers as a user's sketch does."""
    lines = ["#ifdef ARDUINO\n#include <Arduino.h>\n#endif"]
    lines += [f'#include "{name}.h"' for name, _ in networks]
    for name, graph in networks:
        named = [(f"in{i}", f"const {CTYPES[one.dtype]} *") for i, one in enumerate(graph.inputs)]
        named += [(f"out{i}", f"{CTYPES[one.dtype]} *") for i, one in enumerate(graph.outputs)]
        parameters = ", ".join(f"{ctype}{argument}" for argument, ctype in named)
        arguments = ", ".join(argument for argument, _ in named)
        head = f"void run_{name}({parameters}, void *arena)"
        lines.append(f"{head};\n{head} {{\n  {name}_invoke({arguments}, arena);\n}}")
    return "\n".join(lines) + "\n"


def _headers(folder: Path) -> Path:
    """A file that includes every header that C++ may include, each of them twice."""
    file = folder / "headers.cpp"
    shared = [p for p in sorted(SOURCES.rglob("*.h")) if "hil_arduino" not in p.parts]
    names = [p.name for p in shared]
    file.write_text("".join(f'#include "{name}"\n' for name in [*names, *names]))
    return file


@pytest.fixture(scope="module")
def bakenn_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bakenn")
    student = PROJECT / "models" / "digits" / "student_int8.tflite"
    write_image("bakenn", [("net", student)], folder)
    return folder


@pytest.fixture(params=TOOLCHAINS)
def toolchain(request: pytest.FixtureRequest) -> Toolchain:
    found = TOOLCHAINS[request.param]
    needs(found.missing)
    return found


def words(toolchain: Toolchain, standard: str, generated: Generated) -> list[str]:
    """The command for a standard, without action and files. With REPEAT, which is tested."""
    command = [*toolchain.command(standard), *includes(toolchain), f"-I{generated.golden}"]
    return [*command, "-DHIL_REPEAT=1"]


def check(toolchain: Toolchain, standard: str, generated: Generated) -> None:
    """Compile every file for this compiler in this standard."""
    if "++" in standard:  # the library is both C and C++
        files = [*sources(toolchain, ".cpp"), *generated.sketch(".cpp"), "-xc++", *LIBRARY, *DEVICE]
    else:
        files = [*sources(toolchain, ".c"), *generated.sketch(".c"), *generated.images]
    run([*words(toolchain, standard, generated), "-fsyntax-only", *map(str, files)])


@pytest.mark.parametrize("standard", ["gnu99", "gnu11", "c11", "gnu++11", "gnu++14", "gnu++17"])
def test_no_warning(toolchain: Toolchain, standard: str, generated: Generated) -> None:
    check(toolchain, standard, generated)


@pytest.mark.parametrize("toolchain", sorted(set(TOOLCHAINS) - {"avr"}), indirect=True)
@pytest.mark.parametrize("standard", ["gnu17", "gnu++2b"])
def test_no_warning_in_newer_standards(
    toolchain: Toolchain, standard: str, generated: Generated
) -> None:
    """The standards of the ESP32's core 3; Debian's avr-gcc is GCC 5 and does not know them."""
    check(toolchain, standard, generated)


@pytest.mark.parametrize("toolchain", sorted(set(TOOLCHAINS) - {"clang"}), indirect=True)
@pytest.mark.parametrize("standard", ["gnu99", "gnu++11"])
def test_no_warning_of_the_optimiser(
    toolchain: Toolchain,
    standard: str,
    generated: Generated,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only when it optimises does GCC find uninitialised variables and writes outside an array;
    clang's warnings do not depend on it."""
    if "++" in standard:
        files = sources(toolchain, ".cpp")
    else:  # the sketches have the same kernels as the images
        files = [*sources(toolchain, ".c"), *generated.images]
    monkeypatch.chdir(tmp_path)  # where the compiler writes assembly
    run([*words(toolchain, standard, generated), "-O2", "-S", *map(str, files)])


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_warning_in_a_variant(toolchain: Toolchain, variant: str, generated: Generated) -> None:
    files = [*LIBRARY, *DEVICE, *(generated.layers if variant == "-DHIL_LAYERS" else [])]
    command = words(toolchain, "gnu99", generated)
    run([*command, *variant.split(), "-fsyntax-only", *map(str, files)])


@needs_bakenn
def test_no_warning_of_bakenn(toolchain: Toolchain, bakenn_image: Path) -> None:
    """Warnings in the files that bakenn generates are ignored, as in the firmware's build."""
    folder = bakenn_image / "bakenn" / "portable"
    include = [f"-I{folder / line}" for line in (folder / "net.include").read_text().split()]
    listed = (folder / "net.sources").read_text().split()
    theirs = [str(folder / name) for name in listed if name.endswith(".c")]
    for standard in ("gnu99", "gnu11", "c11"):
        command = [*toolchain.command(standard), *includes(toolchain), *include, "-fsyntax-only"]
        run([*command, str(bakenn_image / "hil_image.c")])
        run([*command, "-w", *theirs])


@pytest.mark.usefixtures("needs_gcc")
@pytest.mark.parametrize("language", ["c", "c++"])
def test_the_library_is_strict_c11_and_cpp11(language: str) -> None:
    """Without extensions, with -Wpedantic and -Wshadow; every header compiles on its own."""
    program, standard = {"c": ("gcc", "c11"), "c++": ("g++", "c++11")}[language]
    headers = [p for p in SOURCES.rglob("*.h") if "hil_arduino" not in p.parts]
    headers += FIRMWARE.glob("lib/hil_tflm/*.h")
    headers = [p for p in headers if language == "c++" or p.name != "TinymlHil.h"]
    command = [program, f"-std={standard}", *STRICT, *INCLUDES, "-fsyntax-only"]
    main = [*FIRMWARE.glob("s*/*.cpp")] if language == "c++" else []
    run([*command, "-x", f"{language}-header", *map(str, sorted(headers))])
    run([*command, "-x", language, *map(str, [*LIBRARY, *DEVICE, *main])])


def test_every_file_has_a_compiler() -> None:
    for file in (*FIRMWARE.rglob("*.c"), *FIRMWARE.rglob("*.cpp")):
        taken = [name for name, found in TOOLCHAINS.items() if belongs(file, found)]
        assert bool(taken) is not needs_others(file), file


def test_every_compiler_of_debian_is_here() -> None:
    for name, compiler in compilers().items():
        assert compiler.programs[0] in {toolchain.c for toolchain in TOOLCHAINS.values()}, name


def test_wrong_code_is_found(toolchain: Toolchain, tmp_path: Path) -> None:
    for standard, text, wrong in (
        ("gnu99", '#include <assert.h>\nstatic_assert(1, "");\n', "static_assert"),
        ("c11", "void f(void);\nvoid f(void) { int unused = 1; }\n", "unused variable"),
        ("gnu++11", "struct s { int a, b; };\nextern s x;\ns x = {1};\n", "missing (field|init)"),
    ):
        file = tmp_path / ("wrong.cpp" if "++" in standard else "wrong.c")
        file.write_text(text)
        with pytest.raises(AssertionError, match=wrong):
            run([*toolchain.command(standard), "-fsyntax-only", str(file)])
