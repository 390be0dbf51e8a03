# SPDX-License-Identifier: Apache-2.0
"""clang-tidy finds nothing in the firmware, in any of its variants, for any of its chips.

clang-tidy is from PyPI and pinned, so it is the same on every machine. `.clang-tidy` lists its
checks.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.firmware import (
    ARDUINO_PORT,
    BSP,
    DEVICE,
    FIRMWARE,
    INCLUDES,
    LIBRARY,
    PROJECT,
    defines,
    run,
)
from tests.support.needs import needs

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(1200)]

CORES = Path(__file__).parent / "cores"
ARM = ["-xc++", "-std=gnu++14", "--target=arm-none-eabi", "-mthumb", "-DARDUINO=10810"]
CXX = Path("/usr/include/newlib/c++/12.2.1")  # libstdc++-arm-none-eabi-newlib
NEWLIB = [CXX, CXX / "arm-none-eabi", Path("/usr/include/newlib")]
ARDUINO = Path("/usr/share/arduino/hardware/arduino/avr")
# Flags, folders of headers and sources, per chip or variant of the library.
TARGETS: dict[str, tuple[list[str], list[Path], list[Path]]] = {
    "library": ([], [], LIBRARY),
    "layers": (["-DHIL_LAYERS", "-DHIL_REPEAT=1"], [], LIBRARY),
    "no unpacking": (["-DHIL_UNPACKS=0"], [], LIBRARY),
    "no text": (["-DHIL_MLPERF=0"], [], LIBRARY),
    "native": ([], [], [FIRMWARE / "port/native/port.c"]),
    "main": (
        ["-xc++", "-std=c++11"],
        [],
        [FIRMWARE / "src/main.cpp", FIRMWARE / "sketch/entry.cpp"],
    ),
    "device": ([], [], DEVICE),
    "mps2": (
        ["--target=arm-none-eabi", "-mcpu=cortex-m7", "-mthumb", *defines("mps2_an500")],
        [Path("/usr/include/newlib")],
        [FIRMWARE / "port/mps2/port.c", *BSP.glob("arm/*.c")],
    ),
    "rp2040": (
        ["--target=arm-none-eabi", "-mcpu=cortex-m0plus", "-mthumb", *defines("rp2040")],
        [Path("/usr/include/newlib")],
        [FIRMWARE / "port/rp2040/port.c"],
    ),
    "nrf51": (
        ["--target=arm-none-eabi", "-mcpu=cortex-m0", "-mthumb", *defines("microbit")],
        [Path("/usr/include/newlib")],
        [FIRMWARE / "port/nrf51/port.c"],
    ),
    "stm32h7": (
        ["--target=arm-none-eabi", "-mcpu=cortex-m7", "-mthumb", *defines("stm32h753")],
        [Path("/usr/include/newlib")],
        [FIRMWARE / "port/stm32h7/port.c"],
    ),
    "rv32": (
        ["--target=riscv32-unknown-elf", "-march=rv32imc", *defines("virt_rv32imc")],
        [Path("/usr/lib/picolibc/riscv64-unknown-elf/include")],
        [FIRMWARE / "port/rv32/port.c", *BSP.glob("riscv/*.c")],
    ),
    # the pinned clang does not support Xtensa; RISC-V has registers with the same names
    "lx106": (
        ["--target=riscv32-unknown-elf", "-march=rv32imc", *defines("sim_lx106")],
        [Path("/usr/lib/xtensa-lx106-elf/include")],
        [FIRMWARE / "port/lx106/port.c", *BSP.glob("xtensa/*.c")],
    ),
    "arduino": (
        [
            *("-xc++", "-std=gnu++11", "--target=avr", "-mmcu=atmega2560", "-DARDUINO=10808"),
            *("-DARDUINO_ARCH_AVR", "-DARDUINO_AVR_MEGA2560", "-DF_CPU=16000000UL"),
        ],
        [Path("/usr/lib/avr/include"), ARDUINO / "cores/arduino", ARDUINO / "variants/mega"],
        [*ARDUINO_PORT.glob("*.cpp")],
    ),
    # with the stub cores of test_cores.py
    "mbed": (
        [*ARM, "-mcpu=cortex-m0plus", "-DARDUINO_ARCH_MBED", "-DTARGET_RP2040"],
        [CORES / "mbed", *NEWLIB],
        [ARDUINO_PORT / "port.cpp", ARDUINO_PORT / "chip_mbed.cpp"],
    ),
    "teensy": (
        [*ARM, "-mcpu=cortex-m7", "-DCORE_TEENSY", "-D__IMXRT1062__"],
        [CORES / "teensy", *NEWLIB],
        [ARDUINO_PORT / "port.cpp", ARDUINO_PORT / "chip_teensy.cpp"],
    ),
}


def program(name: str) -> str | None:
    """A program of the environment in which the tests run, or of PATH."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.is_file() else shutil.which(name)


def tidy(flags: list[str], headers: list[Path], sources: list[Path]) -> str:
    found = program("clang-tidy")
    needs([str(path) for path in headers if not path.is_dir()] + ([] if found else ["clang-tidy"]))
    standard = [] if "-xc++" in flags else ["-std=c11"]
    words = [str(found), "--quiet", f"--config-file={PROJECT / '.clang-tidy'}"]
    words += [*map(str, sorted(sources)), "--", *standard, *flags, *INCLUDES]
    words += [f"-I{sources[0].parent}", *(f"-isystem{path}" for path in headers)]
    return run(words, 250)


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_found(target: str) -> None:
    tidy(*TARGETS[target])


def test_wrong_code_is_found(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.c"
    wrong.write_text("int f(int n);\nint f(int n) { return n < 2 ? 1 : n * f(n - 1); }\n")
    with pytest.raises(AssertionError, match="misc-no-recursion"):
        tidy([], [], [wrong])


def test_every_source_is_checked() -> None:
    """Except for those that need a library of others, and the runner of the emulator."""
    seen = {path for _, _, sources in TARGETS.values() for path in sources}
    listed = subprocess.run(
        ["git", "ls-files", "firmware/*.c", "firmware/*.cpp"],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    left = {name for name in listed if PROJECT / name not in seen}
    left -= {name for name in left if name.startswith("firmware/test/")}
    assert left == {
        *(f"firmware/lib/hil_tflm/{name}.cpp" for name in ("hil_tflm", "hil_tflm_arena")),
        "firmware/lib/TinymlHil/examples/EdgeImpulse/porting.cpp",
        "firmware/lib/TinymlHil/examples/TinyMaix/tinymaix.c",
        *(f"firmware/platforms/simavr/runner/{name}.c" for name in ("line", "response", "runner")),
    }
