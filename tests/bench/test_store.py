# SPDX-License-Identifier: Apache-2.0
"""What a bench stores in addition to its answers, and which runs it refuses to continue."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hil.bench.store import differences, git_state, pictures
from hil.datasets import load, subset
from hil.runs.load import read_manifest
from hil.runs.schema import Sample, Tensor
from tests.support.runs import manifest, plan

FLOAT = "fake/aot/student/float32"


def test_the_same_run_is_continued() -> None:
    assert differences(manifest(), manifest()) == []


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (manifest(n=4), "data set"),
        (manifest(plan(FLOAT)), "boards, engines, models"),
        (manifest(plan(model_sha256="ff" * 32)), "model_sha256"),
        (manifest(plan(firmware_sha256="ff" * 32)), "firmware_sha256"),
        (manifest(plan(toolchain="other")), "toolchain"),
    ],
)
def test_differences_that_prevent_a_resume(other: object, says: str) -> None:
    assert isinstance(other, msgspec.Struct)
    (found,) = differences(manifest(), other)  # type: ignore[arg-type]
    assert says in found


def git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


def test_only_changes_of_what_is_measured_make_a_checkout_dirty(tmp_path: Path) -> None:
    assert git_state(tmp_path) is None
    git(tmp_path, "init")
    for name in ("model.tflite", "results/example/report.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "all")
    shutil.rmtree(tmp_path / "results")
    (tmp_path / "notes.txt").touch()  # not added
    clean = git_state(tmp_path)
    assert clean is not None
    assert not clean.dirty
    (tmp_path / "model.tflite").write_text("changed")
    dirty = git_state(tmp_path)
    assert dirty is not None
    assert (dirty.dirty, dirty.commit) == (True, clean.commit)


def test_the_example_was_benched_in_a_clean_checkout() -> None:
    example = Path(__file__).parents[2] / "results" / "example"
    git = read_manifest(example).git
    assert git is not None
    assert not git.dirty
    assert "uncommitted changes" not in (example / "report.md").read_text("utf-8")


def test_colour_pictures_keep_their_channels() -> None:

    data = subset(load("cifar10-made"), 2)
    wrong = bytes(range(10))
    of = plan(output=Tensor(dtype=9, shape=(1, 10), scale=0.1, zero_point=0))
    samples = [Sample(run=of.key, i=i, id=data.ids[i], label=0, device=wrong) for i in range(2)]
    drawn = pictures(data, manifest(of), {of.key: samples})
    assert [(p.shape, p.channels, p.pixels) for p in drawn.values()] == [
        ((32, 32), 3, data.x[i].tobytes()) for i in range(2)
    ]


def test_a_picture_that_a_sketch_repeats_is_stored_once() -> None:
    one, other = subset(load("digits"), 2).x
    data = replace(subset(load("digits"), 5), x=np.stack([one, one, other, one, one]))
    of = plan(output=Tensor(dtype=9, shape=(1, 10), scale=0.1, zero_point=0))
    answers = (3, 3, 3, 4, 3)  # every label is 0
    samples = [
        Sample(
            run=of.key, i=i, id=data.ids[i], label=0, device=bytes(int(n == a) for n in range(10))
        )
        for i, a in enumerate(answers)
    ]
    drawn = pictures(data, manifest(of), {of.key: samples})
    assert list(drawn) == [data.ids[i] for i in (0, 2, 3)]
