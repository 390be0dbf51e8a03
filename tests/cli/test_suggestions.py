# SPDX-License-Identifier: Apache-2.0
"""A misspelt name is answered with the one that was probably meant."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from hil.core.text import closest
from tests.support.command_line import STUDENT, hil


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a model and data."""
    shutil.copy(STUDENT, tmp_path / "speech.tflite")
    np.savez(tmp_path / "speech.npz", x=np.zeros((1, 28, 28, 1), np.uint8))
    (tmp_path / "speech.ino").touch()
    return tmp_path


MINE = ("--model", "speech.tflite", "--data", "speech.npz")


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("bench", "--board", "msp2"), "mps2"),
        (("bench", "--board", "Native"), "native"),
        (("bench", "--board", "esp32@/dev/ttyUSB0"), "esp32dev"),
        (("bench", "--model", "techer"), "teacher"),
        (("bench", "--model", "spech.tflite", "--data", "speech.npz"), "spech.tflite"),
        (("bench", "--model", "speech.tflite", "--data", "speach.npz"), "speech.npz"),
        (("bench", "--dataset", "minst"), "mnist"),
        (("bench", "--data", "minst"), "mnist"),
        (("bench", *MINE, "--engine", "tfml"), "tflm"),
        (("bench", *MINE, "--precision", "int-8"), "int8"),
        (("bench", *MINE, "--engine", "user", "--sketch", "spech.ino"), "speech.ino"),
        (("bench", "--protocol", "txt"), "text"),
        (("flash", "--board", "mps3"), "mps2"),
        (("export", "speech.tflit"), ""),
        (("export", "sppeech.tflite"), "speech.tflite"),
        (("export", "speech.tflite", "--engine", "aot-fats"), "aot-fast"),
        (("doctor", "--engine", "cmsisnn"), "cmsis-nn"),
        (("bench", "--board", "zzz"), ""),
    ],
)
def test_the_closest_name_is_suggested(
    folder: Path,
    words: tuple[str, ...],
    meant: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    meant = meant.replace("spech", "speech")
    assert hil(monkeypatch, *words, folder=folder) == 2
    said = capsys.readouterr().err
    (line,) = said.splitlines()
    assert (f"; did you mean {meant}? " in line) if meant else ("did you mean" not in line)


@pytest.mark.parametrize(
    ("words", "meant"), [(("bnech",), "'bench'"), (("bench", "--bord", "x"), "--board")]
)
def test_commands_and_options_are_suggested(
    words: tuple[str, ...],
    meant: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert hil(monkeypatch, *words) == 2
    assert meant in capsys.readouterr().err


def test_closest_ignores_case_and_gives_up_on_what_is_far() -> None:
    assert closest("MPS-2", ["mps2", "native"]) == "mps2"
    assert closest("", ["mps2"]) == ""
    assert closest("teensy", ["Teensy41", "mps2"]) == "Teensy41"
