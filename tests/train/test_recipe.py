# SPDX-License-Identifier: Apache-2.0
"""The sweep section of a recipe. Without TensorFlow and Optuna."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from hil.core.errors import ConfigError
from hil_train import recipe
from hil_train.recipe import Range
from tests.train.test_plan import GOOD, find


def test_a_section_is_read(tmp_path: Path) -> None:
    text = GOOD + "[sweep]\nalpha = [0.1, 0.9]\nwidth = { low = 0.5, high = 2, step = 0.5 }\n"
    section = find(tmp_path, text).sweep
    assert section is not None
    assert recipe.ranges(section) == {
        "alpha": (0.1, 0.9),
        "width": Range(low=0.5, high=2, step=0.5),
    }


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("momentum = [0.9]", "unknown field `momentum`"),
        ("alpha = { low = 0, high = 1, steps = 3 }", "unknown field `steps`"),
        ("alpha = [0.5, 1.5]", "sweep.alpha: 1.5 is not within 0..1"),
        ("alpha = []", "sweep.alpha: has no values"),
        ("alpha = [0.1, 0.1]", "sweep.alpha: has a value twice"),
        ("temperature = { low = 0, high = 9 }", "sweep.temperature: 0 is not within 0.01..1000"),
        ("learning_rate = { low = 1, high = 1 }", "low 1 is not below high 1"),
        ("alpha = { low = 0, high = 1, log = true }", "a logarithmic range starts above 0"),
        ("width = { low = 1, high = 2, step = 3 }", "a step of 3 does not fit"),
        ("batch = [1.5]", "sweep.batch: must be whole numbers"),
        ("width = { low = 1, high = inf }", "inf is not within"),
        ("", "sweep: varies nothing"),
        ('stage = "pupil"\nalpha = [1]', "sweep.stage: there is no stage 'pupil'"),
        ('stage = "student_alone"\nalpha = [1]', "sweep.alpha: stage 'student_alone' has no"),
    ],
)
def test_a_wrong_section_is_refused(tmp_path: Path, section: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"mine\.toml") as refused:
        find(tmp_path, f"{GOOD}[sweep]\n{section}\n")
    assert said in refused.value.what


def test_the_default_ranges_are_valid() -> None:
    found = recipe.default_ranges(1e-3, loss=True, width=True)
    assert list(found) == ["temperature", "alpha", "learning_rate", "width"]
    rate = found["learning_rate"]
    assert isinstance(rate, Range)
    assert (rate.low * rate.high) ** 0.5 == pytest.approx(1e-3, rel=0.01)
    assert list(recipe.default_ranges(5, loss=False, width=False)) == ["learning_rate"]
    named = msgspec.convert(msgspec.to_builtins(found), recipe.Sweep)
    assert (recipe.sweep_fault(named), recipe.ranges(named)) == ("", found)
