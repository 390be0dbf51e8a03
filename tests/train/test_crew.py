# SPDX-License-Identifier: Apache-2.0
"""Stages trained side by side: the same weights, and what is left when something goes wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest

from hil.core.errors import MachineError, TrainingFailed
from hil_train import export, pipeline, training
from hil_train.backend import Event, OnEvent, ignore
from hil_train.batches import kept
from hil_train.plan import find
from tests.support.training import blobs, needs_tensorflow

pytestmark = [*needs_tensorflow, pytest.mark.timeout(900)]

PROJECT = Path(__file__).parents[2]
KEYS = ["teacher", "student_alone", "student", "longer"]
RECIPE = """
title = "t"
dataset = "blobs.npz"
[networks.big]
layers = [{ kind = "dense", units = 16, activation = "relu" }, { kind = "dense", units = 3 }]
[networks.small]
layers = [{ kind = "dense", units = 4, activation = "relu" }, { kind = "dense", units = 3 }]
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


def written(folder: Path, recipe: str = RECIPE, scale: float = 1.0) -> Path:
    made = blobs(240)
    np.savez(folder / "blobs.npz", x=made.x.astype(np.float32) * np.float32(scale), y=made.y)
    path = folder / "tiny.toml"
    path.write_text(recipe)
    return path


def trained(recipe: Path, out: Path, jobs: int, on_event: OnEvent = ignore) -> None:
    found = find(str(recipe))
    given = training.load(found.recipe, found.folder)
    pipeline.stages(found.recipe, out, given, jobs=jobs, on_event=on_event)


def weights(out: Path) -> dict[str, list[bytes]]:
    return {
        key: [weight.tobytes() for weight in export.load(out / f"{key}.keras").get_weights()]
        for key in KEYS
    }


def test_any_number_of_processes_gives_the_same_weights(tmp_path: Path) -> None:
    recipe = written(tmp_path)
    events: list[Event] = []
    results = [
        pipeline.train(str(recipe), tmp_path / str(jobs), jobs=jobs, on_event=events.append)
        for jobs in (1, 2)
    ]
    assert weights(tmp_path / "1") == weights(tmp_path / "2")
    assert results[0].test_accuracy == results[1].test_accuracy
    first, second = results
    assert {n: f.sha256 for n, f in first.files.items()} == {
        n: f.sha256 for n, f in second.files.items()
    }
    assert list(first.stages) == list(second.stages) == [KEYS[i] for i in (1, 0, 2, 3)]
    # one at a time: what others wait for first
    alone = events[: [event.kind for event in events].index("done") + 1]
    assert {event.stage for event in alone} == {"teacher"}
    for key in KEYS:
        told = [event for event in events if event.stage == key]
        assert [event.kind for event in told] == 2 * ["start", *3 * ["epoch"], "done"]

    # all is there: no process is started
    events.clear()
    assert pipeline.train(str(recipe), tmp_path / "2", jobs=2, on_event=events.append) == second
    assert {event.kind for event in events} == {"kept"}
    # in this process too what others left is kept
    assert pipeline.train(str(recipe), tmp_path / "2") == second


def test_a_loss_that_is_no_number_ends_all_in_one_line(tmp_path: Path) -> None:
    recipe = written(tmp_path, scale=1e30)
    with pytest.raises(TrainingFailed, match=r"the loss of '\w+' is (nan|inf)") as caught:
        trained(recipe, tmp_path / "out", 2)
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "out").glob("*.*"))
    assert not active_children()


def test_a_killed_worker_ends_all_and_the_next_run_keeps_what_is_complete(tmp_path: Path) -> None:
    recipe, out = written(tmp_path), tmp_path / "out"

    def kill(event: Event) -> None:
        if event == Event("student", "start", epochs=3):
            for worker in active_children():
                assert worker.pid is not None
                os.kill(worker.pid, signal.SIGKILL)

    with pytest.raises(MachineError, match=r"trained 'student' died \(exit status -9\)"):
        trained(recipe, out, 1, kill)
    assert not active_children()
    events: list[Event] = []
    trained(recipe, out, 2, events.append)
    assert {event.stage for event in events if event.kind == "kept"} == {"teacher"}
    assert {event.stage for event in events if event.kind == "done"} == set(KEYS) - {"teacher"}


@pytest.mark.parametrize(
    ("word", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
)
def test_a_command_that_is_ended_ends_its_workers(
    tmp_path: Path, word: signal.Signals, code: int
) -> None:
    # nothing but the teacher can be complete
    stages = RECIPE.partition('[[stages]]\nname = "longer"\n')[0]
    student = 'name = "student"\nnetwork = "small"\nschedule = '
    long = stages.replace(student + '"s"', student + '"wild"')
    long = long.replace("wild = { epochs = 3", "wild = { epochs = 100000")
    words = ("train", "--recipe", str(written(tmp_path, long)), "--out", str(tmp_path / "out"))
    with subprocess.Popen(
        # a shell that runs us in the background has made SIGINT ignored, for children too
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
        # workers hold both pipes open: this ends when they have
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


def test_what_two_want_is_made_once(tmp_path: Path) -> None:
    begun, made = threading.Event(), []

    def make() -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        begun.set()
        made.append(1)
        other.join(0.2)  # it waits: this cannot end it
        assert other.is_alive()
        return np.arange(3, dtype=np.float32)

    def want() -> None:
        begun.wait()
        found.append(kept(tmp_path / "a.npy", (3,), "float32", make))

    found: list[object] = []
    other = threading.Thread(target=want)
    other.start()
    found.append(kept(tmp_path / "a.npy", (3,), "float32", make))
    other.join()
    assert made == [1]
    assert [np.asarray(each).tolist() for each in found] == 2 * [[0, 1, 2]]
