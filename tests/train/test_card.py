# SPDX-License-Identifier: Apache-2.0
"""Model cards, their verdict (compared with SciPy), and the drawing. Without TensorFlow."""

from __future__ import annotations

import re

import matplotlib as mpl
import msgspec
import numpy as np
import pytest
from scipy import stats as scipy_stats

from hil.runs.load import StoredRun
from hil.stats import proportion
from hil_train.batches import Warp
from hil_train.card import Correct, card, history, history_svg, spread, verdict
from hil_train.drawing import settings
from hil_train.plan import find_recipe, plans
from hil_train.provenance import (
    DataRecord,
    ModelFile,
    Provenance,
    StageInputs,
    StageRecord,
    Verdict,
)
from hil_train.recipe import Reported
from tests.support import reports
from tests.support.drawings import faults, texts

LONG = "a network of a rather long name, wide enough to matter: WWWW MMMM @@@@ $x_1$ <&>" * 3
VERSIONS = {"platform": "a machine", "processor": "a chip", "tensorflow": "1", "keras": "2"}


def made(**changes: object) -> Provenance:
    recipe = msgspec.structs.replace(
        find_recipe("digits").recipe,
        seeds=(1, 2, 3),
        limits=("knows | little",),
        reported=(Reported(stage="student", accuracy=0.9, note="theirs"),),
    )
    stages, accuracy = {}, {}
    for i, plan in enumerate(plans(recipe)):
        epochs = 7 if plan.key == "student" else plan.schedule.epochs
        values = np.linspace(0.5, 0.99, epochs).round(4).tolist()
        stages[plan.key] = StageRecord(
            inputs=StageInputs(
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
        data=DataRecord(name="digits", train=1038, validation=259, test=500, classes=10,
                        majority=0.102, train_fingerprint="f1", test_fingerprint="f2"),
        stages=stages,
        test_accuracy=accuracy,
        files={"student_int8.tflite": ModelFile(
            sha256="5" * 64, nbytes=25_608, validation_accuracy=0.9, test_accuracy=0.97)},
        verdict=Verdict(chance=0.102, beats_chance={}, gain=None, p=None, sentences=("It is so.",)),
        versions=VERSIONS,
    )  # fmt: skip
    return msgspec.structs.replace(result, **changes)


def test_a_card_has_the_figures() -> None:
    text = card(made())
    interval = proportion(485, 500)
    for words in (
        "- It is so.",
        f"| `student_int8.tflite` | 25,608 | 0.9000 | 0.9700 ({interval.low:.4f} to ",
        "| student | 21,898 | teacher, kd, T = 5, alpha = 0.1 | 7 of 100 | 12 | 1,234 | 0.9000 |",
        "| student | 0.9000 | 0.9700 | theirs |",
        "Not measured on a device:",
        "teacher: at most 60 epochs with batches of 32, Adam at 0.001, falling to 0 on a cosine, "
        "pictures moved by up to 2 pixels",
        "- knows \\| little",
    ):
        assert words in text
    # seeds: student 0.97, 0.95, 0.93
    assert "| student | 0.9500 (0.9003 to 0.9997) | 0.9700, 0.9500, 0.9300 |" in text
    assert "with one seed" not in text
    assert "--quick" not in text
    assert "\n\n\n" not in text
    # every row of a table has as many cells as its head
    for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
        assert len({line.replace("\\|", "").count("|") for line in block.splitlines()}) == 1


def test_a_card_warns_about_quick_and_other_data() -> None:
    other = msgspec.structs.replace(made().data, note="This is not CIFAR-10.")
    text = card(made(quick=True, data=other))
    assert "**Trained with `--quick`" in text
    assert "**This is not CIFAR-10.**" in text


def test_a_card_describes_warps_and_warm_up() -> None:
    result = made()
    schedule = msgspec.structs.replace(
        result.recipe.schedules["student"], shift=0, warmup=80, weight_decay=0.03, warp=Warp()
    )
    schedules = {**result.recipe.schedules, "student": schedule}
    text = card(msgspec.structs.replace(
        result, recipe=msgspec.structs.replace(result.recipe, schedules=schedules)
    ))  # fmt: skip
    assert (
        "AdamW, weight decay 0.03, at 0.004, reached after 80 steps, falling to 0 on a cosine, "
        "24 views per picture: rotated by up to 8 degrees, moved by 1 pixels, scaled and sheared "
        "by 8 and 8 %, bent by 0.7 pixels"
    ) in text


def test_device_figures_come_from_runs_of_the_same_files() -> None:
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


def test_an_unfinished_run_gives_no_device_figures() -> None:
    ours = msgspec.structs.replace(reports.plan(), model_sha256="5" * 64)
    samples = {ours.key: tuple(reports.samples(ours, 4))}
    run = StoredRun(reports.manifest(ours, n=4, ends=()), samples, {}, torn=False)
    assert "Not measured on a device" in card(made(), [run])


def test_a_history_has_one_row_per_stage_of_the_first_seed() -> None:
    with settings():
        figure = history(made())
    parts = figure.subfigs
    assert len(parts) == 3
    shown = texts(history_svg(made()))
    assert "student: 7 epochs, 12 s, 0.9000 on validation" in shown
    assert {"loss, kd", "loss, cross-entropy", "accuracy"} <= set(shown)
    record = made().stages["student"]
    for axes, names in zip(parts[2].axes, (("accuracy", "val_accuracy"), ("loss", "val_loss")),
                           strict=True):  # fmt: skip
        drawn = [np.asarray(line.get_ydata()).tolist() for line in axes.lines]
        assert drawn == [record.history[name] for name in names]
        assert np.asarray(axes.lines[0].get_xdata()).tolist() == list(range(1, 8))
    # accuracies of all stages have the same scale
    assert len({part.axes[0].get_ylim() for part in parts}) == 1


def test_a_history_does_not_depend_on_the_user_s_settings() -> None:
    first = history_svg(made())
    with mpl.rc_context({"font.family": ["monospace"], "font.size": 20, "svg.hashsalt": "x"}):
        assert history_svg(made()) == first
    assert "<dc:date>" not in first


@pytest.mark.parametrize("epochs", [1, 2, 3, 1200])
def test_texts_of_a_history_do_not_overlap(epochs: int) -> None:
    record = made(name=LONG)
    stages = {
        key: msgspec.structs.replace(
            stage, history={name: [0.98765, 0.9876, 0.5] * 400 for name in stage.history}
        )
        for key, stage in record.stages.items()
    }
    cut = {
        key: msgspec.structs.replace(
            stage, history={name: values[:epochs] for name, values in stage.history.items()}
        )
        for key, stage in stages.items()
    }
    with settings():
        assert faults(history(msgspec.structs.replace(record, stages=cut))) == []


def correct(share: float, n: int = 1000, seed: int = 0) -> Correct:
    found = np.zeros(n, np.bool_)
    found[: round(share * n)] = True
    return np.asarray(np.random.RandomState(seed).permutation(found))


def test_networks_at_chance_are_reported() -> None:
    found = verdict(
        {
            "teacher": correct(0.52, 200),
            "student": correct(0.49, 200, 1),
            "alone": correct(0.5, 200, 2),
        },
        classes=2,
        majority=0.51,
        control=True,
    )
    assert found.chance == 0.51
    assert found.beats_chance == {"teacher": False, "student": False, "alone": False}
    text = " ".join(found.sentences)
    assert "The teacher (0.5200, 95 % 0.4510 to 0.5882) does not beat chance (0.5100)." in text
    assert "neither teacher nor student beats chance, distillation has nothing to transfer" in text
    assert "labels were made independently" in text
    assert "no measurable difference" in text


def test_a_control_that_beats_chance_is_suspicious() -> None:
    found = verdict({"teacher": correct(0.9), "student": correct(0.5)}, classes=2, majority=0.5,
                    control=True)  # fmt: skip
    assert found.beats_chance == {"teacher": True, "student": False}
    assert "but teacher beat chance" in found.sentences[-1]
    assert (found.gain, found.p) == (None, None)


def test_the_most_frequent_class_is_the_baseline() -> None:
    """80 % of one class: 0.8 is what a guess reaches, far above 1 / classes."""
    found = verdict({"teacher": correct(0.81), "student": correct(0.9)}, classes=2, majority=0.8)
    assert found.chance == 0.8
    assert found.beats_chance == {"teacher": False, "student": True}


@pytest.mark.parametrize(("better", "words"), [(True, "correct more often"), (False, "LESS often")])
def test_significant_gains_and_losses_are_reported(better: bool, words: str) -> None:
    alone = correct(0.9)
    student = alone.copy()
    student[np.flatnonzero(alone != better)[:30]] = better
    found = verdict({"teacher": correct(0.95), "student": student, "alone": alone},
                    classes=10, majority=0.1)  # fmt: skip
    assert any(words in line for line in found.sentences)
    assert found.gain is not None
    low, high = found.gain[1:]
    assert found.gain[0] == pytest.approx(0.03 if better else -0.03)
    assert (low > 0) is better
    assert (high < 0) is not better
    assert found.p == pytest.approx(float(scipy_stats.binomtest(30, 30, 0.5).pvalue))


def test_a_small_difference_is_not_significant() -> None:
    alone = correct(0.9)
    student = alone.copy()
    student[np.flatnonzero(~alone)[:4]] = True  # 4 against 0: p = 0.125
    found = verdict({"student": student, "alone": alone}, classes=10, majority=0.1)
    assert "no measurable difference" in " ".join(found.sentences)
    assert found.p == pytest.approx(0.125)


def test_seeds_are_compared_in_pairs_as_scipy_does() -> None:
    students, alone = [0.988, 0.9871, 0.9879], [0.981, 0.9823, 0.9828]
    gains = [a - b for a, b in zip(students, alone, strict=True)]
    over = spread(gains)
    expected = scipy_stats.ttest_rel(students, alone)
    assert over is not None
    assert over.p == pytest.approx(float(expected.pvalue))
    interval = expected.confidence_interval(0.95)
    assert (over.low, over.high) == pytest.approx((float(interval.low), float(interval.high)))
    found = verdict({"student": correct(0.9), "alone": correct(0.9)}, classes=2, majority=0.5,
                    gains=gains)  # fmt: skip
    assert "Over 3 seeds, distillation changes the accuracy by +0.56 points" in " ".join(
        found.sentences
    )
    assert spread([0.5]) is None
    same = spread([0.5, 0.5])
    assert same is not None
    assert (same.low, same.high) == (0.5, 0.5)


def test_a_failed_baseline_does_not_prove_a_gain() -> None:
    found = verdict({"teacher": correct(0.7), "student": correct(0.4), "alone": correct(0.1)},
                    classes=10, majority=0.1)  # fmt: skip
    assert "its training failed" in found.sentences[-1]


def test_a_teacher_at_chance_does_not_explain_a_gain() -> None:
    found = verdict({"teacher": correct(0.1), "student": correct(0.4), "alone": correct(0.3)},
                    classes=10, majority=0.1)  # fmt: skip
    assert "its knowledge cannot explain the gain" in found.sentences[-1]
