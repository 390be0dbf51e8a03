# SPDX-License-Identifier: Apache-2.0
"""Which board is taken when nobody names one."""

from pathlib import Path

import pytest

from hil.boards.config import load_board
from hil.boards.station import choose_board, missing_tools


def programs(monkeypatch: pytest.MonkeyPatch, folder: Path, *names: str) -> None:
    """A machine that has just these programs."""
    for name in names:
        (folder / name).write_text("#!/bin/sh\necho /lib/libc.a\n")  # where its C library is
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_the_cortex_m7_where_it_can_be_had(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    programs(monkeypatch, tmp_path, "gcc", "arm-none-eabi-gcc", "qemu-system-arm")
    assert choose_board() == ("mps2", "")


@pytest.mark.parametrize("missing", ["arm-none-eabi-gcc", "qemu-system-arm"])
def test_the_host_process_otherwise_and_it_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: str
) -> None:
    there = {"gcc", "arm-none-eabi-gcc", "qemu-system-arm"} - {missing}
    programs(monkeypatch, tmp_path, *there)
    board, note = choose_board()
    assert board == "native"
    assert f"{missing} not installed" in note
    assert "no time" in note
    assert missing_tools(load_board("mps2")) == [missing]


def test_a_compiler_without_its_c_library_is_not_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    programs(monkeypatch, tmp_path, "gcc", "arm-none-eabi-gcc", "qemu-system-arm")
    (tmp_path / "arm-none-eabi-gcc").write_text("#!/bin/sh\necho libc.a\n")
    assert missing_tools(load_board("mps2")) == ["libc.a"]
