# SPDX-License-Identifier: Apache-2.0
"""Messages of linkers and PlatformIO about memory that is too small."""

from __future__ import annotations

import pytest

from hil.firmware.build import Overflow, find_overflow

LD = "/usr/lib/gcc/arm-none-eabi/12.2.1/../../../arm-none-eabi/bin/ld: "


@pytest.mark.parametrize(
    ("log", "found"),
    [
        (f"{LD}region `CODE' overflowed by 1874820 bytes", Overflow("flash", over=1874820)),
        (f"{LD}region 'CODE' overflowed by 12 bytes", Overflow("flash", over=12)),
        (f"{LD}region `RAM' overflowed by 4096 bytes", Overflow("ram", over=4096)),
        (f"{LD}region `dram0_0_seg' overflowed by 31208 bytes", Overflow("ram", over=31208)),
        (f"{LD}region `irom0_0_seg' overflowed by 77 bytes", Overflow("flash", over=77)),
        (f"{LD}region `iram0_2_seg' overflowed by 78 bytes", Overflow("flash", over=78)),
        (f"{LD}region `iram0_0_seg' overflowed by 79 bytes", None),
        (f"{LD}region `rtc_slow_seg' overflowed by 80 bytes", None),
        (f"{LD}region `text' overflowed by 9 bytes", Overflow("flash", over=9)),
        (f"{LD}region `data' overflowed by 9 bytes", Overflow("ram", over=9)),
        (
            f"{LD}region `RAM' overflowed by 5 bytes\n{LD}region `FLASH' overflowed by 7 bytes\n",
            Overflow("flash", over=7),
        ),
        (
            f"{LD}address 0x80265a of .pio/firmware.elf section `.bss' is not within region `data'",
            Overflow("ram", needs=0x265A - 0x200),
        ),
        (
            f"{LD}section .stack VMA [203f0000,203fffff] overlaps section .bss VMA "
            "[20000000,203f0fff]",
            Overflow("ram", over=0x1000),
        ),
        (
            "Error: The program size (3300123 bytes) is greater than maximum allowed "
            "(3145728 bytes)",
            Overflow("flash", needs=3300123),
        ),
        (
            "Error: The data size (9000 bytes) is greater than maximum allowed (8192 bytes)",
            Overflow("ram", needs=9000),
        ),
        ("main.cpp:3:1: error: 'x' does not name a type", None),
        ("RAM:   [==        ]  20.1% (used 65868 bytes from 327680 bytes)", None),
    ],
)
def test_overflows_are_found_in_the_log(log: str, found: Overflow | None) -> None:
    assert find_overflow(f"Linking firmware.elf\n{log}\ncollect2: error\n") == found
