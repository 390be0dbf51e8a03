# SPDX-License-Identifier: Apache-2.0
"""Recipes: found by name, checked, expanded into trainings, and given their data.

NAME or FILE.toml ─ find_recipe ─> FoundRecipe ─ load_data ─> RecipeData
                                        └─ plans ─> one TrainingPlan per stage and seed
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Final, Literal

import msgspec
import numpy as np

from hil import datasets
from hil.core.errors import ConfigError, DataError, UsageError, unknown
from hil.core.files import Config, read_toml
from hil.core.records import Dataset
from hil.datasets import Progress
from hil_train import networks, recipe
from hil_train.networks import Network
from hil_train.recipe import Loss, Recipe, Schedule, Stage

_HINT: Final = "see docs/recipes.md"


@dataclass(frozen=True, slots=True)
class FoundRecipe:
    """A recipe, the name of its results, and the folder that its own files are in."""

    name: str
    folder: Path
    recipe: Recipe


def recipe_names() -> list[str]:
    """The recipes that come with this package."""
    return sorted(path.stem for path in _shipped().glob("*.toml"))


def find_recipe(wanted: str) -> FoundRecipe:
    """A recipe by its name, or by the path of a .toml file; checked as far as possible without
    its data.

    Raises:
        UsageError: no recipe has that name.
        ConfigError: the file is missing, or its content cannot work.
    """
    own = wanted.endswith(".toml")
    if not own and wanted not in recipe_names():
        what = f"no recipe is called {wanted!r}"
        raise unknown(what, wanted, recipe_names(), "give a .toml file")
    path = Path(wanted) if own else _shipped() / f"{wanted}.toml"
    found = read_toml(path, Recipe, hint=_HINT)
    check_recipe(found, str(path) if own else path.name)
    return FoundRecipe(path.stem, path.parent, found)


def _shipped() -> Path:
    return Path(str(resources.files("hil_train") / "recipes"))


class TrainingPlan(Config, frozen=True):
    """One training, with everything that its stage refers to by name.

    ``key`` names its results: the stage, and the seed unless it is the first. ``teacher`` and
    ``start`` are keys of earlier plans. ``quantised``: number of training samples that set the
    int8 ranges for quantisation-aware training; 0: train in float.
    """

    key: str
    stage: str
    network: Network
    schedule: Schedule
    seed: int
    loss: Loss | None = None
    teacher: str = ""
    start: str = ""
    class_weight: tuple[float, ...] | Literal["", "balanced"] = ""
    quantised: int = 0


def plans(given: Recipe) -> tuple[TrainingPlan, ...]:
    """What to train: stages that others learn from once, every other stage with each seed."""
    single = _single(given)
    return tuple(
        _plan(given, stage, seed, single)
        for seed in given.seeds
        for stage in given.stages
        if seed == given.seeds[0] or stage.name not in single
    )


def plan_for(given: Recipe, stage: str, seed: int) -> TrainingPlan:
    """A stage's training with any seed: what a sweep starts from.

    Raises:
        UsageError: the recipe has no such stage.
    """
    for each in given.stages:
        if each.name == stage:
            return _plan(msgspec.structs.replace(given, seeds=(seed,)), each, seed, set())
    what = f"the recipe has no stage {stage!r}"
    raise UsageError(what, f"choose one of {', '.join(s.name for s in given.stages)}")


def seed_keys(given: Recipe, stage: str) -> tuple[str, ...]:
    """The keys of a stage's trainings, first seed first."""
    return tuple(plan.key for plan in plans(given) if plan.stage == stage)


def _single(given: Recipe) -> set[str]:
    """Stages that are trained with the first seed only."""
    return {s.teacher for s in given.stages} | {s.name for s in given.stages if s.once}


def _plan(given: Recipe, stage: Stage, seed: int, single: set[str]) -> TrainingPlan:
    first = given.seeds[0]

    def key(name: str) -> str:
        return name if seed == first or name in single else f"{name}-seed{seed}"

    return TrainingPlan(
        key=key(stage.name),
        stage=stage.name,
        network=given.networks[stage.network],
        schedule=given.schedules[stage.schedule],
        seed=seed,
        loss=stage.loss,
        teacher=stage.teacher,
        start=key(stage.start) if stage.start else "",
        class_weight=stage.class_weight,
        quantised=given.calibration if stage.quantised else 0,
    )


@dataclass(frozen=True)
class Split:
    """Training data, cut once: what a network learns from, and what choices are made on."""

    train: Dataset
    validation: Dataset


