# SPDX-License-Identifier: Apache-2.0
"""Which attached board is used: the only one, or an error of one line that says why none is."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.boards.attached import (
    UsbDevice,
    choose_attached,
    find_attached,
    find_bootloaders,
    usb_devices,
)
from hil.boards.config import load_board
from hil.core.errors import ConfigError, NotAttached, UsageError
from tests.support.ports import USB_BOARD, FakePort


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards" / "desk.toml").write_text(USB_BOARD)
    (tmp_path / "boards" / "wall.toml").write_text(
        USB_BOARD.replace('"desk"', '"wall"').replace('"303a:1001", ', "")
    )
    return tmp_path


BRIDGE = FakePort("/dev/ttyUSB0", "a bridge", 0xBEEF, 0x0001, "0001")
NATIVE_A = FakePort("/dev/ttyACM1", serial_number="A")
NATIVE_B = FakePort("/dev/ttyACM0", serial_number="B")
MODEM = FakePort("/dev/ttyS0", "ttyS0", None, None, None)


def test_ports_list_the_boards_that_they_may_be(project: Path) -> None:
    found = find_attached(project, [BRIDGE, NATIVE_A, MODEM])
    assert [(one.port, one.usb, one.boards) for one in found] == [
        ("/dev/ttyACM1", "303a:1001", ("desk",)),
        ("/dev/ttyS0", "", ()),
        ("/dev/ttyUSB0", "beef:0001", ("desk", "wall")),
    ]


def test_the_only_board_needs_no_name(project: Path) -> None:
    board, where = choose_attached(project, ports=[NATIVE_A, MODEM])
    assert (board.name, where.port, where.serial) == ("desk", "/dev/ttyACM1", "A")


def test_equal_boards_are_selected_by_serial_number(project: Path) -> None:
    ports = [NATIVE_A, NATIVE_B]
    with pytest.raises(
        UsageError,
        match=r"2 boards are attached: /dev/ttyACM0 \(303a:1001, serial "
        r"number B\), .*ttyACM1.*--serial NUMBER",
    ):
        choose_attached(project, board="desk", ports=ports)
    assert choose_attached(project, board="desk", serial="A", ports=ports)[1].port == "/dev/ttyACM1"
    with pytest.raises(NotAttached, match="no board desk with serial number C is attached"):
        choose_attached(project, board="desk", serial="C", ports=ports, devices=[])


def test_boards_without_serial_numbers_are_selected_by_port(project: Path) -> None:
    ports = [FakePort("/dev/ttyACM0"), FakePort("/dev/ttyACM1")]
    with pytest.raises(UsageError, match="select one: --port PORT$"):
        choose_attached(project, board="desk", ports=ports)


def test_a_bridge_of_two_kinds_of_board_is_ambiguous(project: Path) -> None:
    with pytest.raises(UsageError, match="may be desk or wall; select one with --board"):
        choose_attached(project, ports=[BRIDGE])
    assert choose_attached(project, board="wall", ports=[BRIDGE])[0].name == "wall"
    with pytest.raises(NotAttached, match="no board wall is attached"):
        choose_attached(project, board="wall", ports=[NATIVE_A], devices=[])


def test_no_board_is_attached(project: Path) -> None:
    with pytest.raises(NotAttached, match="no board is attached; plug one in"):
        choose_attached(project, ports=[MODEM], devices=[])


def test_a_board_without_usb_needs_a_port(project: Path) -> None:
    with pytest.raises(UsageError, match=r"board native is not found by USB .* --port"):
        choose_attached(project, board="native", ports=[NATIVE_A])


def test_usb_ids_are_checked(project: Path) -> None:
    (project / "boards" / "desk.toml").write_text(USB_BOARD.replace("303a:1001", "0x303A"))
    with pytest.raises(ConfigError, match="'0x303A' is not vid:pid"):
        load_board("desk", project)


DFU = UsbDevice("2341:035b", "003C")
OTHER = UsbDevice("1d6b:0002", "0000:00:14.0")


@pytest.mark.parametrize("board", ["portenta_h7_m7", None])
def test_a_board_in_its_bootloader(project: Path, board: str | None) -> None:
    with pytest.raises(
        NotAttached,
        match=r"^board portenta_h7_m7 is in its bootloader \(USB 2341:035b, serial number 003C\); "
        r"press its reset button once .*`pio run -t upload -e portenta_h7_m7`, then your networks",
    ):
        choose_attached(project, board=board, ports=[MODEM], devices=[OTHER, DFU])


def test_a_bootloader_of_two_kinds_of_board_names_both(project: Path) -> None:
    boot_rom = UsbDevice("2e8a:0003")  # of every RP2040
    with pytest.raises(NotAttached, match=r"board nanorp2040connect or pico is in its bootloader"):
        choose_attached(project, ports=[MODEM], devices=[boot_rom])
    with pytest.raises(NotAttached, match=r"^board pico is in its bootloader .* -e pico`"):
        choose_attached(project, board="pico", ports=[MODEM], devices=[boot_rom])


def test_a_bootloader_of_another_board_is_ignored(project: Path) -> None:
    for board, serial in (("wall", None), ("portenta_h7_m7", "other")):
        with pytest.raises(NotAttached, match=f"no board {board}.* is attached"):
            choose_attached(project, board=board, serial=serial, ports=[MODEM], devices=[DFU])


def test_a_running_board_is_preferred_to_one_in_its_bootloader(project: Path) -> None:
    found, _ = choose_attached(project, ports=[NATIVE_A], devices=[DFU])
    assert found.name == "desk"


def test_usb_devices_are_read_from_sysfs(tmp_path: Path, project: Path) -> None:
    for name, files in {
        "1-1": {"idVendor": "2341", "idProduct": "035b", "serial": "003C"},
        "1-1:1.0": {"bInterfaceClass": "fe"},
        "usb1": {"idVendor": "1d6b", "idProduct": "0002"},
    }.items():
        (tmp_path / "sys" / name).mkdir(parents=True)
        for file, text in files.items():
            (tmp_path / "sys" / name / file).write_text(f"{text}\n")
    found = usb_devices(tmp_path / "sys")
    assert found == [DFU, UsbDevice("1d6b:0002")]
    assert [one.boards for one in find_bootloaders(project, found)] == [("portenta_h7_m7",)]


def test_an_id_is_either_of_the_firmware_or_of_the_bootloader(project: Path) -> None:
    for ids, said in (('"beef:0001"', "beef:0001 is in ids and in bootl"), ('"dfu"', "'dfu' is n")):
        (project / "boards" / "desk.toml").write_text(f"{USB_BOARD}bootloader_ids = [{ids}]\n")
        with pytest.raises(ConfigError, match=said):
            load_board("desk", project)
