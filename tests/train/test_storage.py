# SPDX-License-Identifier: Apache-2.0
"""The study of a sweep in its database: goals, ordinals, interrupted trials, errors."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

if not importlib.util.find_spec("optuna") and os.environ.get("CI") != "true":
    pytest.skip("not installed: optuna", allow_module_level=True)

from optuna.trial import TrialState, create_trial

from hil.core.errors import HilError, StorageError, UsageError
from hil_train import storage
from tests.support.sweeps import settings


def test_goals_are_checked() -> None:
    assert storage.parse_objectives(()) == ("accuracy",)
    assert storage.parse_objectives(["flash", "accuracy", "flash"]) == ("accuracy", "flash")
    assert storage.parse_limits(["arena=100", "instructions=7"]) == {
        "arena": 100,
        "instructions": 7,
    }
    with pytest.raises(UsageError, match="do not include accuracy"):
        storage.parse_objectives(["flash"])
    with pytest.raises(UsageError, match="no objective is called 'speed'"):
        storage.parse_objectives(["speed"])
    for word in ("arena", "arena=0", "arena=-1", "speed=3", "arena=1e6"):
        with pytest.raises(UsageError, match="is not a limit"):
            storage.parse_limits([word])
    with pytest.raises(UsageError, match="is not a limit"):
        storage.parse_limits(["arena=1", "arena=2"])


def _trial(number: int, state: TrialState, **said: Any) -> Any:
    value = 0.5 if state is TrialState.COMPLETE else None
    made = create_trial(state=state, user_attrs=said, value=value)
    made.number = number
    return made


def test_an_interrupted_trial_frees_its_ordinal() -> None:
    ran, interrupted = TrialState.RUNNING, TrialState.FAIL
    trials = [
        _trial(0, TrialState.COMPLETE, ordinal=0),
        _trial(1, interrupted, ordinal=1),
        _trial(2, interrupted, ordinal=2, reason="the loss is nan"),
        _trial(3, ran),
        _trial(4, ran),
    ]
    kept = [trial for trial in trials if storage.counts(trial)]
    assert [trial.number for trial in kept] == [0, 2, 3, 4]
    assert storage.ordinal(kept, 3) == 1  # the one that trial 1 freed
    assert storage.ordinal(kept, 4) == 3  # trial 3 takes 1, although it has not stored it yet


# a worker that stores its name with a trial, and then waits to be killed
WORKER = """
import sys, warnings
from pathlib import Path
from hil_train import storage
from tests.support.sweeps import settings
warnings.simplefilter("ignore")
folder = Path(sys.argv[1])
with storage.worker_name(folder) as name:
    with storage.opened(storage.sqlite_url(folder / "s.db"), "s", settings()) as study:
        study.ask().set_user_attr(storage.WORKER, name)
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_a_killed_worker_s_trial_fails_at_once(tmp_path: Path) -> None:
    def states() -> list[TrialState]:
        with storage.opened(storage.sqlite_url(tmp_path / "s.db"), "s", settings()) as study:
            storage.fail_interrupted(study, tmp_path)
            return [trial.state for trial in study.trials]

    with subprocess.Popen(
        [sys.executable, "-c", WORKER, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"ready\n"
        assert states() == [TrialState.RUNNING]
        worker.kill()
    assert states() == [TrialState.FAIL]


def test_a_worker_of_another_machine_is_left_alone(tmp_path: Path) -> None:
    with storage.opened(storage.sqlite_url(tmp_path / "s.db"), "s", settings()) as study:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # ask() sends no heartbeats
            study.ask().set_user_attr(storage.WORKER, "no-lock-file-here")
        storage.fail_interrupted(study, tmp_path)
        assert [trial.state for trial in study.trials] == [TrialState.RUNNING]


def test_a_worker_that_ends_normally_leaves_no_lock(tmp_path: Path) -> None:
    with storage.worker_name(tmp_path):
        assert len(list((tmp_path / "workers").iterdir())) == 1
    assert list((tmp_path / "workers").iterdir()) == []


def test_a_study_with_other_settings_is_refused(tmp_path: Path) -> None:
    url = storage.sqlite_url(tmp_path / "s.db")
    with storage.opened(url, "s", settings()):
        pass
    with storage.opened(url, "s", settings()), storage.opened(url, "t", settings(seed=2)):
        pass
    with (
        pytest.raises(UsageError, match=r"'s' is of another sweep \(different seed, data\)"),
        storage.opened(url, "s", settings(seed=2, data="e")),
    ):
        pass


@pytest.mark.parametrize(
    ("url", "kind", "said"),
    [
        ("s3cret-word", UsageError, "--storage is not the URL of a database"),
        ("oracl://u:s3cret-word@h/d", UsageError, "--storage is not the URL of a database"),
        ("sqlite:////proc/no/s.db", StorageError, "cannot create the folder of"),
        (
            "postgresql://u:s3cret-word@127.0.0.1:1/d?password=s3cret-word&connect_timeout=5",
            StorageError,
            "postgresql+psycopg://u:***@127.0.0.1:1/d fails (",
        ),
    ],
)
def test_errors_of_a_database_do_not_show_its_password(
    url: str, kind: type[HilError], said: str
) -> None:
    with pytest.raises(kind) as refused, storage.opened(url, "s", settings()):
        pass
    assert said in str(refused.value)
    assert "s3cret-word" not in str(refused.value)
    assert "\n" not in str(refused.value)
