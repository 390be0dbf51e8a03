"""A linker's or PlatformIO's complaint that memory is too small -> how much it is too small."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

# GNU ld, of a MEMORY region of the linker script
_REGION: Final = re.compile(r"region [`'](\S+)' overflowed by (\d+) bytes")
# GNU ld, of a section that grew into the stack at the end of RAM
_STACK: Final = re.compile(
    r"section \.stack VMA \[([0-9a-f]+),[0-9a-f]+\] overlaps "
    r"section \S+ VMA \[[0-9a-f]+,([0-9a-f]+)\]"
)
# PlatformIO, of a linked image
_SIZE: Final = re.compile(
    r"The (program|data) size \((\d+) bytes\) is greater than maximum allowed"
)

# an ESP32's memories for code and deep sleep, which no network fills and no limit is about
_OTHER: Final = ("iram0_0_", "rtc_")


@dataclass(frozen=True, slots=True)
class Overflow:
    """``needs`` bytes in all, or, where only that is said, ``over`` more than there are."""

    memory: Literal["flash", "ram"]
    needs: int = 0
    over: int = 0


def find_overflow(log: str) -> Overflow | None:
    """What a build's log says of memory that is too small, flash first; None: nothing."""
    if match := _SIZE.search(log):
        return Overflow("flash" if match[1] == "program" else "ram", needs=int(match[2]))
    regions = [
        (_memory(name), int(over))
        for name, over in _REGION.findall(log)
        if not name.startswith(_OTHER)
    ]
    if regions:
        kind = min((memory for memory, _ in regions), key=("flash", "ram").index)
        return Overflow(kind, over=max(over for memory, over in regions if memory == kind))
    if match := _STACK.search(log):
        return Overflow("ram", over=int(match[2], 16) - int(match[1], 16) + 1)
    return None


def _memory(region: str) -> Literal["flash", "ram"]:
    """Of an ESP32's or a board's region: dram0_0_seg, RAM and data are RAM, the rest is flash, even
    iram0_2_seg: the flash as instructions are read from it."""
    name = region.lower().removeprefix("iram0_2_")
    return "ram" if "ram" in name or name.startswith(("data", "bss")) else "flash"
