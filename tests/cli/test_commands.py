# SPDX-License-Identifier: Apache-2.0
"""The command line as a person meets it: one clear line and the right exit code."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from hil.boards.attached import UsbDevice
from hil.cli.console import out
from hil.cli.main import main
from hil.core.errors import BuildFailed, ToolMissing
from tests.support.ports import USB_BOARD, FakePort, plug

PROJECT = Path(__file__).parents[2]
STUDENT = PROJECT / "models" / "digits" / "student_int8.tflite"


def hil(monkeypatch: pytest.MonkeyPatch, *words: str, folder: Path = PROJECT) -> int:
    """Run one command in this process; its exit code."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["hil", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    code = ended.value.code
    return code if isinstance(code, int) else 0


def test_help_names_every_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hil(monkeypatch, "--help") == 0
    shown = capsys.readouterr().out
    commands = ("bench", "report", "compare", "history", "verify", "boards", "flash", "doctor")
    for command in (*commands, "train", "export", "study", "sweep"):
        assert command in shown


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert hil(monkeypatch, "--version") == 0
    assert capsys.readouterr().out.startswith("hil 0.")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("bench", "--board", "mars"), "no board is called 'mars'"),
        (("bench", "--model", "pupil"), "no model is called 'pupil'"),
        (("bench", "--limit", "0"), "--limit must be at least 1"),
        (("bench", "--board", "esp32dev"), "no board esp32dev is attached; plug one in"),
        (("bench", "--dataset", "cifar"), "cifar"),
        (("bench", "--model", "no.tflite", "--data", "no.npz"), "no.npz"),
        (("report", "no-such-folder"), "no-such-folder"),
        (("verify", "no-such-folder"), "there is no folder no-such-folder"),
        (("emulate", "mps2"), "there is no firmware; build it: pio run -e mps2"),
        (("flash", "--port", "x"), "--port does not say which board is there; add --board"),
        (("flash", "--port", "x", "--serial", "y"), "leave one of them out"),
        (("flash", "--board", "mps2", "--port", "x"), "is emulated and makes its own port"),
        (("flash", "--board", "mars"), "no board is called 'mars'"),
        (("flash", "--board", "mps2", "--model", "no.tflite"), "no.tflite"),
        (("headers", "student", "--out", "x"), "is not NAME=FILE.tflite"),
        (("study", "compression", "--recipe", "none"), "no recipe called 'none'"),
        (("export", "model.onnx"), "export takes .keras and .tflite files"),
    ],
)
def test_mistakes_are_one_line_and_two(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    says: str,
) -> None:
    monkeypatch.setattr("serial.tools.list_ports.comports", list)
    assert hil(monkeypatch, *words) == 2
    shown = capsys.readouterr()
    assert says in shown.err
    assert shown.err.count("\n") == 1
    assert "Traceback" not in shown.err


def test_a_board_that_is_not_there_is_not_called_ready(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("serial.tools.list_ports.comports", list)
    assert hil(monkeypatch, "boards") == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "portenta" in line]
    assert line.rstrip().endswith("not attached")


