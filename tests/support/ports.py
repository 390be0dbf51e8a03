# SPDX-License-Identifier: Apache-2.0
"""Serial ports without hardware: what pyserial lists, and a board file that matches."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from serial.tools import list_ports

USB_BOARD = """
name = "desk"
title = "a board on the desk"
pio_env = "desk"
[clock]
unit = "us"
source = "micros"
[usb]
ids = ["303a:1001", "beef:0001"]
"""


@dataclass
class FakePort:
    """One entry of ``list_ports.comports()``."""

    device: str
    description: str = "USB JTAG/serial"
    vid: int | None = 0x303A
    pid: int | None = 0x1001
    serial_number: str | None = None
    hwid: str = ""


def plug(monkeypatch: pytest.MonkeyPatch, *serials: str) -> list[FakePort]:
    """From now on pyserial lists one board per serial number, on ttyACM0 and upwards."""
    ports = [FakePort(f"/dev/ttyACM{i}", serial_number=s) for i, s in enumerate(serials)]
    monkeypatch.setattr(list_ports, "comports", lambda: list(ports))
    return ports
