# SPDX-License-Identifier: Apache-2.0
"""The two distributions: what is in them, one version, and what hil says without the other one."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import EntryPoints
from pathlib import Path

import pytest

import hil
from hil.cli.main import main

PROJECT = Path(__file__).parents[2]


def test_both_have_one_version() -> None:
    project = tomllib.loads((PROJECT / "hil_train/pyproject.toml").read_text())["project"]
    assert project["version"] == hil.__version__
    assert project["dependencies"] == [f"tinyml-hil[train]=={hil.__version__}"]
    assert project["optional-dependencies"] == {"sweep": [f"tinyml-hil[sweep]=={hil.__version__}"]}


@pytest.mark.thorough
def test_wheels_have_what_they_need_and_nothing_of_each_other(tmp_path: Path) -> None:
    def contents(project: Path) -> set[str]:
        out = tmp_path / project.name
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
        subprocess.run(build, cwd=project, check=True, capture_output=True, timeout=500)
        (wheel,) = out.glob("*.whl")
        with zipfile.ZipFile(wheel) as opened:
            return {name for name in opened.namelist() if ".dist-info/" not in name}

    ours, training = contents(PROJECT), contents(PROJECT / "hil_train")
    assert {name.split("/")[0] for name in ours} == {"hil"}
    needed = [
        path.relative_to(PROJECT).as_posix()
        for suffix in ("py", "j2", "toml")
        for path in (PROJECT / "hil_train").rglob(f"*.{suffix}")
        if path.name != "pyproject.toml"
    ]
    assert training == set(needed)
    assert "hil_train/recipes/mnist.toml" in training


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["train", "--recipe", "digits"], "`hil train`"),
        (["sweep", "digits"], "`hil sweep`"),
        (["study", "compression"], "`hil study`"),
        (["export", "x.keras"], "converting x.keras"),
    ],
)
def test_without_the_training_distribution_hil_says_how_to_install_it(
    words: list[str],
    what: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: EntryPoints())
    monkeypatch.setattr(sys, "argv", ["hil", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{what} needs the package tinyml-hil-train" in line
    assert "-e ./hil_train" in line
