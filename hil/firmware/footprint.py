# SPDX-License-Identifier: Apache-2.0
"""Flash and RAM of a firmware by section and owner, from its ELF file and link map. Every byte has
one owner."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from elftools.common.exceptions import ELFError
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from hil.core.errors import BuildFailed
from hil.firmware.link_map import (
    ARENA,
    PADDING,
    UNKNOWN,
    Piece,
    Region,
    owner,
    pieces,
    regions,
)

# not static data: space that a linker script reserves, and holes where an ESP32's address space has
# two names for one memory
_RESERVED: Final = (".stack", ".heap", "._user_heap_stack", ".dram0.dummy", ".dram0.heap_start")
# an ESP32's sections that stay in flash, though the linker marks them writable
_IN_FLASH: Final = (".flash",)
# sections that an ESP32's boot loader copies to RAM, though they are not writable
_IN_RAM: Final = (".iram", ".dram", ".rtc", ".relocate")
_AVR_EEPROM: Final = 0x810000  # above it: fuses, lock bits and the signature
_ALLOCATORS: Final = ("malloc", "_malloc_r", "pvPortMalloc", "heap_caps_malloc")


@dataclass(frozen=True, slots=True)
class Section:
    """A section that takes memory. ``load`` is the address of its content before start-up.

    ``in_ram``: in the memory of the inference arena, to which a board's RAM limit applies;
    ``in_other_ram``: in another one, such as an ESP32's IRAM.
    """

    name: str
    address: int
    load: int
    size: int
    in_flash: bool
    in_ram: bool
    in_other_ram: bool


@dataclass(frozen=True, slots=True)
class Share:
    """Bytes of one owner in one section."""

    section: str
    owner: str
    flash: int
    ram: int
    other_ram: int  # in a RAM without the arena, see `Section`


@dataclass(frozen=True, slots=True)
class Footprint:
    """The memory of a firmware. The shares of a section add up to its size.

    ``arena``: bytes reserved for inference; None if the firmware has no such symbol.
    ``allocator``: whether it contains a malloc; None if unknown, because it has no symbols or is
    dynamically linked.
    """

    shares: tuple[Share, ...]
    arena: int | None
    allocator: bool | None
    symbols: frozenset[str] = frozenset()  # names of what it defines

    @property
    def flash(self) -> int:
        return sum(share.flash for share in self.shares)

    @property
    def ram(self) -> int:
        return sum(share.ram for share in self.shares)


def footprint(elf: Path, models: Sequence[str] = ()) -> Footprint:
    """The footprint of the firmware ``elf`` with the networks ``models``.

    Owners come from the link map beside it, else from its symbols, else they are unknown.
    BuildFailed if it is not an ELF file.
    """
    text = _link_map(elf)
    with opened(elf) as file:
        symbols = tuple(_symbols(file))
        process = file.get_section_by_name(".dynamic") is not None
        found = pieces(text) or tuple(_by_symbol(file, symbols))
        shares = tuple(
            share
            for section in sections(file, regions(text))
            for share in _shares(section, found, models, PADDING if text else UNKNOWN)
        )
    arenas = [symbol["st_size"] for symbol in symbols if _is_arena(symbol)]
    names = {symbol.name for symbol in symbols if symbol["st_shndx"] != "SHN_UNDEF"}
    return Footprint(
        shares,
        max(arenas, default=None),
        not names.isdisjoint(_ALLOCATORS) if names and not process else None,
        frozenset(names),
    )


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes: ``flash`` is code, constants and initial data; ``ram`` is .data and .bss.

    If there are several RAMs, ``ram`` is the one with the inference arena.
    """

    flash: int
    ram: int


def sizes(elf: Path) -> Sizes:
    """Flash and static RAM of a firmware, from its section table."""
    with opened(elf) as file:
        found = tuple(sections(file, regions(_link_map(elf))))
    return Sizes(sum(s.size for s in found if s.in_flash), sum(s.size for s in found if s.in_ram))


