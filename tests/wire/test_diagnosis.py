# SPDX-License-Identifier: Apache-2.0
"""Diagnoses of the texts that boards, uploaders and compilers print."""

from __future__ import annotations

import pytest

from hil.core.errors import (
    BoardCrashed,
    FlashTooSmall,
    HilError,
    LinkError,
    NoAnswer,
    NotAttached,
    NotRunning,
    UsageError,
    WrongCompiler,
)
from hil.testing.board import DOWNLOAD, PANIC
from hil.wire.diagnosis import BOARD, BUILD, HEARD, UPLOAD, board_says, diagnose
from hil.wire.frames import Frame, encode

BOOT = (
    b"ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n"
    b"configsip: 0, SPIWP:0xee\r\nmode:DIO, clock div:2\r\nload:0x3fff0030,len:1344\r\n"
    b"entry 0x400805e4\r\n"
)


def said_of(heard: bytes) -> HilError:
    found = board_says(heard)
    assert found
    return found.error("/dev/ttyUSB0")


@pytest.mark.parametrize(
    ("heard", "error", "words"),
    [
        (
            PANIC,
            BoardCrashed,
            'the board on /dev/ttyUSB0 crashed: it printed "Guru Meditation Error: Core 1 '
            "panic'ed (Unhandled debug exception). Debug exception reason: Stack canary watchpoint "
            'triggered (loopTask)"',
        ),
        (
            b"assert failed: xQueueSemaphoreTake queue.c:1545 (( pxQueue ))\r\n\r\n" + BOOT,
            BoardCrashed,
            'it printed "assert failed: xQueueSemaphoreTake queue.c:1545 (( pxQueue ))"',
        ),
        (
            b"abort() was called at PC 0x400d3f2b on core 0\r\n" + BOOT,
            BoardCrashed,
            'it printed "abort() was called at PC 0x400d3f2b on core 0"',
        ),
        (
            b"***ERROR*** A stack overflow in task loopTask has been detected.\r\n",
            BoardCrashed,
            "A stack overflow in task loopTask has been detected.",
        ),
        (
            b"E (15408) task_wdt: Task watchdog got triggered. The following tasks did not reset "
            b"the watchdog in time:\r\nE (15408) task_wdt:  - loopTask (CPU 1)\r\n",
            BoardCrashed,
            "Task watchdog got triggered.",
        ),
        (
            b"\r\n++ MbedOS Fault Handler ++\r\n\r\nFaultType: HardFault\r\n\r\nContext:\r\n",
            BoardCrashed,
            'it printed "++ MbedOS Fault Handler ++ FaultType: HardFault"',
        ),
        (
            b"++ MbedOS Error Info ++\nError Status: 0x8001012F Code: 303 Module: 1\n"
            b"Error Message: Fault exception\nLocation: 0x8045A3D\n",
            BoardCrashed,
            "++ MbedOS Error Info ++ Error Status: 0x8001012F Code: 303 Module: 1 Error Message: "
            "Fault exception",
        ),
        (b"Fatal exception (29):\r\nepc1=0x4000e1c3\r\n", BoardCrashed, "Fatal exception (29):"),
        (b"\n*** PANIC ***\n\nisr_hardfault\n", BoardCrashed, "*** PANIC *** isr_hardfault"),
        (
            b"Brownout detector was triggered\r\n\r\n" + BOOT,
            BoardCrashed,
            'has too little power: it printed "Brownout detector was triggered"',
        ),
        (
            BOOT + BOOT.replace(b"rst:0x1 (POWERON_RESET)", b"rst:0x8 (TG1WDT_SYS_RESET)") * 3,
            BoardCrashed,
            'restarts in a loop: 4 times, the last one with "rst:0x8 (TG1WDT_SYS_RESET)"',
        ),
        (
            DOWNLOAD,
            NotRunning,
            'is in its ROM loader and runs no firmware: it printed "rst:0x1 (POWERON_RESET),'
            'boot:0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2)) waiting for download"',
        ),
        (
            b"ESP-ROM:esp32s3-20210327\r\nBuild:Mar 27 2021\r\nrst:0x15 (USB_UART_CHIP_RESET),"
            b"boot:0x0 (DOWNLOAD(USB/UART0))\r\nSaved PC:0x40041a76\r\nwaiting for download\r\n",
            NotRunning,
            "boot:0x0 (DOWNLOAD(USB/UART0))",
        ),
        (
            b"rst:0x1 (POWERON_RESET),boot:0xf (UART_BOOT(UART0))\r\n",
            NotRunning,
            'is in its ROM loader and runs no firmware: it printed "rst:0x1 (POWERON_RESET),'
            'boot:0xf (UART_BOOT(UART0))"',
        ),
        (
            BOOT.replace(b"rst:0x1 (POWERON_RESET)", b"rst:0x3 (SW_RESET)") * 11,
            NotRunning,
            "no firmware that starts and resets the board again and again: 11 times "
            '"rst:0x3 (SW_RESET)"',
        ),
        (
            b"E (1042) spi_flash: Detected size(2048k) smaller than the size in the binary image "
            b"header(4096k). Probe failed.\r\n\r\nassert failed: do_core_init startup.c:328 "
            b"(flash_ret == ESP_OK)\r\n" + BOOT,
            FlashTooSmall,
            "has 2048 KB of flash, but its firmware was built for 4096 KB",
        ),
        (b"invalid header: 0xffffffff\r\n" * 9, NotRunning, "has no firmware that starts"),
        (
            b"\x1b[0;31mE (88) spi_flash: Detected size(2048k) smaller than the size in the binary "
            b"image header(4096k). Probe failed.\x1b[0m\r\n",
            FlashTooSmall,
            "the board on /dev/ttyUSB0 has 2048 KB of flash, but its firmware was built for 4096 "
            "KB",
        ),
        (
            b"E (57) flash_parts: partition 3 invalid - offset 0x310000 size 0xe0000 exceeds flash "
            b"chip size 0x200000\r\nE (60) boot: Failed to verify partition table\r\n",
            FlashTooSmall,
            "partition 3 invalid - offset 0x310000 size 0xe0000 exceeds flash chip size 0x200000",
        ),
        (
            b"E (80) esp_image: Image length 3300123 doesn't fit in partition length 3145728\r\n"
            b"E (90) boot: No bootable app partitions in the partition table\r\n",
            NotRunning,
            "takes 3300123 bytes, but its app partition has 3145728",
        ),
    ],
)
def test_boards_that_do_not_run(heard: bytes, error: type[HilError], words: str) -> None:
    said = said_of(heard)
    assert type(said) is error
    assert words in said.what
    assert said.hint
    assert said.exit_code == 2


