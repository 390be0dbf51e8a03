# SPDX-License-Identifier: Apache-2.0
"""GNU ld's link map -> the memories, and which object each piece of a firmware comes from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from hil.core.errors import BuildFailed

_MEMORY: Final = "Memory Configuration"
_BEGIN: Final = "Linker script and memory map"
_END: Final = "OUTPUT("
# "RAM  0x20000000  0x400000 xrw"; `*default*` is all that no MEMORY of the linker script names
_REGION: Final = re.compile(r"([^\s*]\S*)\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)(?:\s.*)?")
# ".text   0x0  0x10", ".data  0x20  0x0 load address 0x40"; a long name has the rest on a line of
# its own
_SECTION: Final = re.compile(r"([^\s*(=]\S*)(?:\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)(?:\s.*)?)?$")
_PIECE: Final = re.compile(r" ([^\s*(]\S*)(?:\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)\s+(\S.*))?$")
_REST: Final = re.compile(r"\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)(?:\s+(\S.*))?$")


@dataclass(frozen=True, slots=True)
class Piece:
    """What an object file put into a section of the image: ``size`` bytes from ``address`` on.

    ``name`` is the object's own section (".text.main"), ``file`` the object, an archive's as
    "libc.a(memcpy.o)"; without a file it is a symbol's bytes, of an object that is not known.
    """

    section: str
    name: str
    address: int
    size: int
    file: str


@dataclass(frozen=True, slots=True)
class Region:
    """A memory that the linker script knows by name: ``size`` bytes from ``origin`` on."""

    name: str
    origin: int
    size: int

    def holds(self, address: int) -> bool:
        return self.origin <= address < self.origin + self.size


def regions(text: str) -> tuple[Region, ...]:
    """The memories of a link map; empty of a text that is none, or names none."""
    table = text.partition(_MEMORY)[2].partition(_BEGIN)[0]
    found = (_REGION.fullmatch(line) for line in table.splitlines())
    return tuple(Region(m[1], int(m[2], 16), int(m[3], 16)) for m in found if m)


def pieces(text: str) -> tuple[Piece, ...]:
    """Every piece of a link map in the map's order; empty of a text that is none."""
    return tuple(_pieces(text))


def _pieces(text: str) -> Iterator[Piece]:
    _, found, body = text.partition(_BEGIN)
    if not found:
        return
    section = waiting = ""  # the section we are in; a piece whose figures are on the next line
    for line in body.splitlines():
        if line.startswith(_END):
            return
        if waiting:
            match = _REST.fullmatch(line)
            if match and match[3]:
                yield Piece(section, waiting, int(match[1], 16), int(match[2], 16), match[3])
            waiting = ""
            if match:
                continue
        if match := _PIECE.fullmatch(line):
            if match[4]:
                yield Piece(section, match[1], int(match[2], 16), int(match[3], 16), match[4])
            else:
                waiting = match[1]
        elif match := _SECTION.fullmatch(line):
            section = match[1]


MODEL: Final = "model"  # "model NAME": weights and other constants of one network
ARENA: Final = "arena"
ENGINE: Final = "engine"
FIRMWARE: Final = "firmware"
FRAMEWORK: Final = "board's core"
LIBRARY: Final = "C library"
STARTUP: Final = "start-up"
PADDING: Final = "padding"
UNKNOWN: Final = "unknown"

