# SPDX-License-Identifier: Apache-2.0
"""`--board` in all its forms: which board, where, and by what name in the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.boards.station import Station, stations
from hil.core.errors import NotAttached, UsageError
from tests.support.ports import USB_BOARD, plug


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards" / "desk.toml").write_text(USB_BOARD)
    return tmp_path


def found(project: Path, *wanted: str, port: str | None = None) -> list[tuple[str, str | None]]:
    with stations(wanted, project, port) as these:
        return [(one.name, one.port) for one in these]


def test_an_emulator_has_no_port_and_the_plugged_in_board_has(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plug(monkeypatch, "A")
    assert found(project, "mps2", "desk", "mps2") == [("mps2", None), ("desk", "/dev/ttyACM0")]


def test_two_of_a_kind_are_told_apart(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plug(monkeypatch, "A", "B")
    assert found(project, "desk@B", "desk@/dev/ttyACM0") == [
        ("desk@B", "/dev/ttyACM1"),
        ("desk@ttyACM0", "/dev/ttyACM0"),
    ]
    assert found(project, "desk@socket://lab:4001", "mps2@rfc2217://[::1]:7?logging=x") == [
        ("desk", "socket://lab:4001"),
        ("mps2", "rfc2217://[::1]:7?logging=x"),
    ]


def test_names_fit_into_a_key(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plug(monkeypatch)
    names = [name for name, _ in found(project, "desk@socket://a/b c:1", "desk@/dev/x/../<y>")]
    assert names == ["desk@socket:-a-b-c:1", "desk@x-..-y"]


def test_port_is_where_the_only_board_is(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plug(monkeypatch)
    assert found(project, "desk", port="/dev/ttyS9") == [("desk", "/dev/ttyS9")]
    with pytest.raises(UsageError, match="--port goes with one --board"):
        found(project, "desk", "mps2", port="/dev/ttyS9")


@pytest.mark.parametrize(
    ("wanted", "problem", "says"),
    [
        (("desk",), NotAttached, "no board desk is attached"),
        (("desk@",), UsageError, "names no port"),
        (("nowhere",), UsageError, "no board is called 'nowhere'"),
        (("desk@/dev/a", "mps2@/dev/a"), UsageError, "two boards are said to be on port /dev/a"),
        (("labgrid:",), UsageError, "'' names no labgrid place"),
        (("labgrid:-x",), UsageError, "'-x' names no labgrid place"),
    ],
)
def test_mistakes_are_named(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    wanted: tuple[str, ...],
    problem: type[Exception],
    says: str,
) -> None:
    plug(monkeypatch)
    with pytest.raises(problem, match=says):
        found(project, *wanted)


def test_two_plugged_in_ask_which(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plug(monkeypatch, "A", "B")
    with pytest.raises(UsageError, match=r"2 boards are attached: .* serial number B"):
        found(project, "desk")


def test_the_title_says_where(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plug(monkeypatch, "A")
    with stations(["desk", "mps2"], project) as (desk, emulated):
        assert isinstance(desk, Station)
        assert "on /dev/ttyACM0 (303a:1001, serial number A)" in desk.title
        assert emulated.title == emulated.board.title
