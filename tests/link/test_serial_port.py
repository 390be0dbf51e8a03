# SPDX-License-Identifier: Apache-2.0
"""Real ptys under pyserial: bytes pass, and every way to fail is one clear line."""

import os
import pty
from collections.abc import Iterator
from pathlib import Path

import pytest

from hil.core.errors import LinkError
from hil.link import Deadline
from hil.link.serial_port import SerialLink


@pytest.fixture
def line() -> Iterator[tuple[int, str]]:
    """(the board's end, the name of ours)."""
    board, ours = pty.openpty()
    yield board, os.ttyname(ours)
    os.close(ours)
    os.close(board)


def test_bytes_pass_both_ways(line: tuple[int, str]) -> None:
    board, name = line
    link = SerialLink(name)
    link.write(b"\x00\x11\x13\xff")  # flow control characters are data
    assert os.read(board, 10) == b"\x00\x11\x13\xff"
    os.write(board, b"answer\r\n")
    assert link.read(Deadline.after(60)) == b"answer\r\n"
    assert link.read(Deadline.after(0)) == b""
    link.close()
    link.close()


def test_a_port_is_opened_once(line: tuple[int, str]) -> None:
    link = SerialLink(line[1])
    with pytest.raises(LinkError, match="is in use; close the serial monitor"):
        SerialLink(line[1])
    link.close()


def test_missing_port(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match="does not exist; `hil boards` lists"):
        SerialLink(str(tmp_path / "ttyUSB0"))


def test_a_file_is_no_port(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LinkError, match="is not a serial port"):
        SerialLink(str(tmp_path / "file"))


def test_unknown_url() -> None:
    with pytest.raises(LinkError, match="cannot be opened"):
        SerialLink("carrier-pigeon://here")


def test_port_that_vanishes() -> None:
    board, ours = pty.openpty()
    link = SerialLink(os.ttyname(ours))
    os.close(ours)
    os.close(board)
    with pytest.raises(LinkError, match="vanished"):
        link.read(Deadline.after(1))
    with pytest.raises(LinkError, match="vanished"):
        link.write(b"x")
    link.close()
