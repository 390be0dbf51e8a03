"""Stages x seeds -> the trainings to run, in order. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

from hil.config import Config
from hil.errors import UsageError
from hil.kd.layers import Network
from hil.kd.recipe import Loss, Recipe, Schedule, Stage


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
