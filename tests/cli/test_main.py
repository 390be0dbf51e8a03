# SPDX-License-Identifier: Apache-2.0
"""`hil` itself: the list of commands, exit codes, errors, and what starting it imports."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer

from hil.cli.main import COMMANDS, app, load_command
from hil.core.errors import ToolMissing
from tests.support.command_line import hil

HEAVY = ("tensorflow", "keras", "scipy", "matplotlib", "numpy", "pandas", "sklearn", "platformio")


def test_help_names_every_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hil(monkeypatch, "--help") == 0
    shown = capsys.readouterr().out
    commands = ("bench", "report", "compare", "history", "verify", "boards", "flash", "doctor")
    for command in (*commands, "train", "export", "study", "sweep"):
        assert f" {command} " in shown


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert hil(monkeypatch, "--version") == 0
    assert capsys.readouterr().out.startswith("hil 0.")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("bench", "--board", "mars"), "no board is called 'mars'"),
        (("bench", "--model", "pupil"), "no model is called 'pupil'"),
        (("bench", "--limit", "0"), "--limit must be at least 1"),
        (("bench", "--host-samples", "-1"), "--host-samples must not be negative"),
        (("bench", "--host-threads", "0"), "--host-threads must be from 1 to "),
        (("bench", "--host-threads", "100000"), ", the cores of this computer"),
        (("bench", "--board", "esp32dev"), "no board esp32dev is attached; plug one in"),
        (("bench", "--dataset", "cifar"), "cifar"),
        (("bench", "--model", "no.tflite", "--data", "no.npz"), "no.npz"),
        (("bench", "--dataset", "mnist", "--data", "no.npz"), "--data and --dataset contradict"),
        (("bench", "--data", "random:none"), "is not random[:N[:SEED]]"),
        (("bench", "--data", "digits", "--target", "a"), "--target a needs a .csv file"),
        (("report", "no-such-folder"), "no-such-folder"),
        (("verify", "no-such-folder"), "there is no folder no-such-folder"),
        (
            ("emulate", "mps2"),
            "--firmware is missing; pass an ELF file, or build and start one: hil flash",
        ),
        (("flash", "--port", "x"), "--port does not say which board is there; add --board"),
        (("flash", "--port", "x", "--serial", "y"), "both select the board; give one of them"),
        (("flash", "--board", "mps2", "--port", "x"), "is emulated and opens its own port"),
        (("flash", "--board", "mars"), "no board is called 'mars'"),
        (("flash", "--board", "mps2", "--model", "no.tflite"), "no.tflite"),
        (("headers", "student", "--out", "x"), "is not NAME=FILE.tflite"),
        (("study", "compression", "--recipe", "none"), "no recipe is called 'none'"),
        (("export", "model.onnx"), "export takes .tflite, .keras and .h5 files"),
    ],
)
def test_a_user_error_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    says: str,
) -> None:
    monkeypatch.setattr("serial.tools.list_ports.comports", list)
    assert hil(monkeypatch, *words) == 2
    shown = capsys.readouterr()
    assert says in shown.err
    assert shown.err.count("\n") == 1
    assert "Traceback" not in shown.err


def test_an_unknown_option_is_exit_code_2(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hil(monkeypatch, "bench", "--speed", "fast") == 2


def imported(code: str) -> set[str]:
    """The modules that ``code`` imports."""
    code = f"{code}\nimport sys\nprint('\\n'.join(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_import_hil_imports_nothing_else() -> None:
    assert {m for m in imported("import hil") if m.split(".")[0] == "hil"} == {"hil"}


@pytest.mark.parametrize("words", [["--help"], ["--version"], []])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    code = f"""
import sys
sys.argv = ["hil", *{words}]
from hil.cli.main import main
try:
    main()
except SystemExit:
    pass"""
    found = imported(code)
    assert "hil.cli.main" in found
    assert found.isdisjoint(HEAVY)


def test_every_command_is_listed_and_an_unknown_one_is_not() -> None:
    group = typer.main.get_command(app)
    context = group.make_context("hil", ["bench"], resilient_parsing=True)
    assert group.list_commands(context) == list(COMMANDS)  # type: ignore[attr-defined]
    assert group.get_command(context, "bnech") is None  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_shows_the_summary_of_each_command(name: str) -> None:
    command = load_command(name, COMMANDS[name])
    paragraph, *_ = (command.help or "").split("\n\n")
    assert COMMANDS[name].summary == " ".join(paragraph.split())
    assert (command.name, command.hidden) == (name, COMMANDS[name].hidden)


@pytest.mark.parametrize("name", [name for name, one in COMMANDS.items() if one.module])
def test_a_paragraph_of_help_has_no_line_breaks(name: str) -> None:
    """Terminals wrap it to their own width; typer keeps a docstring's line breaks."""
    text = load_command(name, COMMANDS[name]).help
    assert all("\n" not in paragraph for paragraph in text.strip().split("\n\n"))


def test_errors_say_what_and_what_to_do() -> None:
    assert str(ToolMissing("x is not installed", "install it")) == "x is not installed; install it"
