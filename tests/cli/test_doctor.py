# SPDX-License-Identifier: Apache-2.0
"""`hil doctor`."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from hil.api.records import DoctorOutput
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
    assert f"missing board native, compiler: {missing} not found\n" in shown
    assert "apt-get install gcc g++ libc6-dev" in shown


def test_one_board_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hil(monkeypatch, "doctor", "--board", "native")
    shown = capsys.readouterr().out
    assert "board native" in shown
    assert "board mps2" not in shown


def test_a_board_that_the_user_asks_for_is_required(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert hil(monkeypatch, "doctor", "--board", "mps2") == 2
    shown = capsys.readouterr().out
    assert "missing board mps2, compiler: arm-none-eabi-gcc" in shown
    assert "missing board mps2, emulator: qemu-system-arm not found" in shown


def test_a_physical_board_has_a_platform_and_a_port(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PLATFORMIO_PLATFORMS_DIR", str(tmp_path))  # none is installed there
    monkeypatch.setattr("hil.boards.machine.registry_answers", lambda: False)
    monkeypatch.setattr("hil.boards.machine.find_attached", lambda _: [])
    assert hil(monkeypatch, "doctor", "--board", "esp32dev", "--json") == 2
    found = msgspec.json.decode(capsys.readouterr().out, type=DoctorOutput)
    checks = {one.name: one for one in found.checks}
    platform = checks["board esp32dev, platform"]
    assert (platform.ok, platform.need, platform.source) == (False, "required", "platformio")
    assert "espressif32@6.13.0" in platform.detail
    assert "board esp32dev, port" in checks


def test_install_gets_the_npm_package_of_the_board(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A user's board, with a fake npm."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "hil.toml").write_text(OWN_BOARD)
    (tmp_path / "bin").mkdir()
    for name, body in (("node", "true"), ("npm", "mkdir -p node_modules/em")):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    hil(monkeypatch, "doctor", "--board", "own", folder=tmp_path)
    assert "missing board own, npm package: em 1.0.0 not found" in capsys.readouterr().out
    hil(monkeypatch, "doctor", "--install", "--board", "own", folder=tmp_path)
    shown = capsys.readouterr().out
    assert "installing the npm package em 1.0.0" in shown
    assert "ok      board own, npm package: em 1.0.0" in shown


OWN_BOARD = f"""
[boards.own]
title = "own"
pio_env = "native"
[boards.own.clock]
unit = "none"
[boards.own.emulator]
command = ["node", "{{npm}}/run.js"]
stdio = true
[boards.own.emulator.npm]
name = "em"
version = "1.0.0"
integrity = "sha512-{"A" * 86}=="
"""
