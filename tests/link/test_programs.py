# SPDX-License-Identifier: Apache-2.0
"""Other programs that have a port open are found and named."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hil.core.errors import LinkError
from hil.link.programs import PROC, programs_on
from hil.link.serial_port import SerialLink

READER = """
import fcntl, os, sys
port = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
if sys.argv[2] == "board":
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
if sys.argv[2] == "lock":
    fcntl.flock(port, fcntl.LOCK_EX | fcntl.LOCK_NB)
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def port() -> Iterator[str]:
    master, slave = pty.openpty()
    try:
        yield os.ttyname(slave)
    finally:
        os.close(slave)
        os.close(master)


@contextmanager
def reader(port: str, how: str = "share") -> Iterator[subprocess.Popen[str]]:
    """Another program with the port open."""
    words = [sys.executable, "-c", READER, port, how]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout
        assert running.stdout.readline() == "open\n"
        try:
            yield running
        finally:
            running.communicate()


def test_another_program_is_named(port: str) -> None:
    assert programs_on(port) == ()
    with reader(port) as other:
        (found,) = programs_on(port)
        assert found.endswith(f"(process {other.pid})")
        assert found.startswith("python")
    assert programs_on(port) == ()


def test_a_link_knows_who_shares_its_port(port: str) -> None:
    with reader(port) as other:
        link = SerialLink(port)
        assert str(other.pid) in link.others()[0]
        link.close()


def test_an_emulator_that_keeps_its_pty_open_is_the_board(port: str) -> None:
    with reader(port, "board"):
        assert programs_on(port) == ()


def test_who_uses_a_busy_port(port: str) -> None:
    with reader(port, "lock") as other:
        with pytest.raises(LinkError, match=f"is in use by python.* .process {other.pid}.") as said:
            SerialLink(port)
        assert "close the serial monitor" in said.value.hint


@pytest.mark.skipif(not shutil.which("lsof"), reason="lsof is not installed")
def test_lsof_finds_the_same(port: str, tmp_path: Path) -> None:
    with reader(port) as other:
        (found,) = programs_on(port, proc=tmp_path)
        assert f"(process {other.pid})" in found


@pytest.mark.parametrize("port", ["socket://127.0.0.1:9", "/dev/none-such", "loop://"])
def test_what_is_not_a_local_port_is_not_looked_up(port: str) -> None:
    assert programs_on(port, PROC) == ()
