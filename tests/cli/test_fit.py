# SPDX-License-Identifier: Apache-2.0
"""`hil fit`: the table, the exit codes and the record, with estimates alone."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from hil.api.records import FitBoard, FitOutput
from hil.boards.config import board_files, load_board
from tests.support.command_line import PROJECT, STUDENT, hil

TEACHER = STUDENT.with_name("teacher_float32.tflite")
FAST = ("--no-link", "--engine", "aot")


def record(text: str) -> FitOutput:
    return msgspec.json.decode(text, type=FitOutput, strict=True)


def fitted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str | Path
) -> FitOutput:
    assert hil(monkeypatch, "fit", *words, *FAST, "--json") in (0, 1)
    return record(capsys.readouterr().out)


def test_every_board_with_known_memory_is_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = fitted(monkeypatch, capsys, STUDENT)
    known = [load_board(name, PROJECT) for name in board_files(PROJECT)]
    every = {one.name: one for one in known if not (one.emulator and one.emulator.optional)}
    (model,) = found.models
    assert {one.board for one in model.boards} == {n for n, one in every.items() if one.memory}
    assert {line.partition(":")[0] for line in found.left_out} == {
        n for n, one in every.items() if not one.memory
    }
    assert found.fits is None
    rank = {True: 0, None: 1, False: 2}
    order = [(rank[one.fits], one.ram.has if one.ram else 0) for one in model.boards]
    assert order == sorted(order)
    for one in model.boards:
        assert one.flash
        assert one.flash.spare == one.flash.has - one.flash.needs
        if every[one.board].around:
            assert (one.how, one.fits) == ("estimated", True)


def only(found: FitOutput) -> FitBoard:
    ((board,),) = (model.boards for model in found.models)
    return board


def test_an_estimate_is_near_the_image_that_was_linked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The student of MNIST alone on an ESP32 with Arduino core 2.0.17: 362,185 bytes of flash and
    31,536 of RAM in float32 (docs/fit.md). The board's file has what is around the int8 one."""
    model = PROJECT / "models" / "mnist" / "student_float32.tflite"
    one = only(fitted(monkeypatch, capsys, model, "--board", "esp32dev"))
    assert one.flash
    assert one.ram
    assert abs(one.flash.needs - 362_185) <= one.flash.error
    assert abs(one.ram.needs - 31_536) <= 64


@pytest.mark.parametrize(
    ("model", "board", "code"),
    [(STUDENT, "esp32dev", 0), (TEACHER, "pico,mega2560", 1), (TEACHER, "mega2560", 1)],
)
def test_the_exit_code_says_whether_a_named_board_is_too_small(
    model: Path,
    board: str,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert hil(monkeypatch, "fit", model, "--board", board, *FAST) == code
    assert hil(monkeypatch, "fit", model, *FAST) == 0
    capsys.readouterr()
    assert hil(monkeypatch, "fit", model, "--board", board, *FAST, "--json") == code
    assert record(capsys.readouterr().out).fits is (code == 0)


def test_the_table_has_80_columns_and_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hil(monkeypatch, "fit", STUDENT, TEACHER, *FAST, "--quiet") == 0
    shown, silent = capsys.readouterr()
    assert silent == ""
    rows = [line for line in shown.splitlines() if not line.startswith("hint: ")]
    assert max(map(len, rows)) <= 80
    small = [line for line in rows if line.startswith("mega2560")]
    assert " const -" in small[1]  # its float32 weights are beyond what an AVR reads
    assert "hint: its int8 version, teacher_int8.tflite, " in shown


def test_what_is_not_a_network_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"no")
    assert hil(monkeypatch, "fit", broken, *FAST) == 2
    capsys.readouterr()
    assert hil(monkeypatch, "fit", broken, STUDENT, *FAST) == 0  # beside another
    shown = capsys.readouterr().out
    assert "broken.tflite: " in shown
    assert "student_int8.tflite: int8" in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("teacher",), "teacher is not a model file"),
        ((STUDENT, "--board", "mps3"), "did you mean mps2?"),
        ((STUDENT, "--board", "native"), "the memory of native is not known"),
        ((STUDENT, "--engine", "tflite"), "no engine is called 'tflite'"),
        (("my.keras",), "a model of your own needs data"),
    ],
)
def test_usage_errors(
    words: tuple[str | Path, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert hil(monkeypatch, "fit", *words) == 2
    assert said in capsys.readouterr().err