def sections(file: ELFFile, memories: Sequence[Region] = ()) -> Iterator[Section]:
    """The sections that take flash or RAM, in the order of the file.

    ``memories`` are those of the link map; without them all RAM counts as one.
    """
    home = _home(file, memories)
    avr = file["e_machine"] == "EM_AVR"
    for section in file.iter_sections():
        name, flags, address = section.name, section["sh_flags"], section["sh_addr"]
        reserved = name.startswith(_RESERVED)
        if not flags & SH_FLAGS.SHF_ALLOC or reserved or not section["sh_size"]:
            continue
        if avr and address >= _AVR_EEPROM:
            continue
        stored = section["sh_type"] != "SHT_NOBITS"
        read_in_place = name.startswith(_IN_FLASH)
        if read_in_place and not stored:
            continue  # a hole: another section's content has these addresses
        load = _load_address(file, section)
        copied = stored and load != address
        in_ram = bool(flags & SH_FLAGS.SHF_WRITE) or copied or name.startswith(_IN_RAM)
        in_ram = in_ram and not read_in_place
        at_home = home is None or home.holds(address)
        size = section["sh_size"]
        yield Section(name, address, load, size, stored, in_ram and at_home, in_ram and not at_home)


def _home(file: ELFFile, memories: Sequence[Region]) -> Region | None:
    """The memory with the inference arena, or with .bss if the firmware does not name the arena;
    None if the link map does not list it."""
    arenas = {s["st_value"]: s["st_size"] for s in _symbols(file) if _is_arena(s)}
    zeroed = (s["sh_addr"] for s in file.iter_sections() if s.name.endswith("bss"))
    at = max(arenas, key=arenas.__getitem__) if arenas else next(zeroed, None)
    holding = [memory for memory in memories if at is not None and memory.holds(at)]
    return min(holding, key=lambda memory: memory.size, default=None)


def _load_address(file: ELFFile, section: Any) -> int:
    address: int = section["sh_addr"]
    for segment in file.iter_segments():
        if segment["p_type"] == "PT_LOAD" and segment.section_in_segment(section):
            return int(address - segment["p_vaddr"] + segment["p_paddr"])
    return address


def _shares(
    section: Section, found: Iterable[Piece], models: Sequence[str], rest: str
) -> Iterator[Share]:
    """Each byte belongs to the first piece that covers it, the others to ``rest``."""
    end = section.address + section.size
    owned: Counter[str] = Counter()
    at = section.address
    for piece in sorted(
        (p for p in found if p.section == section.name and p.size), key=lambda p: p.address
    ):
        start, stop = max(piece.address, at), min(piece.address + piece.size, end)
        if stop > start:
            owned[owner(piece, models)] += stop - start
            owned[rest] += start - at
            at = stop
    owned[rest] += end - at
    for name, size in owned.items():
        if size:
            yield Share(
                section.name,
                name,
                size * section.in_flash,
                size * section.in_ram,
                size * section.in_other_ram,
            )


def _link_map(elf: Path) -> str:
    """The text of the link map beside the firmware; empty if there is none."""
    link_map = elf.with_suffix(".map")
    return link_map.read_text(errors="replace") if link_map.is_file() else ""


def _is_arena(symbol: Any) -> bool:
    return bool(symbol["st_size"]) and owner(_named(symbol, ".bss"), ()) == ARENA


def _symbols(file: ELFFile) -> Iterator[Any]:
    table = file.get_section_by_name(".symtab")
    if table is not None:
        yield from table.iter_symbols()


def _by_symbol(file: ELFFile, symbols: Iterable[Any]) -> Iterator[Piece]:
    """The data symbols of a firmware without a link map."""
    for symbol in symbols:
        number = symbol["st_shndx"]
        if symbol["st_info"]["type"] == "STT_OBJECT" and isinstance(number, int):
            yield _named(symbol, file.get_section(number).name)


def _named(symbol: Any, section: str) -> Piece:
    return Piece(section, f".bss.{symbol.name}", symbol["st_value"], symbol["st_size"], "")


def compiler_of(elf: Path) -> str:
    """The compiler of ``elf``, from its .comment section."""
    with opened(elf) as file:
        section = file.get_section_by_name(".comment")
        words = section.data().split(b"\0") if section else []
    return next((word.decode(errors="replace") for word in words if word), "unknown")


@contextmanager
def opened(elf: Path) -> Iterator[ELFFile]:
    """The ELF file, parsed on demand; BuildFailed if it is not one."""
    try:
        with elf.open("rb") as file:
            yield ELFFile(file)
    except (OSError, ELFError) as problem:
        raise BuildFailed(f"{elf} is not an ELF file ({problem})", "build it again") from problem
