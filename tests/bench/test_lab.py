# SPDX-License-Identifier: Apache-2.0
"""Labs: a port that was lost is found again by its USB serial number, or reopened."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from serial.tools import list_ports

from hil.bench.cases import Image
from hil.bench.lab import Firmware, HeldLab, RealLab
from hil.boards.config import load_board
from hil.boards.station import Station, only_station
from hil.core.errors import LinkError
from hil.core.records import Precision
from tests.support.benches import PROJECT
from tests.support.ports import FakePort

FIRMWARE = Firmware(Path("none.elf"), "00" * 32, "none", 0, 0)
IMAGE = Image(load_board("esp32dev"), "aot", Precision.INT8, ())


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The ports that were opened; nothing is behind them."""
    found: list[str | None] = []

    def open_board(_board: object, _elf: object, port: str | None) -> ExitStack:
        found.append(port)
        return ExitStack()

    monkeypatch.setattr("hil.bench.lab.open_board", open_board)
    return found


@pytest.mark.parametrize(("number", "then"), [("0042", "/dev/ttyACM1"), (None, "/dev/ttyACM0")])
def test_a_board_that_returns_on_another_port_is_found_by_its_serial_number(
    monkeypatch: pytest.MonkeyPatch, opened: list[str | None], number: str | None, then: str
) -> None:
    station = Station(load_board("esp32dev"), "esp32dev", "/dev/ttyACM0")
    lab = RealLab(PROJECT)
    ports = [FakePort("/dev/ttyACM0", serial_number=number), FakePort("/dev/ttyS0")]
    monkeypatch.setattr(list_ports, "comports", lambda: ports)
    lab.open(station, IMAGE, FIRMWARE)
    ports[:] = [FakePort("/dev/ttyS0"), FakePort("/dev/ttyACM1", serial_number=number)]
    lab.open(station, IMAGE, FIRMWARE)
    assert opened == ["/dev/ttyACM0", then]


def test_an_open_board_is_reopened_only_after_its_link_was_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Held:
        """Its link shows whether it was reopened."""

        link = "first"

        def __init__(self, *_: object) -> None:
            pass

        def reopen(self) -> None:
            self.link = "second"

    monkeypatch.setattr("hil.bench.lab.HeldBoard", Held)
    lab, station = HeldLab(RealLab(PROJECT)), only_station(load_board("native"), "socket://x:1")
    for _ in range(2):
        with lab.open(station, IMAGE, FIRMWARE) as link:
            assert str(link) == "first"
    with (
        pytest.raises(LinkError),
        lab.open(station, IMAGE, FIRMWARE),
    ):
        raise LinkError("gone")
    for _ in range(2):
        with lab.open(station, IMAGE, FIRMWARE) as link:
            assert str(link) == "second"
