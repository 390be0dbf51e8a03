# SPDX-License-Identifier: Apache-2.0
"""`hil sweep`: search a stage's settings. The teacher, the study, workers side by side, the report.

load ─> prepare ─> run ─┬─> a process per worker: work ─> trials ─┐
                        └──────────── the study's database <──────┘ ─> report
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import msgspec
import optuna

from hil.core import files, processes
from hil.core.errors import HilError, MachineError, UsageError
from hil.core.processes import Ended
from hil.core.records import Precision
from hil.datasets import Progress
from hil_train import networks, outcome, pipeline, recipe, storage, trial
from hil_train.backend import one_thread, require
from hil_train.export import load_network
from hil_train.outcome import Outcome
from hil_train.plan import FoundRecipe, RecipeData, TrainingPlan, find_recipe, load_data, plan_for
from hil_train.recipe import Recipe, quickly
from hil_train.storage import MEASURED, Settings
from hil_train.training import OnEvent, ignore
from hil_train.trial import Costs, FailedTrial, Objective, SurplusTrial

OnOutcome: TypeAlias = Callable[[Outcome], None]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_POLL_S: Final = 0.5  # between two looks at the study
_STARTUP: Final = 5  # trials, and epochs at most, before any is pruned


@dataclass(frozen=True, slots=True)
class SweepRequest:
    """What the user asked for. ``storage``: a database's URL; empty: a file in ``folder``.
    ``study``: its name there; empty: the recipe's. ``trials``: total in the study."""

    recipe: str
    folder: Path
    project: Path
    trials: int
    storage: str = ""
    study: str = ""
    workers: int = 1
    objectives: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    seed: int | None = None
    quick: bool = False


@dataclass(frozen=True)
class SweepJob:
    """What a worker needs to know. It can be sent to another process.

    ``samples``: at most this many; 0: all. ``folder`` is the sweep's, with the teacher in it.
    """

    found: FoundRecipe
    plan: TrainingPlan
    settings: Settings
    folder: Path
    project: Path
    url: str
    study: str
    total: int
    samples: int


def load(request: SweepRequest, progress: Progress | None = None) -> tuple[FoundRecipe, RecipeData]:
    """Refuse what cannot work; return the recipe (cut to its quick limits if asked) and its data.

    Raises:
        UsageError, ToolMissing, DataError
    """
    found = find_recipe(request.recipe)
    if request.quick:
        found = FoundRecipe(found.name, found.folder, quickly(found.recipe))
    _check(request)
    objectives = storage.parse_objectives(request.objectives)
    if MEASURED in (*objectives, *storage.parse_limits(request.limits)):
        trial.require_board(request.project)
    plan_for(found.recipe, _stage(found.recipe), 1)
    require()
    samples = found.recipe.quick.samples if request.quick else 0
    return found, load_data(found.recipe, found.folder, samples=samples, progress=progress)


def prepare(
    request: SweepRequest, found: FoundRecipe, given: RecipeData, *, on_event: OnEvent = ignore
) -> SweepJob:
    """Train what the stage learns from; ``found`` and ``given`` are from `load`.

    Raises:
        TrainingFailed, StorageError
    """
    wanted, split = found.recipe, given.split
    plan = plan_for(wanted, _stage(wanted), wanted.seeds[0])
    named = recipe.ranges(wanted.sweep) if wanted.sweep else {}
    usual = recipe.default_ranges(
        plan.schedule.learning_rate, loss=plan.loss is not None, width=not plan.start
    )
    settings = Settings(
        recipe=found.name,
        stage=plan.stage,
        axes=named or usual,
        objectives=storage.parse_objectives(request.objectives),
        limits=storage.parse_limits(request.limits),
        seed=wanted.seeds[0] if request.seed is None else request.seed,
        precision=Precision.INT8 if Precision.INT8 in wanted.precisions else Precision.FLOAT32,
        plan=msgspec.json.encode(plan).decode(),
        data=split.train.fingerprint,
        samples=(len(split.train), len(split.validation)),
        ancestors=_train_ancestors(wanted, plan, given, request.folder, on_event),
    )
    return SweepJob(
        found=found,
        plan=plan,
        settings=settings,
        folder=request.folder,
        project=request.project,
        url=request.storage or storage.sqlite_url(request.folder / "study.db"),
        study=request.study or found.name,
        total=request.trials,
        samples=wanted.quick.samples if request.quick else 0,
    )


def run(job: SweepJob, count: int, on_outcome: OnOutcome) -> tuple[Outcome, list[Path]]:
    """Make the trials that the study lacks, and report what it shows.

    Args:
        job: from `prepare`.
        count: worker processes on this machine.
        on_outcome: called with the study again and again while it grows.

    Returns:
        The study, and the files of its report.

    Raises:
        StorageError: the database refuses.
        MachineError: all workers were killed.
        HilError: an error that stopped a worker.
    """
    with storage.opened(job.url, job.study, job.settings) as study:
        with _crew(job, count, study) as crew:
            while crew.working(_POLL_S):
                on_outcome(outcome.read(study, job.settings))
        final = outcome.read(study, job.settings)
        on_outcome(final)
        return final, outcome.write_report(study, final, job.folder / job.study)


