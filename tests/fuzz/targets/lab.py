# SPDX-License-Identifier: Apache-2.0
"""Output of other programs: labgrid-client, linker maps, build logs."""

from __future__ import annotations

from pathlib import Path
from random import Random
from unittest import mock

from hil.boards import labgrid
from hil.firmware.build import failure, find_overflow
from hil.firmware.link_map import owner, pieces
from tests.fuzz.damage import deep, text_like

_ENV = b"""\
targets:
  main:
    options:
      coordinator_address: 127.0.0.1:20408
    resources:
    - NetworkSerialPort:
        host: 127.0.0.1
        name: usb
        port: 4001
        protocol: raw
        speed: 115200
"""
_SHOW = b"""\
Place 'desk1':
  aliases:
  comment: a board
  tags: board=esp32dev, rack=2
  matches: exporter/group/NetworkSerialPort
  acquired: host/user
"""
_MAP = b"""\
Linker script and memory map

.text           0x00000000      0x104
 .text.main     0x00000000       0x20 /b/src/main.o
 .rodata.student_weights
                0x00000020       0xe0 libimage.a(hil_image.o)
.bss            0x20000000       0x40
 .bss.arena     0x20000000       0x40 /b/src/main.o
OUTPUT(firmware.elf elf32-littlearm)
"""
_LOG = b"""\
arm-none-eabi-ld: region `FLASH' overflowed by 1234 bytes
section .stack VMA [20000000,20001fff] overlaps section .bss VMA [20000000,200020ff]
src/main.cpp:3:1: error: expected ';'
The program size (70000 bytes) is greater than maximum allowed
*** [.pio/build/mps2/firmware.elf] Error 1
"""
SEEDS = [_ENV, _SHOW, _MAP, _LOG, deep(b"[", b"]", 2000), deep(b"{a: ", b"}", 2000)]
SEEDS.append(
    b"a: &a [x,x]\n"
    + b"".join(b"%c: &%c [*%c,*%c]\n" % (i, i, i - 1, i - 1) for i in range(98, 122))
)


def damage(random: Random, data: bytes) -> bytes:
    return text_like(random, data, SEEDS[:4])


def check(data: bytes, folder: Path) -> None:
    text = data.decode("utf-8", "replace")
    found = pieces(text)
    for piece in found[:100]:
        owner(piece, ("student",))
    find_overflow(text)
    log = folder / "b.log"
    log.write_bytes(data)
    assert "\n" not in str(failure("x", log))
    for command in ("show", "acquire"):
        assert "\n" not in str(labgrid._failed("desk", command, text))
    with mock.patch.object(labgrid, "_client", return_value=text):
        if "tags:" in text:
            labgrid._board("desk")
    url = labgrid.serial_port("desk", text)
    assert url.isprintable()
    assert url.startswith(("rfc2217://", "socket://"))
