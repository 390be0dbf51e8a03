"""The GitHub workflow: it parses, its rights are small, and its commands are there."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hil.cli.lazy import COMMANDS, load

PROJECT = Path(__file__).parents[1]
BENCH = PROJECT / ".github" / "workflows" / "bench.yml"
WORKFLOW: dict[Any, Any] = yaml.safe_load(BENCH.read_text())
JOBS: dict[str, Any] = WORKFLOW["jobs"]
STEPS = [step for job in JOBS.values() for step in job["steps"]]
SCRIPTS = [step["run"] for step in STEPS if "run" in step]
OURS = {"actions/checkout", "actions/setup-python", "actions/upload-artifact"}


def commands() -> Iterator[list[str]]:
    """The words of every `hil` command, one list a command."""
    for script in SCRIPTS:
        for line in script.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0].endswith("/hil"):
                yield [word for word in words[1:] if not word.startswith("$")]


def test_it_runs_on_pull_requests_with_their_own_rights() -> None:
    assert list(WORKFLOW[True]) == ["pull_request"]  # YAML 1.1 reads `on` as true
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in JOBS.values())
    assert "secrets." not in BENCH.read_text()
    assert all(job["timeout-minutes"] <= 60 for job in JOBS.values())


def test_actions_are_githubs_own_and_pinned() -> None:
    used = [step["uses"].split("@") for step in STEPS if "uses" in step]
    assert {name for name, _ in used} == OURS
    assert all(re.fullmatch(r"v\d+\.\d+\.\d+", version) for _, version in used)
    checkouts = [step for step in STEPS if step.get("uses", "").startswith("actions/checkout")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_nothing_that_a_stranger_wrote_is_put_into_a_script() -> None:
    assert not any("${{" in script for script in SCRIPTS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_are_shell(script: str) -> None:
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_command_is_one_of_ours() -> None:
    known = {name: load(name, command) for name, command in COMMANDS.items()}
    found = list(commands())
    assert [words[0] for words in found] == ["doctor", "bench", "compare"]
    rest = [
        ["bench", *shlex.split(one["precisions"])]
        for job in JOBS.values()
        for one in job["strategy"]["matrix"]["include"]
    ]
    allow = re.search(r"'(--allow \w+)'", BENCH.read_text())
    assert allow is not None
    for words in [*found, *rest, ["compare", *allow[1].split()]]:
        options = {name for parameter in known[words[0]].params for name in parameter.opts}
        assert {word for word in words if word.startswith("--")} - {"--no-open"} <= options
    assert "--format" in {o for p in known["compare"].params for o in p.opts}


def test_its_boards_are_emulated_and_configured() -> None:
    from hil.boards.config import load_board

    for job in JOBS.values():
        for one in job["strategy"]["matrix"]["include"]:
            assert load_board(one["board"], PROJECT).emulator is not None