# the linker's own, which the map puts to the account of the first object
_LINKED: Final = re.compile(
    r"\.(interp|note\..*|gnu\..*|dynsym|dynstr|dynamic|hash|rela?\..*|plt.*|got.*|iplt|glue_7t?"
    r"|vfp11_veneer|v4_bx|igot.*|eh_frame_hdr)"
)
_START: Final = re.compile(r"[gSM]?crt\w*\.o")
_LIBRARY: Final = re.compile(
    r"lib(c|g|m|gcc|gcc_\w+|stdc\+\+|supc\+\+|nosys|rdimon|gloss|semihost|picolibc|dummyhost"
    r"|c_nonshared|newlib|(atmega|attiny|at90)\w+|printf_\w+|scanf_\w+)(_nano|-\w+)?\.a"
)
# of our own libraries (firmware/lib), by the archives that PlatformIO makes of them
_OURS: Final = re.compile(r"libhil_(wire|session|engine)\.a")
_ENGINE: Final = re.compile(
    r"lib(hil_tflm|esp-tflite-micro|esp-nn|\w*tflite\w*|\w*cmsis.?nn\w*)\.a"
)
_CODE: Final = re.compile(r"\.(text|literal|iram\d*|init|fini)\b")
_SYMBOL: Final = re.compile(
    r"\.(?:rodata|srodata|data\.rel\.ro\.local|data\.rel\.ro|data|sdata|progmem\.data"
    r"|flash\.rodata|sbss|bss)\.(.+)"
)
_ARENA: Final = re.compile(r"(?:_ZN?L?(?:12_GLOBAL__N_1)?5arenaE?|arena)")


def owner(piece: Piece, models: Sequence[str]) -> str:
    """Who has the bytes of ``piece``; ``models`` are the names of the image's networks."""
    found = _SYMBOL.fullmatch(piece.name)
    symbol = found[1] if found else ""
    if not piece.file:  # a symbol, of a firmware without a link map
        if _ARENA.fullmatch(symbol):
            return ARENA
        return _model(symbol, models) or UNKNOWN
    if _LINKED.fullmatch(piece.name) or piece.file == "linker stubs":
        return STARTUP
    archive, _, member = piece.file.removesuffix(")").partition("(")
    path = PurePosixPath(archive.replace("\\", "/"))
    if path.name == "hil_image.o" or member == "hil_image.o":
        constant = "" if _CODE.match(piece.name) else _model(symbol, models)
        return constant or ENGINE
    if "bakenn" in path.parts and symbol:
        return _model(symbol.removeprefix("bknn_"), models) or ENGINE
    return _of_file(path, symbol)


def _of_file(path: PurePosixPath, symbol: str) -> str:
    folders = path.parts[:-1]
    if _START.fullmatch(path.name) or "bsp" in folders:
        return STARTUP
    if _LIBRARY.fullmatch(path.name):
        return LIBRARY
    if _ENGINE.fullmatch(path.name) or {"tflm", "hil_tflm", "bakenn"} & set(folders):
        return ENGINE
    if _OURS.fullmatch(path.name) or folders[-1:] in (("src",), ("port",)):
        return ARENA if _ARENA.fullmatch(symbol) else FIRMWARE
    core = path.name in ("libcore.a", "libFrameworkArduino.a", "libFrameworkArduinoVariant.a")
    if core or any(part.startswith(("framework-", "FrameworkArduino")) for part in folders):
        return FRAMEWORK
    return UNKNOWN


def _model(symbol: str, models: Sequence[str]) -> str:
    """The network whose constant this is, by its generated name; the longest that fits."""
    fitting = [name for name in models if symbol.startswith(f"{name}_")]
    return f"{MODEL} {max(fitting, key=len)}" if fitting else ""


def compiler_of(elf: Path) -> str:
    """The compiler that made ``elf``, as it wrote into the .comment section."""
    with opened(elf) as file:
        section = file.get_section_by_name(".comment")
        words = section.data().split(b"\0") if section else []
    return next((word.decode(errors="replace") for word in words if word), "unknown")


@contextmanager
def opened(elf: Path) -> Iterator[ELFFile]:
    """The file, parsed as far as it is asked; BuildFailed when it is no firmware."""
    try:
        with elf.open("rb") as file:
            yield ELFFile(file)
    except (OSError, ELFError) as problem:
        raise BuildFailed(f"{elf} is no firmware ({problem})", "build it again") from problem