def test_boards_says_who_is_in_its_bootloader(
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


def test_unknown_option_is_two(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hil(monkeypatch, "bench", "--speed", "fast") == 2


def test_no_answer_on_a_port_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from hil.bench.lab import RealLab
    from hil.testing.lab import FakeLab

    monkeypatch.setattr(RealLab, "build", lambda _, image, project: FakeLab().build(image, project))
    port = str(tmp_path / "ttyUSB0")
    words = ("--board", "mps2", "--dataset", "digits", "--limit", "3", "--port", port)
    assert hil(monkeypatch, "bench", *words, "--out", str(tmp_path / "run")) == 2
    assert f"port {port} does not exist" in capsys.readouterr().err


def bench_with_fake_lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tamper: object) -> int:
    from hil.bench import run
    from hil.testing import lab as fake_lab

    lab = fake_lab.FakeLab(tamper=tamper) if tamper else fake_lab.FakeLab()  # type: ignore[arg-type]
    monkeypatch.setattr(
        "hil.cli.bench.run",
        lambda plan, folder, emit, *_, **wanted: run(plan, folder, emit, lab, **wanted),
    )
    words = ("--board", "mps2", "--dataset", "digits", "--limit", "20")
    return hil(monkeypatch, "bench", *words, "--out", str(tmp_path / "run"))


def test_bench_writes_a_report_and_ends_with_zero(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert bench_with_fake_lab(monkeypatch, tmp_path, None) == 0
    shown = capsys.readouterr()
    assert "every output is what it must be" in shown.out
    names = {file.name for file in (tmp_path / "run").iterdir()}
    assert {
        "manifest.json",
        "samples.jsonl",
        "digits.json",
        "summary.json",
        "report.md",
        "report.html",
    } <= names


def test_verify_says_whole_or_names_each_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert bench_with_fake_lab(monkeypatch, tmp_path, None) == 0
    folder = tmp_path / "run"
    capsys.readouterr()
    assert hil(monkeypatch, "verify", str(folder)) == 0
    shown = capsys.readouterr().out
    assert shown.count("\n") == 1
    files = sum(path.is_file() and path.name != ".lock" for path in folder.rglob("*"))
    assert f"whole ({files} files, " in shown
    (folder / "\x1b[31mred\n.txt").write_text("a stranger's")
    samples = folder / "samples.jsonl"
    samples.write_bytes(samples.read_bytes().replace(b'"label":1', b'"label":2', 1))
    old = PROJECT / "tests" / "runs" / "schema1"
    assert hil(monkeypatch, "verify", str(folder), str(old)) == 1
    shown, said = capsys.readouterr()
    lines = shown.splitlines()
    assert len(lines) == 2
    assert "run/samples.jsonl: changed: SHA-256 " in lines[0]
    assert lines[1].endswith("/run/?[31mred?.txt: no file of this run")
    assert "schema 1, which has no hashes" in said
    assert hil(monkeypatch, "verify", str(old)) == 2
    assert hil(monkeypatch, "report", str(folder)) == 1
    said = capsys.readouterr().err
    assert said.count("error:") == 2
    assert "samples.jsonl: changed" in said.splitlines()[-1]


def test_wrong_outputs_end_with_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert bench_with_fake_lab(monkeypatch, tmp_path, lambda output: output[::-1]) == 1
    shown = capsys.readouterr().out
    assert "not as expected: mps2/aot/teacher/int8" in shown
    assert "first differs at layer 4 (FULLY_CONNECTED logits), element 0" in shown


def test_export_writes_a_header(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert hil(monkeypatch, "export", str(STUDENT), "--out", str(tmp_path)) == 0
    # nothing else: a sketch compiles every .c of its folder, and the firmware's needs its headers
    assert [file.name for file in tmp_path.iterdir()] == ["student_int8.h"]
    assert (tmp_path / "student_int8.h").read_text().count("student_int8_invoke") >= 1
    assert "arena" in capsys.readouterr().out


def test_doctor_says_what_is_missing_and_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert hil(monkeypatch, "doctor") == 2
    shown = capsys.readouterr().out
    assert "missing board native: gcc not found" in shown
    assert "apt-get install gcc g++ libc6-dev" in shown
    assert "missing board mps2: arm-none-eabi-gcc, qemu-system-arm not found" in shown
    assert "libnewlib-arm-none-eabi libstdc++-arm-none-eabi-newlib qemu-system-arm" in shown


def test_doctor_for_one_board_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hil(monkeypatch, "doctor", "--board", "native")
    shown = capsys.readouterr().out
    assert "board native" in shown
    assert "board mps2" not in shown


def test_no_compiler_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    words = ("--board", "mps2", "--dataset", "digits", "--limit", "3")
    assert hil(monkeypatch, "bench", *words, "--out", str(tmp_path / "run")) == 2
    assert "apt-get install gcc-arm-none-eabi" in capsys.readouterr().err


def test_errors_say_what_and_what_to_do() -> None:
    assert str(ToolMissing("x is not installed", "install it")) == "x is not installed; install it"


def test_own_network_end_to_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from hil.bench import run
    from hil.testing.lab import FakeLab

    rng = np.random.default_rng(1)
    np.savez(tmp_path / "my.npz", x=rng.random((6, 28, 28, 1), dtype="f4"), y=np.arange(6))
    monkeypatch.setattr(
        "hil.cli.bench.run",
        lambda plan, folder, emit, *_, **__: run(plan, folder, emit, FakeLab()),
    )
    words = ("--board", "mps2", "--model", str(STUDENT), "--data", str(tmp_path / "my.npz"))
    assert hil(monkeypatch, "bench", *words, "--out", str(tmp_path / "run")) == 0
    assert "student_int8" in capsys.readouterr().out


def test_boards_says_which_are_attached(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    project(tmp_path)
    plug(monkeypatch, "A", "B")
    assert hil(monkeypatch, "boards", folder=tmp_path) == 0
    shown = capsys.readouterr().out
    for number, serial in enumerate("AB"):
        line = f"port /dev/ttyACM{number}: desk (USB JTAG/serial, 303a:1001 serial number {serial})"
        assert line in shown


def test_two_equal_boards_are_never_flashed_by_chance(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    project(tmp_path)
    plug(monkeypatch, "A", "B")
    flashed: list[str] = []

    def upload(*words: object, layers: bool, needs: int) -> None:
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
    """A checkout's outline, with one board on USB."""
    (folder / "firmware").mkdir()
    (folder / "boards").mkdir()
    (folder / "platformio.ini").touch()
    (folder / "boards" / "desk.toml").write_text(USB_BOARD)
