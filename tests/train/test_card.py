# SPDX-License-Identifier: Apache-2.0
"""The card and the drawing say what was measured: from made records, without TensorFlow."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import msgspec
import numpy as np
import pytest

from hil.runs.load import StoredRun
from hil.stats import proportion
from hil_train import pages
from hil_train.batches import Warp
from hil_train.card import card
from hil_train.plan import find, plans
from hil_train.provenance import Data, Inputs, ModelFile, Provenance, StageRecord, Verdict
from hil_train.recipe import Reported
from tests.support import reports

VERSIONS = {"platform": "a machine", "processor": "a chip", "tensorflow": "1", "keras": "2"}


def made(**changes: object) -> Provenance:
    recipe = msgspec.structs.replace(
        find("digits").recipe,
        seeds=(1, 2, 3),
        limits=("knows | little",),
        reported=(Reported(stage="student", accuracy=0.9, note="theirs"),),
    )
    stages, accuracy = {}, {}
    for i, plan in enumerate(plans(recipe)):
        epochs = 7 if plan.key == "student" else plan.schedule.epochs
        values = np.linspace(0.5, 0.99, epochs).round(4).tolist()
        stages[plan.key] = StageRecord(
            inputs=Inputs(
                plan=plan, dataset="digits", fingerprint="a", samples=1, validation_share=0.2
            ),
            keras_sha256="",
            parameters=21_898,
            seconds=12.4,
            samples_per_second=1234.0,
            validation_accuracy=0.9,
            history={"accuracy": values, "val_accuracy": values, "loss": values,
                     "val_loss": values[::-1]},
            versions={},
        )  # fmt: skip
        accuracy[plan.key] = round(0.99 - 0.01 * i, 2)
    result = Provenance(
        schema=2,
        name="digits",
        quick=False,
        recipe=recipe,
        data=Data(name="digits", train=1038, validation=259, test=500, classes=10, majority=0.102,
                  train_fingerprint="f1", test_fingerprint="f2"),
        stages=stages,
        test_accuracy=accuracy,
        files={"student_int8.tflite": ModelFile(
            sha256="5" * 64, nbytes=25_608, validation_accuracy=0.9, test_accuracy=0.97)},
        verdict=Verdict(chance=0.102, beats_chance={}, gain=None, p=None, sentences=("It is so.",)),
        versions=VERSIONS,
    )  # fmt: skip
    return msgspec.structs.replace(result, **changes)


def test_the_card_holds_what_was_measured() -> None:
    text = card(made())
    interval = proportion(485, 500)
    for words in (
        "- It is so.",
        f"| `student_int8.tflite` | 25,608 | 0.9000 | 0.9700 ({interval.low:.4f} to ",
        "| student | 21,898 | teacher, kd, T = 5, alpha = 0.1 | 7 of 100 | 12 | 1,234 | 0.9000 |",
        "| student | 0.9000 | 0.9700 | theirs |",
        "Not measured on a device here",
        "teacher: at most 60 epochs of batches of 32, Adam at 0.001, falling to 0 on a cosine, "
        "pictures moved by up to 2 pixels",
        "- knows \\| little",
    ):
        assert words in text
    # seeds: student 0.97, 0.95, 0.93
    assert "| student | 0.9500 (0.9003 to 0.9997) | 0.9700, 0.9500, 0.9300 |" in text
    assert "one seed was trained" not in text
    assert "--quick" not in text
    assert "\n\n\n" not in text
    # every row of a table has as many cells as its head
    for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
        assert len({line.replace("\\|", "").count("|") for line in block.splitlines()}) == 1


def test_the_card_warns_of_quick_and_of_other_data() -> None:
    other = msgspec.structs.replace(made().data, note="This is not CIFAR-10.")
    text = card(made(quick=True, data=other))
    assert "**Trained with `--quick`" in text
    assert "**This is not CIFAR-10.**" in text


def test_the_card_tells_how_pictures_were_bent_and_rates_warmed() -> None:
    result = made()
    schedule = msgspec.structs.replace(
        result.recipe.schedules["student"], shift=0, warmup=80, weight_decay=0.03, warp=Warp()
    )
    schedules = {**result.recipe.schedules, "student": schedule}
    text = card(msgspec.structs.replace(
        result, recipe=msgspec.structs.replace(result.recipe, schedules=schedules)
    ))  # fmt: skip
    assert (
        "AdamW, weight decay 0.03, at 0.004, reached in 80 steps, falling to 0 on a cosine, "
        "24 views of each: turned by up to 8 degrees, moved by 1 pixels, scaled and sheared by "
        "8 and 8 %, bent by 0.7 pixels"
    ) in text


def test_a_run_of_these_very_files_gives_the_device_figures() -> None:
    ours = msgspec.structs.replace(reports.plan(title="a | board"), model_sha256="5" * 64)
    other = reports.plan("teacher")
    samples = {p.key: tuple(reports.samples(p, 40)) for p in (ours, other)}
    run = StoredRun(reports.manifest(ours, other, n=40), samples, {}, torn=False)
    text = card(made(), [run])
    answers = [np.frombuffer(s.device, np.int8).argmax() == s.label for s in samples[ours.key]]
    share = proportion(int(np.sum(answers)), 40)
    assert 0 < share.point < 1
    median = np.median([s.time for s in samples[ours.key] if s.time is not None])
    assert (
        f"| `student_int8.tflite` | a \\| board, aot | {share.point:.4f} ({share.low:.4f} to "
        f"{share.high:.4f}), 40 | {median:,.0f} instructions | 2,544 | 23,480 | "
        "20260102-030405-mps2 |"
    ) in text
    assert "teacher" not in text.split("## On devices")[1].split("## Limits")[0]
    assert "Not measured" not in text


def test_an_unfinished_cell_gives_none() -> None:
    ours = msgspec.structs.replace(reports.plan(), model_sha256="5" * 64)
    samples = {ours.key: tuple(reports.samples(ours, 4))}
    run = StoredRun(reports.manifest(ours, n=4, ends=()), samples, {}, torn=False)
    assert "Not measured on a device" in card(made(), [run])


def test_the_drawing_is_whole_and_its_lines_stay_inside() -> None:
    svg = pages.svg(made())
    root = ET.fromstring(svg)
    spaces = {"s": "http://www.w3.org/2000/svg"}
    rows = root.findall("s:g", spaces)
    assert len(rows) == 3  # first seeds alone
    texts = [t.text or "" for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "student: 7 epochs, 12 s, 0.9000 on validation" in texts
    assert {"loss, kd", "loss, cross-entropy", "accuracy"} <= set(texts)
    lines = list(root.iter("{http://www.w3.org/2000/svg}polyline"))
    assert len(lines) == 12
    for line in lines:
        for point in line.attrib["points"].split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= 340
            assert 0 <= y <= pages.PLOT
    assert pages.svg(made()) == svg


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_short_histories_are_drawn_too(epochs: int) -> None:
    record = made()
    stages = {
        key: msgspec.structs.replace(
            stage, history={name: values[:epochs] for name, values in stage.history.items()}
        )
        for key, stage in record.stages.items()
    }
    ET.fromstring(pages.svg(msgspec.structs.replace(record, stages=stages)))