@dataclass(frozen=True)
class RecipeData:
    """``test`` loads the test split: nothing may read it before every choice is made.

    ``note``: why it is another data set than the recipe's; usually empty.
    """

    split: Split
    test: Callable[[], Dataset]
    note: str = ""


def load_data(
    given: Recipe, folder: Path, *, samples: int = 0, progress: Progress | None = None
) -> RecipeData:
    """A recipe's data, split and checked.

    Args:
        given: names the data set.
        folder: where to look for an .npz file.
        samples: at most this many for training and validation together; 0: all.
        progress: called during a download.

    Raises:
        DataError: missing, wrong, or too small for its splits.
        UsageError: the recipe does not fit the data.
    """
    if given.dataset.endswith(".npz"):
        path = folder / given.dataset
        every = datasets.load_npz(path)
        if not every.labelled:
            raise DataError(f"{path} has no labels", "training needs them: an array y")
        whole, test = datasets.split_validation(every, given.test_share)
        test = replace(test, split="test")
        data = RecipeData(_split(given, whole, samples), lambda: test)
    else:
        if given.dataset not in datasets.NAMES:
            known = f"use one of {', '.join(datasets.NAMES)}, or an .npz file"
            raise ConfigError(f"the recipe's dataset {given.dataset!r} is not known", known)
        name, note = datasets.choose(given.dataset, "train", progress=progress)
        whole = datasets.load(name, "train", progress=progress)
        data = RecipeData(
            _split(given, whole, samples),
            lambda: datasets.load(name, "test", progress=progress),
            note,
        )
    _check_data(given, data.split)
    return data


def _split(given: Recipe, whole: Dataset, samples: int) -> Split:
    if samples:
        whole = datasets.subset(whole, samples)
    return Split(*datasets.split_validation(whole, given.validation_share))


class _Wrong(Exception):
    """A contradiction in a recipe, its key first."""


def check_recipe(given: Recipe, where: str) -> None:
    """Check a recipe without its data; ``where`` is its file, for the message.

    Raises:
        ConfigError: an unknown name, a teacher that comes later or gives probabilities, different
            numbers of classes, ...
    """
    try:
        for name, network in given.networks.items():
            _check_network(f"networks.{name}", network)
        for name, schedule in given.schedules.items():
            if schedule.shift and schedule.warp:
                raise _Wrong(f"schedules.{name}: both shift and warp (warp also moves pictures)")
        for number, stage in enumerate(given.stages):
            _check_stage(given, number, stage)
        _check_roles(given)
        _check_sweep(given)
    except _Wrong as wrong:
        raise ConfigError(f"{where}: {wrong}", _HINT) from None


def _check_network(key: str, network: Network) -> None:
    names = networks.names(network)
    twice = next((name for name in names if names.count(name) > 1), "")
    if twice:
        raise _Wrong(f"{key}.layers: two layers are called {twice!r}")
    if networks.ends_in_activation(network):
        what = "its last layer has an activation, but distillation needs logits"
        raise _Wrong(f"{key}: {what} (end with a dense layer, without softmax)")


def _check_stage(given: Recipe, number: int, stage: Stage) -> None:
    key = f"stages[{number}]"
    before = {earlier.name: earlier for earlier in given.stages[:number]}
    if stage.name in before:
        raise _Wrong(f"{key}.name: there is already a stage {stage.name!r}")
    if stage.network not in given.networks:
        raise _Wrong(f"{key}.network: there is no network {stage.network!r}")
    if stage.schedule not in given.schedules:
        raise _Wrong(f"{key}.schedule: there is no schedule {stage.schedule!r}")
    for field, other in (("teacher", stage.teacher), ("start", stage.start)):
        if other and other not in before:
            raise _Wrong(f"{key}.{field}: no stage {other!r} comes before {stage.name!r}")
    if stage.start and before[stage.start].network != stage.network:
        raise _Wrong(f"{key}.start: {stage.start!r} is not of network {stage.network!r}")
    if bool(stage.teacher) != (stage.loss is not None):
        missing = "loss" if stage.teacher else "teacher"
        raise _Wrong(f"{key}.{missing}: missing; teacher and loss come together")
    if stage.quantised and not stage.start:
        raise _Wrong(f"{key}.quantised: needs start, the trained stage to continue from")
    if stage.loss is not None:
        warp = given.schedules[stage.schedule].warp
        if warp is not None and not warp.views:
            what = "a teacher answers once, so its student needs fixed views: give 1 or more"
            raise _Wrong(f"schedules.{stage.schedule}.warp.views: {what}")
        if stage.quantised and stage.loss.kind == "feature":
            raise _Wrong(f"{key}.quantised: not with a loss of kind 'feature'")
        teacher = given.networks[before[stage.teacher].network]
        _check_pair(key, stage.loss, teacher, given.networks[stage.network])


