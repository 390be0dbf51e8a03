# SPDX-License-Identifier: Apache-2.0
"""Every byte of a firmware has an owner: link maps, owners, sections in unusual places."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from hil.core.errors import BuildFailed
from hil.firmware import Footprint, Sizes, footprint, sizes
from hil.firmware.link_map import Piece, Region, owner, pieces, regions
from tests.support.needs import skip_without

MAP = """\
Archive member included to satisfy reference by file (symbol)

Discarded input sections

 .text          0x00000000       0x10 build/src/unused.o

Memory Configuration

Name             Origin             Length             Attributes
CODE             0x08000000         0x00100000         xr
RAM              0x20000000         0x00020000         xrw
fuse             0x0000000000820000 0x0000000000000003 rw !x
*default*        0x00000000         0xffffffff

Linker script and memory map

LOAD build/image/hil_image.o
                0x00010000                        _stack_size = 0x10000

.text           0x08000000       0x60
 *(.text .text.*)
 .text.student_conv_2d_0_with_a_long_name
                0x08000000       0x10 build/image/hil_image.o
                0x08000000                student_conv_2d_0_with_a_long_name
 .text          0x08000010       0x0c /usr/lib/libc.a(memcpy.o)
 *fill*         0x0800001c        0x4
 .rodata.str1.1
                0x08000020        0x8 build/src/main.o
                                  0x9 (size before relaxing)

.data           0x20000000        0x4 load address 0x08000060
 .data.x        0x20000000        0x4 build dir/port/port.o
 COMMON         0x20000004        0x2 build/port/port.o

.bss
 *(.bss)
OUTPUT(firmware.elf elf32-littlearm)

.comment        0x00000000       0x26
 .comment       0x00000000       0x26 build/src/main.o
