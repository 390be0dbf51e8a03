# SPDX-License-Identifier: Apache-2.0
"""What `import hil` and `hil --help` cost: nothing heavy is imported, and the list is right."""

import subprocess
import sys

import pytest
import typer

from hil.cli.main import COMMANDS, app, load

HEAVY = ("tensorflow", "keras", "scipy", "matplotlib", "numpy", "pandas", "sklearn", "platformio")


def imported(code: str) -> set[str]:
    """The modules that are there after ``code``."""
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


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_what_the_command_says(name: str) -> None:
    command = load(name, COMMANDS[name])
    paragraph, *_ = (command.help or "").split("\n\n")
    assert COMMANDS[name].says == " ".join(paragraph.split())
    assert (command.name, command.hidden) == (name, COMMANDS[name].hidden)


def test_every_command_is_listed_and_an_unknown_one_is_not() -> None:
    group = typer.main.get_command(app)
    context = group.make_context("hil", ["bench"], resilient_parsing=True)
    assert group.list_commands(context) == list(COMMANDS)  # type: ignore[attr-defined]
    assert group.get_command(context, "bnech") is None  # type: ignore[attr-defined]
