# SPDX-License-Identifier: Apache-2.0
"""`hil doctor`."""

from __future__ import annotations

import pytest

from tests.support.command_line import hil


def test_missing_tools_and_how_to_install_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert hil(monkeypatch, "doctor") == 2
    shown = capsys.readouterr().out
    assert "missing board native: gcc not found" in shown
    assert "apt-get install gcc g++ libc6-dev" in shown
    assert "missing board mps2: arm-none-eabi-gcc, qemu-system-arm not found" in shown
    assert "libnewlib-arm-none-eabi libstdc++-arm-none-eabi-newlib qemu-system-arm" in shown


def test_one_board_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hil(monkeypatch, "doctor", "--board", "native")
    shown = capsys.readouterr().out
    assert "board native" in shown
    assert "board mps2" not in shown
