# SPDX-License-Identifier: Apache-2.0
"""`hil flash` through PlatformIO and esptool 4 and 5, onto a simulated ROM loader."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from hil.bench import Request
from hil.bench.cases import Image
from hil.bench.lab import flash
from hil.bench.plan import choose_image
from hil.boards.config import load_board
from hil.boards.session import open_port
from hil.boards.station import only_station
from hil.core.errors import FlashTooSmall, NoAnswer, NotRunning, WrongChip
from hil.device import Device, Timing
from hil.testing.board import PANIC, FakeLink
from hil.testing.lab import FakeLab
from tests.support.command_line import STUDENT, hil
from tests.support.flashing.images import HUGE_APP, image
from tests.support.flashing.lines import Rfc2217Rom, on_pty
from tests.support.flashing.project import (
    CHIPS,
    FLASH_MB,
    MISSING,
    SmallProject,
    flash_size,
    make_project,
)
from tests.support.flashing.rom import (
    ESP32,
    ESP32_C3,
    ESP32_S3,
    SIZE_CODES,
    Chip,
    Rom,
    image_length,
    partitions,
)
from tests.support.needs import skip_without

pytestmark = [pytest.mark.firmware, skip_without(MISSING)]

# offsets depend on the chip and messages on esptool: a few pairs cover both
PAIRS = [("esp32dev", 4), ("esp32dev", 5), ("esp32-s3", 4), ("esp32-c3", 5)]


def chosen(project: SmallProject) -> Image:
    """An image with one network, for the board of ``project``."""
    request = Request(project=project.folder, boards=("native",), models=(str(STUDENT),))
    return replace(choose_image(request), board=load_board(project.board, project.folder))


@contextmanager
def firmware(project: SmallProject) -> Iterator[FakeLink]:
    """The firmware that runs once the flash boots."""
    lab, wanted = FakeLab(), chosen(project)
    with lab.open(only_station(wanted.board), wanted, lab.build(wanted, project.folder)) as link:
        assert isinstance(link, FakeLink)
        yield link


@pytest.mark.parametrize(("board", "esptool"), PAIRS)
def test_each_file_is_at_its_offset_and_the_board_answers(
    tmp_path: Path, board: str, esptool: int
) -> None:
    project = make_project(tmp_path, board, esptool)
    with firmware(project) as app:
        rom = Rom(CHIPS[board], app.board.answer, flash_mb=FLASH_MB[board])
        assert flash_size(board) == "4MB"
        with on_pty(rom) as port:
            hello, where = flash(chosen(project), project.folder, port)
    assert where == port
    assert [model.name for model in hello.models] == ["student_int8"]
    assert set(rom.boots) == {"app"}
    assert rom.bauds == [460_800]
    bootloader = 0x1000 if board == "esp32dev" else 0x0
    assert [at for at, _ in rom.written] == [bootloader, 0x8000, 0xE000, 0x10000]
    for at, content in rom.written[1:]:
        assert content == project.files[at]
    # esptool changes the flash size in the bootloader, and the SHA-256 that covers it
    built, sent = project.files[bootloader], rom.written[0][1]
    assert SIZE_CODES[sent[3] >> 4] == 4  # what huge_app.csv needs, also on a devkit with more
    assert (sent[:2], sent[4:-32]) == (built[:2], built[4:-32])


def test_a_board_may_fill_exactly_its_app_partition(tmp_path: Path) -> None:
    """The board files' memory.flash is the size of the first app in huge_app.csv."""
    project = make_project(tmp_path)
    whole = bytearray(b"\xff" * 0x400000)
    for at, content in project.files.items():
        whole[at : at + len(content)] = content
    table = partitions(bytes(whole))
    (app,) = (one for one in table if one.type == 0)
    assert app.at == 0x10000
    assert image_length(project.files[0x10000]) == len(project.files[0x10000]) <= app.size
    assert [one.at + one.size for one in table[1:-1]] == [one.at for one in table[2:]]
    for board in CHIPS:
        memory = load_board(board).memory
        assert memory
        assert memory.flash == app.size == 3 << 20
        assert table[-1].at + table[-1].size <= FLASH_MB[board] << 20


@pytest.mark.parametrize(
    ("behind", "esptool"), [(ESP32_S3, 4), (ESP32_C3, 5)], ids=lambda v: str(getattr(v, "name", v))
)
def test_another_chip_behind_the_port(tmp_path: Path, behind: Chip, esptool: int) -> None:
    project, rom = make_project(tmp_path, "esp32dev", esptool), Rom(behind)
    with (
        on_pty(rom) as port,
        pytest.raises(WrongChip, match=f"chip on {port} is {behind.name}, .* was built for ESP32;"),
    ):
        flash(chosen(project), project.folder, port)
    assert rom.written == []


