# SPDX-License-Identifier: Apache-2.0
"""The lock files: everything that pyproject.toml asks for, pinned once and with its hashes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name as canonical

PROJECT = Path(__file__).parents[2]
WHOLE = tomllib.loads((PROJECT / "pyproject.toml").read_text())
ASKED = {"base": WHOLE["project"]["dependencies"], "build": WHOLE["build-system"]["requires"]}
ASKED |= WHOLE["project"]["optional-dependencies"]
RELOCK = "run tools/lock.sh"


def pinned(file: Path) -> dict[str, str]:
    """Name -> version."""
    lines = re.findall(r"^([\w.-]+)==([^\s;]+)", file.read_text(), re.MULTILINE)
    return {canonical(name): version for name, version in lines}


@pytest.mark.parametrize("lock", sorted((PROJECT / "locks").glob("*.txt")), ids=lambda p: p.stem)
def test_every_line_is_a_pin_with_hashes(lock: Path) -> None:
    text = "\n".join(line for line in lock.read_text().splitlines() if not line.startswith("#"))
    assert text or not ASKED[lock.stem]
    for block in filter(None, re.split(r"\n(?=\S)", text)):
        assert re.match(r"[\w.-]+(\[\w+\])?==\S+( ; [^\\]+)? \\\n", block), block[:80]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}$", block), block[:80]
    assert "://" not in text  # nobody's registry


@pytest.mark.parametrize("name", ASKED)
def test_everything_asked_for_is_locked_in_a_version_that_fits(name: str) -> None:
    locked = pinned(PROJECT / "locks" / f"{name}.txt")
    locked |= pinned(PROJECT / "locks/base.txt") if name != "build" else {}
    for wanted in map(Requirement, ASKED[name]):
        version = locked.get(canonical(wanted.name))
        assert version, f"{wanted.name} is in no lock: {RELOCK}"
        assert wanted.specifier.contains(version, prereleases=True), f"{wanted}: {RELOCK}"


def test_locks_and_constraints_agree() -> None:
    for lock in (PROJECT / "locks").glob("*.txt"):
        own = PROJECT / f"constraints-{lock.stem}.txt"  # of a program with its own environment
        against = pinned(own if own.exists() else PROJECT / "constraints.txt")
        for name, version in pinned(lock).items():
            assert against.get(name) == version, f"{name} in {lock.name}: {RELOCK}"
