"""What a firmware file says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from elftools.common.exceptions import ELFError
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from hil.errors import BuildFailed

# Room that a linker script sets aside is no static data.
_RESERVED: Final = (".stack", ".heap", "._user_heap_stack")


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes: ``flash`` is code, constants and initial data; ``ram`` is .data and .bss."""

    flash: int
    ram: int


def sizes(elf: Path) -> Sizes:
    """Flash and static RAM of a firmware, from its section table."""
    flash = ram = 0
    with _open(elf) as file:
        for section in file.iter_sections():
            flags = section["sh_flags"]
            if not flags & SH_FLAGS.SHF_ALLOC or section.name.startswith(_RESERVED):
                continue
            stored = section["sh_type"] != "SHT_NOBITS"
            flash += section["sh_size"] if stored else 0
            ram += section["sh_size"] if flags & SH_FLAGS.SHF_WRITE else 0
    return Sizes(flash, ram)


def toolchain(elf: Path) -> str:
    """The compiler that made ``elf``, as it wrote into the .comment section."""
    with _open(elf) as file:
        section = file.get_section_by_name(".comment")
        words = section.data().split(b"\0") if section else []
    return next((word.decode(errors="replace") for word in words if word), "unknown")


@contextmanager
def _open(elf: Path) -> Iterator[ELFFile]:
    try:
        with elf.open("rb") as file:
            yield ELFFile(file)
    except (OSError, ELFError) as problem:
        raise BuildFailed(f"{elf} is no firmware ({problem})", "build it again") from problem
