# SPDX-License-Identifier: Apache-2.0
"""What a board needs on a machine, and where each thing comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.boards.config import Board, BoardClock, Emulator, Verify, board_files, load_board
from hil.boards.needs import Need, installer, source_of, tool_needs
from hil.boards.npm import NpmPackage
from hil.boards.station import missing_tools, require_tools
from hil.core.errors import ToolMissing

URL = "https://example.org/releases"


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


def program(folder: Path, name: str, says: str = "") -> None:
    (folder / name).write_text(f"#!/bin/sh\necho '{says}'\n")
    (folder / name).chmod(0o755)


def board(emulator: Emulator) -> Board:
    """A board whose env has no compiler of its own."""
    clock = BoardClock(unit="none")
    return Board(name="mine", title="mine", pio_env="mine", clock=clock, emulator=emulator)


def by_name(needs: tuple[Need, ...]) -> dict[str, Need]:
    return {need.detail: need for need in needs}


OWN = Emulator(
    command=("emulates", "{elf}"),
    prepare=(("merge", "{elf}"),),
    port="/dev/a",
    get={"emulates": URL, "merge": "pip install merge"},
)


def test_each_program_has_its_source(bin_folder: Path) -> None:
    program(bin_folder, "merge")
    found = by_name(tool_needs(board(OWN)))
    assert found["emulates"].missing == ("emulates",)
    assert (found["emulates"].source, found["emulates"].fix) == ("url", URL)
    assert found["merge"].missing == ()
    assert (found["merge"].source, found["merge"].fix) == ("pip", "pip install merge")


def test_a_program_without_a_source_is_in_the_debian_package(bin_folder: Path) -> None:
    program(bin_folder, "apt-get")
    emulator = Emulator(command=("qemu-system-x",), port="/dev/a", package="qemu-x")
    (need,) = tool_needs(board(emulator))
    assert (need.missing, need.source, need.packages) == (("qemu-system-x",), "apt", ("qemu-x",))
    assert need.fix.endswith("apt-get install qemu-x")


def test_homebrew_where_there_is_no_apt(bin_folder: Path) -> None:
    program(bin_folder, "brew")
    wanted = ("gcc-arm-none-eabi", "libnewlib-arm-none-eabi", "qemu-system-arm")
    assert installer(wanted) == ("brew", "brew install --cask gcc-arm-embedded qemu")
    program(bin_folder, "apt-get")
    assert installer(wanted)[0] == "apt"


@pytest.mark.parametrize(("says", "missing"), [("esp32   Espressif", ()), ("sim", ("the fork",))])
def test_another_program_of_the_same_name_is_not_enough(
    bin_folder: Path, says: str, missing: tuple[str, ...]
) -> None:
    program(bin_folder, "qemu", says)
    verify = Verify(command=("qemu", "-M", "help"), output=r"^esp32\s", what="the fork")
    emulator = Emulator(command=("qemu",), port="/dev/a", verify=verify, get={"qemu": URL})
    assert missing_tools(board(emulator)) == list(missing)


def test_a_variable_is_needed_like_a_program(
    bin_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(bin_folder, "cloud")
    emulator = Emulator(
        command=("cloud",), port="/dev/a", environment=("TOKEN",), get={"TOKEN": URL}
    )
    monkeypatch.delenv("TOKEN", raising=False)
    assert missing_tools(board(emulator)) == ["variable TOKEN"]
    with pytest.raises(ToolMissing) as error:
        require_tools(board(emulator))
    assert f"set TOKEN, from {URL}" in error.value.hint
    monkeypatch.setenv("TOKEN", "secret")
    needs = tool_needs(board(emulator))
    assert not any(need.missing for need in needs)
    assert "secret" not in repr(needs)


def test_an_npm_package_is_installed_by_doctor(bin_folder: Path) -> None:
    program(bin_folder, "node")
    package = NpmPackage(name="em", version="1.0.0", integrity="sha512-" + "A" * 86 + "==")
    emulator = Emulator(command=("node", "{npm}/run.js"), stdio=True, npm=package)
    need = by_name(tool_needs(board(emulator)))["em 1.0.0"]
    assert (need.missing, need.source) == (("em 1.0.0",), "npm")
    assert need.fix == "hil doctor --install --board mine"
    assert need.packages == ("npm",)  # of Debian: it is not on PATH
    program(bin_folder, "npm")
    package.folder.mkdir(parents=True)
    need = by_name(tool_needs(board(emulator)))["em 1.0.0"]
    assert (need.missing, need.packages) == ((), ())
    (word,) = emulator.fill(("{npm}/run.js",), Path("firmware.elf"), Path("run"), 0)
    assert word == f"{package.folder}/run.js"


def test_a_board_without_an_npm_package_has_no_placeholder_for_it() -> None:
    with pytest.raises(ValueError, match="unknown placeholder"):
        Emulator(command=("node", "{npm}"), stdio=True)


@pytest.mark.parametrize(
    ("where", "source"),
    [
        (URL, "url"),
        ("pip install x", "pip"),
        ("npm install x", "npm"),
        ("brew install x", "brew"),
        ("sudo apt-get install x", "apt"),
        ("build it", "user"),
    ],
)
def test_the_kind_of_a_source(where: str, source: str) -> None:
    assert source_of(where) == source


@pytest.mark.parametrize("name", sorted(board_files()))
def test_whatever_a_shipped_board_lacks_has_a_source(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On a machine without any program."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    needs = tool_needs(load_board(name))
    assert all(need.fix and need.source for need in needs if need.missing)
    assert all(need.missing for need in needs if need.what in ("compiler", "emulator"))
