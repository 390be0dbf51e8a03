# SPDX-License-Identifier: Apache-2.0
"""`hil bench` on ports that fail: one line that says what to do, and exit code 2."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from serial.tools import list_ports

from hil.bench.lab import RealLab
from hil.boards.config import Timeouts, load_board
from hil.boards.station import only_station
from hil.link.serial_port import SerialLink
from hil.runs.load import read_manifest, read_samples
from hil.runs.schema import Faults
from hil.testing.board import FakeBoard, FakeLink
from hil.testing.lab import FakeLab
from tests.support.command_line import hil
from tests.support.ptys import Answer, served_pty

LIMIT = 40


class Lab(FakeLab):
    """A lab whose board answers on a pty."""

    board: FakeBoard | None = None

    def answer(self, data: bytes) -> bytes:
        if self.board is None:
            image = self.built[0]
            with self.open(only_station(image.board), image, self.build(image, Path())) as link:
                assert isinstance(link, FakeLink)
                self.board = link.board
        return self.board.answer(data)


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Builds nothing; its board is on a real port, a pty."""
    made = Lab()
    monkeypatch.setattr(RealLab, "build", lambda _, image, project: made.build(image, project))
    monkeypatch.setattr(list_ports, "comports", list)
    return made


def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, port: str, board: str = "native") -> int:
    words = ("--model", "student", "--precision", "int8", "--dataset", "digits")
    more = ("--limit", str(LIMIT), "--host-samples", "0", "--out", str(tmp_path / "run"))
    return hil(monkeypatch, "bench", "--board", board, "--port", port, *words, *more)


def error_of(shown: str) -> str:
    """The only error line on stderr."""
    assert "Traceback" not in shown
    (line,) = [line for line in shown.splitlines() if line.startswith("error: ")]
    return line


@pytest.mark.usefixtures("lab")
def test_a_port_that_vanishes_ends_the_run_and_the_next_one_resumes_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, lab: Lab
) -> None:
    port = tmp_path / "ttyUSB0"  # a new pty may soon get the name of a closed one

    def pulled(data: bytes) -> bytes | None:
        if not lab.board or len(lab.board.received) <= 15:
            return lab.answer(data)
        port.unlink()
        return None

    short = replace(load_board("native"), timeouts=Timeouts(away=0.3))
    monkeypatch.setattr("hil.boards.station.load_board", lambda *_: short)
    with served_pty(pulled) as pty:
        port.symlink_to(pty.name)
        assert bench(monkeypatch, tmp_path, str(port)) == 2
    shown = capsys.readouterr().err
    assert f"port {port} vanished" in shown
    assert f"waiting up to 0.3 s for the board on {port}" in shown
    said = error_of(shown)
    assert f"port {port} does not exist; no board came back on {port} within 0.3 s" in said
    assert (
        f"all answers so far are stored, to resume: hil bench --board native --port {port}" in said
    )
    assert (tmp_path / "run" / "report.html").exists()
    assert read_manifest(tmp_path / "run").state == "failed"
    lab.board = None
    with served_pty(lab.answer) as other:  # plugged in again, under another name
        assert bench(monkeypatch, tmp_path, other.name) == 0
    assert read_manifest(tmp_path / "run").state == "complete"


@pytest.mark.usefixtures("lab")
def test_the_bench_waits_for_a_cable_that_is_plugged_in_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, lab: Lab
) -> None:
    """The port keeps its name, as with a udev rule, but leads to another device."""
    name = tmp_path / "ttyUSB0"

    with served_pty(lab.answer) as second:

        def pulled(data: bytes) -> bytes | None:
            if not lab.board or len(lab.board.received) <= 30:
                return lab.answer(data)
            name.unlink()
            name.symlink_to(second.name)
            return None

        with served_pty(pulled) as first:
            name.symlink_to(first.name)
            assert bench(monkeypatch, tmp_path, str(name)) == 0
    shown = capsys.readouterr().err
    assert f"waiting up to 120 s for the board on {name}" in shown
    assert f"the board on {name} is back after" in shown
    (end,) = read_manifest(tmp_path / "run").ends
    assert isinstance(end.faults, Faults)
    assert (end.faults.reopenings, end.faults.resets) == (1, 0)
    assert [sample.i for sample in read_samples(tmp_path / "run")] == list(range(LIMIT))


@pytest.mark.usefixtures("lab")
def test_a_port_that_another_program_has_open(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, lab: Lab
) -> None:
    with served_pty(lab.answer) as pty:
        port = pty.name
        monitor = SerialLink(port)
        assert bench(monkeypatch, tmp_path, port) == 2
        monitor.close()
        said = error_of(capsys.readouterr().err)
        assert f"port {port} is in use; close the serial monitor" in said
        assert bench(monkeypatch, tmp_path, port) == 0


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        pytest.param(lambda _: b"MicroPython v1.24\r\n>>> ", "; flash it: run", id="MicroPython"),
        pytest.param(lambda data: data, "sends back what the host sends", id="an echo"),
        pytest.param(lambda _: b"\x01\x83\x02\xc0\xc1", "; flash it: run", id="Modbus"),
    ],
)
def test_a_device_with_another_protocol(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    answer: Answer,
    hint: str,
) -> None:
    quick = replace(load_board("native"), timeouts=Timeouts(boot=3.0))
    monkeypatch.setattr("hil.boards.station.load_board", lambda *_: quick)
    with served_pty(answer) as pty:
        assert bench(monkeypatch, tmp_path, pty.name) == 2
    said = error_of(capsys.readouterr().err)
    assert f"port {pty.name} sent data for 3 s, but not in this protocol" in said
    assert hint in said


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize(
    ("mode", "group", "says"),
    [
        (0o100660, 20, "join its group dialout: `sudo usermod -aG dialout $USER`, then log in"),
        (0o100660, 5, "join its group tty: `sudo usermod -aG tty $USER`"),
        (
            0o100600,
            20,
            "add a udev rule that gives it group dialout and mode 660 (it has group dialout and "
            "mode 600)",
        ),
    ],
)
def test_permission_denied_names_the_group_to_join(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    mode: int,
    group: int,
    says: str,
) -> None:
    port = tmp_path / "ttyUSB0"
    port.touch()
    opened, stat = os.open, os.stat

    def refuse(path: Any, *words: Any, **more: Any) -> int:
        if str(path) == str(port):
            raise PermissionError(13, "Permission denied", str(port))
        return opened(path, *words, **more)

    def owned(path: Any, **more: Any) -> os.stat_result:
        real = stat(path, **more)
        if str(path) == str(port):
            return os.stat_result((mode, *real[1:5], group, *real[6:10]))
        return real

    monkeypatch.setattr(os, "open", refuse)  # root may open any file
    monkeypatch.setattr(os, "stat", owned)
    assert bench(monkeypatch, tmp_path, str(port)) == 2
    said = error_of(capsys.readouterr().err)
    assert f"this user has no permission to open port {port}; {says}" in said
