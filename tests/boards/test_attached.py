"""Which plugged-in board is meant: one, or a clear line that says why none was taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.boards.attached import choose_attached, find_attached
from hil.boards.config import load_board
from hil.errors import ConfigError, NotAttached, UsageError
from tests.boards.ports import USB_BOARD, FakePort


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


def test_ports_are_named_by_what_they_may_be(project: Path) -> None:
    found = find_attached(project, [BRIDGE, NATIVE_A, MODEM])
    assert [(one.port, one.usb, one.boards) for one in found] == [
        ("/dev/ttyACM1", "303a:1001", ("desk",)),
        ("/dev/ttyS0", "", ()),
        ("/dev/ttyUSB0", "beef:0001", ("desk", "wall")),
    ]


def test_the_only_board_needs_no_name(project: Path) -> None:
    board, where = choose_attached(project, ports=[NATIVE_A, MODEM])
    assert (board.name, where.port, where.serial) == ("desk", "/dev/ttyACM1", "A")


def test_equal_boards_are_told_apart_by_serial_number(project: Path) -> None:
    ports = [NATIVE_A, NATIVE_B]
    with pytest.raises(
        UsageError,
        match=r"2 boards are attached: /dev/ttyACM0 \(303a:1001, serial "
        r"number B\), .*ttyACM1.*--serial NUMBER",
    ):
        choose_attached(project, board="desk", ports=ports)
    assert choose_attached(project, board="desk", serial="A", ports=ports)[1].port == "/dev/ttyACM1"
    with pytest.raises(NotAttached, match="no board desk with serial number C is attached"):
        choose_attached(project, board="desk", serial="C", ports=ports)


def test_boards_without_serial_numbers_are_told_apart_by_port_only(project: Path) -> None:
    ports = [FakePort("/dev/ttyACM0"), FakePort("/dev/ttyACM1")]
    with pytest.raises(UsageError, match="say which: --port PORT$"):
        choose_attached(project, board="desk", ports=ports)


def test_a_bridge_that_sits_on_two_kinds_of_board_is_not_guessed(project: Path) -> None:
    with pytest.raises(UsageError, match="may be desk or wall; say which with --board"):
        choose_attached(project, ports=[BRIDGE])
    assert choose_attached(project, board="wall", ports=[BRIDGE])[0].name == "wall"
    with pytest.raises(NotAttached, match="no board wall is attached"):
        choose_attached(project, board="wall", ports=[NATIVE_A])


def test_nothing_is_attached(project: Path) -> None:
    with pytest.raises(NotAttached, match="no board is attached; plug one in"):
        choose_attached(project, ports=[MODEM])


def test_a_board_that_is_not_on_usb_needs_a_port(project: Path) -> None:
    with pytest.raises(UsageError, match=r"board native is not found by USB .* --port"):
        choose_attached(project, board="native", ports=[NATIVE_A])


def test_usb_ids_are_checked(project: Path) -> None:
    (project / "boards" / "desk.toml").write_text(USB_BOARD.replace("303a:1001", "0x303A"))
    with pytest.raises(ConfigError, match="'0x303A' is not vid:pid"):
        load_board("desk", project)
