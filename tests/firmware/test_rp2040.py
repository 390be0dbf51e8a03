# SPDX-License-Identifier: Apache-2.0
"""The firmware of a bare RP2040, in rp2040js: answers, exact counts, and the start by the ROM."""

from __future__ import annotations

import importlib.util
import shutil
import struct
import subprocess
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from hil.boards.config import load_board
from hil.boards.session import open_board
from hil.boards.station import missing_tools
from hil.core.records import Encoding
from hil.device import Device
from hil.firmware import build
from tests.support.firmware import (
    BSP,
    MODELS,
    PROJECT,
    answers_of,
    oracle_outputs,
    project_with,
)
from tests.support.needs import needs

pytestmark = pytest.mark.firmware
BOARD = load_board("rp2040")
STUDENT = [("student", MODELS / "student_int8.tflite")]
FLASH = 0x10000100  # after the second-stage boot


@pytest.fixture(autouse=True)
def _installed() -> None:
    needs(missing_tools(BOARD))


@pytest.fixture(scope="module")
def after_linking() -> ModuleType:
    """The module that the builder calls; it is not in a package."""
    file = BSP.parent / "rp2040" / "rp2040.py"
    spec = importlib.util.spec_from_file_location("rp2040", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("models", [["teacher_int8", "student_int8"], ["student_float32"]])
def test_outputs_are_the_oracles(models: list[str]) -> None:
    hello, outputs = answers_of("rp2040", "aot", models)
    assert hello.board == "rp2040"
    for model, got in zip(models, outputs, strict=True):
        assert got == oracle_outputs(model)


def ticks(elf: Path, samples: list[bytes]) -> list[int | None]:
    """The instructions of each sample, from a freshly started emulator."""
    with open_board(BOARD, elf) as link:
        device = Device(link)
        device.hello()
        found = [one.result.ticks for one in device.infer(0, Encoding.PIXELS, samples, window=4)]
        assert device.retries == 0
        return found


# Two instructions per turn; `input` is int8, of which zero is -128.
LOOP = """
  {
    uint32_t turns = 1u + 1000u * (uint32_t)(((const int8_t *)input)[0] + 128);
    __asm__ volatile("1: sub %0, #1\\n bne 1b" : "+l"(turns) : : "cc");
  }
"""


def test_every_instruction_is_counted(tmp_path: Path) -> None:
    """A loop of known length before the network: more turns take two instructions each."""
    elf = build("rp2040", STUDENT, "aot", project_with(tmp_path, LOOP)).elf
    rest = np.random.default_rng(5).integers(0, 256, 783, dtype=np.uint8).tobytes()
    firsts = (0, 1, 2, 100, 255)
    plain = ticks(build("rp2040", STUDENT, "aot", PROJECT).elf, [bytes([n]) + rest for n in firsts])
    looped = ticks(elf, [bytes([n]) + rest for n in firsts])
    added = [a - b for a, b in zip(looped, plain, strict=True) if a is not None and b is not None]
    assert [one - added[0] for one in added] == [2000 * n for n in firsts]


def test_counts_repeat() -> None:
    elf = build("rp2040", STUDENT, "aot", PROJECT).elf
    digits = np.random.default_rng(6).integers(0, 256, (12, 784), dtype=np.uint8)
    samples = [digit.tobytes() for digit in digits]
    assert ticks(elf, samples) == ticks(elf, samples)


def test_the_checksum_is_the_roms(after_linking: ModuleType) -> None:
    assert after_linking.crc32(b"123456789") == 0x0376E6E7  # the check value of CRC-32/MPEG-2
    image = build("rp2040", STUDENT, "aot", PROJECT).elf.read_bytes()
    page = image[after_linking.section(image, b".boot") :][:256]
    assert struct.unpack("<I", page[252:]) == (after_linking.crc32(page[:252]),)
    assert any(page[:252])


def started(elf: Path) -> subprocess.CompletedProcess[str]:
    """The emulator with ``elf``, without input."""
    assert BOARD.emulator
    words = BOARD.emulator.fill(BOARD.emulator.command, elf, elf.parent, 0)
    return subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100, check=False
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A firmware, and the emulator's program beside it."""
    elf = build("rp2040", STUDENT, "aot", PROJECT).elf
    for name in (elf.name, "rp2040.mjs"):
        shutil.copy(elf.with_name(name), tmp_path)
    return tmp_path / elf.name


def test_the_emulator_ends_with_its_input(copy: Path) -> None:
    done = started(copy)
    assert (done.returncode, done.stderr) == (0, "ready\n")


def test_a_boot_that_the_rom_would_refuse_is_refused(copy: Path, after_linking: ModuleType) -> None:
    image = bytearray(copy.read_bytes())
    image[after_linking.section(bytes(image), b".boot")] ^= 1
    copy.write_bytes(image)
    done = started(copy)
    assert done.returncode == 65
    assert "the second-stage boot has a wrong checksum" in done.stderr


def test_an_instruction_that_the_core_does_not_have_ends_the_emulator(
    copy: Path, after_linking: ModuleType
) -> None:
    image = bytearray(copy.read_bytes())
    text = after_linking.section(bytes(image), b".text")
    (entry,) = struct.unpack_from("<I", image, text + 4)  # the second vector
    at = text + (entry & ~1) - FLASH
    struct.pack_into("<HH", image, at, 0xFB10, 0xF001)  # smulbb r0, r0, r1
    copy.write_bytes(image)
    done = started(copy)
    assert done.returncode == 70
    assert f"Instruction at {entry & ~1:x} is not implemented" in done.stderr
