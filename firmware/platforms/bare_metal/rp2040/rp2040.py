# SPDX-License-Identifier: Apache-2.0
"""What the RP2040 needs after linking: the checksum of its second-stage boot, by which the ROM
knows a bootable flash, and the program of the emulator beside the firmware."""

import shutil
import struct
from pathlib import Path

SIZE = 252  # bytes of code before the checksum, which is the last word of the page
POLYNOMIAL = 0x04C11DB7


def finish(target, **_):
    """The action of SCons after linking `target`."""
    elf = Path(str(target[0])).resolve()
    insert_crc(elf)
    shutil.copy(Path(__file__).with_name("rp2040.mjs"), elf.parent)


def crc32(data):
    """CRC-32/MPEG-2, as the ROM computes it: most significant bit first (data sheet, 2.8.1.3.1)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ POLYNOMIAL if crc >> 31 else crc << 1) & 0xFFFFFFFF
    return crc


def insert_crc(elf):
    """Write the checksum of section .boot into `elf`."""
    image = bytearray(elf.read_bytes())
    at = section(image, b".boot")
    struct.pack_into("<I", image, at + SIZE, crc32(image[at : at + SIZE]))
    Path(elf).write_bytes(image)


def section(image, name):
    """The offset of section `name` in a 32-bit little-endian ELF file."""
    (table,) = struct.unpack_from("<I", image, 32)
    size, count, names = struct.unpack_from("<HHH", image, 46)
    headers = [struct.unpack_from("<6I", image, table + size * i) for i in range(count)]
    strings = headers[names][4]
    for label, _kind, _flags, _address, offset, _length in headers:
        if image.startswith(name + b"\0", strings + label):
            return offset
    raise ValueError(f"no section {name.decode()}")