def _check_pair(key: str, loss: Loss, teacher: Network, student: Network) -> None:
    theirs, ours = networks.classes(teacher), networks.classes(student)
    if theirs != ours:
        raise _Wrong(f"{key}: the teacher has {theirs} classes, the student {ours}")
    sides = (
        ("teacher_layer", loss.teacher_layer, teacher),
        ("student_layer", loss.student_layer, student),
    )
    for field, wanted, network in sides:
        if loss.kind != "feature" and wanted:
            raise _Wrong(f"{key}.loss.{field}: only for kind 'feature'")
        if loss.kind == "feature" and wanted not in networks.names(network):
            known = ", ".join(networks.names(network))
            raise _Wrong(f"{key}.loss.{field}: no layer {wanted!r} among {known}")


def _check_roles(given: Recipe) -> None:
    stages = {stage.name for stage in given.stages}
    named = [("teacher", given.teacher), ("student", given.student), ("alone", given.alone)]
    named += [(f"export[{n}]", name) for n, name in enumerate(given.export)]
    named += [(f"reported[{n}].stage", each.stage) for n, each in enumerate(given.reported)]
    for field, name in named:
        if name and name not in stages:
            raise _Wrong(f"{field}: there is no stage {name!r}")
    if not given.export:
        raise _Wrong("export: has no stages")
    if not given.precisions:
        raise _Wrong("precisions: has no values")
    if len(set(given.seeds)) < len(given.seeds):
        raise _Wrong("seeds: has a value twice")


def _check_sweep(given: Recipe) -> None:
    if given.sweep is None:
        return
    if wrong := recipe.sweep_fault(given.sweep):
        raise _Wrong(wrong)
    named = recipe.ranges(given.sweep)
    if not named:
        raise _Wrong(f"sweep: varies nothing (name one of {', '.join(recipe.KEYS)})")
    wanted = given.sweep.stage or given.student
    stage = next((stage for stage in given.stages if stage.name == wanted), None)
    if stage is None:
        raise _Wrong(f"sweep.stage: there is no stage {wanted!r}")
    of_loss = [key for key in recipe.OF_LOSS if key in named]
    if of_loss and stage.loss is None:
        raise _Wrong(f"sweep.{of_loss[0]}: stage {wanted!r} has no teacher")
    if stage.start and "width" in named:
        raise _Wrong(f"sweep.width: stage {wanted!r} starts from another stage's weights")


def _check_data(given: Recipe, split: Split) -> None:
    """Check a recipe against its data.

    Raises:
        DataError: samples or labels that no network can be trained on, or too few of them.
        UsageError: the recipe asks for what such data does not allow.
    """
    train = split.train
    if train.x.dtype not in (np.uint8, np.float32):
        raise DataError(
            f"{train.name} holds {train.x.dtype} samples", "train on uint8 pixels or float32"
        )
    if train.x.dtype != np.uint8 and not np.isfinite(train.x).all():
        raise DataError(f"x in {train.name} holds NaN or infinity", "remove those samples")
    count = int(train.y.max()) + 1
    for part in (train, split.validation):
        lacking = set(range(count)) - set(part.y.tolist())
        if lacking or len(part) < count:
            which = f"none of class {min(lacking)}" if lacking else "too few samples"
            what = f"{part.name} is too small: its {part.split} split of {len(part)} has {which}"
            raise DataError(what, "give more samples or another validation_share")
    for number, stage in enumerate(given.stages):
        units = networks.classes(given.networks[stage.network])
        if units is not None and units != count:
            what = f"network {stage.network!r} has {units} classes, {train.name} has {count}"
            raise UsageError(what, "make the last layer as wide as the data has classes")
        weights = stage.class_weight
        if isinstance(weights, tuple) and (len(weights) != count or not any(weights)):
            what = f"stages[{number}].class_weight has {len(weights)} factors for {count} classes"
            raise UsageError(what, "give one per class, not all of them 0")
    for name, schedule in given.schedules.items():
        if schedule.shift and train.x.ndim != 4:
            what = f"schedules.{name}.shift is {schedule.shift}, but {train.name} has no pictures"
            raise UsageError(what, "set it to 0")
        if schedule.warp and (train.x.dtype != np.uint8 or train.x.shape[3:] != (1,)):
            what = f"schedules.{name}.warp is for uint8 pictures of one channel"
            raise UsageError(f"{what}, but {train.name} has none", "remove it")
