# SPDX-License-Identifier: Apache-2.0
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
from typing import Final, Literal, TypeAlias

import msgspec
import numpy as np

from hil.bench import Request, make_plan, run
from hil.bench.events import Emit
from hil.bench.events import Event as BenchEvent
from hil.bench.lab import Lab
from hil.core import files
from hil.core.errors import DoesNotFit, NotForBoard, StorageError, UsageError
from hil.core.records import Dataset, Precision
from hil.runs.cells import cells
from hil.runs.load import load_run, read_manifest
from hil.runs.schema import MANIFEST, Manifest
from hil_train import networks, pipeline, provenance
from hil_train.backend import Event
from hil_train.plan import Found
from hil_train.recipe import Recipe, quickly
from hil_train.study import pages
from hil_train.study.figures import FILE, SCHEMA, Device, Row, Study
from hil_train.study.methods import Made, Method, Workshop, job_of, methods, needs
from hil_train.training import Data

Unit: TypeAlias = Literal["instructions", "us", "none"]
TEST = "test.npz"


@dataclass(frozen=True, slots=True)
class Bench:
    """Where and on what networks are measured. ``limit``: samples; None: the whole test split."""

    project: Path
    board: str
    folder: Path
    dataset: str  # a name, or empty: ``data`` is read
    data: Path | None
    limit: int | None
    lab: Lab | None
    emit: Emit


@dataclass(frozen=True, slots=True)
class Measured:
    """``device`` is None where the network has no place on the board; ``why`` then says it."""

    device: Device | None
    why: str
    title: str
    unit: Unit
    n: int


def test_data(data: Data, own: bool, folder: Path) -> tuple[str, Path | None]:
    """How the bench finds the test split: a data set's name, or a file of the split itself.

    Args:
        data: of the recipe.
        own: the recipe names an .npz file, of which the test split is a part.
        folder: for that part.
    """
    if not own:
        return data.split.train.name, None
    split: Dataset = data.test()
    path = folder / TEST
    with files.replacing(path) as part:
        np.savez(part, x=split.x, y=split.y)
    return "", path


def measure(bench: Bench, key: str, tflite: Path) -> Measured:
    """Run a network on the board, or read the complete run of it that is there.

    Raises:
        HilError: as a bench; what the board has no place for is no error.
    """
    request = Request(
        project=bench.project,
        boards=(bench.board,),
        models=(str(tflite),),
        dataset=bench.dataset or "auto",
        data=bench.data,
        limit=bench.limit,
    )
    try:
        plan = make_plan(request)
    except DoesNotFit as problem:
        return Measured(None, problem.what, bench.board, "none", 0)
    except NotForBoard as problem:
        return Measured(None, problem.what, bench.board, "none", 0)
    (case,) = plan.cases
    board, n = case.image.board, len(plan.data)
    title, unit = case.station.title, board.clock.unit
    # another file or other samples make another run: nothing is overwritten
    folder = bench.folder / f"{key}-{case.network.graph.sha256[:8]}-{n}"
    if not _is_complete(folder, case.network.graph.sha256, plan.data.fingerprint, board.name):
        try:
            run(plan, folder, bench.emit, bench.lab)
        except DoesNotFit as problem:
            return Measured(None, problem.what, title, unit, n)
    stored = load_run(folder)
    (found,) = cells(stored.manifest, stored.samples)
    if not found.complete or found.end is None:
        raise StorageError(f"{folder} is not complete", "run the same command again")
    memory = found.end.memory
    device = Device(
        wrong=tuple(int(i) for i in np.flatnonzero(~found.right)),
        time=found.time.point if found.time else None,
        arena=memory.arena,
        flash_model=memory.flash_model,
        flash_code=memory.flash_code,
        unexpected=found.unexpected,
    )
    return Measured(device, "", title, unit, n)


def _is_complete(folder: Path, sha256: str, fingerprint: str, board: str) -> bool:
    if not (folder / MANIFEST).exists():
        return False
    found: Manifest = read_manifest(folder)
    (plan,) = found.runs
    return (
        found.state == "complete"
        and (plan.model_sha256, plan.board) == (sha256, board)
        and found.dataset.fingerprint == fingerprint
    )


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
        data: of the recipe, when `hil_train.pipeline.prepare` has loaded it already.
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
    student = networks.size(recipe.networks[_network(recipe, recipe.student)], shape)
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