def test_a_crashed_board_is_not_to_be_flashed_again() -> None:
    for symptom in BOARD:
        if symptom.error is BoardCrashed:
            assert "hil flash" not in symptom.hint


@pytest.mark.parametrize(
    "heard", [b"", BOOT, b"Hello from Arduino\r\n" * 50, b"MicroPython v1.24\r\n>>> ", bytes(9000)]
)
def test_harmless_output_has_no_diagnosis(heard: bytes) -> None:
    assert board_says(heard) is None


def test_text_inside_a_frame_is_not_a_diagnosis() -> None:
    assert board_says(b"\0" + encode(Frame(0x81, 1, PANIC)) + BOOT) is None
    assert board_says(encode(Frame(0x81, 1, b"\x07")) + PANIC)


def test_quoted_text_is_short_and_without_control_characters() -> None:
    hostile = b"Guru Meditation Error: \x1b]0;pwned\x07\x1b[2J\x9b31m{where}\x00" + b"A" * HEARD
    said = said_of(hostile.replace(b"\x00", b""))
    assert str(said).isprintable()
    assert len(said.what) < 300
    assert "{where}" in said.what  # no format string


@pytest.mark.parametrize(
    ("log", "error", "words"),
    [
        (
            "No DFU capable USB device available\n*** [upload] Error 74\n",
            NotAttached,
            "no board is in its bootloader",
        ),
        (
            "dfu-util: Cannot open DFU device 2341:035b found on devnum 9 (LIBUSB_ERROR_ACCESS)\n",
            LinkError,
            "this user has no permission to open",
        ),
        (
            "ERROR: No accessible RP2040 devices in BOOTSEL mode were found.\n",
            NotAttached,
            "BOOTSEL mode",
        ),
        (
            "A fatal error occurred: Failed to connect to ESP32: Wrong boot mode detected (0x13)! "
            "The chip needs to be in download mode.\n",
            NoAnswer,
            "Wrong boot mode detected (0x13)",
        ),
        (
            "A fatal error occurred: MD5 of file does not match data in flash!\n",
            LinkError,
            "was interrupted: esptool printed",
        ),
        (
            "A fatal error occurred: Serial data stream stopped: Possible serial noise or "
            "corruption.\n",
            LinkError,
            "Serial data stream stopped",
        ),
        ("Error: Please specify `upload_port` for environment\n", UsageError, "finds no port"),
    ],
)
def test_uploaders_that_fail(log: str, error: type[HilError], words: str) -> None:
    """Messages that the simulated ROM of tests/flashing cannot cause, as in their sources."""
    found = diagnose(f"Uploading .pio/build/x/firmware.bin\n{log}", UPLOAD)
    assert found
    assert type(found.error("/dev/ttyUSB0")) is error
    assert words in found.error("/dev/ttyUSB0").what


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (
            "xtensa-esp32-elf-g++: error: unrecognized command line option '-std=gnu++2b'; did you "
            "mean '-std=gnu++2a'?",
            "the compiler of esp32dev is too old for its core: xtensa-esp32-elf-g++ does not know "
            "-std=gnu++2b, which takes GCC 11 or newer",
        ),
        (
            "cc1plus: error: unrecognized command-line option ‘-std=gnu++23’",
            "cc1plus does not know -std=gnu++23, which takes GCC 11 or newer",
        ),
        (
            "riscv32-esp-elf-gcc: error: '-march=rv32imc_zicsr_zifencei': unsupported ISA subset "
            "'z'",
            "not the one that its core needs: riscv32-esp-elf-gcc: error: '-march=rv32imc_zicsr",
        ),
        (
            "arm-none-eabi-g++: error: unrecognized argument in option '-mcpu=cortex-m55'",
            "unrecognized argument in option '-mcpu=cortex-m55'",
        ),
        (
            "lto1: fatal error: bytecode stream in file 'libmbed.a' generated with LTO version "
            "11.3 instead of the expected 12.0",
            "(LTO version 12.0) cannot read the core's libraries, which another compiler built "
            "(LTO version 11.3)",
        ),
        (
            "/x/bits/c++0x_warning.h:32:2: error: #error This file requires compiler and library "
            "support for the ISO C++ 2011 standard.",
            '"This file requires compiler and library support for the ISO C++ 2011 standard."',
        ),
    ],
)
def test_compilers_that_are_too_old_or_too_new(log: str, words: str) -> None:
    found = diagnose(f"Compiling .pio/build/x/main.cpp.o\n{log}\ncompilation terminated.\n", BUILD)
    assert found
    said = found.error("esp32dev")
    assert type(said) is WrongCompiler
    assert words in said.what
    assert "pio pkg update -e esp32dev" in said.hint


@pytest.mark.parametrize(
    "log",
    [
        "main.cpp:3:1: error: 'x' does not name a type",
        "main.cpp:3:2: error: #error no such network",
        "gcc: error: nosuch.c: No such file or directory",
    ],
)
def test_other_compiler_errors_have_no_diagnosis(log: str) -> None:
    assert diagnose(log, BUILD) is None
