# SPDX-License-Identifier: Apache-2.0
"""A small project whose boards are flashed by the real esptool, offline."""

from __future__ import annotations

import configparser
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from tests.support.flashing.images import HUGE_APP, boot_app0, image, partition_table
from tests.support.flashing.rom import ESP32, ESP32_C3, ESP32_S3, Chip, Partition

PROJECT: Final = Path(__file__).parents[3]
PLATFORM: Final = Path(__file__).parent / "platform"
ESPTOOLS: Final = {4: PROJECT / ".venv/esptool/4", 5: PROJECT / ".venv/esptool/5"}
MISSING: Final = tuple(
    f"esptool {major} (make .venv/esptool/.made)"
    for major, folder in ESPTOOLS.items()
    if not folder.is_dir()
)
CHIPS: Final = {"esp32dev": ESP32, "esp32-s3": ESP32_S3, "esp32-c3": ESP32_C3}
FLASH_MB: Final = {"esp32dev": 4, "esp32-s3": 8, "esp32-c3": 4}  # on the devkits


@dataclass(frozen=True)
class SmallProject:
    """One env of one board; ``files``: offset -> file as built."""

    folder: Path
    board: str
    files: dict[int, bytes]


def make_project(
    folder: Path,
    board: str = "esp32dev",
    esptool: int = 4,
    *,
    app: bytes | None = None,
    table: Sequence[Partition] = HUGE_APP,
    attempts: int = 1,
    boot: float = 10.0,
) -> SmallProject:
    """Create a project in ``folder``, with ``app`` as its firmware.bin.

    esptool tries to connect ``attempts`` times; HELLO waits ``boot`` seconds.
    """
    chip = CHIPS[board]
    files = {
        chip.bootloader_at: ("bootloader.bin", image(chip.image_id, b"loader" * 3000)),
        0x8000: ("partitions.bin", partition_table(table)),
        0xE000: ("boot_app0.bin", boot_app0()),
        0x10000: ("firmware.bin", app or image(chip.image_id, bytes(range(256)) * 400)),
    }
    made = folder / "made"
    made.mkdir()
    for name, content in files.values():
        (made / name).write_bytes(content)
    (made / "firmware.elf").write_bytes(_elf())
    (made / "esptool.cfg").write_text(f"[esptool]\nconnect_attempts = {attempts}\n")
    (folder / "firmware" / "scripts").mkdir(parents=True)  # by which it is a checkout
    (folder / "src").mkdir()
    (folder / "boards").mkdir()
    _board_file(folder, board, boot)
    (folder / "platformio.ini").write_text(_ini(folder, board, chip, esptool))
    return SmallProject(folder, board, {at: content for at, (_, content) in files.items()})


def flash_size(board: str) -> str:
    """The flash size in the env of platformio.ini, else in PlatformIO's board file."""
    ini = configparser.ConfigParser(interpolation=None, strict=False)
    ini.read(PROJECT / "platformio.ini")
    return ini[f"env:{board}"].get("board_upload.flash_size", f"{FLASH_MB[board]}MB")


def _board_file(folder: Path, board: str, boot: float) -> None:
    """Copy the board file with another time to wait for the boot."""
    said = (resources.files("hil.boards") / f"{board}.toml").read_text()
    assert "boot = 10.0" in said
    (folder / "boards" / f"{board}.toml").write_text(said.replace("boot = 10.0", f"boot = {boot}"))


def _ini(folder: Path, board: str, chip: Chip, esptool: int) -> str:
    return f"""
[platformio]
platforms_dir = .pio/platforms
[env:{board}]
platform = symlink://{PLATFORM}
custom_files = {folder}/made
custom_esptool = {ESPTOOLS[esptool]}
custom_words = {"espressif32" if esptool == 4 else "pioarduino"}
custom_chip = {chip.name.lower().replace("-", "")}
custom_bootloader_at = {chip.bootloader_at:#x}
custom_flash_freq = {"40m" if chip is ESP32 else "80m"}
custom_flash_size = {flash_size(board)}
"""


def _elf() -> bytes:
    """The smallest ELF file: a header without sections."""
    head = b"\x7fELF\x01\x01\x01".ljust(16, b"\0")
    return head + struct.pack("<HHIIIIIHHHHHH", 2, 94, 1, 0, 0, 0, 0, 52, 0, 0, 0, 0, 0)
