# SPDX-License-Identifier: Apache-2.0
"""The files that PlatformIO's espressif32 platform flashes, written by the tests.

An image in Espressif's format, a partition table, and Arduino's choice of the first app.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

from tests.support.flashing.rom import SIZE_CODES, Partition

# huge_app.csv of the Arduino core: one app of 3 MB in a flash of 4 MB
HUGE_APP = (
    Partition("nvs", 1, 0x9000, 0x5000),
    Partition("otadata", 1, 0xE000, 0x2000),
    Partition("app0", 0, 0x10000, 0x300000),
    Partition("spiffs", 1, 0x310000, 0xE0000),
    Partition("coredump", 1, 0x3F0000, 0x10000),
)
SUBTYPES = {"nvs": 2, "otadata": 0, "app0": 0x10, "spiffs": 0x82, "coredump": 3}


def image(chip_id: int, content: bytes, flash_mb: int = 4) -> bytes:
    """An image of one segment, with checksum and SHA-256; esptool changes its flash size."""
    code = next(code for code, size in SIZE_CODES.items() if size == flash_mb)
    data = content + bytes(-len(content) % 4)
    made = struct.pack("<BBBBI", 0xE9, 1, 2, code << 4, 0x40080000)
    made += struct.pack("<B3sHBHHIB", 0xEE, b"\0\0\0", chip_id, 0, 0, 0xFFFF, 0, 1)
    made += struct.pack("<II", 0x3F400020, len(data)) + data
    check = 0xEF
    for byte in data:
        check ^= byte
    made += bytes(15 - len(made) % 16) + bytes([check])
    return made + hashlib.sha256(made).digest()


def partition_table(rows: Sequence[Partition] = HUGE_APP) -> bytes:
    """The binary form of a partition table."""
    table = b"".join(
        struct.pack(
            "<HBBII16sI",
            *(0x50AA, one.type, SUBTYPES[one.name], one.at, one.size, one.name.encode(), 0),
        )
        for one in rows
    )
    table += b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(table, usedforsecurity=False).digest()
    return table + b"\xff" * (0xC00 - len(table))


def boot_app0() -> bytes:
    """otadata that selects the first app: two sectors, with the sequence numbers 1 (and its CRC)
    and 0."""
    first = struct.pack("<I20sII", 1, b"\xff" * 20, 0xFFFFFFFF, 0x4743989A)
    return first.ljust(0x1000, b"\xff") + struct.pack("<I", 0).ljust(0x1000, b"\xff")
