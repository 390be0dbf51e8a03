# SPDX-License-Identifier: Apache-2.0
"""The GitHub workflows: they parse, their permissions are small, and their commands exist."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hil.cli.main import COMMANDS, load_command

PROJECT = Path(__file__).parents[2]
FILES = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))
BENCH = PROJECT / ".github" / "workflows" / "bench.yml"
CHECK = PROJECT / ".github" / "workflows" / "check.yml"
OURS = {"actions/checkout", "actions/setup-python", "actions/upload-artifact"}


def workflow(file: Path) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(file.read_text())
    return found


def steps(file: Path) -> list[dict[str, Any]]:
    return [step for job in workflow(file)["jobs"].values() for step in job["steps"]]


def scripts(file: Path) -> list[str]:
    return [step["run"] for step in steps(file) if "run" in step]


def commands() -> Iterator[list[str]]:
    """The words of every `hil` command of the comparison, one list per command."""
    for script in scripts(BENCH):
        for line in script.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0].endswith("/hil"):
                yield [word for word in words[1:] if not word.startswith("$")]


def test_both_workflows_are_there() -> None:
    assert FILES == [BENCH, CHECK]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_may_read_and_no_more(file: Path) -> None:
    found = workflow(file)
    assert found["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in found["jobs"].values())
    assert "secrets." not in file.read_text()
    assert all(job["timeout-minutes"] <= 60 for job in found["jobs"].values())


def test_when_they_run() -> None:
    # YAML 1.1 reads `on` as true. pull_request_target would run with the base's permissions.
    assert list(workflow(BENCH)[True]) == ["pull_request"]
    assert workflow(CHECK)[True] == {"push": {"branches": ["main"]}, "pull_request": None}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_actions_are_githubs_own_and_pinned(file: Path) -> None:
    used = [step["uses"].split("@") for step in steps(file) if "uses" in step]
    assert {name for name, _ in used} <= OURS
    assert all(re.fullmatch(r"v\d+\.\d+\.\d+", version) for _, version in used)
    checkouts = [step for step in steps(file) if step.get("uses", "").startswith("actions/check")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.mark.parametrize("script", [one for file in FILES for one in scripts(file)])
def test_scripts_are_shell_without_text_from_outside(script: str) -> None:
    assert "${{" not in script
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_python_that_is_allowed_is_checked() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    bounds = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", project["requires-python"])
    assert bounds is not None
    allowed = [f"3.{minor}" for minor in range(int(bounds[1]), int(bounds[2]))]
    jobs = workflow(CHECK)["jobs"]
    assert jobs["check"]["strategy"]["matrix"]["python"] == allowed
    assert jobs["check"]["container"]["image"] == "python:${{ matrix.python }}-bookworm"
    assert jobs["test"]["container"]["image"] == f"python:{allowed[0]}-bookworm"


def test_it_makes_what_the_makefile_has() -> None:
    targets = set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    made = [script.split() for script in scripts(CHECK) if script.startswith("make")]
    assert made == [["make", "tools"], ["make", "check"], ["make", "test"]]
    assert {target for _, target in made} <= targets


def test_every_command_is_one_of_ours() -> None:
    known = {name: load_command(name, command) for name, command in COMMANDS.items()}
    found = list(commands())
    assert [words[0] for words in found] == ["doctor", "bench", "compare"]
    matrix = workflow(BENCH)["jobs"]["compare"]["strategy"]["matrix"]["include"]
    rest = [["bench", *shlex.split(one["precisions"])] for one in matrix]
    allow = re.search(r"'(--allow \w+)'", BENCH.read_text())
    assert allow is not None
    for words in [*found, *rest, ["compare", *allow[1].split()]]:
        options = {name for parameter in known[words[0]].params for name in parameter.opts}
        assert {word for word in words if word.startswith("--")} - {"--no-open"} <= options
    assert "--format" in {o for p in known["compare"].params for o in p.opts}


def test_its_boards_are_emulated_and_configured() -> None:
    from hil.boards.config import load_board

    for one in workflow(BENCH)["jobs"]["compare"]["strategy"]["matrix"]["include"]:
        assert load_board(one["board"], PROJECT).emulator is not None


@pytest.mark.parametrize(("folder", "found"), [("hil/boards", True), ("boards", True), ("", False)])
def test_a_board_that_the_base_lacks_is_skipped(folder: str, found: bool, tmp_path: Path) -> None:
    """The job's first script says which; every later step that needs the base depends on it."""
    (tmp_path / "base" / "hil" / "boards").mkdir(parents=True)
    (tmp_path / "base" / "hil" / "boards" / "other.toml").touch()
    if folder:
        (tmp_path / "base" / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / "base" / folder / "mine.toml").touch()
    said = tmp_path / "output"
    (look,) = [step for step in steps(BENCH) if step.get("id") == "base"]
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", look["run"]],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "BOARD": "mine", "GITHUB_OUTPUT": str(said)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.read_text() == f"has_board={str(found).lower()}\n"
    assert ("the base has no board mine" in done.stdout) is not found
    condition = "steps.base.outputs.has_board == 'true'"
    for step in steps(BENCH)[3:-1]:
        assert step.get("if") == condition, step["name"]
    assert [step["name"] for step in steps(BENCH)[:3]] == [
        "Check out the base",
        "Check out the merge result",
        "Look for the board in the base",
    ]
