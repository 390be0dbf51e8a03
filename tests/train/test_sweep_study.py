# SPDX-License-Identifier: Apache-2.0
"""Studies and what is read out of them: Optuna itself is the oracle. No TensorFlow."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest

if not importlib.util.find_spec("optuna") and os.environ.get("CI") != "true":
    pytest.skip("not installed: optuna", allow_module_level=True)

import optuna
from optuna.trial import TrialState, create_trial

from hil.core.errors import HilError, StorageError, UsageError
from hil.core.records import Precision
from hil_train.recipe import Axis
from hil_train.sweep import charts, outcome, report, study
from hil_train.sweep.study import Settings

T = optuna.distributions.FloatDistribution(1, 20, log=True)
A = optuna.distributions.FloatDistribution(0, 1)


def settings(*objectives: str, **changes: Any) -> Settings:
    made = Settings(
        recipe="r",
        stage="student",
        axes={"temperature": Axis(low=1, high=20, log=True), "alpha": Axis(low=0, high=1)},
        objectives=("accuracy", *objectives),
        limits={},
        seed=1,
        precision=Precision.INT8,
        plan="p",
        data="d",
        samples=(100, 50),
        ancestors={},
    )
    return msgspec.structs.replace(made, **changes)


def filled(points: Sequence[tuple[float, float, float, float]]) -> optuna.Study:
    """A study in memory of (T, alpha, accuracy, flash) trials."""
    made = optuna.create_study(directions=["maximize", "minimize"])
    for i, (t, a, accuracy, flash) in enumerate(points):
        said = {"accuracy": accuracy, "figures": {"flash": flash}, "seed": i, "ordinal": i}
        made.add_trial(
            create_trial(
                params={"temperature": t, "alpha": a},
                distributions={"temperature": T, "alpha": A},
                values=(accuracy, flash),
                user_attrs=said,
            )
        )
    return made


POINTS = [
    (1, 0.1, 0.80, 300),
    (2, 0.9, 0.90, 500),
    (5, 0.2, 0.90, 400),
    (9, 0.8, 0.70, 200),
    (20, 0.5, 0.85, 450),
    (3, 0.4, 0.70, 200),
    (4, 0.6, 0.60, 100),
    (7, 0.3, 0.65, 250),
]


def test_the_front_is_optuna_s() -> None:
    made = filled(POINTS)
    found = outcome.read(made, settings("flash"))
    assert {row.number for row in found.front(["flash"])} == {t.number for t in made.best_trials}
    assert [row.number for row in found.front(["flash"])][:2] == [2, 0]


def test_the_best_is_the_first_of_equals() -> None:
    found = outcome.read(filled(POINTS), settings("flash"))
    assert found.best is not None
    assert (found.best.number, found.best.accuracy) == (1, 0.90)


def test_importance_finds_what_matters() -> None:
    by_t = [(t, a, 0.5 + t / 50, 1.0) for t in (1, 5, 10, 15, 20) for a in (0.1, 0.5, 0.9)]
    found = outcome.read(filled(by_t), settings(), importance=True).importance
    assert found["temperature"] > 0.9
    assert sum(found.values()) == pytest.approx(1)
    same = [(t, a, 0.5, 1.0) for t, a, _, _ in by_t]
    assert outcome.read(filled(same), settings(), importance=True).importance == {}


def test_the_report_holds_the_figures_and_its_drawings_parse(tmp_path: Path) -> None:
    found = outcome.read(filled(POINTS), settings("flash"), importance=True)
    made = report.write(found, tmp_path, "s")
    assert {path.name for path in made} == {
        *("report.md", "trials.json"),
        *("importance.svg", "contour.svg", "pareto-flash.svg"),
    }
    text = (tmp_path / "report.md").read_text()
    assert "validation accuracy 0.9000" in text
    assert "temperature = 2, alpha = 0.9" in text
    assert "2 trials are as accurate" in text
    rows = msgspec.json.decode((tmp_path / "trials.json").read_bytes())
    assert [row["accuracy"] for row in rows] == [accuracy for _, _, accuracy, _ in POINTS]
    for path in made[2:]:
        ElementTree.fromstring(path.read_bytes())


def test_the_contour_lies_where_the_trials_are() -> None:
    chart = charts.contour(outcome.read(filled(POINTS), settings()))
    assert chart is not None
    assert len(chart.dots) == len(POINTS)
    assert [dot.css for dot in chart.dots].index("best") == 1
    assert {0 <= box.shade <= 1 for box in chart.boxes} == {True}
    line = [(t, t / 20, 0.5, 1.0) for t in (1.0, 2.0, 4.0, 8.0)]
    assert charts.contour(outcome.read(filled(line[:3]), settings())) is None
    assert charts.pareto(outcome.read(filled(POINTS[:1]), settings()), "flash") is None


def test_an_empty_study_is_reported(tmp_path: Path) -> None:
    found = outcome.read(optuna.create_study(), settings())
    assert found.best is None
    assert [path.name for path in report.write(found, tmp_path, "s")] == [
        "report.md",
        "trials.json",
    ]
    assert "No trial came to an end" in (tmp_path / "report.md").read_text()


def _trial(number: int, state: TrialState, **said: Any) -> Any:
    value = 0.5 if state is TrialState.COMPLETE else None
    made = create_trial(state=state, user_attrs=said, value=value)
    made.number = number
    return made


def test_a_trial_that_was_cut_off_leaves_its_place() -> None:
    ran, cut = TrialState.RUNNING, TrialState.FAIL
    trials = [
        _trial(0, TrialState.COMPLETE, ordinal=0),
        _trial(1, cut, ordinal=1),
        _trial(2, cut, ordinal=2, reason="the loss is nan"),
        _trial(3, ran),
        _trial(4, ran),
    ]
    kept = [trial for trial in trials if study.counted(trial)]
    assert [trial.number for trial in kept] == [0, 2, 3, 4]
    assert study.ordinal(kept, 3) == 1  # the place that trial 1 left
    assert study.ordinal(kept, 4) == 3  # trial 3 takes place 1, though it has not said so


def test_a_killed_process_s_trial_is_let_go(tmp_path: Path) -> None:
    with study.opened(study.sqlite(tmp_path / "s.db"), "s", settings()) as made:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that ask() sends no heartbeats
            ours, gone = made.ask(), made.ask()
        ours.set_user_attr(study.PROCESS, study.this_process())
        with subprocess.Popen([sys.executable, "-c", "pass"]) as child:
            name = study.this_process().split(":")
            child_name = f"{name[0]}:{child.pid}:1"
        gone.set_user_attr(study.PROCESS, child_name)
        study.fail_orphans(made)
        states = [trial.state for trial in made.trials]
    assert states == [TrialState.RUNNING, TrialState.FAIL]


def test_a_study_of_another_sweep_is_refused(tmp_path: Path) -> None:
    url = study.sqlite(tmp_path / "s.db")
    with study.opened(url, "s", settings()):
        pass
    with study.opened(url, "s", settings()), study.opened(url, "t", settings(seed=2)):
        pass
    with (
        pytest.raises(UsageError, match=r"'s' is of another sweep \(other seed, data\)"),
        study.opened(url, "s", settings(seed=2, data="e")),
    ):
        pass


@pytest.mark.parametrize(
    ("url", "kind", "said"),
    [
        ("s3cret-word", UsageError, "--storage is not the URL of a database"),
        ("oracl://u:s3cret-word@h/d", UsageError, "--storage is not the URL of a database"),
        ("sqlite:////proc/no/s.db", StorageError, "cannot be made"),
        (
            "postgresql://u:s3cret-word@127.0.0.1:1/d?password=s3cret-word&connect_timeout=5",
            StorageError,
            "postgresql+psycopg://u:***@127.0.0.1:1/d fails (",
        ),
    ],
)
def test_a_bad_url_is_refused_in_a_line_without_its_password(
    url: str, kind: type[HilError], said: str
) -> None:
    with pytest.raises(kind) as refused, study.opened(url, "s", settings()):
        pass
    assert said in str(refused.value)
    assert "s3cret-word" not in str(refused.value)
    assert "\n" not in str(refused.value)
