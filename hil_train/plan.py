# SPDX-License-Identifier: Apache-2.0
"""Stages x seeds -> the trainings to run, in order. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from hil.core.errors import ConfigError, DataError, UsageError
from hil.core.files import Config, read_toml
from hil.core.records import Dataset
from hil_train import networks
from hil_train import recipe as space
from hil_train.networks import Network
from hil_train.recipe import Loss, Recipe, Schedule, Stage


class Plan(Config, frozen=True):
    """One training, with all that its stage only names.

    ``key`` is its name among the results: the stage's, and the seed where it is not the first.
    ``teacher`` and ``start`` are keys of earlier plans. ``quantised``: how many training samples
    set the int8 ranges to learn within; 0: train in float.
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


def plans(recipe: Recipe) -> tuple[Plan, ...]:
    """What to train: a stage that others learn from once, every other one with each seed."""
    single = _single(recipe)
    return tuple(
        _plan(recipe, stage, seed, single)
        for seed in recipe.seeds
        for stage in recipe.stages
        if seed == recipe.seeds[0] or stage.name not in single
    )


def one(recipe: Recipe, stage: str, seed: int) -> Plan:
    """A stage's training with any seed: what a sweep starts from and replaces parts of.

    Raises:
        UsageError: the recipe has no such stage.
    """
    for each in recipe.stages:
        if each.name == stage:
            return _plan(msgspec.structs.replace(recipe, seeds=(seed,)), each, seed, set())
    what = f"the recipe has no stage {stage!r}"
    raise UsageError(what, f"choose one of {', '.join(s.name for s in recipe.stages)}")


def seeds(recipe: Recipe, stage: str) -> tuple[str, ...]:
    """The keys of a stage's trainings, first seed first."""
    return tuple(plan.key for plan in plans(recipe) if plan.stage == stage)


def _single(recipe: Recipe) -> set[str]:
    """Stages that are trained with the first seed alone."""
    return {s.teacher for s in recipe.stages} | {s.name for s in recipe.stages if s.once}


def _plan(recipe: Recipe, stage: Stage, seed: int, single: set[str]) -> Plan:
    first = recipe.seeds[0]

    def key(name: str) -> str:
        return name if seed == first or name in single else f"{name}-seed{seed}"

    return Plan(
        key=key(stage.name),
        stage=stage.name,
        network=recipe.networks[stage.network],
        schedule=recipe.schedules[stage.schedule],
        seed=seed,
        loss=stage.loss,
        teacher=stage.teacher,
        start=key(stage.start) if stage.start else "",
        class_weight=stage.class_weight,
        quantised=recipe.calibration if stage.quantised else 0,
    )


_HINT = "see docs/recipes.md"


def check_recipe(given: Recipe, where: str) -> None:
    """What can be said of a recipe alone; ``where`` is its file, for the message.

    Raises:
        ConfigError: a name that nothing has, a teacher that comes later or gives
            probabilities, classes that differ, ...
    """
    try:
        for name, network in given.networks.items():
            _network(f"networks.{name}", network)
        for name, schedule in given.schedules.items():
            if schedule.shift and schedule.warp:
                raise _Wrong(f"schedules.{name}: shift and warp (warp moves pictures as well)")
        for number, stage in enumerate(given.stages):
            _stage(given, number, stage)
        _roles(given)
        _sweep(given)
    except _Wrong as wrong:
        raise ConfigError(f"{where}: {wrong}", _HINT) from None


class _Wrong(Exception):
    """A contradiction, its key first."""


def _network(key: str, network: Network) -> None:
    names = networks.names(network)
    twice = next((name for name in names if names.count(name) > 1), "")
    if twice:
        raise _Wrong(f"{key}.layers: two layers are called {twice!r}")
    if networks.ends_in_softmax(network):
        what = "its last layer has an activation, where distillation needs logits"
        raise _Wrong(f"{key}: {what} (end with a dense layer, without softmax)")


def _stage(given: Recipe, number: int, stage: Stage) -> None:
    key = f"stages[{number}]"
    before = {earlier.name: earlier for earlier in given.stages[:number]}
    if stage.name in before:
        raise _Wrong(f"{key}.name: there is a stage {stage.name!r} already")
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
        raise _Wrong(f"{key}.quantised: needs start, the trained stage that it goes on from")
    if stage.loss is not None:
        warp = given.schedules[stage.schedule].warp
        if warp is not None and not warp.views:
            what = "a teacher's answers are asked once, and need views that stay: give 1 or more"
            raise _Wrong(f"schedules.{stage.schedule}.warp.views: {what}")
        if stage.quantised and stage.loss.kind == "feature":
            raise _Wrong(f"{key}.quantised: not with a loss of kind 'feature'")
        teacher = given.networks[before[stage.teacher].network]
        _pair(key, stage.loss, teacher, given.networks[stage.network])


def _pair(key: str, loss: Loss, teacher: Network, student: Network) -> None:
    theirs, ours = networks.classes(teacher), networks.classes(student)
    if theirs != ours:
        raise _Wrong(f"{key}: the teacher tells {theirs} classes apart, the student {ours}")
    sides = (("teacher_layer", loss.teacher_layer, teacher),)
    for field, wanted, network in (*sides, ("student_layer", loss.student_layer, student)):
        if loss.kind != "feature" and wanted:
            raise _Wrong(f"{key}.loss.{field}: only for kind 'feature'")
        if loss.kind == "feature" and wanted not in networks.names(network):
            known = ", ".join(networks.names(network))
            raise _Wrong(f"{key}.loss.{field}: no layer {wanted!r} among {known}")


