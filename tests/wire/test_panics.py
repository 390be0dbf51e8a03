# SPDX-License-Identifier: Apache-2.0
"""Panics in the text of boards: found, counted, and their addresses read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.core.errors import BoardCrashed
from hil.testing.board import PANIC
from hil.wire.diagnosis import board_says
from hil.wire.frames import Frame, encode
from hil.wire.panics import MOST, addresses, built_from, panics, stopped, text_of

ESP32 = text_of(PANIC)
ESP32_C3 = """Guru Meditation Error: Core  0 panic'ed (Store access fault). Exception was unhandled.

Core  0 register dump:
MEPC    : 0x42001a2c  RA      : 0x42001a1e  SP      : 0x3fc92e40  GP      : 0x3fc8b600
TP      : 0x3fc6d4d4  T0      : 0x4005890e  T1      : 0x3fc92a7c  T2      : 0x00000000
MCAUSE  : 0x00000007  MTVAL   : 0x00000000

Stack memory:
3fc92e40: 0x00000000 0x00000000 0x00000000 0x42004c26 0x00000000 0x00000000
"""
ESP8266 = """
--------------- CUT HERE FOR EXCEPTION DECODER ---------------

Exception (28):
epc1=0x40201c49 epc2=0x00000000 epc3=0x00000000 excvaddr=0x00000000 depc=0x00000000

>>>stack>>>

ctx: cont
sp: 3ffffde0 end: 3fffffd0 offset: 0190
3fffff70:  3fffdad0 00000000 3ffee4c4 40201c32
3fffff80:  feefeffe feefeffe 3ffee4f0 40202a9c
<<<stack<<<

 ets Jan  8 2013,rst cause:2, boot mode:(3,6)
"""
MBED = """
++ MbedOS Fault Handler ++

FaultType: HardFault

Context:
R0   : 00000000
R12  : 00000000
SP   : 24001F08
LR   : 08045A31
PC   : 08045A3C
xPSR : 01000000
CFSR : 00000400
-- MbedOS Fault Handler --

++ MbedOS Error Info ++
Error Status: 0x80FF013D Code: 317 Module: 255
Error Message: Fault exception
Location: 0x8045A3D
-- MbedOS Error Info --
"""
ZEPHYR = """[00:00:01.120,000] <err> os: ***** USAGE FAULT *****
[00:00:01.120,000] <err> os:   Attempt to execute undefined instruction
[00:00:01.120,000] <err> os: r0/a1:  0x00000000  r1/a2:  0x00000001  r2/a3:  0x00000002
[00:00:01.120,000] <err> os: r3/a4:  0x00000003 r12/ip:  0x0000000c r14/lr:  0x08001f35
[00:00:01.120,000] <err> os:  xpsr:  0x61000000
[00:00:01.120,000] <err> os: Faulting instruction address (r15/pc): 0x08001e9c
[00:00:01.120,000] <err> os: >>> ZEPHYR FATAL ERROR 36: Unknown error on CPU 0
*** Booting Zephyr OS build v3.6.0 ***
"""
OURS = "***** HARD FAULT ***** pc 0x00001a34 lr 0x000018c1 cfsr 0x00008200\n"
TEENSY = """CrashReport:
  A problem occurred at (system time) 12:0:4
  Code was executing from address 0x2FC
  CFSR: 82
"""
NEWLIB = 'assertion "n < LIMIT" failed: file "src/main.c", line 12, function: predict\n'
EVERY = {
    "esp32": ESP32,
    "esp32-c3": ESP32_C3,
    "esp8266": ESP8266,
    "mbed": MBED,
    "zephyr": ZEPHYR,
    "ours": OURS,
    "teensy": TEENSY,
    "newlib": NEWLIB,
    "glibc": "net: src/main.c:12: predict: Assertion `n < LIMIT' failed.\nAborted\n",
    "abort": "abort() was called at PC 0x400d3f2b on core 0\r\n",
    "c++": "terminate called after throwing an instance of 'std::bad_alloc'\n",
    "8266 panic": "Panic core_esp8266_main.cpp:133 __yield\n",
    "pico": "*** PANIC ***\n\nOut of memory\n",
}


@pytest.mark.parametrize("name", EVERY)
def test_each_is_one_panic_that_is_quoted(name: str) -> None:
    text = EVERY[name]
    assert panics(text) == 1
    assert stopped(text)
    found = board_says(text.encode())
    assert found
    error = found.error("/dev/ttyUSB0")
    assert isinstance(error, BoardCrashed)
    assert 'the board on /dev/ttyUSB0 crashed: it printed "' in error.what


@pytest.mark.parametrize("name", EVERY)
def test_panics_between_boots_are_counted(name: str) -> None:
    text = (EVERY[name] + "\r\nRebooting...\r\nrst:0xc (SW_CPU_RESET)\r\n") * 3
    assert panics(text) == 3
    found = board_says(text.encode())
    assert found
    assert found.error("x").what.endswith('" (3 times)')


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (ESP32, [0x400D2A3C, 0x400D2A39, 0x400D2B0F]),
        (ESP32_C3, [0x42001A2C, 0x42001A1E]),
        (ESP8266, [0x40201C49, 0x40201C32, 0x40202A9C]),
        (MBED, [0x08045A31, 0x08045A3C, 0x08045A3D]),
        (ZEPHYR, [0x08001F35, 0x08001E9C]),
        (OURS, [0x1A34, 0x18C1]),
        (TEENSY, [0x2FC]),
        (NEWLIB, []),
        ("", []),
    ],
)
def test_addresses(text: str, found: list[int]) -> None:
    assert list(addresses(text)) == found


def test_addresses_are_of_the_last_panic() -> None:
    first = OURS.replace("1a34", "1111")
    assert addresses(f"{first}Rebooting...\n{OURS}") == (0x1A34, 0x18C1)


def test_the_build_that_a_panic_names() -> None:
    assert built_from(ESP32) == "7e3d0a6cf8a1f4b2"
    assert built_from(OURS) == ""


@pytest.mark.parametrize("text", ["", "Hello from Arduino\r\n" * 50, "fault tolerance: 3\n"])
def test_harmless_text_has_no_panic(text: str) -> None:
    assert (panics(text), stopped(text), addresses(text)) == (0, False, ())


def test_text_inside_a_frame_does_not_count() -> None:
    assert text_of(b"\0" + encode(Frame(0x81, 1, PANIC))) == ""


@given(st.text(max_size=500), st.sampled_from(sorted(EVERY)), st.text(max_size=500))
def test_any_text_around_a_panic(before: str, name: str, after: str) -> None:
    heard = (before + "\r\n" + EVERY[name] + "\r\n" + after).encode()
    text = text_of(heard)
    assert stopped(text)
    assert panics(text) >= 1
    assert len(addresses(text)) <= MOST


@given(st.binary(max_size=2000))
def test_any_bytes_are_read(heard: bytes) -> None:
    text = text_of(heard)
    assert panics(text) <= len(text)
    assert len(addresses(text)) <= MOST
