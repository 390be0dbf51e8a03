# SPDX-License-Identifier: Apache-2.0
"""Addresses of a panic as functions, files and lines, by real toolchains."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from hil.firmware import places
from tests.support.needs import needs

SOURCE = """\
int outer(int);
__attribute__((noinline)) int inner(int x) {
  return x * 3;
}
__attribute__((noinline)) int outer(int x) {
  return inner(x) + 1;
}
int main(void) { return outer(2); }
"""
COMPILERS = {
    "host": ("gcc", "-no-pie"),
    "arm": ("arm-none-eabi-gcc", "-mcpu=cortex-m7", "-mthumb", "-nostdlib", "-Wl,-emain"),
    "avr": ("avr-gcc", "-mmcu=atmega2560"),
    "riscv": ("riscv64-unknown-elf-gcc", "-nostdlib", "-Wl,-emain"),
    "xtensa": ("xtensa-lx106-elf-gcc", "-nostdlib", "-Wl,-emain"),
}


def linked(folder: Path, name: str) -> tuple[Path, dict[str, int]]:
    """A program, and where its functions are."""
    (folder / "main.c").write_text(SOURCE)
    compiler, *flags = COMPILERS[name]
    elf = folder / "main.elf"
    words = [compiler, *flags, "-g", "-O0", "main.c", "-o", str(elf)]
    subprocess.run(words, cwd=folder, check=True, capture_output=True)
    nm = compiler.replace("gcc", "nm")
    said = subprocess.run([nm, str(elf)], check=True, capture_output=True, text=True).stdout
    rows = (line.split() for line in said.splitlines())
    return elf, {row[2]: int(row[0], 16) for row in rows if len(row) == 3}


@pytest.mark.firmware
@pytest.mark.parametrize("name", COMPILERS)
def test_functions_files_and_lines(name: str, tmp_path: Path) -> None:
    needs([] if shutil.which(COMPILERS[name][0]) else [COMPILERS[name][0]])
    elf, symbols = linked(tmp_path, name)
    thumb = int(name == "arm")  # a return address has bit 0 set
    wanted = [symbols["inner"], 0xFFFFF0, symbols["outer"] + thumb, symbols["outer"]]
    inner, outer = places(elf, wanted)
    assert inner == "inner (main.c:2)"
    assert outer == "outer (main.c:5)"


def test_other_files_have_no_places(tmp_path: Path) -> None:
    (tmp_path / "x.elf").write_bytes(b"\x7fELF")
    assert places(tmp_path / "x.elf", [1]) == ()
    assert places(tmp_path / "none.elf", [1]) == ()


def test_without_addr2line_there_are_no_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PLATFORMIO_CORE_DIR", str(tmp_path))
    head = b"\x7fELF" + bytes(14) + (40).to_bytes(2, "little")
    (tmp_path / "x.elf").write_bytes(head)
    assert places(tmp_path / "x.elf", [1]) == ()
