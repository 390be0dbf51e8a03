"""The study of compression from its recipe to its pages: make, measure, compare.

The test split is read by the board alone, after every network is made: all that is chosen
(a pruning criterion, an epoch to stop at) is chosen on the validation split.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from hil.bench.events import Event as BenchEvent
from hil.bench.lab import Lab
from hil.errors import UsageError
from hil.kd import pipeline, provenance, sizing
from hil.kd.data import Data
from hil.kd.events import Event
from hil.kd.library import Found
from hil.kd.recipe import Recipe, quickly
from hil.records import Precision
from hil.study import pages
from hil.study.figures import FILE, SCHEMA, Row, Study
from hil.study.measure import Bench, Measured, measure, test_data
from hil.study.methods import Method, job_of, methods, needs
from hil.study.workshop import Made, Workshop

OnEvent: TypeAlias = Callable[[Event | BenchEvent], None]
QUICK_SAMPLES: Final = 50


def ignore(event: Event | BenchEvent) -> None:
    """The watcher that does not watch."""
    del event


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asked for.

    ``limit``: samples of the test split a network; None: all. ``epochs``: no training takes
    more; 0: as the recipe says. ``teacher``: a trained .keras file to start from.
    """

    found: Found
    project: Path
    out: Path
    board: str = "mps2"
    limit: int | None = None
    epochs: int = 0
    quick: bool = False
    teacher: Path | None = None


def study(
    wanted: Wanted, data: Data | None = None, *, lab: Lab | None = None, on_event: OnEvent = ignore
) -> Study:
    """Carry the study out in ``wanted.out``; what is there of the same inputs is kept.

    Args:
        wanted: recipe, board, limits.
        data: of the recipe, when `hil.kd.pipeline.prepare` has loaded it already.
        lab: builds firmware and opens boards; None: the real one.
        on_event: told of trainings and runs.

    Returns:
        What ``study.json`` holds; ``study.md``, ``study.html`` and ``pareto.svg`` are beside it.

    Raises:
        HilError: as `hil train` and `hil bench`.
    """
    if wanted.limit is not None and wanted.limit < 1:
        raise UsageError("--limit must be at least 1", "leave it out for the whole test set")
    if wanted.epochs < 0:
        raise UsageError("--epochs must be at least 1", "leave it out for the recipe's")
    recipe = cut_short(
        quickly(wanted.found.recipe) if wanted.quick else wanted.found.recipe, wanted
    )
    data = data or pipeline.prepare(wanted.found, quick=wanted.quick)
    if data.note:
        on_event(Event("data", "warning", text=data.note))
    # all contradictions are found before anything is trained
    shape = data.split.train.x.shape[1:]
    jobs = {method.key: job_of(method, recipe, shape) for method in methods()}
    workshop = Workshop(recipe, data, wanted.out / "networks", wanted.teacher, on_event)
    made = {key: workshop.make(key, job) for key, job in jobs.items()}

    limit = wanted.limit
    if wanted.quick:
        limit = min(limit or QUICK_SAMPLES, QUICK_SAMPLES)
    own = recipe.dataset.endswith(".npz")
    dataset, file = test_data(data, own, wanted.out)
    bench = Bench(
        wanted.project, wanted.board, wanted.out / "runs", dataset, file, limit, lab, on_event
    )
    found = {
        (method.key, precision): measure(
            bench, f"{method.key}_{precision}", workshop.file(method.key, precision)
        )
        for method in methods()
        for precision in Precision
    }
    result = _study(wanted, recipe, data, shape, made, found)
    provenance.write(wanted.out / FILE, result)
    pages.write(result, wanted.out)
    return result


def cut_short(recipe: Recipe, wanted: Wanted) -> Recipe:
    """The recipe with at most ``wanted.epochs`` in each schedule."""
    if not wanted.epochs:
        return recipe
    schedules = {
        name: msgspec.structs.replace(each, epochs=min(each.epochs, wanted.epochs))
        for name, each in recipe.schedules.items()
    }
    return msgspec.structs.replace(recipe, schedules=schedules)


def _study(
    wanted: Wanted,
    recipe: Recipe,
    data: Data,
    shape: tuple[int, ...],
    made: dict[str, Made],
    found: dict[tuple[str, Precision], Measured],
) -> Study:
    student = sizing.size(recipe.networks[_network(recipe, recipe.student)], shape)
    ran = [each for each in found.values() if each.device is not None]
    if not ran:
        why = next(iter(found.values())).why
        raise UsageError(f"no network runs on {wanted.board} ({why})", "choose another --board")
    return Study(
        schema=SCHEMA,
        recipe=wanted.found.name,
        quick=wanted.quick,
        epochs=wanted.epochs,
        dataset=data.split.train.name,
        note=data.note,
        test=len(data.test()),
        n=ran[0].n,
        board=wanted.board,
        board_title=ran[0].title,
        unit=ran[0].unit,
        budget_parameters=student.parameters,
        budget_macs=student.macs,
        rows=tuple(
            _row(method, precision, made, found[method.key, precision])
            for method in methods()
            for precision in Precision
        ),
        versions=next(iter(made.values())).versions,
        command=shlex.join(["hil", *sys.argv[1:]]),
    )


def _row(method: Method, precision: Precision, made: dict[str, Made], measured: Measured) -> Row:
    one = made[method.key]
    note = method.note
    if one.criterion:
        note += f"; criterion {one.criterion}, the best on validation of "
        note += ", ".join(f"{name} {value:.4f}" for name, value in one.tried.items())
    return Row(
        method=method.key,
        words=method.words,
        precision=precision,
        parameters=one.parameters,
        macs=one.macs,
        validation_accuracy=one.validation_accuracy,
        seconds=one.seconds,
        total=_total(method.key, made),
        device=measured.device,
        why=measured.why,
        note=note,
    )


def _total(key: str, made: dict[str, Made]) -> float | None:
    """Processor seconds of a network and of all that it needs, each once."""
    wanted, seen = [key], set[str]()
    while wanted:
        one = wanted.pop()
        if one not in seen:
            seen.add(one)
            wanted += needs(made[one].inputs.job)
    seconds = [made[each].seconds for each in seen]
    return None if None in seconds else float(sum(each or 0.0 for each in seconds))


def _network(recipe: Recipe, stage: str) -> str:
    return next(each.network for each in recipe.stages if each.name == stage)
