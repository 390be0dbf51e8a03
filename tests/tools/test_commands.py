# SPDX-License-Identifier: Apache-2.0
"""Every command in the documents exists: `hil` with its options, `make`, `pio`, `python`."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator

import pytest

from hil.cli.main import COMMANDS, load_command
from tests.tools.test_paths import DOCUMENTS, exists, quoted, text
from tools import PROJECT

PLUGIN = "\n".join(file.read_text() for file in (PROJECT / "hil" / "pytest_plugin").glob("*.py"))
# of the environment that a document is about, so not this project's
OTHERS = {
    "pytest": {"--junitxml", "--pyargs", "-o", "-m", "-n", "-q"},
    "hil": {"--help", "--version", "--install-completion"},
}


def lines(name: str) -> list[str]:
    """The commands of a document: `$` lines of its consoles, and commands between backticks."""
    blocks = re.findall(r"^```console\n(.*?)^```", text(name), re.DOTALL | re.MULTILINE)
    found = [
        line.removeprefix("$ ")
        for block in blocks
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith("$ ")
    ]
    return [
        *found,
        *(word for word in quoted(name) if re.match(r"(hil|make|python|pytest) ", word)),
    ]


def commands(program: str) -> Iterator[tuple[str, list[str]]]:
    """Document and words after the program's name, for every command that runs it."""
    for name in DOCUMENTS:
        for line in lines(name):
            try:
                words = shlex.split(line, comments=True)
            except ValueError:  # a quotation that is cut short on purpose
                continue
            while words and re.fullmatch(r"\w+=\S*", words[0]):
                words.pop(0)
            if words and words[0].rpartition("/")[2] == program:
                yield name, words[1:]


def options(words: list[str]) -> set[str]:
    return {word.partition("=")[0] for word in words if re.match(r"--?[A-Za-z]", word)}


def test_hil_has_each_command_and_option() -> None:
    seen = 0
    for name, (first, *words) in commands("hil"):
        if first in {"...", *OTHERS["hil"]}:
            continue
        assert first in COMMANDS, f"hil {first} in {name}"
        command = load_command(first, COMMANDS[first])
        inner = getattr(command, "commands", {})
        if words and words[0] in inner:
            command = inner[words[0]]
        known = {
            one
            for parameter in command.params
            for one in (*parameter.opts, *parameter.secondary_opts)
        }
        assert options(words) - OTHERS["hil"] <= known, f"hil {first} {words} in {name}"
        seen += 1
    assert seen > 80


def test_pytest_has_each_option() -> None:
    for name, words in commands("pytest"):
        for option in options(words) - OTHERS["pytest"]:
            assert f'"{option}"' in PLUGIN, f"{option} in {name}"
        for word in words:
            if word.startswith("tests/"):
                assert exists(word), f"{word} in {name}"


def test_make_has_each_target() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    for name, words in commands("make"):
        if "-f" in words:  # another project's
            continue
        for word in words:
            assert re.search(rf"^{word}:", makefile, re.MULTILINE), f"make {word} in {name}"


def test_python_runs_what_is_there() -> None:
    for name, words in commands("python"):
        if words[0] == "-m":
            path = words[1].replace(".", "/")
            assert exists(f"{path}.py") or exists(f"{path}/__main__.py"), f"{words} in {name}"
        elif not words[0].startswith("TINY/"):  # another project's
            assert exists(words[0]), f"{words} in {name}"


def test_extras_exist() -> None:
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    for name in DOCUMENTS:
        for listed in re.findall(r"install -e '\.\[([\w,]+)\]'", text(name)):
            assert set(listed.split(",")) <= set(extras["optional-dependencies"]), name


@pytest.mark.parametrize("line", ["hil bench --bord mps2", "hil brench", "hil bench --limit=3"])
def test_options_are_told_from_values(line: str) -> None:
    words = shlex.split(line)[1:]
    assert options(words) == (
        {"--bord"} if "bord" in line else {"--limit"} if "=" in line else set()
    )
