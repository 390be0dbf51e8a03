"""A recipe: everything that decides what is trained, in one TOML file.

    dataset ── stages, in order: each trains one network on a schedule, alone or with the
               loss that a teacher (an earlier stage) enters ── exported models

Records only: `hil.kd.library` finds and reads them, `hil.kd.checks` refuses what cannot work,
`hil.kd.plan` expands stages and seeds.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

from hil.config import Config
from hil.kd.layers import Name, Network, Positive
from hil.kd.sweep.space import Sweep
from hil.kd.warps import Warp
from hil.records import Precision

Share: TypeAlias = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Seed: TypeAlias = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
LossKind: TypeAlias = Literal["kd", "kl", "soft_ce", "softmax_over_t", "feature"]


class Schedule(Config, frozen=True):
    """How long and how fast: Adam, from ``learning_rate``; samples moved up to ``shift`` pixels.

    ``decay``: the rate falls to 0 on a cosine, or stays. ``warmup``: steps in which it first
    rises from 0. ``weight_decay``: each step takes so large a share of every weight, times the
    rate (AdamW, Loshchilov and Hutter 2019). ``warp``: pictures turned and bent, instead of
    ``shift``. ``patience``: epochs without a better
    ``monitor`` (on validation) after which training ends with the best epoch's weights; 0: never.
    """

    epochs: Positive
    learning_rate: Annotated[float, msgspec.Meta(gt=0, le=10)] = 1e-3
    decay: Literal["cosine", "none"] = "cosine"
    batch: Positive = 128
    shift: Annotated[int, msgspec.Meta(ge=0, le=8)] = 0
    warmup: Annotated[int, msgspec.Meta(ge=0)] = 0
    weight_decay: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.0
    warp: Warp | None = None
    patience: Annotated[int, msgspec.Meta(ge=0)] = 0
    monitor: Literal["val_loss", "val_accuracy"] = "val_loss"


class Loss(Config, frozen=True):
    """What a student with a teacher minimises; `hil.kd.losses` has the formulas.

    ``alpha`` weighs the labels, ``1 - alpha`` the teacher. ``teacher_layer`` and
    ``student_layer`` are for kind ``feature``.
    """

    kind: LossKind = "kd"
    temperature: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 5.0
    alpha: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.1
    teacher_layer: str = ""
    student_layer: str = ""


class Stage(Config, frozen=True):
    """One training.

    ``teacher`` is the stage to learn from (with ``loss``), ``start`` the stage whose weights
    this one continues from (else: fresh ones). ``class_weight``: a factor a class on each
    sample's loss, or ``balanced`` (samples / (classes * samples of the class)). ``quantised``:
    learn on from ``start`` seeing what int8 will do (`hil.kd.quantised`). ``once``: with the
    first seed alone, as a stage that others learn from always is.
    """

    name: Name
    network: Name
    schedule: Name
    teacher: str = ""
    loss: Loss | None = None
    start: str = ""
    class_weight: (
        tuple[Annotated[float, msgspec.Meta(ge=0, lt=1e6)], ...] | Literal["", "balanced"]
    ) = ""
    quantised: bool = False
    once: bool = False
    note: str = ""  # for the card


class Reported(Config, frozen=True):
    """What the write-up that a recipe comes from says of a stage's accuracy."""

    stage: str
    accuracy: float
    note: str = ""


class Quick(Config, frozen=True):
    """Limits of ``--quick``, which only shows that the pipeline works. ``samples`` 0: all.
    Nothing is warped and no rate warmed up: views take long, and two epochs are soon over."""

    epochs: Positive = 2
    samples: Annotated[int, msgspec.Meta(ge=0)] = 0
    shift: Annotated[int, msgspec.Meta(ge=0)] = 0
    calibration: Positive = 100


class Recipe(Config, frozen=True):
    """The file. ``control``: nothing can be learnt from this data, and the result must say so."""

    title: str
    dataset: str  # a name, or an .npz file beside the recipe
    networks: dict[Name, Network]
    schedules: dict[Name, Schedule]
    stages: Annotated[tuple[Stage, ...], msgspec.Meta(min_length=1)]
    # the three that the verdict compares
    teacher: str = "teacher"
    student: str = "student"
    alone: str = "student_alone"
    # of stages that no other learns from; the first seed's networks are the ones exported
    seeds: Annotated[tuple[Seed, ...], msgspec.Meta(min_length=1)] = (1,)
    export: tuple[str, ...] = ("teacher", "student")
    precisions: tuple[Precision, ...] = (Precision.FLOAT32, Precision.INT8)
    validation_share: Share = 0.1
    test_share: Share = 0.2  # of an .npz file; a named data set has its own test split
    calibration: Positive = 500  # training samples that set the int8 ranges
    control: bool = False
    reported: tuple[Reported, ...] = ()
    quick: Quick = Quick()
    sweep: Sweep | None = None  # what `hil sweep` varies; None: the usual
    limits: tuple[str, ...] = ()  # sentences for the card


def quickly(recipe: Recipe) -> Recipe:
    """The recipe within its ``quick`` limits, with one seed."""
    limit = recipe.quick
    schedules = {
        name: msgspec.structs.replace(
            each,
            epochs=min(each.epochs, limit.epochs),
            shift=min(each.shift, limit.shift),
            warmup=0,
            warp=None,
        )
        for name, each in recipe.schedules.items()
    }
    return msgspec.structs.replace(
        recipe,
        schedules=schedules,
        seeds=recipe.seeds[:1],
        calibration=min(recipe.calibration, limit.calibration),
    )
