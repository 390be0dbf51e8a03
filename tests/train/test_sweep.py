# SPDX-License-Identifier: Apache-2.0
"""Whole sweeps of a recipe that trains in a second, in this process and as commands."""

from __future__ import annotations

import importlib.util
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from hil.core.errors import TrainingFailed
from hil_train.plan import TrainingPlan
from hil_train.training import Fitted
from tests.support.needs import skip_without
from tests.support.postgres import PASSWORD, missing, server
from tests.support.training import BLOBS, STAGES, blobs_recipe, needs_tensorflow

_MISSING = [name for name in ("optuna", "psycopg") if not importlib.util.find_spec(name)]
pytestmark = [*needs_tensorflow, skip_without(_MISSING), pytest.mark.timeout(1200)]

PROJECT = Path(__file__).parents[2]
SCHEDULES = """
[schedules]
s = { epochs = 3, learning_rate = 1e-2, batch = 32, decay = "none" }
"""
RECIPE = BLOBS + SCHEDULES + STAGES


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return blobs_recipe(tmp_path_factory.mktemp("recipe"), RECIPE)


@pytest.fixture(scope="module")
def trained(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep's folder in which the teacher is trained already."""
    from hil_train import sweep

    folder = tmp_path_factory.mktemp("trained")
    request = sweep.SweepRequest(str(recipe), folder, PROJECT, 1)
    sweep.prepare(request, *sweep.load(request))
    return folder


def _swept(recipe: Path, folder: Path, trials: int, **changes: Any) -> Any:
    """Make trials in this process; the outcome."""
    from hil_train import outcome, storage, sweep

    request = sweep.SweepRequest(str(recipe), folder, PROJECT, trials)
    request = replace(request, **changes)
    job = sweep.prepare(request, *sweep.load(request))
    sweep.work(job)
    with storage.opened(job.url, job.study, job.settings) as made:
        return outcome.read(made, job.settings)


def _facts(found: Any) -> list[Any]:
    return [(row.state, row.seed, row.values, row.accuracy, row.epochs) for row in found.rows]


def test_a_sweep_is_repeatable_and_can_be_continued(
    recipe: Path, trained: Path, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        shutil.copytree(trained, tmp_path / name)
    whole = _swept(recipe, tmp_path / "a", 3)
    _swept(recipe, tmp_path / "b", 1)
    assert _facts(_swept(recipe, tmp_path / "b", 3)) == _facts(whole)
    assert [row.seed for row in whole.rows] == [1, 2, 3]
    assert whole.best.accuracy > 0.5  # of three classes
    other = _swept(recipe, tmp_path / "a", 1, study="other", seed=7)
    assert _facts(other) != _facts(whole)[:1]


def _alone(recipe: Path, ranges: str, epochs: int = 3) -> Path:
    """A sweep over a stage without a teacher."""
    path = recipe.with_name(f"{recipe.stem}-alone.toml")
    text = RECIPE.replace("epochs = 3", f"epochs = {epochs}")
    path.write_text(f'{text}[sweep]\nstage = "student_alone"\n{ranges}\n')
    return path


def _scripted(
    monkeypatch: pytest.MonkeyPatch, accuracy: Callable[[TrainingPlan, int], float]
) -> None:
    """Replace the trainings of trials by these accuracies on validation; NaN: the loss is NaN."""
    from hil_train import trial

    def fit(plan: TrainingPlan, _: object, *, extra: Sequence[Any], **__: object) -> Fitted:
        told = []
        for epoch in range(plan.schedule.epochs):
            told.append(accuracy(plan, epoch))
            if math.isnan(told[-1]):
                raise TrainingFailed("the loss of 'student_alone' is nan")
            for callback in extra:
                callback.on_epoch_end(epoch, {"val_accuracy": told[-1]})
        return Fitted(None, {"loss": told}, told[-1], seconds=1.0, rate=1.0)

    monkeypatch.setattr(trial, "training", SimpleNamespace(fit=fit))


def test_the_test_set_is_not_read(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hil_train import plan, sweep

    real = plan.load_data

    def load(*words: Any, **named: Any) -> Any:
        def refuse() -> Any:
            raise AssertionError("a sweep reads the test set")

        return replace(real(*words, **named), test=refuse)

    monkeypatch.setattr(sweep, "load_data", load)
    assert _swept(_alone(recipe, "epochs = [1]"), tmp_path, 1).ended == 1


def test_a_loss_that_is_not_finite_fails_only_its_trial(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _scripted(monkeypatch, lambda plan, _: math.nan if plan.schedule.learning_rate > 1 else 0.7)
    found = _swept(_alone(recipe, "learning_rate = [1e-3, 10.0]"), tmp_path, 5)
    assert {row.values["learning_rate"]: row.state for row in found.rows} == {
        1e-3: "complete",
        10.0: "failed",
    }
    assert found.ended == 5
    assert {row.reason for row in found.of("failed")} == {"the loss of 'student_alone' is nan"}


def test_a_trial_below_the_median_is_pruned(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranges = "learning_rate = { low = 0.01, high = 0.1, log = true }"
    _scripted(monkeypatch, lambda plan, epoch: plan.schedule.learning_rate * (1 + epoch))
    found = _swept(_alone(recipe, ranges, epochs=8), tmp_path, 12)
    rates = [row.values["learning_rate"] for row in found.rows]
    assert {row.state for row in found.rows[:5]} == {"complete"}
    for number, row in enumerate(found.rows[5:], 5):
        # the accuracy is proportional to the rate, in every epoch
        before = [rates[i] for i in range(number) if found.rows[i].state == "complete"]
        assert (row.state == "pruned") == (rates[number] < np.median(before))
        assert row.epochs == (3 if row.state == "pruned" else 8)
    assert {row.state for row in found.rows} == {"complete", "pruned"}


def test_networks_over_a_limit_are_not_trained(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _scripted(monkeypatch, lambda *_: 0.5)
    limited = {"limits": ("parameters=70",), "objectives": ("accuracy", "flash")}
    found = _swept(_alone(recipe, "width = [1, 2, 4]"), tmp_path, 5, **limited)
    count = {1: 35, 2: 67, 4: 131}  # 4 inputs, n hidden, 3 outputs: 8 n + 3
    assert {row.state for row in found.rows} == {"complete", "over"}
    for row in found.rows:
        assert row.figures["parameters"] == count[row.values["width"]]
        assert (row.state == "over") == (row.figures["parameters"] > 70)
        assert (row.epochs == 0) == (row.state == "over")
    assert len(list((tmp_path / "figures").glob("*.json"))) == len(
        {row.values["width"] for row in found.rows}
    )


def _command(recipe: Path, folder: Path, *words: str) -> list[str]:
    command = [sys.executable, "-m", "hil", "sweep", str(recipe), "--out", str(folder)]
    return [*command, "--workers", "1", *words]


def _start(command: list[str], **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=PROJECT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _end(process: subprocess.Popen[str]) -> tuple[int, str]:
    stdout, stderr = process.communicate(timeout=500)
    return process.returncode, stdout + stderr


@pytest.mark.slow
@pytest.mark.parametrize(("word", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_an_interrupted_sweep_can_be_continued(
    recipe: Path, tmp_path: Path, word: signal.Signals, code: int
) -> None:
    command = _command(recipe, tmp_path / "cut", "--trials", "12")
    with _start(command) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("trial 2"):
                break
        process.send_signal(word)
        assert _end(process)[0] == code
    # the same command, at once
    with _start(command) as process:
        ended, said = _end(process)
    assert (ended, "trials are complete" in said) == (0, True), said
    again = _rows(tmp_path / "cut")
    whole = _swept(recipe, tmp_path / "whole", 12)
    assert sorted((row["seed"], row["values"]) for row in again) == sorted(
        (row.seed, row.values) for row in whole.rows
    )
    assert [row["accuracy"] for row in sorted(again, key=lambda row: row["seed"])] == (
        pytest.approx([row.accuracy for row in whole.rows])
    )


@skip_without(missing())
def test_two_processes_share_a_study_in_postgresql(
    recipe: Path, trained: Path, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        shutil.copytree(trained, tmp_path / name)
    with server() as url:
        words = ("--trials", "8", "--study", "shared")
        started = [
            _start(_command(recipe, tmp_path / name, *words), HIL_SWEEP_STORAGE=url)
            for name in ("a", "b")
        ]
        ends = [_end(process) for process in started]
        assert [code for code, _ in ends] == [0, 0], ends
        wrong = url.replace(PASSWORD, "0ther-word")
        with _start(_command(recipe, tmp_path / "a", *words, "--storage", wrong)) as process:
            refused, said = _end(process)
    ours, theirs = (_rows(tmp_path / name, "shared") for name in ("a", "b"))
    assert ours == theirs
    assert sorted(row["seed"] for row in ours) == list(range(1, 9))
    assert {row["worker"] for row in ours} == {1, 2}
    assert refused == 2
    assert "password authentication failed" in said
    assert "0ther-word" not in said
    assert all(PASSWORD not in text for _, text in ends)


def _rows(folder: Path, study: str = "tiny") -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = msgspec.json.decode(
        (folder / study / "trials.json").read_bytes()
    )
    return rows


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--trials", "0"), "--trials must be at least 1"),
        (("--workers", "0"), "--workers must be at least 1"),
        (("--storage", "nowhere"), "--storage is not the URL of a database"),
        (("--study", "../x"), "--study '../x' is not a valid name"),
        (("--objective", "speed"), "no objective is called 'speed'"),
        (("--at-most", "speed"), "--at-most 'speed' is not a limit"),
    ],
)
def test_bad_options_are_refused_in_one_line(
    recipe: Path,
    tmp_path: Path,
    words: tuple[str, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from hil.cli.main import main

    monkeypatch.chdir(PROJECT)
    monkeypatch.setattr(sys, "argv", ["hil", *_command(recipe, tmp_path, *words)[3:]])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
