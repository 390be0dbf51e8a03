# SPDX-License-Identifier: Apache-2.0
"""What a board needs on this machine to be built for and run, and where each thing comes from."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from hil.boards.config import Board, Emulator, Verify
from hil.firmware.toolchain import compilers

Source: TypeAlias = Literal["", "apt", "brew", "npm", "pip", "url", "platformio", "user"]

_VERIFY_S: Final = 20.0
# Debian package -> what `brew install` takes
_BREW: Final = {
    "gcc-arm-none-eabi": "--cask gcc-arm-embedded",
    "gcc-riscv64-unknown-elf": "riscv64-elf-gcc",
    "nodejs": "node",
    "npm": "node",
    "qemu-system-arm": "qemu",
    "qemu-system-misc": "qemu",
}


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that a board needs.

    ``missing``: the programs, files or permissions of it that are not there. ``fix``: a command
    or a step that provides them, from ``source``; ``packages``: Debian's, if it has any.
    """

    what: str
    missing: tuple[str, ...] = ()
    detail: str = ""  # what is there
    source: Source = ""
    fix: str = ""
    packages: tuple[str, ...] = ()
    required: bool = True


def tool_needs(board: Board) -> tuple[Need, ...]:
    """The compiler and the emulator, if the board has them: what can be installed in advance."""
    found = []
    if compiler := compilers().get(board.pio_env):
        source, fix = installer(compiler.packages)
        programs = ", ".join(compiler.programs)
        missing = tuple(compiler.missing)
        found.append(Need("compiler", missing, programs, source, fix, compiler.packages))
    if board.emulator:
        found += _emulator(board.emulator, board.name)
    return tuple(found)


def _emulator(emulator: Emulator, board: str) -> list[Need]:
    """Its programs, its npm package and its variables."""
    words = [first for first, *_ in (emulator.command, *emulator.prepare) if "{" not in first]
    found = [_program(one, emulator) for one in dict.fromkeys(words)]
    if package := emulator.npm:
        found.append(
            Need(
                "npm package",
                () if package.installed else (str(package),),
                str(package),
                "npm",
                f"hil doctor --install --board {board}",
                () if shutil.which("npm") else ("npm",),
            )
        )
    for name in emulator.environment:
        where = f", from {emulator.get[name]}" if name in emulator.get else ""
        missing = () if os.environ.get(name) else (f"variable {name}",)
        found.append(Need("variable", missing, f"{name} is set", "user", f"set {name}{where}"))
    return found


def _program(name: str, emulator: Emulator) -> Need:
    """One program of an emulator."""
    verify = emulator.verify
    missing: tuple[str, ...] = ()
    if not shutil.which(name):
        missing = (name,)
    elif verify and verify.command[0] == name and not _holds(verify):
        missing = (verify.what,)
    if where := emulator.get.get(name):
        return Need("emulator", missing, name, source_of(where), where)
    packages = (emulator.package,) if emulator.package else ()
    source, fix = installer(packages)
    return Need("emulator", missing, name, source, fix, packages)


def _holds(verify: Verify) -> bool:
    """Whether the program is the right one."""
    try:
        done = subprocess.run(
            verify.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_VERIFY_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return re.search(verify.output, done.stdout, re.MULTILINE) is not None


_SOURCES: Final[dict[str, Source]] = {"pip": "pip", "npm": "npm", "brew": "brew", "sudo": "apt"}


def source_of(where: str) -> Source:
    """The kind of a source that is given as a command or a URL."""
    if where.startswith(("http://", "https://")):
        return "url"
    return _SOURCES.get(where.partition(" ")[0], "user")


def installer(packages: tuple[str, ...]) -> tuple[Source, str]:
    """The command that installs Debian's ``packages``, or what Homebrew has of them."""
    if not packages:
        return "user", "install what the [emulator] of the board's file names"
    if not shutil.which("apt-get") and shutil.which("brew"):
        formulas = [_BREW[package] for package in packages if package in _BREW]
        if formulas:
            return "brew", f"brew install {' '.join(dict.fromkeys(formulas))}"
    return "apt", apt_command(packages)


def apt_command(packages: Iterable[str]) -> str:
    """The command that installs ``packages``."""
    sudo = "" if os.geteuid() == 0 else "sudo "
    return f"{sudo}apt-get install {' '.join(packages)}"
