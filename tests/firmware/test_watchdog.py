# SPDX-License-Identifier: Apache-2.0
"""The watchdog resets a board whose network never ends, but not one whose network takes long."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.boards.config import load_board
from hil.boards.session import open_board
from hil.core.errors import DeviceError
from hil.core.records import Encoding
from hil.device import Device, Timing
from tests.support.firmware import image, project_with

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(1200)]

# How the first pixel makes an inference behave
FINE, LONG, ENDLESS = 0, 254, 255
WAITS_MS = 2500
# Turns that take longer than a round of the watchdog but less than all rounds. On the AVR: more
# than 1 s and less than 3 s, with about 25 cycles of 62.5 ns per turn. On mps2, which has one
# round: 1 s of 2.5 s, with 8 instructions of 128 ns per turn.
TURNS = {"mega2560": 1_000_000, "mps2": 960_000}


def body(name: str) -> str:
    return f"""
  const signed char first = *(const signed char *)input;
  volatile unsigned long turns = first == {LONG - 128} ? {TURNS[name]}ul : 0;
  while (first == {ENDLESS - 128} || turns > 0) {{
    turns--;
  }}
"""


def digit(first: int) -> list[bytes]:
    return [bytes([first, *bytes(783)])]


def watched(name: str, folder: Path, code: str) -> Path:
    """Firmware whose inferences start with ``code`` and whose watchdog waits WAITS_MS."""
    project = project_with(folder, code)
    ini = project / "platformio.ini"
    flags = "build_flags = -Wall -Wextra -Werror\n"
    text = ini.read_text()
    assert flags in text
    ini.write_text(text.replace(flags, f"{flags.strip()} -DHIL_WATCHDOG_MS={WAITS_MS}u\n", 1))
    return image(name, project).elf


@pytest.mark.parametrize("name", TURNS)
def test_a_hang_ends_in_a_reset_and_a_long_inference_does_not(name: str, tmp_path: Path) -> None:
    with open_board(load_board(name), watched(name, tmp_path, body(name))) as link:
        device = Device(link, Timing(reply=30))
        last = len(device.hello().models) - 1
        (right,) = [a.result.output for a in device.infer(last, Encoding.PIXELS, digit(FINE))]
        (late,) = device.infer(last, Encoding.PIXELS, digit(LONG))
        if name == "mega2560":
            assert 1_000_000 < (late.result.micros or 0) < 1000 * WAITS_MS
        assert device.status().inferences == 2  # no reset so far
        hurried = Device(link, Timing(reply=2))
        with pytest.raises(DeviceError):
            list(hurried.infer(last, Encoding.PIXELS, digit(ENDLESS)))
        again = Device(link, Timing(boot=60))
        assert len(again.hello().models) == last + 1
        assert again.status().inferences == 0  # it has rebooted
        assert [a.result.output for a in again.infer(last, Encoding.PIXELS, digit(FINE))] == [right]


def test_a_board_that_waits_for_its_host_is_not_reset(tmp_path: Path) -> None:
    """On mps2, virtual time jumps to the end of the watchdog during a wait, so it must be off."""
    with open_board(load_board("mps2"), watched("mps2", tmp_path, "")) as link:
        device = Device(link)
        device.hello()
        list(device.infer(0, Encoding.PIXELS, digit(FINE)))
        for _ in range(20):
            assert device.status().inferences == 1
