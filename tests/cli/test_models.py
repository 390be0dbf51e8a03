# SPDX-License-Identifier: Apache-2.0
"""`hil export`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import STUDENT, hil


def test_a_tflite_file_becomes_one_header(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert hil(monkeypatch, "export", str(STUDENT), "--out", str(tmp_path)) == 0
    # nothing else: a sketch compiles every .c of its folder, and the firmware's needs its headers
    assert [file.name for file in tmp_path.iterdir()] == ["student_int8.h"]
    assert (tmp_path / "student_int8.h").read_text().count("student_int8_invoke") >= 1
    assert "arena" in capsys.readouterr().out
