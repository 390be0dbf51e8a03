# SPDX-License-Identifier: Apache-2.0
"""Shell completion, and the examples in each command's help."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from hil.cli.examples import EXAMPLES
from hil.cli.main import COMMANDS, load_command
from tests.support.command_line import hil


def completed(
    line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> list[str]:
    """What bash is offered when Tab is pressed at the end of ``line``."""
    words = line.split(" ")
    for name, value in (
        ("_HIL_COMPLETE", "complete_bash"),
        ("COMP_WORDS", line),
        ("COMP_CWORD", str(len(words) - 1)),
    ):
        monkeypatch.setenv(name, value)
    assert hil(monkeypatch, folder=folder) == 0
    return capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("hil b", ["bench", "boards"]),
        (
            "hil bench --board n",
            ["nano33ble", "nanorp2040connect", "native", "nrf52840-renode", "nucleo-h753zi-renode"],
        ),
        ("hil bench --board mine", ["mine"]),  # the project's own
        ("hil bench --board mps2 --engine ", ["aot", "aot-fast", "tflm", "bakenn", "user"]),
        ("hil bench --dataset d", ["digits"]),
        ("hil bench --model t", ["teacher"]),
        ("hil bench --model m", ["my.keras", "my.tflite"]),
        ("hil bench --model ./m", ["./my.keras", "./my.tflite"]),
        ("hil bench --data m", ["mnist", "my.npz"]),
        ("hil bench --data s", ["sub/"]),
        ("hil bench --data sub/", ["sub/more.csv"]),
        ("hil bench --precision i", ["int8", "int16"]),
        ("hil flash --board mps", ["mps2"]),
        ("hil emulate mps", ["mps2"]),
        ("hil doctor --engine cmsis", ["cmsis-nn"]),
        ("hil compare --format j", ["json", "junit"]),
        ("hil mlperf --data m", []),  # a folder: bash completes it
    ],
)
def test_names_and_files_are_completed(
    line: str,
    offers: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("my.tflite", "my.keras", "my.npz", "my.txt", ".hidden.npz", "sub/more.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "hil.toml").touch()
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards" / "mine.toml").write_text("not a board yet")
    assert completed(line, monkeypatch, capsys, tmp_path) == offers


def test_the_commands_are_completed_without_importing_them(tmp_path: Path) -> None:
    environment = {"_HIL_COMPLETE": "complete_bash", "COMP_WORDS": "hil ", "COMP_CWORD": "1"}
    code = "import sys; sys.argv = ['hil']; from hil.cli.main import main\ntry: main()\n"
    code += "finally: print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    offered = done.stdout.split()
    assert offered == [name for name, one in COMMANDS.items() if not one.hidden]
    assert {"numpy", "platformio", "hil.cli.bench"}.isdisjoint(done.stderr.split())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_can_be_installed(shell: str, tmp_path: Path) -> None:
    code = "import sys; sys.argv[0] = 'hil'; from hil.cli.main import main; main()"
    named = {"HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, "--install-completion", shell],
        env={**os.environ, **named},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "completion installed in" in done.stdout
    assert [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_ends_with_examples(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERMINAL_WIDTH", "200")
    assert hil(monkeypatch, name, "--help") == 0
    shown = capsys.readouterr().out
    assert EXAMPLES[name]
    for example in EXAMPLES[name]:
        assert f"$ {example}" in " ".join(shown.split())


@pytest.mark.parametrize("example", [one for some in EXAMPLES.values() for one in some])
def test_each_example_is_a_valid_command_line(example: str) -> None:
    program, name, *words = shlex.split(example)
    assert program == "hil"
    command = load_command(name, COMMANDS[name])
    while inner := getattr(command, "commands", None):  # a group
        command, words = inner[words[0]], words[1:]
    command.make_context(name, words)
