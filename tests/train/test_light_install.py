# SPDX-License-Identifier: Apache-2.0
"""Without the train extra: importing works, training says what to install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hil.core.errors import ToolMissing
from hil_train import backend, pipeline

pytestmark = pytest.mark.thorough


def test_importing_does_not_import_tensorflow() -> None:
    code = (
        "import sys, hil_train, hil_train.pipeline, hil_train.export, hil_train.plan\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=500)


def test_a_missing_package_is_named_with_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # both: neither may really be imported by a test of the light install
    for name in ("keras", "tensorflow"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(pipeline, "require", backend.require.__wrapped__)
    with pytest.raises(ToolMissing, match=r"pip install -e '\.\[train\]'"):
        pipeline.train("digits", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--recipe", "cifar"], "no recipe called 'cifar'"),
        (["--recipe", "gone.toml"], "gone.toml cannot be read"),
        (["--dataset", "cifar10-made"], "no recipe called 'cifar10-made'"),
    ],
)
def test_what_no_recipe_is_called_is_refused(words: list[str], said: str) -> None:
    command = [sys.executable, "-m", "hil", "train", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 2
    assert said in done.stderr
