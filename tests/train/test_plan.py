# SPDX-License-Identifier: Apache-2.0
"""Recipes: the shipped ones, their trainings, and what is refused. Without TensorFlow."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from hil import datasets
from hil.core.errors import ConfigError, UsageError
from hil_train import networks
from hil_train.plan import find_recipe, plan_for, plans, recipe_names, seed_keys
from hil_train.recipe import Recipe, quickly
from tests.support.training import STAGES

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
    return find_recipe(str(path)).recipe


@pytest.mark.parametrize("name", recipe_names())
def test_shipped_recipes_are_valid(name: str) -> None:
    found = find_recipe(name)
    assert found.name == name
    assert found.recipe.dataset in datasets.NAMES
    assert next(plan.key for plan in plans(quickly(found.recipe))).startswith("teacher")


def test_a_recipe_is_expanded_into_trainings(tmp_path: Path) -> None:
    recipe = find(tmp_path, GOOD.replace('title = "t"', 'title = "t"\nseeds = [3, 4]'))
    assert [(p.key, p.seed, p.teacher) for p in plans(recipe)] == [
        ("teacher", 3, ""),
        ("student_alone", 3, ""),
        ("student", 3, "teacher"),
        ("student_alone-seed4", 4, ""),
        ("student-seed4", 4, "teacher"),
    ]
    assert seed_keys(recipe, "student") == ("student", "student-seed4")
    assert seed_keys(recipe, "teacher") == ("teacher",)
    assert networks.names(recipe.networks["big"]) == ["flatten1", "wide", "dense2"]


def test_one_stage_can_be_planned_with_any_seed(tmp_path: Path) -> None:
    recipe = find(tmp_path, GOOD)
    student = next(plan for plan in plans(recipe) if plan.key == "student")
    assert plan_for(recipe, "student", 1) == student
    assert plan_for(recipe, "student", 9) == msgspec.structs.replace(student, seed=9)
    with pytest.raises(UsageError, match="no stage 'pupil'; choose one of teacher, student_alone"):
        plan_for(recipe, "pupil", 1)


def test_a_stage_marked_once_has_only_the_first_seed(tmp_path: Path) -> None:
    text = GOOD.replace('dataset = "digits"', 'dataset = "digits"\nseeds = [1, 2]')
    once = text.replace('name = "student_alone"', 'name = "student_alone"\nonce = true')
    keys = [plan.key for plan in plans(find(tmp_path, once))]
    assert keys == ["teacher", "student_alone", "student", "student-seed2"]


def test_a_stage_starts_from_another_of_its_own_seed(tmp_path: Path) -> None:
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
            r"teacher has 10 classes, the student 9",
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
            r"stages\[1\].name: there is already a stage 'teacher'",
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
        ("epochs = 2", "epochs = 2, shift = 1, warp = {}", "schedules.s: both shift and warp"),
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
def test_errors_name_the_key(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError, match=words) as caught:
        find(tmp_path, GOOD.replace(old, new, 1))
    assert "mine.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_recipes_are_refused() -> None:
    with pytest.raises(UsageError, match=r"no recipe is called 'cifar'; .*choose from .*mnist"):
        find_recipe("cifar")
    with pytest.raises(ConfigError, match="gone.toml cannot be read"):
        find_recipe("gone.toml")


def test_quick_only_shortens(tmp_path: Path) -> None:
    recipe = find(tmp_path, GOOD + "[quick]\nepochs = 9\n")
    assert quickly(recipe).schedules == recipe.schedules
    assert quickly(find(tmp_path, GOOD + "[quick]\nepochs = 1\n")).schedules["s"].epochs == 1


def test_quick_does_not_warp_or_warm_up(tmp_path: Path) -> None:
    slow = GOOD.replace("epochs = 2", "epochs = 2, warmup = 50, weight_decay = 0.1, warp = {}")
    schedule = quickly(find(tmp_path, slow)).schedules["s"]
    assert (schedule.warmup, schedule.warp, schedule.weight_decay) == (0, None, 0.1)


def test_a_quantised_stage_gets_the_number_of_calibration_samples(tmp_path: Path) -> None:
    text = GOOD.replace('title = "t"', 'title = "t"\ncalibration = 70')
    text += '[[stages]]\nname = "int8"\nnetwork = "small"\nschedule = "s"\nstart = "student"\n'
    found = plans(find(tmp_path, text + "quantised = true\n"))
    assert [plan.quantised for plan in found] == [0, 0, 0, 70]
