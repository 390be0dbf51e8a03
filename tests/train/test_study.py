# SPDX-License-Identifier: Apache-2.0
"""A study from recipe to pages, with fake boards: made, measured, kept, resumed, refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hil import stats
from hil.bench.events import Event as BenchEvent
from hil.bench.events import Finished, Streaming
from hil.core.errors import UsageError
from hil.core.records import EXPORTED, Precision
from hil.reference import encode_inputs, litert
from hil.testing.lab import FakeLab
from hil_train import figures, pipeline
from hil_train import study as studies
from hil_train.figures import CompressionStudy
from hil_train.methods import Given, Prune, Train, job_of, methods, needs, network_of
from hil_train.plan import find_recipe
from hil_train.study import StudyRequest, study
from hil_train.training import StageEvent
from tests.support.training import blobs, with_tensorflow

PROJECT = Path(__file__).parents[2]
RECIPE = """
title = "three clouds"
dataset = "clouds.npz"
validation_share = 0.25
calibration = 50
[networks.teacher]
layers = [
  { kind = "dense", units = 12, activation = "relu" },
  { kind = "dense", units = 10, activation = "relu" },
  { kind = "dense", units = 3 },
]
[networks.student]
layers = [{ kind = "dense", units = 5, activation = "relu" }, { kind = "dense", units = 3 }]
[schedules]
long = { epochs = 7, learning_rate = 2e-2, batch = 16 }
short = { epochs = 3, learning_rate = 2e-2, batch = 16 }
[[stages]]
name = "teacher"
network = "teacher"
schedule = "long"
[[stages]]
name = "student_alone"
network = "student"
schedule = "short"
[[stages]]
name = "student"
network = "student"
schedule = "short"
teacher = "teacher"
loss = { kind = "kd", temperature = 2.0, alpha = 0.5 }
"""
SHAPE = (4,)
SOME = ("teacher", "pruned", "pruned_distilled", "alone", "student")


def wanted(folder: Path, recipe: str = RECIPE, **changes: object) -> StudyRequest:
    data = blobs(300)
    np.savez(folder / "clouds.npz", x=data.x, y=data.y)
    path = folder / "mine.toml"
    path.write_text(recipe)
    given = {"found": find_recipe(str(path)), "project": PROJECT, "out": folder / "study"}
    return StudyRequest(**{**given, **changes})  # type: ignore[arg-type]


def only(monkeypatch: pytest.MonkeyPatch, *keys: str) -> None:
    """Study only these methods: each takes seconds to export."""
    some = tuple(method for method in methods() if method.key in keys)
    monkeypatch.setattr(studies, "methods", lambda: some)


def test_methods_use_earlier_ones_and_have_one_budget(tmp_path: Path) -> None:
    recipe = wanted(tmp_path).found.recipe
    before: set[str] = set()
    jobs = {}
    for method in methods():
        job = jobs[method.key] = job_of(method, recipe, SHAPE)
        assert set(needs(job)) <= before
        before.add(method.key)
    tuned, control, taught = (jobs[key] for key in ("pruned_tuned", "alone", "student"))
    assert isinstance(tuned, Train)
    assert isinstance(control, Train)
    assert isinstance(taught, Train)
    # one budget: the same schedule and seed for all of the student's size
    assert tuned.plan.schedule == control.plan.schedule == taught.plan.schedule
    assert (control.plan.loss, taught.plan.teacher) == (None, "teacher")
    assert needs(jobs["pruned_distilled"]) == ("pruned", "teacher")
    assert needs(Given(network=control.plan.network, sha256="")) == ()
    assert isinstance(jobs["pruned"], Prune)
    assert network_of(jobs["pruned"]) == network_of(tuned) != network_of(jobs["teacher"])


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('kind = "kd", temperature = 2.0, alpha = 0.5', "x", "logits"),
        (
            'title = "three',
            'student = ""\ntitle = "three',
            "does not name both a teacher and a student",
        ),
    ],
)
def test_a_recipe_without_anything_to_compare_is_refused(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    recipe = RECIPE.replace(old, new)
    recipe = recipe.replace('teacher = "teacher"\nloss = { x }\n', "")
    found = wanted(tmp_path, recipe).found.recipe
    student = methods()[-1]
    with pytest.raises(UsageError, match=says):
        job_of(student, found, SHAPE)


# one test, as a second one could land on another worker and train again
@with_tensorflow
@pytest.mark.timeout(1200)
def test_made_measured_kept_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, *SOME)
    asked = wanted(tmp_path)
    data = pipeline.prepare(asked.found)

    def interrupt(event: StageEvent | BenchEvent) -> None:
        if isinstance(event, Streaming) and event.done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # after the networks, within the first run
        study(asked, data, lab=FakeLab(), on_event=interrupt)
    events: list[StageEvent | BenchEvent] = []
    made = study(asked, data, lab=FakeLab(), on_event=events.append)

    keys = list(SOME)
    assert [e.stage for e in events if isinstance(e, StageEvent) and e.kind == "kept"] == keys
    assert sum(isinstance(e, Finished) for e in events) == 2 * len(keys)
    assert [(r.method, r.precision) for r in made.rows] == [(k, p) for k in keys for p in EXPORTED]
    stored = (asked.out / figures.FILE).read_bytes()
    assert msgspec.json.decode(stored, type=CompressionStudy) == made
    _check_accuracy(made, asked.out, data.test().x, data.test().y)
    by_key = {row.method: row for row in made.rows}
    assert by_key["pruned"].parameters <= made.budget_parameters == by_key["student"].parameters
    assert made.budget_macs == by_key["student"].macs
    _check_time(made)

    # everything is there: nothing is made or run again, and the pages are the same
    names = ("study.json", "study.md", "study.html", "pareto.svg")
    before = [hashlib.sha256((asked.out / name).read_bytes()).hexdigest() for name in names]
    events.clear()
    assert study(asked, data, lab=FakeLab(), on_event=events.append) == made
    assert {e.kind for e in events if isinstance(e, StageEvent)} == {"kept"}
    assert not [e for e in events if isinstance(e, Finished)]
    after = [hashlib.sha256((asked.out / name).read_bytes()).hexdigest() for name in names]
    assert after == before

    # a damaged network is made again and is the same as before, so networks made from it are kept
    (asked.out / "networks" / "pruned.keras").write_bytes(b"half a file")
    events.clear()
    again = study(asked, data, lab=FakeLab(), on_event=events.append)
    assert [e.stage for e in events if isinstance(e, StageEvent) and e.kind == "done"] == ["pruned"]
    assert [row.device for row in again.rows] == [row.device for row in made.rows]

    # a teacher that is given is not trained, and its time is not known
    only(monkeypatch, "teacher", "alone", "student")
    teacher = asked.out / "networks" / "teacher.keras"
    given = wanted(tmp_path, out=tmp_path / "given", teacher=teacher, limit=20)
    small = study(given, data, lab=FakeLab(too_large=("teacher_float32", "teacher_int8")))
    rows = {(row.method, row.precision): row for row in small.rows}
    assert rows["teacher", Precision.INT8].seconds is None
    assert rows["student", Precision.INT8].total is None
    assert rows["alone", Precision.INT8].total is not None
    # networks that do not fit are reported, and the others measured
    assert rows["teacher", Precision.INT8].device is None
    assert "does not fit on mps2: the image takes" in rows["teacher", Precision.INT8].why
    assert rows["alone", Precision.INT8].device is not None
    assert small.n == 20
    assert "## Not measured" in (given.out / "study.md").read_text()
    other = wanted(tmp_path, out=tmp_path / "other", teacher=asked.out / "networks/student.keras")
    with pytest.raises(UsageError, match="does not have the layers of the recipe's teacher"):
        study(other, data, lab=FakeLab())


def _check_accuracy(made: CompressionStudy, out: Path, x: object, y: object) -> None:
    """Compare with LiteRT: the fake board answers like the host."""
    for row in made.rows:
        model = litert(out / "networks" / f"{row.method}_{row.precision}.tflite")
        answers = model.predict(encode_inputs(x, model.graph.input))  # type: ignore[arg-type]
        share = stats.proportion(int((answers.argmax(axis=1) == y).sum()), made.n)
        if row.precision is Precision.FLOAT32:
            assert figures.accuracy(made, row) == share
        else:  # the oracle may break a tie differently from LiteRT
            assert abs(figures.accuracy(made, row).point - share.point) < 0.05


def _check_time(made: CompressionStudy) -> None:
    seconds = {row.method: row.seconds or 0.0 for row in made.rows}
    total = {row.method: row.total for row in made.rows}
    assert min(seconds.values()) > 0
    assert total["alone"] == seconds["alone"]
    assert total["student"] == pytest.approx(seconds["student"] + seconds["teacher"])
    three = seconds["pruned_distilled"] + seconds["pruned"] + seconds["teacher"]
    assert total["pruned_distilled"] == pytest.approx(three)


def test_invalid_limits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--limit"):
        study(wanted(tmp_path, limit=0))
    with pytest.raises(UsageError, match="--epochs"):
        study(wanted(tmp_path, epochs=-1))
