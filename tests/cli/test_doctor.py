# SPDX-License-Identifier: Apache-2.0
"""`hil doctor`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import hil


def test_missing_tools_and_how_to_install_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert hil(monkeypatch, "doctor") == 2
    shown = capsys.readouterr().out
    assert "missing board native: gcc, g++ not found" in shown
    assert "apt-get install gcc g++ libc6-dev" in shown
    compilers = "arm-none-eabi-gcc, arm-none-eabi-g++"
    assert f"missing board mps2: {compilers}, qemu-system-arm not found" in shown
    assert "libnewlib-arm-none-eabi libstdc++-arm-none-eabi-newlib qemu-system-arm" in shown


@pytest.mark.parametrize(
    ("there", "finds", "missing"),
    [
        (("gcc",), "/lib/crt1.o", "g++"),
        (("g++",), "/lib/crt1.o", "gcc"),
        (("gcc", "g++"), "crt1.o", "crt1.o"),  # Debian's gcc without libc6-dev
    ],
)
def test_half_a_compiler_is_not_ok(
    there: tuple[str, ...],
    finds: str,
    missing: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    for name in there:
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho {finds}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert hil(monkeypatch, "doctor", "--board", "native") == 2
    shown = capsys.readouterr().out
    assert f"missing board native: {missing} not found\n" in shown
    assert "apt-get install gcc g++ libc6-dev" in shown


def test_one_board_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hil(monkeypatch, "doctor", "--board", "native")
    shown = capsys.readouterr().out
    assert "board native" in shown
    assert "board mps2" not in shown
