# SPDX-License-Identifier: Apache-2.0
"""`hil export`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hil import datasets
from hil.core.records import Precision
from tests.support.command_line import STUDENT, hil
from tests.support.conversions import fake_exporter


def test_a_tflite_file_becomes_one_header(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert hil(monkeypatch, "export", str(STUDENT), "--out", str(tmp_path)) == 0
    # nothing else: a sketch compiles every .c of its folder, and the firmware's needs its headers
    assert [file.name for file in tmp_path.iterdir()] == ["student_int8.h"]
    assert (tmp_path / "student_int8.h").read_text().count("student_int8_invoke") >= 1
    assert "arena" in capsys.readouterr().out


def test_a_keras_file_is_calibrated_on_the_data_that_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    exporter = fake_exporter(monkeypatch, tmp_path / "cache")
    test = datasets.load("digits", "test")
    np.savez(tmp_path / "mine.npz", x=test.x[:50], y=test.y[:50])
    (tmp_path / "net.keras").touch()
    words = ("export", "net.keras", "--data", "mine.npz", "--out", "made")
    assert hil(monkeypatch, *words, folder=tmp_path) == 0
    names = [f"net_{p}.{kind}" for p in ("float32", "int8") for kind in ("h", "tflite")]
    assert sorted(file.name for file in (tmp_path / "made").iterdir()) == names
    made = (tmp_path / "made" / "net_int8.tflite").read_bytes()
    assert made == exporter.networks[Precision.INT8]
    said = capsys.readouterr().err
    assert "net.keras: calibrated on 50 of 50 samples of mine (user), values from 0 to 1" in said
    assert "net: right answers on the host: float32 " in said


def test_a_default_calibration_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    exporter = fake_exporter(monkeypatch, tmp_path / "cache")
    monkeypatch.setattr(datasets, "choose", lambda *_, **__: ("digits", ""))
    (tmp_path / "net.keras").touch()
    assert hil(monkeypatch, "export", "net.keras", folder=tmp_path) == 0
    assert [one.name for one in exporter.calls if one] == ["digits"]
    assert "no --data was given: digits calibrates int8" in capsys.readouterr().err
    words = ("export", "net.keras", "--data", "mine.npz", "--dataset", "digits")
    assert hil(monkeypatch, *words, folder=tmp_path) == 2
    assert "--data and --dataset contradict" in capsys.readouterr().err
