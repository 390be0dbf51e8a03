# SPDX-License-Identifier: Apache-2.0
"""`hil` as a user runs it, in this process."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hil.cli.main import main

PROJECT = Path(__file__).parents[2]
STUDENT = PROJECT / "models" / "digits" / "student_int8.tflite"


def hil(monkeypatch: pytest.MonkeyPatch, *words: str | Path, folder: Path = PROJECT) -> int:
    """Run one command in ``folder``; returns its exit code."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["hil", *map(str, words)])
    try:
        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    return 0
