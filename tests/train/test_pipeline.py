# SPDX-License-Identifier: Apache-2.0
"""Training from end to end: interrupted, resumed, repaired and refused, with a user's recipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from hil.core import files
from hil.core.errors import DataError, UsageError
from hil.core.records import DType
from hil.tflite import read_model
from hil_train import pipeline, provenance, training
from hil_train.provenance import Provenance
from hil_train.training import StageEvent
from tests.support.training import blobs, needs_tensorflow

pytestmark = needs_tensorflow

RECIPE = """
title = "three clouds"
dataset = "clouds.npz"
validation_share = 0.25
calibration = 50
reported = [{ stage = "student", accuracy = 0.5, note = "made up" }]

[networks.teacher]
layers = [{ kind = "dense", units = 16, activation = "relu" }, { kind = "dense", units = 3 }]
[networks.student]
layers = [{ kind = "dense", units = 4 }, { kind = "leaky_relu" }, { kind = "dense", units = 3 }]

[schedules]
short = { epochs = 6, learning_rate = 2e-2, batch = 16 }

[[stages]]
name = "teacher"
network = "teacher"
schedule = "short"

[[stages]]
name = "student_alone"
network = "student"
schedule = "short"
class_weight = "balanced"

[[stages]]
name = "student"
network = "student"
schedule = "short"
teacher = "teacher"
loss = { kind = "kd", temperature = 2.0, alpha = 0.5 }

