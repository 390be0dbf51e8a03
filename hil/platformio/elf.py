"""What a firmware file says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from hil.errors import BuildFailed


def toolchain(elf: Path) -> str:
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
