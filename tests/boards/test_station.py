# SPDX-License-Identifier: Apache-2.0
"""The forms of `--board`: which board, on which port, and its name in the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.boards.config import load_board
from hil.boards.station import (
    Station,
    choose_board,
    choose_boards,
    missing_tools,
    packages,
    stations,
)
from hil.core.errors import NotAttached, ToolMissing, UsageError
from tests.support.ports import USB_BOARD, plug


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards" / "desk.toml").write_text(USB_BOARD)
    return tmp_path


def found(project: Path, *wanted: str, port: str | None = None) -> list[tuple[str, str | None]]:
    with stations(wanted, project, port) as these:
        return [(one.name, one.port) for one in these]


def test_an_attached_board_has_a_port_and_an_emulator_does_not(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plug(monkeypatch, "A")
    assert found(project, "mps2", "desk", "mps2") == [("mps2", None), ("desk", "/dev/ttyACM0")]


def test_two_boards_of_a_kind_have_different_names(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plug(monkeypatch, "A", "B")
    assert found(project, "desk@B", "desk@/dev/ttyACM0") == [
        ("desk@B", "/dev/ttyACM1"),
        ("desk@ttyACM0", "/dev/ttyACM0"),
    ]
    assert found(project, "desk@socket://lab:4001", "mps2@rfc2217://[::1]:7?logging=x") == [
        ("desk", "socket://lab:4001"),
        ("mps2", "rfc2217://[::1]:7?logging=x"),
    ]


def test_names_are_safe_in_a_key(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plug(monkeypatch)
    names = [name for name, _ in found(project, "desk@socket://a/b c:1", "desk@/dev/x/../<y>")]
    assert names == ["desk@socket:-a-b-c:1", "desk@x-..-y"]


def test_port_is_the_port_of_the_only_board(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plug(monkeypatch)
    assert found(project, "desk", port="/dev/ttyS9") == [("desk", "/dev/ttyS9")]
    with pytest.raises(UsageError, match="--port goes with one --board"):
        found(project, "desk", "mps2", port="/dev/ttyS9")


@pytest.mark.parametrize(
    ("wanted", "problem", "says"),
    [
        (("desk",), NotAttached, "no board desk is attached"),
        (("desk@",), UsageError, "does not name a port"),
        (("nowhere",), UsageError, "no board is called 'nowhere'"),
        (("desk@/dev/a", "mps2@/dev/a"), UsageError, "two boards have port /dev/a"),
        (("labgrid:",), UsageError, "'' is not the name of a labgrid place"),
        (("labgrid:-x",), UsageError, "'-x' is not the name of a labgrid place"),
    ],
)
def test_user_errors(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    wanted: tuple[str, ...],
    problem: type[Exception],
    says: str,
) -> None:
    plug(monkeypatch)
    with pytest.raises(problem, match=says):
        found(project, *wanted)


def test_two_attached_boards_are_ambiguous(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plug(monkeypatch, "A", "B")
    with pytest.raises(UsageError, match=r"2 boards are attached: .* serial number B"):
        found(project, "desk")


def test_the_title_names_the_port(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plug(monkeypatch, "A")
    with stations(["desk", "mps2"], project) as (desk, emulated):
        assert isinstance(desk, Station)
        assert "on /dev/ttyACM0 (303a:1001, serial number A)" in desk.title
        assert emulated.title == emulated.board.title


CORTEX_M7 = ("arm-none-eabi-gcc", "arm-none-eabi-g++", "qemu-system-arm")


def programs(monkeypatch: pytest.MonkeyPatch, folder: Path, *names: str) -> None:
    """A machine with only these programs."""
    for name in names:
        (folder / name).write_text(
            "#!/bin/sh\necho /lib/libc.a\n"
        )  # the answer to -print-file-name
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_auto_is_the_cortex_m7_if_its_tools_are_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    programs(monkeypatch, tmp_path, "gcc", *CORTEX_M7)
    assert choose_board() == ("mps2", "")


@pytest.mark.parametrize("missing", CORTEX_M7)
def test_auto_is_else_the_host_process_and_the_note_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: str
) -> None:
    there = {"gcc", *CORTEX_M7} - {missing}
    programs(monkeypatch, tmp_path, *there)
    board, note = choose_board()
    assert board == "native"
    assert f"{missing} not installed" in note
    assert "without times" in note
    assert missing_tools(load_board("mps2")) == [missing]


def test_a_compiler_without_its_c_library_is_not_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    programs(monkeypatch, tmp_path, "gcc", *CORTEX_M7)
    (tmp_path / "arm-none-eabi-gcc").write_text("#!/bin/sh\necho libc.a\n")
    assert missing_tools(load_board("mps2")) == ["libc.a"]
    (tmp_path / "arm-none-eabi-g++").write_text("#!/bin/sh\necho libstdc++.a\n")
    assert missing_tools(load_board("mps2")) == ["libc.a", "libstdc++.a"]


EMULATED = """
name = "{name}"
title = "emulated {name}"
pio_env = "{name}"
[clock]
unit = "none"
[emulator]
command = ["{program}", "{{elf}}"]
port_pattern = "port (.+)"
package = "its-package"
"""


@pytest.fixture
def three(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that knows a board on a port and two emulated ones, of which one is installed."""
    folder = project / "boards"
    for name, program in (("here", "sh"), ("gone", "no-such-emulator")):
        (folder / f"{name}.toml").write_text(EMULATED.format(name=name, program=program))
    files = {file.stem: file for file in folder.glob("*.toml")}
    monkeypatch.setattr("hil.boards.station.board_files", lambda _: files)
    return project


def test_all_are_the_emulated_boards_whose_tools_are_installed(three: Path) -> None:
    chosen = choose_boards(["all"], three)
    assert (chosen.names, chosen.all) == (("here",), True)
    (absent,) = chosen.absent
    assert (absent.name, missing_tools(absent)) == ("gone", ["no-such-emulator"])
    assert packages(absent) == ("its-package",)


def test_emulators_that_users_install_are_benched_by_name_only(three: Path) -> None:
    text = EMULATED.format(name="here", program="sh") + "optional = true\n"
    (three / "boards" / "own.toml").write_text(text.replace('name = "here"', 'name = "own"'))
    files = {file.stem: file for file in (three / "boards").glob("*.toml")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hil.boards.station.board_files", lambda _: files)
        chosen = choose_boards(["all"], three)
        assert chosen.names == ("here",)
        assert [board.name for board in chosen.absent] == ["gone"]
        assert choose_boards(["own"], three).names == ("own",)


def test_all_without_any_of_the_tools_is_an_error(three: Path) -> None:
    (three / "boards" / "here.toml").write_text(EMULATED.format(name="here", program="no-such"))
    with pytest.raises(ToolMissing, match="no emulated board has its compiler and emulator"):
        choose_boards(["all"], three)


def test_a_list_with_commas_names_each_board_once(three: Path) -> None:
    chosen = choose_boards(["gone,desk@/dev/ttyS1", "gone"], three)
    assert (chosen.names, chosen.all) == (("gone", "desk@/dev/ttyS1"), False)
    assert chosen.absent == ()  # a board that is named is not left out
    assert choose_boards(["here, all"], three).names == ("here",)