def _roles(given: Recipe) -> None:
    stages = {stage.name for stage in given.stages}
    named = [(field, getattr(given, field)) for field in ("teacher", "student", "alone")]
    named += [(f"export[{n}]", name) for n, name in enumerate(given.export)]
    named += [(f"reported[{n}].stage", each.stage) for n, each in enumerate(given.reported)]
    for field, name in named:
        if name and name not in stages:
            raise _Wrong(f"{field}: there is no stage {name!r}")
    if not given.export:
        raise _Wrong("export: names no stage")
    if not given.precisions:
        raise _Wrong("precisions: names none")
    if len(set(given.seeds)) < len(given.seeds):
        raise _Wrong("seeds: one is there twice")


def _sweep(given: Recipe) -> None:
    if given.sweep is None:
        return
    if wrong := space.fault(given.sweep):
        raise _Wrong(wrong)
    named = space.axes(given.sweep)
    if not named:
        raise _Wrong(f"sweep: names nothing to vary (one of {', '.join(space.KEYS)})")
    wanted = given.sweep.stage or given.student
    stage = next((stage for stage in given.stages if stage.name == wanted), None)
    if stage is None:
        raise _Wrong(f"sweep.stage: there is no stage {wanted!r}")
    lossy = [key for key in space.OF_LOSS if key in named]
    if lossy and stage.loss is None:
        raise _Wrong(f"sweep.{lossy[0]}: stage {wanted!r} has no teacher")
    if stage.start and "width" in named:
        raise _Wrong(f"sweep.width: stage {wanted!r} starts from another's weights")


def data(given: Recipe, train: Dataset, validation: Dataset) -> None:
    """A recipe against its data, cut into training and validation.

    Raises:
        DataError: samples or labels that no network can be trained on, or too few of them.
        UsageError: the recipe asks for what such data does not allow.
    """
    if train.x.dtype == np.int8:
        raise DataError(f"{train.name} holds int8 samples", "train on uint8 pixels or float32")
    if train.x.dtype != np.uint8 and not np.isfinite(train.x).all():
        raise DataError(f"x in {train.name} holds NaN or infinity", "remove those samples")
    count = int(train.y.max()) + 1
    for part in (train, validation):
        lacking = set(range(count)) - set(part.y.tolist())
        if lacking or len(part) < count:
            which = f"none of class {min(lacking)}" if lacking else "too few samples"
            what = f"{part.name} is too small: its {part.split} split of {len(part)} has {which}"
            raise DataError(what, "give more samples or another validation_share")
    for number, stage in enumerate(given.stages):
        units = networks.classes(given.networks[stage.network])
        if units is not None and units != count:
            what = (
                f"network {stage.network!r} tells {units} classes apart, {train.name} has {count}"
            )
            raise UsageError(what, "make the last layer as wide as the data has classes")
        weights = stage.class_weight
        if isinstance(weights, tuple) and (len(weights) != count or not any(weights)):
            what = f"stages[{number}].class_weight has {len(weights)} factors for {count} classes"
            raise UsageError(what, "give one a class, not all of them 0")
    for name, schedule in given.schedules.items():
        if schedule.shift and train.x.ndim != 4:
            what = f"schedules.{name}.shift is {schedule.shift}, and {train.name} has no pictures"
            raise UsageError(what, "set it to 0")
        if schedule.warp and (train.x.dtype != np.uint8 or train.x.shape[3:] != (1,)):
            what = f"schedules.{name}.warp is for uint8 pictures of one channel"
            raise UsageError(f"{what}, and {train.name} has none", "leave it out")


def loss(given: Loss) -> None:
    """T and alpha of a loss that no file was read for (a sweep's); UsageError."""
    if not 0 < given.temperature < float("inf"):
        raise UsageError(f"the temperature is {given.temperature}", "it must be above 0")
    if not 0 <= given.alpha <= 1:
        raise UsageError(f"alpha is {given.alpha}", "it must be within 0..1")


@dataclass(frozen=True, slots=True)
class Found:
    """A recipe, what its results are called, and the folder its own files are in."""

    name: str
    folder: Path
    recipe: Recipe


def names() -> list[str]:
    """The recipes that come with `hil`."""
    return sorted(path.stem for path in _shipped().glob("*.toml"))


def find(wanted: str) -> Found:
    """A recipe by its name, or by the path of a .toml file; checked as far as it can be alone.

    Raises:
        UsageError: there is none of that name.
        ConfigError: the file is missing, or what it says cannot work.
    """
    own = wanted.endswith(".toml")
    if not own and wanted not in names():
        what = f"no recipe called {wanted!r}"
        raise UsageError(what, f"choose one of {', '.join(names())}, or give a .toml file")
    path = Path(wanted) if own else _shipped() / f"{wanted}.toml"
    recipe = read_toml(path, Recipe, hint=_HINT)
    check_recipe(recipe, str(path) if own else path.name)
    return Found(path.stem, path.parent, recipe)


def _shipped() -> Path:
    return Path(str(resources.files("hil_train") / "recipes"))
