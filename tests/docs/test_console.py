# SPDX-License-Identifier: Apache-2.0
"""The commands in the documents' consoles run as written, or a comment above says why not.

Each page is one script, run in an empty folder with `my.tflite` and `my.npz`. Lines that install
packages are left out: tests/install does that.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hil.datasets import load
from tests.tools.test_paths import DOCUMENTS, text
from tools import PROJECT

_BLOCK = re.compile(r"(?:^<!-- ([^\n]*?) -->\n)?^```console\n(.*?)^```", re.DOTALL | re.MULTILINE)
_INSTALL = re.compile(
    r"(python3 -m venv|\. \S+/bin/activate|pip install|hil doctor --install)\b.*|export .*"
)
MODEL = PROJECT / "models" / "digits" / "student_int8.tflite"


def blocks(name: str) -> list[tuple[str, list[str]]]:
    """The reason not to run a console, empty to run it, and its commands."""
    found = []
    for reason, body in _BLOCK.findall(text(name)):
        lines = re.sub(r"\\\n\s*", "", body).splitlines()
        commands = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        found.append((reason, commands))
    return found


def script(name: str) -> list[str]:
    """The commands of a page that are run."""
    commands = [line for reason, lines in blocks(name) if not reason for line in lines]
    return [line for line in commands if not _INSTALL.fullmatch(line)]


PAGES = [name for name in DOCUMENTS if script(name)]


def test_a_comment_above_a_console_says_why_it_is_not_run() -> None:
    for name in DOCUMENTS:
        for reason, commands in blocks(name):
            assert commands, f"a console without a command in {name}"
            assert not reason or re.match(r"not run: (needs|takes|downloads) \w", reason), name


def test_the_pages_for_a_first_visit_are_run() -> None:
    assert {"README.md", "docs/tutorial.md", "docs/adding-a-model.md"} <= set(PAGES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(MODEL, tmp_path / "my.tflite")
    digits = load("digits")
    np.savez(tmp_path / "my.npz", x=digits.x, y=digits.y)
    for name in ("yesterday", "today"):
        shutil.copytree(PROJECT / "results" / "example", tmp_path / "results" / name)
    (tmp_path / "board.log").write_text("class 7 in 52 ms\nclass 2 in 51 ms\n")
    (tmp_path / "no-mnist").mkdir()
    return tmp_path


@pytest.mark.firmware
@pytest.mark.parametrize("page", PAGES)
def test_the_commands_run(page: str, folder: Path) -> None:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HIL_DATA_DIR": str(folder / "no-mnist"),  # the digits of scikit-learn are used
    }
    done = subprocess.run(
        ["/bin/sh", "-ex", "-c", "\n".join(script(page))],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
