"""Where the firmware's sources are, and how its C compiles on the host."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
FIRMWARE = PROJECT / "firmware"
INCLUDES = [
    *(f"-I{FIRMWARE / 'lib' / name}" for name in ("hil_engine", "hil_wire", "hil_session")),
    f"-I{FIRMWARE / 'port'}",
    f"-I{FIRMWARE / 'test'}",
    f"-I{FIRMWARE / 'test' / 'fake_image'}",
]
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror"]


def run(words: list[str], timeout: float = 100) -> str:
    """Output of a command that must succeed."""
    done = subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"{words[0]} ended with {done.returncode}:\n{done.stdout[-4000:]}"
    return done.stdout


def needs(missing: list[str]) -> None:
    """Skip the test that calls it where tools are missing; on CI, which installs them, fail it."""
    if missing and os.environ.get("CI") == "true":
        pytest.fail(f"not installed, on CI: {', '.join(missing)}")
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


@pytest.fixture
def golden_header(tmp_path: Path) -> Path:
    """A folder with golden.h in it."""
    script = FIRMWARE / "scripts" / "golden_header.py"
    run([sys.executable, str(script), str(tmp_path), str(FIRMWARE / "golden" / "wire.json")])
    return tmp_path


@pytest.fixture
def needs_gcc() -> None:
    needs([tool for tool in ("gcc", "g++") if not shutil.which(tool)])
