# SPDX-License-Identifier: Apache-2.0
"""`hil study compression`: make networks by several methods, measure them on a board, compare them.

Only the board reads the test split, after every network is made. Choices (a pruning criterion, the
epoch to stop at) are made on the validation split.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
import numpy as np

from hil.bench import Request, make_plan, run
from hil.bench.events import Emit
from hil.bench.events import Event as BenchEvent
from hil.bench.lab import Lab
from hil.core import files
from hil.core.errors import DoesNotFit, NotForBoard, StorageError, UsageError
from hil.core.records import EXPORTED, Precision, TimeUnit
from hil.runs.cells import cells
from hil.runs.load import load_run, read_manifest
from hil.runs.schema import MANIFEST, Manifest
from hil_train import networks, pipeline, provenance, study_pages
from hil_train.figures import FILE, SCHEMA, CompressionStudy, DeviceFigures, Variant
from hil_train.methods import MadeNetwork, Method, Workshop, job_of, methods, needs
from hil_train.plan import FoundRecipe, RecipeData
from hil_train.recipe import Recipe, quickly
from hil_train.training import StageEvent

Unit: TypeAlias = TimeUnit
OnStudyEvent: TypeAlias = Callable[[StageEvent | BenchEvent], None]

_TEST: Final = "test.npz"
_QUICK_SAMPLES: Final = 50


def ignore(event: StageEvent | BenchEvent) -> None:
    """Do nothing: the default listener."""
    del event


@dataclass(frozen=True, slots=True)
class StudyRequest:
    """What the user asked for.

    ``limit``: samples of the test split per network; None: all. ``epochs``: most epochs of any
    training; 0: as in the recipe. ``teacher``: a trained .keras file to use instead of
    training one.
    """

    found: FoundRecipe
    project: Path
    out: Path
    board: str = "mps2"
    limit: int | None = None
    epochs: int = 0
    quick: bool = False
    teacher: Path | None = None


def study(
    request: StudyRequest,
    data: RecipeData | None = None,
    *,
    lab: Lab | None = None,
    on_event: OnStudyEvent = ignore,
) -> CompressionStudy:
    """Make and measure the networks in ``request.out``; results with the same inputs are kept.

    Args:
        request: recipe, board, limits.
        data: of the recipe, if `hil_train.pipeline.prepare` has already loaded it.
        lab: builds firmware and opens boards; None: the real one.
        on_event: called for trainings and runs.

    Returns:
        The content of ``study.json``, which is beside ``study.md``, ``study.html`` and
        ``pareto.svg``.

    Raises:
        HilError: as `hil train` and `hil bench`.
    """
    if request.limit is not None and request.limit < 1:
        raise UsageError("--limit must be at least 1", "leave it out for the whole test set")
    if request.epochs < 0:
        raise UsageError("--epochs must be at least 1", "leave it out for the recipe's")
    recipe = quickly(request.found.recipe) if request.quick else request.found.recipe
    recipe = _cut_short(recipe, request.epochs)
    data = data or pipeline.prepare(request.found, quick=request.quick)
    if data.note:
        on_event(StageEvent("data", "warning", text=data.note))
    # refuses a recipe that cannot be studied before anything is trained
    shape = data.split.train.x.shape[1:]
    jobs = {method.key: job_of(method, recipe, shape) for method in methods()}
    workshop = Workshop(recipe, data, request.out / "networks", request.teacher, on_event)
    made = {key: workshop.make(key, job) for key, job in jobs.items()}

    limit = request.limit
    if request.quick:
        limit = min(limit or _QUICK_SAMPLES, _QUICK_SAMPLES)
    dataset, file = _test_data(recipe, data, request.out)
    bench = Bench(
        request.project, request.board, request.out / "runs", dataset, file, limit, lab, on_event
    )
    found = {
        (method.key, precision): measure(
            bench, f"{method.key}_{precision}", workshop.file(method.key, precision)
        )
        for method in methods()
        for precision in EXPORTED
    }
    result = _study(request, recipe, data, shape, made, found)
    provenance.write(request.out / FILE, result)
    study_pages.write(result, request.out)
    return result


def _cut_short(recipe: Recipe, epochs: int) -> Recipe:
    """The recipe with at most ``epochs`` in each schedule; 0: as it is."""
    if not epochs:
        return recipe
    schedules = {
        name: msgspec.structs.replace(each, epochs=min(each.epochs, epochs))
        for name, each in recipe.schedules.items()
    }
    return msgspec.structs.replace(recipe, schedules=schedules)


def _test_data(recipe: Recipe, data: RecipeData, folder: Path) -> tuple[str, Path | None]:
    """How the bench finds the test split: the name of a data set, or a file in ``folder`` with the
    test split of the recipe's own .npz file."""
    if not recipe.dataset.endswith(".npz"):
        return data.split.train.name, None
    split = data.test()
    path = folder / _TEST
    with files.replacing(path) as part:
        np.savez(part, x=split.x, y=split.y)
    return "", path