"""


def test_a_link_map_is_read() -> None:
    long = ".text.student_conv_2d_0_with_a_long_name"
    assert pieces(MAP) == (
        Piece(".text", long, 0x8000000, 0x10, "build/image/hil_image.o"),
        Piece(".text", ".text", 0x8000010, 0x0C, "/usr/lib/libc.a(memcpy.o)"),
        Piece(".text", ".rodata.str1.1", 0x8000020, 8, "build/src/main.o"),
        Piece(".data", ".data.x", 0x20000000, 4, "build dir/port/port.o"),
        Piece(".data", "COMMON", 0x20000004, 2, "build/port/port.o"),
    )


def test_the_memories_of_a_link_map_are_read() -> None:
    assert regions(MAP) == (
        Region("CODE", 0x08000000, 0x100000),
        Region("RAM", 0x20000000, 0x20000),
        Region("fuse", 0x820000, 3),
    )
    ram = regions(MAP)[1]
    inside = [ram.holds(at) for at in (0x1FFFFFFF, 0x20000000, 0x2001FFFF, 0x20020000)]
    assert inside == [False, True, True, False]


@pytest.mark.parametrize("text", ["", "no map\n.text 0x0 0x1\n", "\0" * 99])
def test_text_that_is_not_a_link_map_has_no_pieces(text: str) -> None:
    assert pieces(text) == ()
    assert regions(text) == ()


ESP = "/home/someone/.platformio/packages/framework-arduinoespressif32/tools/sdk/esp32/lib"
MBED = "/x/framework-arduino-mbed/variants/PORTENTA_H7_M7/libs"
OWNERS = [
    (".rodata.student_conv_2d_0_w", "b/image/hil_image.o", "model student"),
    (".rodata.student_big_conv_2d_0_w", "b/image/hil_image.o", "model student_big"),
    (".progmem.data.student_conv_2d_0_q", "b/image/hil_image.o", "model student"),
    (".rodata.student_tflite", "b/image/hil_image.o", "model student"),
    (".text.student_run", "b/image/hil_image.o", "engine"),
    (".rodata.hil_models", "b/image/hil_image.o", "engine"),
    (".data.rel.ro.local.hil_models", "b/image/hil_image.o", "engine"),
    (".rodata.str1.4", "b/image/hil_image.o", "engine"),
    (".bss._ZN12_GLOBAL__N_15arenaE", "b/src/main.o", "arena"),
    (".bss._ZN12_GLOBAL__N_12rxE", "b/src/main.o", "firmware"),
    (".text.main", "b/src/main.o", "firmware"),
    (".text.put", "b/lib8af/libTinymlHil.a(hil_replies.o)", "firmware"),
    (".text.tick", "b/port/port.o", "firmware"),
    (".text.main", "b/entry/entry.o", "firmware"),
    (".text._start", "b/bsp/startup.o", "start-up"),
    (".init", "/usr/lib/gcc/x86_64-linux-gnu/12/crti.o", "start-up"),
    (".init2", "/usr/lib/avr/lib/avr6/crtatmega2560.o", "start-up"),
    (".dynsym", "/usr/lib/Scrt1.o", "start-up"),
    (".rela.data.rel.ro", "/usr/lib/Scrt1.o", "start-up"),
    (".text", "linker stubs", "start-up"),
    (".text", "/usr/lib/libc_nano.a(lib_a-memcpy.o)", "C library"),
    (".text", "/usr/lib/gcc/avr/5.4.0/avr6/libgcc.a(_mulsi3.o)", "C library"),
    (".text", "/usr/lib/avr/lib/avr6/libatmega2560.a(eeprom.o)", "C library"),
    (".text", "/usr/lib/libm.a(expf.o)", "C library"),
    (".text._Z", "b/tflm/tensorflow/lite/micro/micro_interpreter.cc.o", "engine"),
    (".text", "b/tflm/lib/hil_tflm/hil_tflm.cpp.o", "engine"),
    (".text.millis", "b/libcore.a(wiring.o)", "board's core"),
    (".text.millis", "b/libFrameworkArduino.a(wiring.c.o)", "board's core"),
    (".iram1.0", f"{ESP}/libfreertos.a(port.c.obj)", "board's core"),
    (".text.main", f"{MBED}/libmbed.a(mbed_boot.o)", "board's core"),
    (".text", "/somewhere/else.o", "unknown"),
    (".bss._ZN12_GLOBAL__N_15arenaE", "", "arena"),
    (".bss.student_conv_2d_0_w", "", "model student"),
    (".bss.other", "", "unknown"),
]


@pytest.mark.parametrize(("name", "file", "whose"), OWNERS)
def test_owners(name: str, file: str, whose: str) -> None:
    assert owner(Piece(".s", name, 0, 4, file), ["student", "student_big", "teacher"]) == whose


SOURCE = """
.section .vectors,"a",@progbits
.space 64
.section .iram0.text,"ax",@progbits
.space 40
.section .flash.rodata,"aw",@progbits
.globl student_conv_2d_0_w
.type student_conv_2d_0_w,@object
student_conv_2d_0_w: .space 1000
.size student_conv_2d_0_w,1000
.section .flash.text,"ax",@progbits
.globl _start
_start: .space 500
.section .flash_rodata_dummy,"a",@nobits
.space 4096
.section .dram0.dummy,"aw",@nobits
.space 4096
.section .data,"aw",@progbits
.space 24
.section .bss,"aw",@nobits
.globl _ZN12_GLOBAL__N_15arenaE
.type _ZN12_GLOBAL__N_15arenaE,@object
_ZN12_GLOBAL__N_15arenaE: .space 256
.size _ZN12_GLOBAL__N_15arenaE,256
.space 4
.section .lwip_sec,"aw",@nobits
.space 3000
.section .stack_dummy,"aw",@nobits
.space 1024
.section .heap,"aw",@nobits
.space 2048
.section .note,"",@progbits
.space 77
"""
SCRIPT = """
MEMORY {
  FLASH (rx) : ORIGIN = 0x400000, LENGTH = 1M
  dram0_0_seg (RW) : ORIGIN = 0x3FFBDB5C, LENGTH = 0x1E6A4
  iram0_0_seg (RX) : ORIGIN = 0x40080000, LENGTH = 128K
  RAM_D2 (rwx) : ORIGIN = 0x30000000, LENGTH = 288K
}
ENTRY(_start)
SECTIONS {
  .vectors : { *(.vectors) } > FLASH
  .flash.rodata : { *(.flash.rodata) } > FLASH
  .flash.text : { *(.flash.text) } > FLASH
  .flash_rodata_dummy (NOLOAD) : { *(.flash_rodata_dummy) } > FLASH
  .iram0.text : { *(.iram0.text) } > iram0_0_seg AT > FLASH
  .dram0.dummy (NOLOAD) : { *(.dram0.dummy) } > dram0_0_seg
  .data : { *(.data) } > dram0_0_seg AT > FLASH
  .bss (NOLOAD) : { *(.bss) } > dram0_0_seg
  .lwip_sec (NOLOAD) : { *(.lwip_sec) } > RAM_D2
  .stack_dummy (NOLOAD) : { *(.stack_dummy) } > dram0_0_seg
  .heap (NOLOAD) : { *(.heap) } > dram0_0_seg
}
"""


def linked(folder: Path, *, link_map: bool, source: str = SOURCE) -> Path:
    """An ELF file with the section names and places of an ESP32 and a Portenta."""
    (folder / "src").mkdir()
    (folder / "src" / "main.s").write_text(source)
    (folder / "script.ld").write_text(SCRIPT)
    words = ["gcc", "-c", "src/main.s", "-o", "src/main.o"]
    subprocess.run(words, cwd=folder, check=True, timeout=60)
    words = ["ld", "-static", "-T", "script.ld", "-o", "firmware.elf", "src/main.o"]
    words += ["-Map=firmware.map"] if link_map else []
    subprocess.run([*words, "--no-warn-rwx-segments"], cwd=folder, check=True, timeout=60)
    return folder / "firmware.elf"


def by(found: Footprint, what: str) -> dict[str, tuple[int, int, int]]:
    sums: dict[str, tuple[int, int, int]] = {}
    for share in found.shares:
        key = getattr(share, what)
        flash, ram, other = sums.get(key, (0, 0, 0))
        sums[key] = (flash + share.flash, ram + share.ram, other + share.other_ram)
    return sums


@skip_without(tool for tool in ("gcc", "ld") if not shutil.which(tool))
def test_sections_in_unusual_places(tmp_path: Path) -> None:
    elf = linked(tmp_path, link_map=True)
    found = footprint(elf, ["student"])
    assert by(found, "section") == {
        ".vectors": (64, 0, 0),
        ".flash.rodata": (1000, 0, 0),  # declared writable, but not copied to RAM
        ".flash.text": (500, 0, 0),
        ".iram0.text": (40, 0, 40),  # not writable, but copied to RAM
        ".data": (24, 24, 0),
        ".bss": (0, 260, 0),
        ".lwip_sec": (0, 0, 3000),
    }
    assert (found.flash, found.ram) == (1628, 284)
    assert sizes(elf) == Sizes(1628, 284)
    assert found.arena == 256
    assert found.allocator is False
    # src/main.o owns all sections
    assert by(found, "owner") == {"firmware": (1628, 284, 3040)}


@skip_without(tool for tool in ("gcc", "ld") if not shutil.which(tool))
def test_without_a_link_map_all_ram_counts(tmp_path: Path) -> None:
    elf = linked(tmp_path, link_map=False)
    found = footprint(elf, ["student"])
    assert by(found, "owner") == {
        "model student": (1000, 0, 0),
        "arena": (0, 256, 0),
        "unknown": (628, 3068, 0),
    }
    assert sizes(elf) == Sizes(1628, 3324)


UNNAMED = SOURCE.replace("_ZN12_GLOBAL__N_15arenaE", "other")
MOVED = SOURCE.replace(".section .bss,", ".section .lwip_sec,")


@skip_without(tool for tool in ("gcc", "ld") if not shutil.which(tool))
@pytest.mark.parametrize(("source", "ram"), [(UNNAMED, 284), (MOVED, 3260)])
def test_only_the_memory_with_the_arena_or_else_bss_counts(
    tmp_path: Path, source: str, ram: int
) -> None:
    assert footprint(linked(tmp_path, link_map=True, source=source)).ram == ram


@skip_without(tool for tool in ("gcc", "ld") if not shutil.which(tool))
def test_bytes_outside_the_map_are_padding_and_none_counts_twice(tmp_path: Path) -> None:
    elf = linked(tmp_path, link_map=True)
    text = f"""Linker script and memory map
.flash.text     0x0  0x0
 .text.a        {address(elf, ".flash.text"):#x}  0x64 x/src/a.o
 .text.b        {address(elf, ".flash.text") + 50:#x}  0x64 x/port/b.o
 .text.c        {address(elf, ".flash.text") + 200:#x}  0x10000 libc.a(c.o)
OUTPUT(x)
"""
    elf.with_suffix(".map").write_text(text)
    found = footprint(elf)
    shares = {s.owner: s.flash for s in found.shares if s.section == ".flash.text"}
    assert shares == {"firmware": 150, "padding": 50, "C library": 300}
    assert found.flash == 1628


def address(elf: Path, section: str) -> int:
    words = ["objdump", "-h", "-w", str(elf)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    (line,) = [line for line in done.stdout.splitlines() if f" {section} " in line]
    return int(line.split()[3], 16)


def test_a_file_that_is_not_firmware_is_named(tmp_path: Path) -> None:
    (tmp_path / "firmware.elf").write_bytes(b"\x7fELF")
    with pytest.raises(BuildFailed, match="is not an ELF file"):
        footprint(tmp_path / "firmware.elf")