def _stage(recipe: Recipe) -> str:
    return (recipe.sweep.stage if recipe.sweep else "") or recipe.student


def _check(request: SweepRequest) -> None:
    if request.trials < 1:
        raise UsageError("--trials must be at least 1", "it is the total in the study")
    if request.workers < 1:
        raise UsageError("--workers must be at least 1", "leave it out for one per core")
    if request.seed is not None and not 0 <= request.seed < 2**31:
        raise UsageError(f"--seed {request.seed} is not within 0..2**31-1", "choose another")
    if request.storage:
        storage.parse_url(request.storage)
    if request.study and not _NAME.fullmatch(request.study):
        what = f"--study {request.study!r} is not a valid name"
        raise UsageError(what, "use at most 100 letters, digits, '.', '_' and '-'")


def _train_ancestors(
    wanted: Recipe, plan: TrainingPlan, given: RecipeData, folder: Path, on_event: OnEvent
) -> dict[str, str]:
    """Train what a stage learns or starts from; key -> fingerprint of its weights."""
    keys: list[str] = []
    waiting = [key for key in (plan.teacher, plan.start) if key]
    while waiting:
        key = waiting.pop()
        keys.append(key)
        before = plan_for(wanted, key, wanted.seeds[0])
        waiting += [k for k in (before.teacher, before.start) if k and k not in keys]
    if not keys:
        return {}
    with files.locked(folder / ".lock"):  # sweeps that start at the same time train one teacher
        pipeline.train_stages(wanted, folder, given, only=keys, on_event=on_event)
        direct = [key for key in (plan.teacher, plan.start) if key]
        return {k: networks.fingerprint(load_network(folder / f"{k}.keras")) for k in direct}


class _Crew:
    """Worker processes. An error of one ends them all; if one is killed, the others continue."""

    def __init__(self, job: SweepJob, count: int) -> None:
        self._workers = [processes.start(_main, job) for _ in range(count)]
        self._working = list(self._workers)
        self._statuses: list[int] = []

    def working(self, seconds: float) -> bool:
        """Whether any worker is still running, after waiting for one to end.

        Raises:
            MachineError: all workers died.
            HilError: from a worker.
        """
        for worker, message in processes.receive(self._working, seconds):
            if isinstance(message, Ended):
                self._working.remove(worker)
                self._statuses.append(message.status)
            else:
                raise cast(HilError, message)
        if not self._working and all(self._statuses):
            what = f"all workers died (exit status {self._statuses[0]})"
            fix = "run the same command to continue; fewer --workers need less memory"
            raise MachineError(what, fix)
        return bool(self._working)

    def stop(self) -> None:
        processes.stop(self._workers)


@contextmanager
def _crew(job: SweepJob, count: int, study: optuna.Study) -> Iterator[_Crew]:
    crew = _Crew(job, count)
    try:
        yield crew
    finally:
        crew.stop()
        storage.fail_interrupted(study, job.folder)


def _main(job: SweepJob, pipe: Connection) -> None:
    def serve() -> None:
        one_thread()
        work(job)

    processes.serve(pipe, serve)


def work(job: SweepJob) -> None:
    """Make trials until ``job.total`` have ended: what each worker does.

    Raises:
        StorageError: the database disconnects.
        HilError: an error that every other trial would have, too.
    """
    split = load_data(job.found.recipe, job.found.folder, samples=job.samples).split
    sampler = storage.RepeatableSampler(job.settings.seed)
    pruner = optuna.pruners.MedianPruner(
        n_startup_trials=_STARTUP, n_warmup_steps=min(_STARTUP, job.plan.schedule.epochs // 4)
    )
    costs = Costs(
        job.folder / "figures",
        job.project,
        split.train,
        job.settings.precision,
        measured=MEASURED in job.settings.figures,
    )
    with (
        storage.worker_name(job.folder) as worker,
        storage.opened(job.url, job.study, job.settings) as study,
    ):
        objective = Objective(
            settings=job.settings,
            plan=job.plan,
            split=split,
            teacher=_network(job, job.plan.teacher),
            start=_network(job, job.plan.start),
            cache=job.folder / pipeline.CACHE,
            costs=costs if job.settings.figures else None,
            total=job.total,
            worker=worker,
            ordinal=lambda: sampler.ordinal,
        )
        study.sampler, study.pruner = sampler, pruner
        while True:
            storage.fail_interrupted(study, job.folder)
            trials = storage.counted_trials(study)
            if sum(each.state.is_finished() for each in trials) >= job.total:
                return
            if len(trials) < job.total:
                study.optimize(objective, n_trials=1, catch=(FailedTrial, SurplusTrial))
            else:
                time.sleep(_POLL_S)  # the last ones run in other processes, and may be interrupted


def _network(job: SweepJob, key: str) -> Any:
    return load_network(job.folder / f"{key}.keras") if key else None