[[stages]]
name = "longer"
network = "student"
schedule = "short"
start = "student"
note = "went on"
"""


def written(folder: Path, recipe: str = RECIPE, n: int = 400, classes: int = 3) -> str:
    data = blobs(n, classes=classes)
    np.savez(folder / "clouds.npz", x=data.x, y=data.y)
    path = folder / "mine.toml"
    path.write_text(recipe)
    return str(path)


def kinds(events: Sequence[StageEvent], stage: str) -> list[str]:
    return [e.kind for e in events if e.stage == stage and e.kind != "epoch"]


# one test, as a second one could land on another worker and train again
@pytest.mark.timeout(900)
def test_train_resume_and_repair(tmp_path: Path) -> None:
    recipe, out = written(tmp_path), tmp_path / "models"

    def interrupt(event: StageEvent) -> None:
        if event.kind == "epoch":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline.train(recipe, out, on_event=interrupt)
    assert not list(out.glob("*.*"))

    events: list[StageEvent] = []
    result = pipeline.train(recipe, out, on_event=events.append)

    keys = ["teacher", "student_alone", "student", "longer"]
    assert list(result.stages) == list(result.test_accuracy) == keys
    for key in (*keys, "export"):
        assert kinds(events, key) == ["start", "done"]
    assert provenance.read(out / "provenance.json", Provenance) == result
    teacher = result.stages["student"].inputs.teacher_sha256
    assert teacher == files.sha256(out / "teacher.keras") != ""
    assert result.stages["longer"].inputs.start_sha256 == files.sha256(out / "student.keras")
    assert (result.data.train, result.data.validation, result.data.test) == (240, 80, 80)
    assert min(result.test_accuracy.values()) > 0.6
    assert result.verdict.beats_chance == {"teacher": True, "student": True, "alone": True}
    assert sorted(result.files) == [
        f"{stage}_{precision}.tflite"
        for stage in ("student", "teacher")
        for precision in ("float32", "int8")
    ]
    for name, file in result.files.items():
        assert files.sha256(out / name) == file.sha256
        wanted = DType.INT8 if "int8" in name else DType.FLOAT32
        assert read_model(out / name).input.dtype is wanted
        assert read_model(out / name).output.shape == (1, 3)
    card = (out / "card.md").read_text()
    assert all(sentence in card for sentence in result.verdict.sentences)
    for words in ("| student | 0.5000 |", "made up", "went on"):
        assert words in card
    assert not [p for p in out.iterdir() if p.name.startswith(".")]

    # everything is there: nothing is trained or exported again
    times = {p: p.stat().st_mtime_ns for p in out.iterdir()}
    events.clear()
    assert pipeline.train(recipe, out, on_event=events.append) == result
    assert {e.kind for e in events} == {"kept"}
    assert {p: p.stat().st_mtime_ns for p in out.iterdir()} == times

    # a stage that was damaged is trained again, and comes out the same
    before = {n: files.sha256(out / n) for n in result.files}
    (out / "student.keras").write_bytes(b"half a file")
    events.clear()
    pipeline.train(recipe, out, on_event=events.append)
    assert kinds(events, "teacher") == kinds(events, "student_alone") == ["kept"]
    assert kinds(events, "student") == ["start", "done"]
    assert {n: files.sha256(out / n) for n in result.files} == before


@pytest.mark.timeout(900)
def test_quick_is_short_and_the_card_warns(tmp_path: Path) -> None:
    one = RECIPE.split('[[stages]]\nname = "longer"')[0]
    one += "[quick]\nepochs = 1\nsamples = 100\n"
    result = pipeline.train(written(tmp_path, one), tmp_path / "out", quick=True)
    assert result.quick
    assert result.data.train + result.data.validation == 100
    assert {len(s.history["loss"]) for s in result.stages.values()} == {1}
    assert "do not use these figures" in (tmp_path / "out" / "card.md").read_text()


def test_a_student_larger_than_its_teacher_gives_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Enough(Exception):
        pass

    def stop(*_: object, **__: object) -> None:
        raise Enough

    monkeypatch.setattr(training, "fit", stop)
    large = RECIPE.replace('kind = "dense", units = 4', 'kind = "dense", units = 400')
    events: list[StageEvent] = []
    with pytest.raises(Enough):
        pipeline.train(written(tmp_path, large), tmp_path / "out", on_event=events.append)
    assert [e.text for e in events if e.kind == "warning"] == [
        "'student' (3,203 parameters) is larger than its teacher 'teacher' (131)"
    ]
    events.clear()
    with pytest.raises(Enough):
        pipeline.train(written(tmp_path), tmp_path / "out", on_event=events.append)
    assert "warning" not in [e.kind for e in events]


@pytest.mark.parametrize(
    ("old", "new", "n", "classes", "words"),
    [
        ('"clouds.npz"', '"gone"', 400, 3, "dataset 'gone' is not known"),
        ("", "", 400, 4, "network 'teacher' has 3 classes, clouds has 4"),
        ("", "", 400, 2, "network 'teacher' has 3 classes, clouds has 2"),
        ("", "", 9, 3, r"clouds is too small: its validation split of 2 has none of class"),
        ('"balanced"', "[1.0, 2.0]", 400, 3, "class_weight has 2 factors for 3 classes"),
        ("batch = 16", "batch = 16, shift = 1", 400, 3, "shift is 1, but clouds has no pictures"),
        (
            "batch = 16",
            "batch = 16, warp = {}",
            400,
            3,
            "warp is for uint8 pictures",
        ),
        ('kind = "leaky_relu"', 'kind = "conv", filters = 2', 400, 3, "layer 'conv1' of 'student'"),
    ],
)
def test_unsuitable_recipes_and_data_are_refused_before_training(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    old: str,
    new: str,
    n: int,
    classes: int,
    words: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        pytest.fail("it started to train")

    monkeypatch.setattr(training, "fit", fail)
    with pytest.raises((UsageError, DataError), match=words) as caught:
        pipeline.train(written(tmp_path, RECIPE.replace(old, new), n, classes), tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_samples_without_labels_are_refused_before_training(tmp_path: Path) -> None:
    recipe = written(tmp_path)
    np.savez(tmp_path / "clouds.npz", x=blobs(400).x)
    with pytest.raises(DataError, match=r"clouds\.npz has no labels; .*array y"):
        pipeline.train(recipe, tmp_path / "out")
    assert not (tmp_path / "out").exists()
