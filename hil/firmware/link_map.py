# SPDX-License-Identifier: Apache-2.0
"""GNU ld's link map: the memories of a firmware, its pieces, and the owner of each piece."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

_MEMORY: Final = "Memory Configuration"
_BEGIN: Final = "Linker script and memory map"
_END: Final = "OUTPUT("
# "RAM  0x20000000  0x400000 xrw"; `*default*` is everything outside the script's MEMORY
_REGION: Final = re.compile(r"([^\s*]\S*)\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)(?:\s.*)?")
# ".text   0x0  0x10", ".data  0x20  0x0 load address 0x40"; after a long name the rest is on the
# next line
_SECTION: Final = re.compile(r"([^\s*(=]\S*)(?:\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)(?:\s.*)?)?$")
_PIECE: Final = re.compile(r" ([^\s*(]\S*)(?:\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)\s+(\S.*))?$")
_REST: Final = re.compile(r"\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)(?:\s+(\S.*))?$")


# owners
MODEL: Final = "model"  # "model NAME": weights and other constants of one network
ARENA: Final = "arena"
ENGINE: Final = "engine"
FIRMWARE: Final = "firmware"
FRAMEWORK: Final = "board's core"
LIBRARY: Final = "C library"
STARTUP: Final = "start-up"
PADDING: Final = "padding"
UNKNOWN: Final = "unknown"

# the linker's own sections, which the map attributes to the first object
_LINKED: Final = re.compile(
    r"\.(interp|note\..*|gnu\..*|dynsym|dynstr|dynamic|hash|rela?\..*|plt.*|got.*|iplt|glue_7t?"
    r"|vfp11_veneer|v4_bx|igot.*|eh_frame_hdr)"
)
_START: Final = re.compile(r"[gSM]?crt\w*\.o")
_LIBRARY: Final = re.compile(
    r"lib(c|g|m|gcc|gcc_\w+|stdc\+\+|supc\+\+|nosys|rdimon|gloss|semihost|picolibc|dummyhost"
    r"|c_nonshared|newlib|(atmega|attiny|at90)\w+|printf_\w+|scanf_\w+)(_nano|-\w+)?\.a"
)
# the archive of our own library (firmware/lib/TinymlHil), as PlatformIO names them
_OURS: Final = re.compile(r"libTinymlHil\.a")
_ENGINE: Final = re.compile(
    r"lib(hil_tflm|esp-tflite-micro|esp-nn|\w*tflite\w*|\w*cmsis.?nn\w*)\.a"
)
_CODE: Final = re.compile(r"\.(text|literal|iram\d*|init|fini)\b")
_SYMBOL: Final = re.compile(
    r"\.(?:rodata|srodata|data\.rel\.ro\.local|data\.rel\.ro|data|sdata|progmem\.data"
    r"|flash\.rodata|sbss|bss)\.(.+)"
)
_ARENA: Final = re.compile(r"(?:_ZN?L?(?:12_GLOBAL__N_1)?5arenaE?|arena)")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a section of the image, from one object file: ``size`` bytes from ``address``.

    ``name`` is the section of the object (".text.main"), ``file`` the object, in an archive as
    "libc.a(memcpy.o)". Without a file it is the bytes of a symbol of an unknown object.
    """

    section: str
    name: str
    address: int
    size: int
    file: str


@dataclass(frozen=True, slots=True)
class Region:
    """A MEMORY region of the linker script: ``size`` bytes from ``origin``."""

    name: str
    origin: int
    size: int

    def holds(self, address: int) -> bool:
        return self.origin <= address < self.origin + self.size


def regions(text: str) -> tuple[Region, ...]:
    """The memories of a link map; empty if the text is not one or lists none."""
    table = text.partition(_MEMORY)[2].partition(_BEGIN)[0]
    found = (_REGION.fullmatch(line) for line in table.splitlines())
    return tuple(Region(m[1], int(m[2], 16), int(m[3], 16)) for m in found if m)


def pieces(text: str) -> tuple[Piece, ...]:
    """Every piece of a link map, in its order; empty if the text is not one."""
    return tuple(_pieces(text))


def _pieces(text: str) -> Iterator[Piece]:
    _, found, body = text.partition(_BEGIN)
    if not found:
        return
    section = waiting = ""  # the current section; a piece whose figures are on the next line
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


def owner(piece: Piece, models: Sequence[str]) -> str:
    """The owner of ``piece``; ``models`` are the names of the image's networks."""
    found = _SYMBOL.fullmatch(piece.name)
    symbol = found[1] if found else ""
    if not piece.file:  # a symbol of a firmware without a link map
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
    if _OURS.fullmatch(path.name) or folders[-1:] in (("src",), ("port",), ("entry",)):
        return ARENA if _ARENA.fullmatch(symbol) else FIRMWARE
    core = path.name in ("libcore.a", "libFrameworkArduino.a", "libFrameworkArduinoVariant.a")
    if core or any(part.startswith(("framework-", "FrameworkArduino")) for part in folders):
        return FRAMEWORK
    return UNKNOWN


def _model(symbol: str, models: Sequence[str]) -> str:
    """The network of a constant, by its generated name: the longest network name that matches."""
    matching = [name for name in models if symbol.startswith(f"{name}_")]
    return f"{MODEL} {max(matching, key=len)}" if matching else ""
