# SPDX-License-Identifier: Apache-2.0
"""Addresses in an image -> functions, files and lines, by the toolchain's addr2line."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from hil.firmware.build import core_folder

_TIME_LIMIT_S: Final = 30.0
_MOST: Final = 6  # places that are shown
_MACHINE: Final = slice(18, 20)  # e_machine of an ELF header, little-endian
_ARM: Final = 40
# by e_machine: the compilers' prefixes; any addr2line of the same machine reads the file
_PREFIXES: Final = {
    3: ("",),
    62: ("",),
    183: ("",),
    _ARM: ("arm-none-eabi-",),
    83: ("avr-",),
    94: (
        "xtensa-esp-elf-",
        "xtensa-esp32-elf-",
        "xtensa-esp32s3-elf-",
        "xtensa-esp32s2-elf-",
        "xtensa-lx106-elf-",
    ),
    243: ("riscv32-esp-elf-", "riscv64-unknown-elf-", "riscv-none-elf-"),
}


def places(elf: Path, addresses: Sequence[int]) -> tuple[str, ...]:
    """``function (file:line)`` of each address that lies in a known function, in order.

    Empty without an addr2line for the file's machine, on PATH or among PlatformIO's packages.
    """
    machine = _machine(elf)
    program = _addr2line(_PREFIXES.get(machine, ()))
    if not addresses or program is None:
        return ()
    wanted = [one & ~1 if machine == _ARM else one for one in addresses]  # bit 0 means Thumb
    words = [program, "-f", "-C", "-e", str(elf), *(f"{one:#x}" for one in wanted)]
    try:
        done = subprocess.run(words, capture_output=True, timeout=_TIME_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    found = [_place(*pair) for pair in zip(lines[::2], lines[1::2], strict=False)]
    return tuple(dict.fromkeys(one for one in found if one))[:_MOST]


def _place(function: str, where: str) -> str:
    """One place in words; empty if it is not known."""
    file, _, line = where.partition(" ")[0].rpartition(":")
    if function == "??":
        return ""
    name = PurePosixPath(file).name
    return f"{function} ({name}:{line})" if name and name != "??" else function


def _machine(elf: Path) -> int:
    """The machine of an ELF file; 0 if it is none."""
    try:
        with elf.open("rb") as file:
            head = file.read(_MACHINE.stop)
    except OSError:
        return 0
    return int.from_bytes(head[_MACHINE], "little") if head[:4] == b"\x7fELF" else 0


def _addr2line(prefixes: Iterable[str]) -> str | None:
    """The first addr2line with one of these prefixes."""
    for prefix in prefixes:
        name = f"{prefix}addr2line"
        if found := shutil.which(name):
            return found
        for file in sorted((core_folder() / "packages").glob(f"*/bin/{name}*")):
            return str(file)
    return None
