# SPDX-License-Identifier: Apache-2.0
"""A user's own emulator, defined by a TOML file in the project: QEMU with a TCP serial port."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hil.boards.config import load_board
from hil.boards.emulator import find_detached, stop_detached
from hil.boards.session import open_board
from hil.boards.station import missing_tools
from hil.core.errors import LinkError
from hil.core.records import Encoding
from hil.device import Device, Timing
from hil.firmware import build
from tests.support.firmware import MODELS, PROJECT
from tests.support.needs import needs

pytestmark = pytest.mark.firmware
STUDENT = MODELS / "student_int8.tflite"

# `prepare` makes a copy and runs it: Espressif's QEMU needs a merged flash image
ON_TCP = """
name = "own"
title = "QEMU mps2-an500 with a TCP serial port"
pio_env = "mps2"
[clock]
unit = "none"
[emulator]
prepare = [["cp", "{elf}", "{run}/flash.bin"]]
command = [
  "qemu-system-arm", "-M", "mps2-an500", "-display", "none", "-monitor", "none", "-serial", "null",
  "-chardev", "socket,id=hil,host=127.0.0.1,port={tcp},server=on,wait=WAIT",
  "-semihosting-config", "enable=on,target=native,chardev=hil", "-kernel", "{run}/flash.bin",
]
port = "socket://127.0.0.1:{tcp}"
package = "qemu-system-arm"
"""


@pytest.fixture(params=["off", "on"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A project with board `own`; with ``wait`` on, QEMU starts only when a client connects."""
    needs(missing_tools(load_board("mps2")))
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards" / "own.toml").write_text(ON_TCP.replace("WAIT", request.param))
    for name in ("firmware", "hil", "models", "platformio.ini"):
        (tmp_path / name).symlink_to(PROJECT / name)
    return tmp_path


@pytest.fixture(scope="module")
def elf() -> Path:
    needs(missing_tools(load_board("mps2")))
    return build("mps2", [("student", STUDENT)], "aot", PROJECT).elf


def answers(device: Device) -> list[bytes]:
    device.hello()
    inputs = [bytes([i] * 784) for i in range(5)]
    return [a.result.output for a in device.infer(0, Encoding.PIXELS, inputs, window=2)]


@pytest.mark.usefixtures("patient")
def test_it_answers_like_the_same_firmware_on_a_pty(project: Path, elf: Path) -> None:
    with open_board(load_board("own", project), elf) as link:
        assert link.name.startswith("socket://127.0.0.1:")
        device = Device(link, Timing(reply=20))
        over_tcp = answers(device)
        assert device.retries == 0
    with open_board(load_board("mps2"), elf) as link:
        assert answers(Device(link)) == over_tcp


@pytest.fixture
def port(project: Path, elf: Path) -> Iterator[str]:
    """The port of the board that `hil emulate` left running."""
    said = hil(project, "emulate", "own", "--firmware", str(elf), "--detach")
    yield said.split(" runs on ")[1].split()[0]
    hil(project, "emulate", "own", "--stop")


def test_it_serves_several_programs_until_it_is_stopped(project: Path, port: str) -> None:
    for _ in range(2):
        with open_board(load_board("own", project), None, port) as link:
            assert len(answers(Device(link))) == 5
    found = find_detached(project, "own")
    assert found is not None
    assert found.port == port
    assert f"runs on {port}" in hil(project, "boards")
    assert hil(project, "emulate", "own", "--stop") == "stopped\n"
    assert hil(project, "emulate", "own", "--stop") == "no own was running\n"


def test_an_emulator_that_ends_is_reported_as_a_vanished_port(project: Path, port: str) -> None:
    with open_board(load_board("own", project), None, port) as link:
        device = Device(link)
        device.hello()
        assert stop_detached(project, "own")
        with pytest.raises(LinkError, match="socket://127.0.0.1:.* vanished"):
            list(device.infer(0, Encoding.PIXELS, [bytes(784)] * 50))


@pytest.mark.slow
@pytest.mark.parametrize("project", ["off"], indirect=True)
def test_hil_bench_accepts_it_by_name(project: Path) -> None:
    words = ["bench", "--board", "own", "--model", "student", "--dataset", "digits"]
    said = hil(
        project, *words, "--precision", "int8", "--limit", "20", "--out", "run", "--host-samples=0"
    )
    assert "every output is as expected" in said


def hil(project: Path, *words: str) -> str:
    """The output of a command that must succeed."""
    command = [sys.executable, "-m", "hil", *words]
    done = subprocess.run(
        command,
        cwd=project,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
