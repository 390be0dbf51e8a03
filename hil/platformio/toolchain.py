"""The compilers that PlatformIO envs with a platform of this project take from PATH."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import Final

from hil.errors import ToolMissing


@dataclass(frozen=True, slots=True)
class Compiler:
    """A program, and the Debian packages that bring it and what it links against."""

    program: str
    packages: tuple[str, ...]


COMPILERS: Final = {
    "native": Compiler("gcc", ("gcc", "g++", "libc6-dev")),
    "mps2": Compiler(
        "arm-none-eabi-gcc",
        (
            "gcc-arm-none-eabi",
            "libnewlib-arm-none-eabi",
            "libstdc++-arm-none-eabi-newlib",
        ),
    ),
    "rv32": Compiler(
        "riscv64-unknown-elf-gcc", ("gcc-riscv64-unknown-elf", "picolibc-riscv64-unknown-elf")
    ),
}


def require_compiler(env: str) -> None:
    """ToolMissing, with the command that installs it, when the compiler of ``env`` is absent."""
    compiler = COMPILERS.get(env)
    if compiler and not shutil.which(compiler.program):
        raise ToolMissing(
            f"{compiler.program} is not installed, and board env {env} is built with it",
            f"install it: sudo apt-get install {' '.join(compiler.packages)}",
        )
