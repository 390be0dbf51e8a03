# SPDX-License-Identifier: Apache-2.0
"""What a sweep may vary and be after; without Optuna or TensorFlow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from hil.core.errors import ConfigError, ToolMissing, UsageError
from hil_train import backend, recipe
from hil_train.recipe import Axis
from hil_train.sweep import study
from tests.train.test_recipes import GOOD, find


def test_a_section_is_read(tmp_path: Path) -> None:
    text = GOOD + "[sweep]\nalpha = [0.1, 0.9]\nwidth = { low = 0.5, high = 2, step = 0.5 }\n"
    section = find(tmp_path, text).sweep
    assert section is not None
    assert recipe.axes(section) == {"alpha": (0.1, 0.9), "width": Axis(low=0.5, high=2, step=0.5)}


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("momentum = [0.9]", "unknown field `momentum`"),
        ("alpha = { low = 0, high = 1, steps = 3 }", "unknown field `steps`"),
        ("alpha = [0.5, 1.5]", "sweep.alpha: 1.5 is not within 0..1"),
        ("alpha = []", "sweep.alpha: names no values"),
        ("alpha = [0.1, 0.1]", "sweep.alpha: one value is there twice"),
        ("temperature = { low = 0, high = 9 }", "sweep.temperature: 0 is not within 0.01..1000"),
        ("learning_rate = { low = 1, high = 1 }", "low 1 is not below high 1"),
        ("alpha = { low = 0, high = 1, log = true }", "a logarithmic axis begins above 0"),
        ("width = { low = 1, high = 2, step = 3 }", "a step of 3 does not fit"),
        ("batch = [1.5]", "sweep.batch: takes whole numbers"),
        ("width = { low = 1, high = inf }", "inf is not within"),
        ("", "sweep: names nothing to vary"),
        ('stage = "pupil"\nalpha = [1]', "sweep.stage: there is no stage 'pupil'"),
        ('stage = "student_alone"\nalpha = [1]', "sweep.alpha: stage 'student_alone' has no"),
    ],
)
def test_a_wrong_section_is_refused(tmp_path: Path, section: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"mine\.toml") as refused:
        find(tmp_path, f"{GOOD}[sweep]\n{section}\n")
    assert said in refused.value.what


def test_the_usual_axes() -> None:
    found = recipe.usual(1e-3, loss=True, width=True)
    assert list(found) == ["temperature", "alpha", "learning_rate", "width"]
    rate = found["learning_rate"]
    assert isinstance(rate, Axis)
    assert (rate.low * rate.high) ** 0.5 == pytest.approx(1e-3, rel=0.01)
    assert list(recipe.usual(5, loss=False, width=False)) == ["learning_rate"]
    named = msgspec.convert(msgspec.to_builtins(found), recipe.Sweep)
    assert (recipe.fault(named), recipe.axes(named)) == ("", found)


def test_goals_are_checked() -> None:
    assert study.objectives(()) == ("accuracy",)
    assert study.objectives(["flash", "accuracy", "flash"]) == ("accuracy", "flash")
    assert study.limits(["arena=100", "instructions=7"]) == {"arena": 100, "instructions": 7}
    with pytest.raises(UsageError, match="leaves accuracy out"):
        study.objectives(["flash"])
    with pytest.raises(UsageError, match="no objective is called 'speed'"):
        study.objectives(["speed"])
    for word in ("arena", "arena=0", "arena=-1", "speed=3", "arena=1e6"):
        with pytest.raises(UsageError, match="is no limit"):
            study.limits([word])
    with pytest.raises(UsageError, match="is no limit"):
        study.limits(["arena=1", "arena=2"])


def test_without_optuna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ToolMissing, match=r"pip install -e '\.\[train,sweep\]'"):
        backend.require_optuna()


def test_the_command_line_does_not_load_optuna() -> None:
    code = "import sys, hil.cli.main\nassert not {'optuna', 'sqlalchemy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=500)
