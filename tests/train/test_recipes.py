# SPDX-License-Identifier: Apache-2.0
"""Recipes: those that come with hil, and what is refused in one's own. No TensorFlow."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from hil import datasets
from hil.core.errors import ConfigError, UsageError
from hil_train import networks
from hil_train import plan as library
from hil_train.plan import one, plans, seeds
from hil_train.recipe import Recipe, quickly
from tests.support.training import STAGES, tutorial

GOOD = (
    """
title = "t"
dataset = "digits"
[networks.big]
layers = [
  { kind = "flatten" },
  { kind = "dense", units = 20, name = "wide" },
  { kind = "dense", units = 10 }]
[networks.small]
layers = [{ kind = "flatten" }, { kind = "dense", units = 5 }, { kind = "dense", units = 10 }]
[schedules]
s = { epochs = 2 }
"""
    + STAGES
)


def find(folder: Path, text: str) -> Recipe:
    path = folder / "mine.toml"
    path.write_text(text)
    return library.find(str(path)).recipe


@pytest.mark.parametrize("name", library.names())
def test_the_shipped_recipes_hold_together(name: str) -> None:
    found = library.find(name)
    assert found.name == found.recipe.dataset == name
    assert name in datasets.NAMES
    assert next(plan.key for plan in plans(quickly(found.recipe))).startswith("teacher")


def test_a_recipe_of_one_s_own(tmp_path: Path) -> None:
    recipe = find(tmp_path, GOOD.replace('title = "t"', 'title = "t"\nseeds = [3, 4]'))
    assert [(p.key, p.seed, p.teacher) for p in plans(recipe)] == [
        ("teacher", 3, ""),
        ("student_alone", 3, ""),
        ("student", 3, "teacher"),
        ("student_alone-seed4", 4, ""),
        ("student-seed4", 4, "teacher"),
    ]
    assert seeds(recipe, "student") == ("student", "student-seed4")
    assert seeds(recipe, "teacher") == ("teacher",)
    assert networks.names(recipe.networks["big"]) == ["flatten1", "wide", "dense2"]


def test_a_sweep_s_plan_is_the_recipe_s(tmp_path: Path) -> None:
    recipe = find(tmp_path, GOOD)
    student = next(plan for plan in plans(recipe) if plan.key == "student")
    assert one(recipe, "student", 1) == student
    assert one(recipe, "student", 9) == msgspec.structs.replace(student, seed=9)
    with pytest.raises(UsageError, match="no stage 'pupil'; choose one of teacher, student_alone"):
        one(recipe, "pupil", 1)


def test_a_stage_marked_once_has_the_first_seed_alone(tmp_path: Path) -> None:
    text = GOOD.replace('dataset = "digits"', 'dataset = "digits"\nseeds = [1, 2]')
    once = text.replace('name = "student_alone"', 'name = "student_alone"\nonce = true')
    keys = [plan.key for plan in plans(find(tmp_path, once))]
    assert keys == ["teacher", "student_alone", "student", "student-seed2"]


def test_what_goes_on_goes_on_from_its_own_seed(tmp_path: Path) -> None:
    text = GOOD.replace('dataset = "digits"', 'dataset = "digits"\nseeds = [1, 2]')
    text += '[[stages]]\nname = "more"\nnetwork = "small"\nschedule = "s"\nstart = "student"\n'
    found = {plan.key: plan.start for plan in plans(find(tmp_path, text))}
    assert found["more"] == "student"
    assert found["more-seed2"] == "student-seed2"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('title = "t"', 'title = "t"\nalpa = 1', "unknown field `alpa`"),
        ("alpha = 0.5", "aplha = 0.5", r"unknown field `aplha` - at `\$.stages\[2\].loss`"),
        ("units = 5", "unit = 5", r"unknown field `unit` - at `\$.networks\[...\].layers\[1\]`"),
        ('kind = "flatten"', 'kind = "flat"', r"'flat' - at `\$.networks\[...\].layers\[0\].kind"),
        ("temperature = 2.0", "temperature = 0", r"> 0.0 - at `\$.stages\[2\].loss.temperature`"),
        ("temperature = 2.0", "temperature = -3", "temperature"),
        ("temperature = 2.0", "temperature = nan", "temperature"),
        ("temperature = 2.0", "temperature = inf", "temperature"),
        ("alpha = 0.5", "alpha = 1.01", r"<= 1.0 - at `\$.stages\[2\].loss.alpha`"),
        ("alpha = 0.5", "alpha = -0.01", r">= 0.0 - at `\$.stages\[2\].loss.alpha`"),
        ("alpha = 0.5", 'kind = "magic"', "magic"),
        ("epochs = 2", "epochs = 0", r"at `\$.schedules\[...\].epochs`"),
        (
            "units = 10 }]\n[schedules]",
            "units = 9 }]\n[schedules]",
            r"teacher tells 10 classes apart, the student 9",
        ),
        (
            "units = 10 }]\n[schedules]",
            'units = 10, activation = "softmax" }]\n[schedules]',
            "networks.small: .*logits",
        ),
        (
            "units = 10 }]\n[networks.small",
            'units = 10 }, { kind = "softmax" }]\n[networks.small',
            "networks.big: .*logits",
        ),
        ('teacher = "teacher"', 'teacher = "teachr"', r"stages\[2\].teacher: no stage 'teachr'"),
        (
            'teacher = "teacher"',
            'teacher = "student"',
            r"stages\[2\].teacher: no stage 'student' comes before",
        ),
        ('teacher = "teacher"', "", r"stages\[2\].teacher: missing"),
        ("loss = {", "# {", r"stages\[2\].loss: missing"),
        (
            'teacher = "teacher"',
            'teacher = "teacher"\nstart = "teacher"',
            r"stages\[2\].start: 'teacher' is not of network 'small'",
        ),
        (
            'network = "small"',
            'network = "smal"',
            r"stages\[1\].network: there is no network 'smal'",
        ),
        ('schedule = "s"', 'schedule = "x"', r"stages\[0\].schedule: there is no schedule 'x'"),
        (
            'name = "student_alone"',
            'name = "teacher"',
            r"stages\[1\].name: there is a stage 'teacher' already",
        ),
        ('name = "student_alone"', 'name = "../out"', "regex"),
        ('name = "student_alone"', 'name = "alone"', "alone: there is no stage 'student_alone'"),
        ('title = "t"', 'title = "t"\nexport = ["x"]', r"export\[0\]: there is no stage 'x'"),
        ('title = "t"', 'title = "t"\nseeds = [1, 1]', "seeds"),
        ('title = "t"', 'title = "t"\nseeds = []', "seeds"),
        ('title = "t"', 'title = "t"\nvalidation_share = 1.0', "validation_share"),
        ('title = "t"', 'title = "t"\nprecisions = ["int4"]', "int4"),
        ('name = "wide"', 'name = "flatten1"', "two layers are called 'flatten1'"),
        (
            "alpha = 0.5",
            'kind = "feature"',
            r"loss.teacher_layer: no layer '' among flatten1, wide, dense2",
        ),
        (
            "alpha = 0.5",
            'teacher_layer = "wide"',
            r"stages\[2\].loss.teacher_layer: only for kind 'feature'",
        ),
        ("epochs = 2", "epochs = 2, warmup = -1", r"at `\$.schedules\[...\].warmup`"),
        ("epochs = 2", "epochs = 2, weight_decay = 1.0", r"schedules\[...\].weight_decay`"),
        ("epochs = 2", "epochs = 2, warp = { bend = -1 }", r"schedules\[...\].warp.bend`"),
        ("epochs = 2", "epochs = 2, warp = { turn = inf }", r"schedules\[...\].warp.turn`"),
        ("epochs = 2", "epochs = 2, warp = { grid = 1 }", r"schedules\[...\].warp.grid`"),
        ("epochs = 2", "epochs = 2, warp = { twist = 1 }", "unknown field `twist`"),
        ("epochs = 2", "epochs = 2, shift = 1, warp = {}", "schedules.s: shift and warp"),
        ("epochs = 2", "epochs = 2, warp = { views = 0 }", "schedules.s.warp.views: a teacher"),
        (
            'teacher = "teacher"',
            'teacher = "teacher"\nquantised = true',
            r"stages\[2\].quantised: needs start",
        ),
        (
            "temperature = 2.0, alpha = 0.5 }",
            'kind = "feature", teacher_layer = "wide", student_layer = "dense1" }\n'
            'start = "student_alone"\nquantised = true',
            r"stages\[2\].quantised: not with a loss of kind 'feature'",
        ),
        ('title = "t"', "title = ", "mine.toml"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError, match=words) as caught:
        find(tmp_path, GOOD.replace(old, new, 1))
    assert "mine.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_not_there() -> None:
    with pytest.raises(UsageError, match=r"no recipe called 'cifar'; choose one of .*mnist"):
        library.find("cifar")
    with pytest.raises(ConfigError, match="gone.toml cannot be read"):
        library.find("gone.toml")


def test_quick_only_ever_shortens(tmp_path: Path) -> None:
    recipe = find(tmp_path, GOOD + "[quick]\nepochs = 9\n")
    assert quickly(recipe).schedules == recipe.schedules
    assert quickly(find(tmp_path, GOOD + "[quick]\nepochs = 1\n")).schedules["s"].epochs == 1


def test_quick_neither_warps_nor_warms_up(tmp_path: Path) -> None:
    slow = GOOD.replace("epochs = 2", "epochs = 2, warmup = 50, weight_decay = 0.1, warp = {}")
    schedule = quickly(find(tmp_path, slow)).schedules["s"]
    assert (schedule.warmup, schedule.warp, schedule.weight_decay) == (0, None, 0.1)


def test_a_quantised_stage_is_told_how_many_samples_set_its_ranges(tmp_path: Path) -> None:
    text = GOOD.replace('title = "t"', 'title = "t"\ncalibration = 70')
    text += '[[stages]]\nname = "int8"\nnetwork = "small"\nschedule = "s"\nstart = "student"\n'
    found = plans(find(tmp_path, text + "quantised = true\n"))
    assert [plan.quantised for plan in found] == [0, 0, 0, 70]


def test_a_network_can_be_widened() -> None:
    student = tutorial("student")
    wide = networks.widened(student, 2)
    assert [getattr(x, "filters", getattr(x, "units", None)) for x in wide.layers] == [
        16,
        None,
        None,
        32,
        10,
    ]
    assert networks.widened(student, 1) == student
    narrow = networks.widened(student, 0.001)
    assert isinstance(narrow.layers[0], networks.Conv)
    assert narrow.layers[0].filters == 1
