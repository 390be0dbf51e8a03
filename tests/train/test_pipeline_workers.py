# SPDX-License-Identifier: Apache-2.0
"""Stages trained side by side: the same weights, and what is left after errors."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from multiprocessing import active_children
from pathlib import Path

import pytest

from hil.core.errors import MachineError, TrainingFailed
from hil_train import pipeline
from hil_train.export import load_network
from hil_train.plan import find_recipe, load_data
from hil_train.training import OnEvent, StageEvent, ignore
from tests.support.training import BLOBS, blobs_recipe, needs_tensorflow

pytestmark = [*needs_tensorflow, pytest.mark.timeout(900)]

PROJECT = Path(__file__).parents[2]
KEYS = ["teacher", "student_alone", "student", "longer"]
RECIPE = (
    BLOBS
    + """
[schedules]
s = { epochs = 3, learning_rate = 1e-2, batch = 16 }
wild = { epochs = 3, learning_rate = 1e-2, batch = 16 }
[[stages]]
name = "student_alone"
network = "small"
schedule = "wild"
[[stages]]
name = "teacher"
network = "big"
schedule = "s"
[[stages]]
name = "student"
network = "small"
schedule = "s"
teacher = "teacher"
loss = { temperature = 2.0, alpha = 0.5 }
[[stages]]
name = "longer"
network = "small"
schedule = "s"
start = "student"
"""
)


def trained(recipe: Path, out: Path, jobs: int, on_event: OnEvent = ignore) -> None:
    found = find_recipe(str(recipe))
    given = load_data(found.recipe, found.folder)
    pipeline.train_stages(found.recipe, out, given, jobs=jobs, on_event=on_event)


def weights(out: Path) -> dict[str, list[bytes]]:
    return {
        key: [weight.tobytes() for weight in load_network(out / f"{key}.keras").get_weights()]
        for key in KEYS
    }


def test_weights_do_not_depend_on_the_number_of_processes(tmp_path: Path) -> None:
    recipe = blobs_recipe(tmp_path, RECIPE)
    events: list[StageEvent] = []
    trained(recipe, tmp_path / "1", 1, events.append)
    # one at a time: first what others wait for
    alone = events[: [event.kind for event in events].index("done") + 1]
    assert {event.stage for event in alone} == {"teacher"}
    whole = pipeline.train(str(recipe), tmp_path / "2", jobs=2, on_event=events.append)
    assert weights(tmp_path / "1") == weights(tmp_path / "2")
    assert list(whole.stages) == [KEYS[i] for i in (1, 0, 2, 3)]
    for key in KEYS:
        told = [event for event in events if event.stage == key]
        assert [event.kind for event in told] == 2 * ["start", *3 * ["epoch"], "done"]

    # everything is there: no process is started
    events.clear()
    assert pipeline.train(str(recipe), tmp_path / "2", jobs=2, on_event=events.append) == whole
    assert {event.kind for event in events} == {"kept"}
    # also without processes, their results are kept
    assert pipeline.train(str(recipe), tmp_path / "2") == whole


def test_a_loss_that_is_not_finite_ends_all_workers(tmp_path: Path) -> None:
    recipe = blobs_recipe(tmp_path, RECIPE, scale=1e30)
    with pytest.raises(TrainingFailed, match=r"the loss of '\w+' is (nan|inf)") as caught:
        trained(recipe, tmp_path / "out", 2)
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "out").glob("*.*"))
    assert not active_children()


def test_a_killed_worker_ends_all_and_the_next_run_keeps_complete_stages(tmp_path: Path) -> None:
    recipe, out = blobs_recipe(tmp_path, RECIPE), tmp_path / "out"

    def kill(event: StageEvent) -> None:
        if event == StageEvent("student", "start", epochs=3):
            for worker in active_children():
                assert worker.pid is not None
                os.kill(worker.pid, signal.SIGKILL)

    with pytest.raises(MachineError, match=r"trained 'student' died \(exit status -9\)"):
        trained(recipe, out, 1, kill)
    assert not active_children()
    events: list[StageEvent] = []
    trained(recipe, out, 2, events.append)
    assert {event.stage for event in events if event.kind == "kept"} == {"teacher"}
    assert {event.stage for event in events if event.kind == "done"} == set(KEYS) - {"teacher"}


@pytest.mark.parametrize(
    ("word", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
)
def test_ending_the_command_ends_its_workers(
    tmp_path: Path, word: signal.Signals, code: int
) -> None:
    # only the teacher can be complete
    stages = RECIPE.partition('[[stages]]\nname = "longer"\n')[0]
    student = 'name = "student"\nnetwork = "small"\nschedule = '
    long = stages.replace(student + '"s"', student + '"wild"')
    long = long.replace("wild = { epochs = 3", "wild = { epochs = 100000")
    words = ("train", "--recipe", str(blobs_recipe(tmp_path, long)), "--out", str(tmp_path / "out"))
    with subprocess.Popen(
        # a shell that runs tests in the background makes all processes ignore SIGINT
        ["env", "--default-signal=INT", sys.executable, "-m", "hil", *words, "--jobs", "2"],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("teacher: done"):
                break
        if word is signal.SIGINT:
            os.killpg(process.pid, word)  # as a terminal does
        else:
            process.send_signal(word)
        # workers hold both pipes open, so this returns when they have ended
        rest = [line for line in process.communicate(timeout=500)[1].splitlines() if line]
    assert process.returncode == code
    assert [line for line in rest if " epoch " not in line] == []  # no traceback
    assert sorted(path.name for path in (tmp_path / "out").glob("*.*")) == sorted(
        f"teacher.{end}" for end in ("keras", "stage.json")
    )


@pytest.mark.parametrize("jobs", ["0", "-1"])
def test_less_than_one_job_is_refused(jobs: str) -> None:
    command = [sys.executable, "-m", "hil", "train", "--recipe", "digits", "--jobs", jobs]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 2
    assert "--jobs must be at least 1" in done.stderr
