# SPDX-License-Identifier: Apache-2.0
"""The basic blocks of an image that ran: their instructions, how often, in which function."""

from __future__ import annotations

import re
import shutil
import subprocess
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from hil.core.errors import ToolMissing
from hil.cycles.counting import Window

# address, code in bytes (LLVM up to 14) or in halfwords (Thumb since LLVM 15), name, operands
_LINE: Final = re.compile(
    r"^\s*([0-9a-f]+): ((?:(?:[0-9a-f]{2}|[0-9a-f]{4}) )+)\s*\t(\S+)(?:\t(.*))?$"
)
_TARGET: Final = re.compile(r"0x[0-9a-f]+ <.*")  # of a branch, with its symbol


@dataclass(frozen=True, slots=True)
class Instruction:
    """``text``: as LLVM's assembler reads it, with branches to the label ``1``."""

    at: int
    size: int
    text: str


@dataclass(frozen=True, slots=True)
class Block:
    """Instructions that always ran one after the other, ``runs`` times; ``taken``: how often a
    jump left it for another place than the next instruction."""

    function: str
    code: tuple[Instruction, ...]
    runs: int
    taken: int

    @property
    def instructions(self) -> int:
        return self.runs * len(self.code)


@cache
def tool(name: str) -> str:
    """The newest installed program of LLVM's.

    Raises:
        ToolMissing: It is not installed.
    """
    found = [str(path) for path in Path("/usr/lib").glob(f"llvm-*/bin/{name}")]
    if default := shutil.which(name):
        found.insert(0, default)  # preferred to others of its version
    if not found:
        raise ToolMissing(f"{name} is not installed", "install it: sudo apt-get install llvm")
    return max(found, key=lambda path: _major(_version(path)))


def llvm_version() -> str:
    """The version of LLVM whose models are used; raises as `tool`."""
    return _version(tool("llvm-mca"))


def llvm_major() -> int:
    """The first number of `llvm_version`; 0 if it has none."""
    return _major(llvm_version())


@cache
def _version(program: str) -> str:
    done = subprocess.run(
        [program, "--version"], check=False, capture_output=True, text=True, timeout=60
    )
    found = re.search(r"LLVM version (\S+)", done.stdout)
    return found[1] if found else ""


def _major(version: str) -> int:
    found = re.match(r"\d+", version)
    return int(found[0]) if found else 0


def blocks(elf: Path, window: Window, triple: str, features: str) -> tuple[Block, ...]:
    """What ran in ``window`` as blocks, in the order of their addresses."""
    code = disassembled(elf, triple, features)
    names = _functions(elf)
    leaves: dict[int, int] = {}  # last instruction of a block -> jumps to another place
    entered = set()
    for (start, end), count in window.jumps.items():
        if start in code and end != start + code[start].size:
            leaves[start] = leaves.get(start, 0) + count
            entered.add(end)
    return tuple(_cut(code, names, window, leaves, entered))


def _cut(
    code: dict[int, Instruction],
    names: Sequence[tuple[int, str]],
    window: Window,
    leaves: dict[int, int],
    entered: set[int],
) -> Iterator[Block]:
    starts = [at for at, _ in names]
    run: list[Instruction] = []

    def whole() -> Block:
        function = names[bisect_right(starts, run[0].at) - 1][1] if names else ""
        last = run[-1].at
        return Block(function, tuple(run), window.runs[last], leaves.get(last, 0))

    for at in sorted(window.runs):
        one = code.get(at)
        if one is None:
            continue  # not in the image: code that the firmware copied to RAM
        if run and (
            at != run[-1].at + run[-1].size
            or window.runs[at] != window.runs[run[-1].at]
            or at in entered
            or run[-1].at in leaves
        ):
            yield whole()
            run = []
        run.append(one)
    if run:
        yield whole()


def disassembled(elf: Path, triple: str, features: str) -> dict[int, Instruction]:
    """Every instruction of the image by its address."""
    words = [tool("llvm-objdump"), "-d", f"--triple={triple}", str(elf)]
    words += [f"--mattr={features}"] if features else []
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=120)
    return instructions(done.stdout)


def instructions(listing: str) -> dict[int, Instruction]:
    """The instructions of what llvm-objdump printed, by their address."""
    found = {}
    for line in listing.splitlines():
        if part := _LINE.match(line):
            operands = _TARGET.sub("1f", part[4] or "").split("@")[0].split("<")[0].strip()
            at, size = int(part[1], 16), len(part[2].replace(" ", "")) // 2
            found[at] = Instruction(at, size, f"{part[3]} {operands}".strip())
    return found


def _functions(elf: Path) -> list[tuple[int, str]]:
    """Start and name of each function, sorted."""
    with elf.open("rb") as stream:
        return sorted(
            (int(symbol["st_value"]) & ~1, symbol.name)
            for section in ELFFile(stream).iter_sections()
            if isinstance(section, SymbolTableSection)
            for symbol in section.iter_symbols()
            if symbol["st_info"]["type"] == "STT_FUNC"
        )
