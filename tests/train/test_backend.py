# SPDX-License-Identifier: Apache-2.0
"""Without TensorFlow and Optuna: importing works, and commands say what to install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hil.core.errors import ToolMissing
from hil_train import backend, pipeline


@pytest.mark.thorough
def test_importing_does_not_import_tensorflow() -> None:
    code = (
        "import sys, hil_train, hil_train.cli, hil_train.pipeline, hil_train.study\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=500)


def test_a_missing_package_is_named_with_the_command_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # both, so that this test imports neither
    for name in ("keras", "tensorflow"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(pipeline, "require", backend.require.__wrapped__)
    with pytest.raises(ToolMissing, match=r"pip install -e '\.\[train\]' -e ./hil_train"):
        pipeline.train("digits", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--recipe", "cifar"], "no recipe is called 'cifar'"),
        (["--recipe", "gone.toml"], "gone.toml cannot be read"),
        (["--dataset", "cifar10-made"], "no recipe is called 'cifar10-made'"),
    ],
)
def test_an_unknown_recipe_is_refused(words: list[str], said: str) -> None:
    command = [sys.executable, "-m", "hil", "train", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 2
    assert said in done.stderr


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    here = {"keras", "tensorflow", "sqlalchemy"}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name if name in here else None)
    with pytest.raises(ToolMissing) as refused:
        backend.require_installed("train", "sweep")
    assert str(refused.value) == (
        "not installed: matplotlib, optuna; in a checkout, run: "
        "pip install -e '.[train,sweep]' -e ./hil_train"
    )
    here |= {"matplotlib", "optuna"}
    backend.require_installed("train", "sweep")


@pytest.mark.thorough
def test_the_command_line_does_not_load_optuna() -> None:
    code = "import sys, hil.cli.main\nassert not {'optuna', 'sqlalchemy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=500)
