# SPDX-License-Identifier: Apache-2.0
"""`hil.toml`: defaults of a bench, boards and limits of a user's project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hil.boards.config import board_files, load_board
from hil.cli.main import COMMANDS, load_command
from hil.cli.settings import applicable
from hil.compare.limits import project_limits, read_limits
from hil.core.errors import ConfigError
from hil.core.settings import SETTINGS, bench_options, read_settings

BOARD = """
[boards.desk]
title = "the board on my desk"
pio_env = "esp32dev"
clock = { unit = "us", source = "micros" }
"""


def write(folder: Path, text: str) -> Path:
    (folder / SETTINGS).write_text(text)
    return folder


def test_without_a_file_nothing_is_set(tmp_path: Path) -> None:
    assert bench_options(tmp_path) == {}
    assert read_settings(tmp_path).limits == {}


def test_one_word_is_a_list_of_one(tmp_path: Path) -> None:
    write(tmp_path, '[bench]\nboard = "mps2"\nprecision = ["int8", "float32"]\nlimit = 7\n')
    assert bench_options(tmp_path) == {
        "board": ["mps2"],
        "precision": ["int8", "float32"],
        "limit": 7,
    }


def test_paths_are_those_of_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = 'model = ["my.tflite", "teacher"]\ndata = "random:10"\nsketch = "src"\n'
    write(tmp_path, f"[bench]\n{text}")
    (tmp_path / "my.tflite").touch()
    (tmp_path / "src").mkdir()
    found = bench_options(tmp_path)
    assert found["model"] == [str(tmp_path / "my.tflite"), "teacher"]
    assert found["data"] == "random:10"
    assert found["sketch"] == str(tmp_path / "src")
    monkeypatch.chdir(tmp_path)
    assert bench_options(tmp_path)["model"] == ["my.tflite", "teacher"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[bench]\nboards = 'mps2'\n", "unknown field `boards`"),
        ("[bench]\nlimit = 'all'\n", r"bench\.limit"),
        ("[bench]\ndata = 'a'\ndataset = 'b'\n", "exclude each other"),
        ("[bench\n", "hil.toml"),
    ],
)
def test_a_mistake_is_named_with_its_file(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as refused:
        bench_options(write(tmp_path, text))
    assert str(tmp_path / SETTINGS) in refused.value.what


def test_a_board_in_the_settings(tmp_path: Path) -> None:
    write(tmp_path, BOARD)
    assert board_files(tmp_path)["desk"] == tmp_path / SETTINGS
    board = load_board("desk", tmp_path)
    assert (board.name, board.pio_env, board.clock.unit) == ("desk", "esp32dev", "us")


def test_a_board_in_the_settings_precedes_its_file(tmp_path: Path) -> None:
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards" / "desk.toml").write_text("not read")
    assert load_board("desk", write(tmp_path, BOARD)).title == "the board on my desk"


@pytest.mark.parametrize(
    ("line", "says"),
    [("colour = 'red'", "unknown field `colour`"), ("name = 'other'", "name is 'other'")],
)
def test_a_mistake_in_a_board_is_named(tmp_path: Path, line: str, says: str) -> None:
    write(tmp_path, BOARD + line)
    with pytest.raises(ConfigError, match=rf"\[boards\.desk\]: .*{says}"):
        load_board("desk", tmp_path)


LIMITS = '[limits."mps2/aot/my/int8"]\narena = 5\n[limits.compare]\narena = 2\n'


def test_limits_in_the_settings(tmp_path: Path) -> None:
    write(tmp_path, LIMITS)
    for found in (project_limits(tmp_path), read_limits(tmp_path / SETTINGS)):
        assert found.runs["mps2/aot/my/int8"].arena == 5
        assert found.compare.arena == 2


def test_limits_in_a_file_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "limits.toml").write_text('["mps2/aot/my/int8"]\narena = 6\n')
    assert project_limits(tmp_path).runs["mps2/aot/my/int8"].arena == 6
    write(tmp_path, "[bench]\n")
    assert project_limits(tmp_path).runs["mps2/aot/my/int8"].arena == 6


def test_limits_in_both_files_are_refused(tmp_path: Path) -> None:
    write(tmp_path, LIMITS)
    (tmp_path / "limits.toml").touch()
    with pytest.raises(ConfigError, match="keep one of them"):
        project_limits(tmp_path)


def test_a_mistake_in_the_limits_is_named(tmp_path: Path) -> None:
    write(tmp_path, '[limits."mps2/aot/my/int8"]\narea = 3\n')
    with pytest.raises(ConfigError, match=r"\[limits\]: .*unknown field `area`"):
        project_limits(tmp_path)


@pytest.mark.parametrize(
    ("words", "dropped"),
    [
        ([], set()),
        (["--dataset", "mnist"], {"data", "target", "resize", "input"}),
        (["--data=x.npz"], {"dataset", "target", "resize", "input"}),
        (["--target", "a"], set()),
        (["--engine", "aot"], {"sketch", "tolerance"}),
        (["--engine", "aot", "--engine", "user"], set()),
        (["--firmware", "a.elf"], {"sketch"}),
        (["--model", "a.tflite"], {"teacher", "student"}),
        (["--protocol", "text"], {"engine", "precision", "sketch"}),
    ],
)
def test_an_option_drops_the_settings_that_contradict_it(
    words: list[str], dropped: set[str]
) -> None:
    names = (
        "data target resize input dataset engine precision sketch tolerance limit teacher student"
    )
    own = dict.fromkeys(names.split(), "x")
    assert own.keys() - applicable(own, words).keys() == dropped


def options(command: str, *words: str) -> dict[str, Any]:
    """The values of a command's options in the current folder."""
    context = load_command(command, COMMANDS[command]).make_context(command, list(words))
    found: dict[str, Any] = context.params
    return found


def test_commands_take_what_the_settings_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        tmp_path,
        '[bench]\nboard = ["native", "mps2"]\nmodel = "my.tflite"\nengine = ["user", "tflm"]\n'
        'precision = ["int8", "float32"]\ndata = "random:5"\nlimit = 7\nsketch = "src"\n',
    )
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "my.tflite").touch()
    monkeypatch.chdir(inner)
    bench = options("bench")
    assert bench["board"] == ["native", "mps2"]
    assert bench["model"] == [str(tmp_path / "my.tflite")]
    assert (bench["data"], bench["limit"], bench["sketch"]) == ("random:5", 7, Path("src"))
    chosen = options("bench", "--board", "rv32", "--dataset", "digits", "--engine", "aot")
    assert (chosen["board"], chosen["data"], chosen["sketch"]) == (["rv32"], None, None)
    assert (chosen["dataset"], chosen["limit"]) == ("digits", 7)
    flash = options("flash")
    assert (flash["board"], flash["engine"], flash["precision"]) == ("native", "tflm", None)
    assert flash["model"] == [str(tmp_path / "my.tflite")]


def test_without_settings_commands_have_their_own_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = options("bench")
    assert (found["board"], found["engine"], found["data"]) == (["auto"], ["aot"], None)
