"""The compilers that PlatformIO envs with a platform of this project take from PATH."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hil.errors import ToolMissing


@dataclass(frozen=True, slots=True)
class Compiler:
    """A program, and the Debian packages that bring it and what it links against.

    ``library`` is a file of the C library that the compiler must know; ``files`` come with
    packages that bring no program, and are looked for instead.
    """

    program: str
    packages: tuple[str, ...]
    library: str = ""
    files: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        """The program, library and files that this machine lacks."""
        absent = [file for file in self.files if not Path(file).exists()]
        if not shutil.which(self.program):
            return [self.program, *absent]
        return [*([] if self._has_library() else [self.library]), *absent]

    def _has_library(self) -> bool:
        if not self.library:
            return True
        words = [self.program, f"-print-file-name={self.library}"]
        answer = subprocess.run(words, capture_output=True, text=True, check=False)
        return Path(answer.stdout.strip()).is_absolute()


COMPILERS: Final = {
    "native": Compiler("gcc", ("gcc", "g++", "libc6-dev")),
    "mps2": Compiler(
        "arm-none-eabi-gcc",
        (
            "gcc-arm-none-eabi",
            "libnewlib-arm-none-eabi",
            "libstdc++-arm-none-eabi-newlib",
        ),
        library="libc.a",
    ),
    "rv32": Compiler(
        "riscv64-unknown-elf-gcc",
        ("gcc-riscv64-unknown-elf", "picolibc-riscv64-unknown-elf"),
        library="picolibc.specs",
    ),
    "lx106": Compiler(
        "xtensa-lx106-elf-gcc",
        ("gcc-xtensa-lx106", "picolibc-xtensa-lx106-elf"),
        files=("/usr/lib/xtensa-lx106-elf/picolibc.specs",),  # not where the compiler looks
    ),
    "mega2560": Compiler(
        "avr-gcc",
        (
            *("gcc-avr", "avr-libc", "arduino-core-avr"),
            *("gcc", "libc6-dev", "libsimavr-dev", "libelf-dev"),  # for the runner
        ),
        files=(
            "/usr/lib/avr/include/avr/io.h",
            "/usr/share/arduino/hardware/arduino/avr/cores/arduino/Arduino.h",
            "/usr/include/simavr/sim_avr.h",
            "/usr/include/libelf.h",
        ),
    ),
}


def require_compiler(env: str) -> None:
    """ToolMissing, with the command that installs it, when the compiler of ``env`` is absent."""
    compiler = COMPILERS.get(env)
    if compiler and (missing := compiler.missing):
        raise ToolMissing(
            f"{missing[0]} is not installed, and board env {env} is built with it",
            f"install it: sudo apt-get install {' '.join(compiler.packages)}",
        )
