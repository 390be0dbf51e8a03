"""The ways to make a network smaller that are compared: one list, and what each of them does.

    teacher ─┬─> finetuned
             ├─> pruned ──┬─> pruned_tuned          at the student's parameters
             │            └─> pruned_distilled
             └─> thin ────┬─> thin_tuned            at the student's multiplications
                          └─> thin_distilled
    alone, student                                  from fresh weights

Every network is exported in float32 and int8, so each is a method with and without quantisation.
All that train at the student's size train on the student's schedule with its seed: the same
number of steps over the same samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec

from hil.config import Config
from hil.errors import UsageError
from hil.kd import plan, sizing
from hil.kd.layers import Network
from hil.kd.plan import Plan
from hil.kd.pruning import CRITERIA, Criterion
from hil.kd.recipe import Recipe

Shape: TypeAlias = tuple[int, ...]
TUNING: Final = 7  # fine-tuning takes a seventh of the epochs, at a tenth of the rate


class Train(Config, frozen=True, tag="train"):
    """Train; ``plan.teacher`` and ``plan.start`` are keys of methods."""

    plan: Plan


class Prune(Config, frozen=True, tag="prune"):
    """Cut ``start``, a method's network, down to the layers of ``wanted``; the criterion that is
    best on the validation split, before any fine-tuning, is taken."""

    start: str
    network: Network
    wanted: Network
    criteria: tuple[Criterion, ...] = CRITERIA


class Given(Config, frozen=True, tag="given"):
    """A network that somebody trained elsewhere."""

    network: Network
    sha256: str


Job: TypeAlias = Train | Prune | Given


@dataclass(frozen=True, slots=True)
class Method:
    """One network. ``job`` says how it is made, for samples of a shape; ``words`` are for tables
    and sentences: a noun phrase in lower case."""

    key: str
    words: str
    job: Callable[[Recipe, Shape], Job]
    note: str = ""


def methods() -> tuple[Method, ...]:
    """All of them, each after those that it needs."""
    return (
        Method("teacher", "teacher", _teacher, "the base: large, trained on the labels"),
        Method(
            "finetuned",
            "teacher + fine-tuning",
            _finetuned,
            f"the teacher trained on for 1/{TUNING} of its epochs at a tenth of its rate, on the "
            "same data: what the write-up lists as fine-tuning, here without a new task",
        ),
        Method(
            "pruned",
            "pruned teacher",
            _pruned("parameters"),
            "pruned to the student's parameters, as cut",
        ),
        Method("pruned_tuned", "pruned teacher + fine-tuning", _after("pruned", taught=False)),
        Method(
            "pruned_distilled",
            "pruned teacher + distillation",
            _after("pruned", taught=True),
            "fine-tuned with the teacher's logits",
        ),
        Method(
            "thin",
            "thin teacher",
            _pruned("macs"),
            "pruned to the student's multiplications, as cut",
        ),
        Method("thin_tuned", "thin teacher + fine-tuning", _after("thin", taught=False)),
        Method(
            "thin_distilled",
            "thin teacher + distillation",
            _after("thin", taught=True),
            "fine-tuned with the teacher's logits",
        ),
        Method("alone", "student alone", _student(taught=False), "the control: labels only"),
        Method("student", "distilled student", _student(taught=True)),
    )


def job_of(method: Method, recipe: Recipe, shape: Shape) -> Job:
    """How a method's network is made.

    Raises:
        UsageError: the recipe has nothing to compare.
    """
    if not recipe.teacher or not recipe.student:
        what = "the recipe names no teacher or no student"
        raise UsageError(what, "a study of compression needs both")
    return method.job(recipe, shape)


def needs(job: Job) -> tuple[str, ...]:
    """Keys of the methods whose networks a job takes."""
    match job:
        case Train(plan=used):
            return tuple(dict.fromkeys(key for key in (used.start, used.teacher) if key))
        case Prune():
            return (job.start,)
        case Given():
            return ()


def network_of(job: Job) -> Network:
    """The layers that come out."""
    match job:
        case Train():
            return job.plan.network
        case Prune():
            return job.wanted
        case Given():
            return job.network


def _teacher(recipe: Recipe, shape: Shape) -> Job:
    del shape
    return Train(plan=_base(recipe, recipe.teacher, "teacher"))


def _finetuned(recipe: Recipe, shape: Shape) -> Job:
    del shape
    base = _base(recipe, recipe.teacher, "finetuned")
    gentle = msgspec.structs.replace(
        base.schedule,
        epochs=max(1, base.schedule.epochs // TUNING),
        learning_rate=base.schedule.learning_rate / 10,
    )
    return Train(plan=msgspec.structs.replace(base, schedule=gentle, start="teacher"))


def _pruned(by: sizing.By) -> Callable[[Recipe, Shape], Job]:
    def job(recipe: Recipe, shape: Shape) -> Job:
        whole = _base(recipe, recipe.teacher, "teacher").network
        small = sizing.size(_base(recipe, recipe.student, "alone").network, shape)
        wanted = sizing.widest(whole, shape, getattr(small, by), by)
        return Prune(start="teacher", network=whole, wanted=wanted)

    return job


def _after(start: str, *, taught: bool) -> Callable[[Recipe, Shape], Job]:
    """A pruned network, trained as the student is."""
    by: sizing.By = "parameters" if start == "pruned" else "macs"

    def job(recipe: Recipe, shape: Shape) -> Job:
        key = f"{start}_{'distilled' if taught else 'tuned'}"
        layers = network_of(_pruned(by)(recipe, shape))
        base = _lesson(_base(recipe, recipe.student, key), recipe, taught)
        return Train(plan=msgspec.structs.replace(base, network=layers, start=start))

    return job


def _student(*, taught: bool) -> Callable[[Recipe, Shape], Job]:
    def job(recipe: Recipe, shape: Shape) -> Job:
        del shape
        key = "student" if taught else "alone"
        return Train(plan=_lesson(_base(recipe, recipe.student, key), recipe, taught))

    return job


def _base(recipe: Recipe, stage: str, key: str) -> Plan:
    """A stage's training from fresh weights and on the labels alone, under a method's key."""
    found = plan.one(recipe, stage, recipe.seeds[0])
    return msgspec.structs.replace(found, key=key, stage=key, loss=None, teacher="", start="")


def _lesson(base: Plan, recipe: Recipe, taught: bool) -> Plan:
    if not taught:
        return base
    loss = plan.one(recipe, recipe.student, recipe.seeds[0]).loss
    if loss is None or loss.kind == "feature":
        what = f"the recipe's stage {recipe.student!r} does not learn from its teacher's logits"
        raise UsageError(what, "a study of compression needs a student with such a loss")
    return msgspec.structs.replace(base, loss=loss, teacher="teacher")