def test_an_image_of_another_chip(tmp_path: Path) -> None:
    app = image(ESP32_S3.image_id, bytes(5000))
    project, rom = make_project(tmp_path, app=app), Rom(ESP32)
    with (
        on_pty(rom) as port,
        pytest.raises(WrongChip, match=f"not built for ESP32, .* chip on {port}"),
    ):
        flash(chosen(project), project.folder, port)
    assert rom.written == []


@pytest.mark.parametrize("esptool", [4, 5])
def test_less_flash_than_in_the_board_file(tmp_path: Path, esptool: int) -> None:
    """esptool at most warns and continues; the board would reset in its loader forever."""
    project, rom = make_project(tmp_path, esptool=esptool), Rom(ESP32, flash_mb=2)
    with on_pty(rom) as port, pytest.raises(FlashTooSmall, match=f"board on {port} has 2") as it:
        flash(chosen(project), project.folder, port)
    assert "platformio.ini" in it.value.hint or "env" in it.value.hint
    assert rom.written


def test_a_firmware_larger_than_the_flash(tmp_path: Path) -> None:
    app = image(ESP32.image_id, bytes(1_100_000))
    project = make_project(tmp_path, esptool=5, app=app)
    rom = Rom(ESP32, flash_mb=1)
    with on_pty(rom) as port, pytest.raises(FlashTooSmall, match="which has 1048576 bytes"):
        flash(chosen(project), project.folder, port)


def test_a_firmware_larger_than_its_partition(tmp_path: Path) -> None:
    """PlatformIO checks this before an upload, but the board may have another table."""
    small = [replace(one, size=0x10000) if one.name == "app0" else one for one in HUGE_APP]
    project, rom = make_project(tmp_path, table=small, boot=2.0), Rom(ESP32)
    with on_pty(rom) as port, pytest.raises(NotRunning, match=r"takes \d+ bytes, .* has 65536"):
        flash(chosen(project), project.folder, port)


def test_a_firmware_that_is_not_an_image(tmp_path: Path) -> None:
    project, rom = make_project(tmp_path, app=b"\0" * 4096, boot=2.0), Rom(ESP32)
    with on_pty(rom) as port, pytest.raises(NotRunning, match="No bootable app partitions"):
        flash(chosen(project), project.folder, port)


def test_a_firmware_that_panics_is_quoted(tmp_path: Path) -> None:
    project, rom = make_project(tmp_path, boot=2.0), Rom(ESP32, lambda _: PANIC)
    with (
        on_pty(rom) as port,
        pytest.raises(NoAnswer, match=r"esp32dev was flashed, but then the board on .* crashed:"),
    ):
        flash(chosen(project), project.folder, port)


def failed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    project: SmallProject,
    port: str,
) -> str:
    """The error line of `hil flash`."""
    words = ("--board", project.board, "--port", port, "--model", str(STUDENT))
    assert hil(monkeypatch, "flash", *words, folder=project.folder) == 2
    (line,) = [one for one in capsys.readouterr().err.splitlines() if "error: " in one]
    return line


@pytest.mark.parametrize("esptool", [4, 5])
def test_port_errors_are_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    esptool: int,
) -> None:
    project = make_project(tmp_path, esptool=esptool)
    gone = str(tmp_path / "ttyUSB0")
    said = failed(monkeypatch, capsys, project, gone)
    assert f"port {gone} does not exist; `hil boards` lists the ports" in said
    rom = Rom(ESP32, deaf=True)
    with on_pty(rom) as port:
        said = failed(monkeypatch, capsys, project, port)
        assert f"no ROM loader answers on port {port}: esptool printed" in said
        assert "hold the board's BOOT button" in said
        other = os.open(port, os.O_RDWR | os.O_NOCTTY)
        fcntl.flock(other, fcntl.LOCK_EX)
        said = failed(monkeypatch, capsys, project, port)
        os.close(other)
        assert f"port {port} is in use; close the serial monitor" in said


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")  # pyserial's RFC 2217
def test_control_lines_start_the_rom_then_the_firmware(tmp_path: Path) -> None:
    """A port with DTR and RTS: esptool resets a running board into its ROM and out of it; hil opens
    the port and resets the board without holding it in reset or starting the ROM."""
    project = make_project(tmp_path, attempts=3)
    board = load_board("esp32dev", project.folder)
    with firmware(project) as app:
        rom = Rom(ESP32, app.board.answer)
        rom.boot(download=False)  # an empty flash: it resets in a loop
        with Rfc2217Rom(rom) as served:
            hello, _ = flash(chosen(project), project.folder, served.url)
            assert [model.name for model in hello.models] == ["student_int8"]
            # before the build, opening the port restarted what was there
            assert rom.boots[1] != "download"
            assert rom.boots[2:] == ["download", "app"]
            link = open_port(board, served.url)
            try:
                link.pulse("rts")
                assert Device(link, Timing(boot=20)).hello() == hello
            finally:
                link.close()
    assert rom.boots[2:] == ["download", "app", "app"]
