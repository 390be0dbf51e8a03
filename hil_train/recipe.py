# SPDX-License-Identifier: Apache-2.0
"""A recipe: everything that decides what is trained, in one TOML file.

    dataset ── stages, in order: each trains one network on a schedule, alone or with a loss
               that includes a teacher (an earlier stage) ── exported models

The records, and the rules of the ``[sweep]`` section. `hil_train.plan` finds, checks and expands
recipes.
"""

from __future__ import annotations

import math
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from hil.core.files import Config
from hil.core.records import Precision
from hil_train.batches import Warp
from hil_train.networks import Name, Network, Positive

Share: TypeAlias = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Seed: TypeAlias = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
LossKind: TypeAlias = Literal["kd", "kl", "soft_ce", "softmax_over_t", "feature"]


class Schedule(Config, frozen=True):
    """How long and how fast a stage trains, with Adam.

    ``decay``: the learning rate falls to 0 on a cosine, or stays. ``warmup``: steps in which it
    first rises from 0. ``weight_decay``: the share of each weight, times the rate, that every step
    subtracts (AdamW, Loshchilov and Hutter 2019). ``shift``: pixels that pictures move at most.
    ``warp``: rotated and bent pictures, instead of ``shift``. ``patience``: epochs without a better
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
    """What a student with a teacher minimises. `hil_train.distillation` has the formulas.

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
    this one starts from (default: random ones). ``class_weight``: one factor per class on each
    sample's loss, or ``balanced`` (samples / (classes * samples of the class)). ``quantised``:
    quantisation-aware training from ``start`` on (`hil_train.compress`). ``once``: train with the
    first seed only, as is always done for stages that others learn from.
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


class Range(Config, frozen=True):
    """Numbers from ``low`` to ``high``; ``log``: on a logarithmic scale; ``step``: only ``low``,
    ``low + step``, ..."""

    low: float
    high: float
    log: bool = False
    step: float | None = None


Values: TypeAlias = Range | tuple[float, ...]  # a tuple: only these values


class Sweep(Config, frozen=True):
    """The ``[sweep]`` section: what `hil sweep` varies. Anything else stays as the stage has it.

    ``stage``: the one to vary; default: the recipe's student. ``width``: a factor on the filters
    and units of all its layers except the last.
    """

    stage: str = ""
    temperature: Values | None = None
    alpha: Values | None = None
    learning_rate: Values | None = None
    width: Values | None = None
    batch: Values | None = None
    epochs: Values | None = None


class Reported(Config, frozen=True):
    """A stage's accuracy according to the write-up that a recipe comes from."""

    stage: str
    accuracy: float
    note: str = ""


class Quick(Config, frozen=True):
    """Limits of ``--quick``, which only shows that the pipeline works. ``samples`` 0: all.
    There is no warping and no warm-up: views take long, and two epochs are too few for them."""

    epochs: Positive = 2
    samples: Annotated[int, msgspec.Meta(ge=0)] = 0
    shift: Annotated[int, msgspec.Meta(ge=0)] = 0
    calibration: Positive = 100


class Recipe(Config, frozen=True):
    """The file. ``control``: nothing can be learned from this data, and the result must say so."""

    title: str
    dataset: str  # a name, or an .npz file beside the recipe
    networks: dict[Name, Network]
    schedules: dict[Name, Schedule]
    stages: Annotated[tuple[Stage, ...], msgspec.Meta(min_length=1)]
    # the three stages that the verdict compares
    teacher: str = "teacher"
    student: str = "student"
    alone: str = "student_alone"
    # for stages that no other learns from; the networks of the first seed are exported
    seeds: Annotated[tuple[Seed, ...], msgspec.Meta(min_length=1)] = (1,)
    export: tuple[str, ...] = ("teacher", "student")
    precisions: tuple[Precision, ...] = (Precision.FLOAT32, Precision.INT8)
    validation_share: Share = 0.1
    test_share: Share = 0.2  # of an .npz file; a named data set has its own test split
    calibration: Positive = 500  # training samples that set the int8 ranges
    control: bool = False
    reported: tuple[Reported, ...] = ()
    quick: Quick = Quick()
    sweep: Sweep | None = None  # None: `default_ranges`
    limits: tuple[str, ...] = ()  # sentences for the model card


def quickly(recipe: Recipe) -> Recipe:
    """The recipe, cut to its ``quick`` limits and one seed."""
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


KEYS: Final = ("temperature", "alpha", "learning_rate", "width", "batch", "epochs")
WHOLE: Final = ("batch", "epochs")  # take whole numbers
OF_LOSS: Final = ("temperature", "alpha")  # need a stage with a teacher
_BOUNDS: Final = {
    "temperature": (0.01, 1000.0),
    "alpha": (0.0, 1.0),
    "learning_rate": (1e-7, 10.0),
    "width": (0.01, 16.0),
    "batch": (1, 2**20),
    "epochs": (1, 10_000),
}


def ranges(sweep: Sweep) -> dict[str, Values]:
    """Key -> values, of the keys that a section sets."""
    fields = msgspec.structs.asdict(sweep)
    return {key: fields[key] for key in KEYS if fields[key] is not None}


def default_ranges(learning_rate: float, *, loss: bool, width: bool) -> dict[str, Values]:
    """What a sweep varies if the recipe has no ``[sweep]`` section.

    Args:
        learning_rate: the stage's own, the geometric mean of its range.
        loss: whether the stage has a loss with T and alpha.
        width: whether its layers may change.
    """
    found: dict[str, Values] = {}
    if loss:
        found["temperature"] = Range(low=1, high=20, log=True)
        found["alpha"] = Range(low=0, high=1)
    reach = math.sqrt(10)
    low, high = learning_rate / reach, min(10.0, learning_rate * reach)
    found["learning_rate"] = Range(low=float(f"{low:.3g}"), high=float(f"{high:.3g}"), log=True)
    if width:
        found["width"] = Range(low=0.25, high=2, step=0.25)
    return found


def sweep_fault(sweep: Sweep) -> str:
    """What is wrong with a section, starting with the key; empty if nothing is."""
    for key, values in ranges(sweep).items():
        what = _fault(key, values)
        if what:
            return f"sweep.{key}: {what}"
    return ""


def _fault(key: str, values: Values) -> str:
    if isinstance(values, Range):
        low, high, step = values.low, values.high, values.step
        if not low < high:
            return f"low {low:g} is not below high {high:g}"
        if values.log and (low <= 0 or step is not None):
            return "a logarithmic range starts above 0 and has no step"
        if step is not None and not 0 < step <= high - low:
            return f"a step of {step:g} does not fit between {low:g} and {high:g}"
        numbers: tuple[float, ...] = (low, high) if step is None else (low, high, low + step)
    else:
        numbers = values
        if not numbers:
            return "has no values"
        if len(set(numbers)) < len(numbers):
            return "has a value twice"
    least, most = _BOUNDS[key]
    outside = [n for n in numbers if not least <= n <= most]
    if outside:
        return f"{outside[0]:g} is not within {least:g}..{most:g}"
    if key in WHOLE and any(n != int(n) for n in numbers):
        return "must be whole numbers"
    return ""