@dataclass(frozen=True, slots=True)
class Bench:
    """Where and with which samples to measure. ``limit``: samples; None: the whole test split."""

    project: Path
    board: str
    folder: Path
    dataset: str  # a name, or empty: ``data`` is read
    data: Path | None
    limit: int | None
    lab: Lab | None
    emit: Emit


@dataclass(frozen=True, slots=True)
class BoardResult:
    """``device`` is None if the network does not fit the board; ``why`` is then the reason."""

    device: DeviceFigures | None
    why: str
    title: str
    unit: Unit
    n: int


def measure(bench: Bench, key: str, tflite: Path) -> BoardResult:
    """Run a network on the board, or read its complete run if there is one.

    Raises:
        HilError: as a bench, except that a network may not fit the board.
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
    except (DoesNotFit, NotForBoard) as problem:
        return BoardResult(None, problem.what, bench.board, "none", 0)
    (case,) = plan.cases
    board, n = case.image.board, len(plan.data)
    title, unit = case.station.title, board.clock.unit
    # another file or other samples make another run: nothing is overwritten
    folder = bench.folder / f"{key}-{case.network.graph.sha256[:8]}-{n}"
    if not _is_complete(folder, case.network.graph.sha256, plan.data.fingerprint, board.name):
        try:
            run(plan, folder, bench.emit, bench.lab)
        except DoesNotFit as problem:
            return BoardResult(None, problem.what, title, unit, n)
    stored = load_run(folder)
    (found,) = cells(stored.manifest, stored.samples)
    if not found.complete or found.end is None:
        raise StorageError(f"{folder} is not complete", "run the same command again")
    memory = found.end.memory
    if memory is None or found.right is None:  # not so of our firmware and a study's data
        raise StorageError(f"{folder} has no labels or no memory", "run the same command again")
    device = DeviceFigures(
        wrong=tuple(int(i) for i in np.flatnonzero(~found.right)),
        time=found.time.point if found.time else None,
        arena=memory.arena or 0,
        flash_model=memory.flash_model or 0,
        flash_code=memory.flash_code or 0,
        unexpected=found.unexpected,
    )
    return BoardResult(device, "", title, unit, n)


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


def _study(
    request: StudyRequest,
    recipe: Recipe,
    data: RecipeData,
    shape: tuple[int, ...],
    made: dict[str, MadeNetwork],
    found: dict[tuple[str, Precision], BoardResult],
) -> CompressionStudy:
    student = networks.size(recipe.networks[_network(recipe, recipe.student)], shape)
    ran = [each for each in found.values() if each.device is not None]
    if not ran:
        why = next(iter(found.values())).why
        raise UsageError(f"no network runs on {request.board} ({why})", "choose another --board")
    return CompressionStudy(
        schema=SCHEMA,
        recipe=request.found.name,
        quick=request.quick,
        epochs=request.epochs,
        dataset=data.split.train.name,
        note=data.note,
        test=len(data.test()),
        n=ran[0].n,
        board=request.board,
        board_title=ran[0].title,
        unit=ran[0].unit,
        budget_parameters=student.parameters,
        budget_macs=student.macs,
        rows=tuple(
            _variant(method, precision, made, found[method.key, precision])
            for method in methods()
            for precision in EXPORTED
        ),
        versions=next(iter(made.values())).versions,
        command=shlex.join(["hil", *sys.argv[1:]]),
    )


def _variant(
    method: Method, precision: Precision, made: dict[str, MadeNetwork], measured: BoardResult
) -> Variant:
    one = made[method.key]
    note = method.note
    if one.criterion:
        note += f"; criterion {one.criterion}, the best on validation of "
        note += ", ".join(f"{name} {value:.4f}" for name, value in one.tried.items())
    return Variant(
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


def _total(key: str, made: dict[str, MadeNetwork]) -> float | None:
    """Processor seconds of a network and of everything that it needs, each counted once."""
    waiting, seen = [key], set[str]()
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            waiting += needs(made[one].inputs.job)
    seconds = [made[each].seconds for each in seen]
    return None if None in seconds else float(sum(each or 0.0 for each in seconds))


def _network(recipe: Recipe, stage: str) -> str:
    return next(each.network for each in recipe.stages if each.name == stage)
