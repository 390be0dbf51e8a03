# SPDX-License-Identifier: Apache-2.0
"""`hil boards` and `hil flash`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from serial.tools import list_ports

from hil.boards.attached import UsbDevice
from hil.cli.console import out
from hil.core.errors import BuildFailed
from hil.core.records import DType, TensorSpec
from hil.testing.board import FakeBoard
from hil.testing.lab import FakeSketch
from tests.support.command_line import STUDENT, hil
from tests.support.device import HELLO
from tests.support.ports import USB_BOARD, FakePort, plug
from tests.support.ptys import served_pty


def test_a_board_that_is_not_attached(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("serial.tools.list_ports.comports", list)
    assert hil(monkeypatch, "boards") == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "portenta" in line]
    assert line.rstrip().endswith("not attached")


def test_a_board_in_its_bootloader(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = FakePort("/dev/ttyACM3", "bossa", 0x2341, 0x005A, "5C1")  # a Nano 33 BLE's has a port
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: [port])
    devices = [UsbDevice("2341:005a", "5C1"), UsbDevice("2341:035b", "003C")]
    monkeypatch.setattr("hil.boards.attached.usb_devices", lambda: devices)
    monkeypatch.setattr(out, "_width", 200)
    assert hil(monkeypatch, "boards") == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("in its bootloader (USB 2341:035b, serial number 003C)" in one for one in lines) == 1
    (line,) = [one for one in lines if one.startswith("port ")]
    assert line.startswith("port /dev/ttyACM3: the bootloader of nano33ble (bossa, 2341:005a")


def test_attached_boards(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    project(tmp_path)
    plug(monkeypatch, "A", "B")
    assert hil(monkeypatch, "boards", folder=tmp_path) == 0
    shown = capsys.readouterr().out
    for number, serial in enumerate("AB"):
        line = f"port /dev/ttyACM{number}: desk (USB JTAG/serial, 303a:1001 serial number {serial})"
        assert line in shown


def test_probe_asks_every_attached_board(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    project(tmp_path)
    fake = FakeBoard(HELLO, lambda _model, values: values[:2])
    with served_pty(fake.answer) as pty:
        port = pty.name
        gone = str(tmp_path / "ttyACM7")
        ports = [FakePort(port, serial_number="0042"), FakePort(gone, serial_number="0043")]
        monkeypatch.setattr(list_ports, "comports", lambda: ports)
        assert hil(monkeypatch, "boards", "--probe", folder=tmp_path) == 0
    shown = capsys.readouterr().out
    assert f"port {port}: desk (USB JTAG/serial, 303a:1001 serial number 0042)" in shown
    assert f"port {port}: fake runs 0.1.0: student abababababab (aot)" in shown
    assert f"port {gone}: port {gone} does not exist" in shown


def test_a_probe_shows_the_name_and_version_of_a_sketch(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    project(tmp_path)
    four = TensorSpec(DType.FLOAT32, (4,))
    fake = FakeSketch(lambda x: x, four, four).board("desk")
    with served_pty(fake.answer) as pty:
        monkeypatch.setattr(list_ports, "comports", lambda: [FakePort(pty.name)])
        assert hil(monkeypatch, "boards", "--probe", folder=tmp_path) == 0
    assert f"port {pty.name}: desk runs user: digits 1.2\n" in capsys.readouterr().out


def test_a_sketch_is_not_flashed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hil(monkeypatch, "flash", "--board", "mps2", "--engine", "user") == 2
    assert "no image of your own sketch; upload it with your own tool" in capsys.readouterr().err


def test_one_of_two_equal_boards_is_only_flashed_by_its_serial_number(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    project(tmp_path)
    plug(monkeypatch, "A", "B")
    flashed: list[str] = []

    def upload(*words: object, layers: bool, needs: int, tell: object, **_: object) -> None:
        assert tell is not None
        assert not layers
        assert needs == 0  # its board file names no flash
        flashed.append(str(words[-1]))
        raise BuildFailed("flashing desk failed: A fatal error occurred", "the whole log: x")

    monkeypatch.setattr("hil.bench.lab.upload", upload)
    words = ("flash", "--model", str(STUDENT))
    assert hil(monkeypatch, *words, folder=tmp_path) == 2
    assert "2 boards are attached" in capsys.readouterr().err
    assert flashed == []
    assert hil(monkeypatch, *words, "--serial", "B", folder=tmp_path) == 2
    assert "A fatal error occurred; the whole log: x" in capsys.readouterr().err
    assert flashed == ["/dev/ttyACM1"]


def project(folder: Path) -> None:
    """The files by which hil knows a checkout, with one USB board."""
    (folder / "firmware").mkdir()
    (folder / "boards").mkdir()
    (folder / "platformio.ini").touch()
    (folder / "boards" / "desk.toml").write_text(USB_BOARD)


OWN_EMULATOR = """
[boards.own]
title = "an emulator of mine"
pio_env = "native"
[boards.own.clock]
unit = "none"
[boards.own.emulator]
command = ["no-such-emulator"]
port = "/dev/a"
optional = true
"""


def test_emulators_that_are_not_installed_take_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("serial.tools.list_ports.comports", list)
    (tmp_path / "hil.toml").write_text(OWN_EMULATOR)
    assert hil(monkeypatch, "boards", folder=tmp_path) == 0
    shown = capsys.readouterr().out
    assert "an emulator of mine" not in shown
    (line,) = [one for one in shown.splitlines() if "whose emulators are not installed" in one]
    assert "own" in line.rpartition(":")[2]
    assert hil(monkeypatch, "boards", "--all", folder=tmp_path) == 0
    shown = capsys.readouterr().out
    assert re.search(r"own +an emulator of mine +none +emulator not installed", shown)
    assert "whose emulators are not installed" not in shown
    (tmp_path / "hil.toml").write_text(OWN_EMULATOR.replace("no-such-emulator", "sh"))
    assert hil(monkeypatch, "boards", folder=tmp_path) == 0
    assert re.search(r"own +an emulator of mine +none +ready", capsys.readouterr().out)
