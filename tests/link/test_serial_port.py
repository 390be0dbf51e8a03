# SPDX-License-Identifier: Apache-2.0
"""`SerialLink` on ptys: bytes pass, and every failure is one clear line."""

import os
from pathlib import Path

import pytest

from hil.core.errors import LinkError
from hil.link import Deadline
from hil.link.serial_port import SerialLink
from tests.support.ptys import silent_pty


def test_bytes_pass_both_ways() -> None:
    with silent_pty() as pty:
        link = SerialLink(pty.name)
        link.write(b"\x00\x11\x13\xff")  # flow control characters are data
        assert os.read(pty.master, 10) == b"\x00\x11\x13\xff"
        pty.write(b"answer\r\n")
        assert link.read(Deadline.after(60)) == b"answer\r\n"
        assert link.read(Deadline.after(0)) == b""
        link.close()
        link.close()


def test_a_port_is_opened_once() -> None:
    with silent_pty() as pty:
        link = SerialLink(pty.name)
        with pytest.raises(LinkError, match="is in use; close the serial monitor"):
            SerialLink(pty.name)
        link.close()


def test_a_missing_port(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match="does not exist; `hil boards` lists"):
        SerialLink(str(tmp_path / "ttyUSB0"))


def test_a_file_is_not_a_port(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LinkError, match="is not a serial port"):
        SerialLink(str(tmp_path / "file"))


def test_an_unknown_url() -> None:
    with pytest.raises(LinkError, match="cannot be opened"):
        SerialLink("carrier-pigeon://here")


def test_a_port_that_vanishes() -> None:
    with silent_pty() as pty:
        link = SerialLink(pty.name)
    with pytest.raises(LinkError, match="vanished"):
        link.read(Deadline.after(1))
    with pytest.raises(LinkError, match="vanished"):
        link.write(b"x")
    link.close()
