"""GNU ld's link map -> the memories, and which object each piece of a firmware comes from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

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
