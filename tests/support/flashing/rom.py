# SPDX-License-Identifier: Apache-2.0
"""A simulated Espressif chip: its ROM loader, its flash, and what it prints when it boots.

`tests.support.flashing.lines` puts it on a pty or behind RFC 2217. Written from Espressif's
description of the serial protocol and not from esptool, so that the two can disagree.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

END, ESC = 0xC0, 0xDB
FLASH_BEGIN, FLASH_DATA, FLASH_END = 0x02, 0x03, 0x04
MEM_BEGIN, MEM_END, MEM_DATA, SYNC = 0x05, 0x06, 0x07, 0x08
WRITE_REG, READ_REG, SPI_SET_PARAMS, SPI_ATTACH = 0x09, 0x0A, 0x0B, 0x0D
CHANGE_BAUD, DEFL_BEGIN, DEFL_DATA, DEFL_END = 0x0F, 0x10, 0x11, 0x12
FLASH_MD5, SECURITY_INFO = 0x13, 0x14
READ_ID: Final = 0x9F  # of the flash chip
BAD_MESSAGE, BAD_CHECKSUM = 5, 7  # error codes of the ROM
MB: Final = 1 << 20
SIZE_CODES: Final = {0: 1, 1: 2, 2: 4, 3: 8, 4: 16}  # of an image's header -> MB
TABLE_AT: Final = 0x8000


@dataclass(frozen=True)
class Chip:
    """What differs between chips on the wire. ``chip_id``: in GET_SECURITY_INFO, None for chips
    without that command; ``magic``: the word at 0x40001000."""

    name: str
    image_id: int
    magic: int
    chip_id: int | None
    bootloader_at: int
    spi: int  # address of the SPI registers
    usr2: int  # offset: the command to the flash chip
    w0: int  # offset: the flash chip's answer
    clkdiv: int  # register of UART0's divider
    greeting: str  # first line that the ROM prints
    reset: str  # what the ROM prints after a reset by EN ...
    run: str  # ... that starts the firmware
    download: str  # ... that stays in the ROM


ESP32 = Chip(
    *("ESP32", 0, 0x00F01D83, None, 0x1000, 0x3FF42000, 0x24, 0x80, 0x3FF40014),
    greeting="ets Jul 29 2019 12:21:46",
    reset="rst:0x1 (POWERON_RESET)",
    run="boot:0x13 (SPI_FAST_FLASH_BOOT)",
    download="boot:0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))",
)
ESP32_S3 = Chip(
    *("ESP32-S3", 9, 0x9, 9, 0x0, 0x60002000, 0x20, 0x58, 0x60000014),
    greeting="ESP-ROM:esp32s3-20210327",
    reset="rst:0x1 (POWERON)",
    run="boot:0x8 (SPI_FAST_FLASH_BOOT)",
    download="boot:0x0 (DOWNLOAD(USB/UART0))",
)
ESP32_C3 = Chip(
    *("ESP32-C3", 5, 0x1B31506F, 5, 0x0, 0x60002000, 0x20, 0x58, 0x60000014),
    greeting="ESP-ROM:esp32c3-api1-20210207",
    reset="rst:0x1 (POWERON)",
    run="boot:0xc (SPI_FAST_FLASH_BOOT)",
    download="boot:0x4 (DOWNLOAD(USB/UART0/1))",
)


@dataclass
class Rom:
    """One board. ``feed`` returns the answer to bytes from the line; ``boot`` resets.

    ``app`` answers as the firmware once the flash boots. ``deaf``: no board is there. ``written``:
    (offset, bytes) of everything that was flashed, in order.
    """

    chip: Chip
    app: Callable[[bytes], bytes] = lambda _: b""
    flash_mb: int = 4
    deaf: bool = False
    download: bool = True
    written: list[tuple[int, bytes]] = field(default_factory=list)
    boots: list[str] = field(default_factory=list)  # "download", "app" or the loader's error
    baud: int = 115200
    bauds: list[int] = field(default_factory=list)  # requested by esptool

    def __post_init__(self) -> None:
        self.flash = bytearray(b"\xff" * (self.flash_mb * MB))
        self._registers: dict[int, int] = {self.chip.clkdiv: 40_000_000 // 115200}
        self._reset()

    def _reset(self) -> None:
        self.stub = False
        self.baud = 115200
        self._pending = bytearray()
        self._at, self._writing, self._size = 0, bytearray(), 0
        self._inflate = zlib.decompressobj()
        self._loop = b""

    def boot(self, *, download: bool) -> bytes:
        """Reset by EN, with IO0 low for ``download``; returns what the board prints."""
        self._reset()
        self.download = download
        if self.deaf:
            return b""
        head = f"{self.chip.greeting}\r\n{self.chip.reset},"
        if download:
            self.boots.append("download")
            return f"{head}{self.chip.download}\r\nwaiting for download\r\n".encode()
        said = self._load()
        self.boots.append(said or "app")
        self._loop = f"{head}{self.chip.run}\r\n{said}\r\n".encode()
        return self._loop

    def feed(self, data: bytes) -> bytes:
        """The board's answer to ``data``."""
        if self.deaf:
            return b""
        if not self.download:
            # a loader that starts nothing is reset by its watchdog and prints the same again
            return self.app(data) if self.boots[-1:] == ["app"] else self._loop
        return b"".join(reply for packet in self._packets(data) for reply in self._answer(packet))

    # ---- the loader

    def _packets(self, data: bytes) -> Iterator[bytes]:
        self._pending += data
        while END in self._pending:
            packet, _, rest = bytes(self._pending).partition(bytes([END]))
            self._pending = bytearray(rest)
            if packet:
                yield packet.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")

    def _answer(self, packet: bytes) -> Iterator[bytes]:
        if len(packet) < 8:
            return
        direction, op, size, check = struct.unpack("<BBHI", packet[:8])
        data = packet[8:]
        if direction or size != len(data):
            return
        if op in (FLASH_DATA, MEM_DATA, DEFL_DATA):
            found = 0xEF
            for byte in data[16:]:
                found ^= byte
            if found != check & 0xFF:
                yield self._reply(op, error=BAD_CHECKSUM)
                return
        words = struct.unpack(f"<{min(4, len(data) // 4)}I", data[: min(4, len(data) // 4) * 4])
        if op == SYNC:
            for _ in range(8):
                yield self._reply(op, value=0x20120707)
        elif op == READ_REG:
            yield self._reply(op, value=self._read(words[0]))
        elif op == SECURITY_INFO and self.chip.chip_id is not None:
            yield self._reply(op, struct.pack("<IB7sII", 0, 0, bytes(7), self.chip.chip_id, 0))
        elif op == FLASH_MD5:
            written = self.flash[words[0] : words[0] + words[1]]
            digest = hashlib.md5(written, usedforsecurity=False)
            yield self._reply(op, digest.digest() if self.stub else digest.hexdigest().encode())
        elif op == MEM_END:
            self.stub = True  # the ROM's last reply then has a stub's length: harmless
            yield self._reply(op)
            yield bytes([END]) + b"OHAI" + bytes([END])
        elif op == CHANGE_BAUD:
            self.bauds.append(words[0])
            yield self._reply(op)
            self.baud = words[0]
        elif self._took(op, words, data):
            yield self._reply(op)
        else:
            yield self._reply(op, error=BAD_MESSAGE)

    def _took(self, op: int, words: tuple[int, ...], data: bytes) -> bool:
        if op == WRITE_REG:
            self._write(words[0], words[1])
        elif op in (FLASH_BEGIN, DEFL_BEGIN):
            self._size, self._at = words[0], words[3]
            self._writing, self._inflate = bytearray(), zlib.decompressobj()
        elif op in (FLASH_DATA, DEFL_DATA):
            block = data[16:]
            self._writing += self._inflate.decompress(block) if op == DEFL_DATA else block
            self._program()
        return op in (
            *(WRITE_REG, FLASH_BEGIN, FLASH_DATA, FLASH_END, DEFL_BEGIN, DEFL_DATA, DEFL_END),
            *(MEM_BEGIN, MEM_DATA, SPI_SET_PARAMS, SPI_ATTACH),
        )

    def _program(self) -> None:
        """Write a file to the flash once all of it has come."""
        if len(self._writing) < self._size:
            return
        file = bytes(self._writing[: self._size])
        assert self._at + len(file) <= len(self.flash), "written past the end of the flash"
        self.flash[self._at : self._at + len(file)] = file
        self.written.append((self._at, file))
        self._size = 1 << 32

    def _reply(self, op: int, data: bytes = b"", *, value: int = 0, error: int = 0) -> bytes:
        status = bytes([bool(error), error]) + (b"" if self.stub else bytes(2))
        body = struct.pack("<BBHI", 1, op, len(data) + len(status), value) + data + status
        escaped = body.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")
        return bytes([END]) + escaped + bytes([END])

    def _read(self, address: int) -> int:
        chip = self.chip
        if address == 0x40001000:
            return chip.magic
        if address == chip.spi:
            return 0  # its command is done
        if address == chip.spi + chip.w0:
            command = self._registers.get(chip.spi + chip.usr2, 0) & 0xFF
            size_code = (self.flash_mb * MB).bit_length() - 1
            return 0x40C8 | size_code << 16 if command == READ_ID else 0
        return self._registers.get(address, 0)

    def _write(self, address: int, value: int) -> None:
        self._registers[address] = value

    # ---- the boot

    def _load(self) -> str:
        """The error of the ROM or the bootloader; empty: the firmware runs."""
        flash, chip = self.flash, self.chip
        if flash[chip.bootloader_at] != 0xE9:
            found = int.from_bytes(flash[chip.bootloader_at : chip.bootloader_at + 4], "little")
            return f"invalid header: {found:#010x}"
        wanted = SIZE_CODES[flash[chip.bootloader_at + 3] >> 4]
        if wanted > self.flash_mb:
            return (
                f"E (88) spi_flash: Detected size({self.flash_mb * 1024}k) smaller than the size "
                f"in the binary image header({wanted * 1024}k). Probe failed."
            )
        table = partitions(bytes(flash))
        broken = "E (60) boot: Failed to verify partition table"
        for number, one in enumerate(table):
            if one.at + one.size > wanted * MB:
                return (
                    f"E (57) flash_parts: partition {number} invalid - offset {one.at:#x} size "
                    f"{one.size:#x} exceeds flash chip size {wanted * MB:#x}\r\n{broken}"
                )
        apps = [one for one in table if one.type == 0]
        if not apps:
            return broken
        app, none = apps[0], "E (90) boot: No bootable app partitions in the partition table"
        if flash[app.at] != 0xE9:
            return none
        length = image_length(bytes(flash[app.at :]))
        if length > app.size:
            why = f"Image length {length} doesn't fit in partition length {app.size}"
            return f"E (80) esp_image: {why}\r\n{none}"
        return ""


@dataclass(frozen=True)
class Partition:
    """One row of a partition table; type 0 is an app."""

    name: str
    type: int
    at: int
    size: int


def partitions(flash: bytes) -> list[Partition]:
    """The table at 0x8000 of a flash: rows of 32 bytes, each with the magic AA 50."""
    found = []
    for at in range(TABLE_AT, TABLE_AT + 0xC00, 32):
        magic, kind, _, offset, size, name = struct.unpack("<HBBII16s", flash[at : at + 28])
        if magic != 0x50AA:
            break
        found.append(Partition(name.rstrip(b"\0").decode(), kind, offset, size))
    return found


def image_length(image: bytes) -> int:
    """Size of an app image: its segments, padded so that the checksum ends a row of 16 bytes, then
    the SHA-256."""
    at = 24
    for _ in range(image[1]):
        at += 8 + int.from_bytes(image[at + 4 : at + 8], "little")
    return (at // 16 + 1) * 16 + (32 if image[23] else 0)
