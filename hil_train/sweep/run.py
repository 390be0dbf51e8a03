# SPDX-License-Identifier: Apache-2.0
"""A sweep from first to last: the teacher, the study, workers side by side, the report."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
import optuna

from hil.core.errors import HilError, MachineError, UsageError
from hil.core.files import locked
from hil.core.records import Precision
from hil.datasets import Progress
from hil_train import backend, export, networks, pipeline, training
from hil_train import plan as library
from hil_train import recipe as space
from hil_train import workers as processes
from hil_train.backend import OnEvent, ignore
from hil_train.plan import Found, Plan, one
from hil_train.recipe import Recipe, quickly
from hil_train.sweep import outcome, report
from hil_train.sweep import study as goal
from hil_train.sweep import study as studies
from hil_train.sweep import trial as figures
from hil_train.sweep.outcome import Outcome
from hil_train.sweep.study import MEASURED, Settings
from hil_train.sweep.trial import Costs, Failed, Objective, Surplus
from hil_train.training import Data

POLL_S: Final = 0.5  # while the last trials run elsewhere
_WARM_UP: Final = 5  # trials, and epochs at most, before any is pruned


@dataclass(frozen=True)
class Job:
    """What a worker needs to know; can be sent to a process.

    ``samples``: at most so many, 0: all. ``folder`` is the sweep's, with the teacher in it.
    """

    found: Found
    plan: Plan
    settings: Settings
    folder: Path
    project: Path
    url: str
    study: str
    total: int
    samples: int


def work(job: Job) -> None:
    """Make trials until ``job.total`` have ended.

    Raises:
        StorageError: the database goes away.
        HilError: whatever no other trial would do better with.
    """
    split = training.load(job.found.recipe, job.found.folder, samples=job.samples).split
    sampler = studies.Numbered(job.settings.seed)
    objective = Objective(
        settings=job.settings,
        plan=job.plan,
        split=split,
        teacher=_network(job, job.plan.teacher),
        start=_network(job, job.plan.start),
        cache=job.folder / "cache",
        costs=Costs(
            job.folder / "figures",
            job.project,
            split.train,
            job.settings.precision,
            measured=MEASURED in job.settings.figures,
        )
        if job.settings.figures
        else None,
        total=job.total,
        ordinal=lambda: sampler.ordinal,
    )
    pruner = optuna.pruners.MedianPruner(
        n_startup_trials=_WARM_UP, n_warmup_steps=min(_WARM_UP, job.plan.schedule.epochs // 4)
    )
    with studies.opened(job.url, job.study, job.settings) as study:
        study.sampler, study.pruner = sampler, pruner
        while True:
            studies.fail_orphans(study)
            trials = studies.all_of(study)
            if sum(trial.state.is_finished() for trial in trials) >= job.total:
                return
            if len(trials) < job.total:
                study.optimize(objective, n_trials=1, catch=(Failed, Surplus))
            else:
                time.sleep(POLL_S)  # one of those that run may be cut off yet


def _network(job: Job, key: str) -> object:
    return export.load(job.folder / f"{key}.keras") if key else None


def main(job: Job, pipe: Connection) -> None:
    """A worker as a process of its own; an error goes through ``pipe``."""
    processes.serve(pipe, lambda: work(job))


LOOK_S: Final = 0.5  # between two looks at the study
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

OnOutcome: TypeAlias = Callable[[Outcome], None]


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asked for. ``storage``: a database's URL, empty: a file in ``folder``;
    ``study``: its name there, empty: the recipe's; ``trials``: in the study, in all."""

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


def load(request: Request, progress: Progress | None = None) -> tuple[Found, Data]:
    """Refuse what cannot work; the recipe (within its quick limits if asked) and its data.

    Raises:
        UsageError, ToolMissing, DataError
    """
    found = library.find(request.recipe)
    if request.quick:
        found = Found(found.name, found.folder, quickly(found.recipe))
    _check(request)
    if MEASURED in (*goal.objectives(request.objectives), *goal.limits(request.limits)):
        figures.require_board(request.project)
    one(found.recipe, _stage(found.recipe), 1)
    backend.require()
    samples = found.recipe.quick.samples if request.quick else 0
    return found, training.load(found.recipe, found.folder, samples=samples, progress=progress)


def prepare(request: Request, found: Found, given: Data, *, on_event: OnEvent = ignore) -> Job:
    """Train what the stage learns from, with what `load` gave.

    Raises:
        TrainingFailed, StorageError
    """
    recipe, split = found.recipe, given.split
    plan = one(recipe, _stage(recipe), recipe.seeds[0])
    named = space.axes(recipe.sweep) if recipe.sweep else {}
    rate, lossy = plan.schedule.learning_rate, plan.loss is not None
    settings = Settings(
        recipe=found.name,
        stage=plan.stage,
        axes=named or space.usual(rate, loss=lossy, width=not plan.start),
        objectives=goal.objectives(request.objectives),
        limits=goal.limits(request.limits),
        seed=recipe.seeds[0] if request.seed is None else request.seed,
        precision=Precision.INT8 if Precision.INT8 in recipe.precisions else Precision.FLOAT32,
        plan=msgspec.json.encode(plan).decode(),
        data=split.train.fingerprint,
        samples=(len(split.train), len(split.validation)),
        ancestors=_train_ancestors(recipe, plan, given, request.folder, on_event),
    )
    return Job(
        found=found,
        plan=plan,
        settings=settings,
        folder=request.folder,
        project=request.project,
        url=request.storage or studies.sqlite(request.folder / "study.db"),
        study=request.study or found.name,
        total=request.trials,
        samples=recipe.quick.samples if request.quick else 0,
    )


def run(job: Job, workers: int, on_outcome: OnOutcome) -> tuple[Outcome, list[Path]]:
    """Make the trials that the study lacks, and draw what it says.

    Args:
        job: as `prepare` gives it.
        workers: processes on this machine.
        on_outcome: told of the study again and again while it grows.

    Returns:
        The study, and the files of its report.

    Raises:
        StorageError: the database refuses.
        MachineError: every worker was killed.
        HilError: what a worker stopped with.
    """
    with studies.opened(job.url, job.study, job.settings) as study:
        with _crew(job, workers, study) as crew:
            while crew.busy():
                on_outcome(outcome.read(study, job.settings))
                time.sleep(LOOK_S)
        crew.complain()
        final = outcome.read(study, job.settings, importance=True)
    on_outcome(final)
    return final, report.write(final, job.folder / job.study, job.study)


def _stage(recipe: Recipe) -> str:
    return (recipe.sweep.stage if recipe.sweep else "") or recipe.student


def _check(request: Request) -> None:
    if request.trials < 1:
        raise UsageError("--trials must be at least 1", "it is the number in the whole study")
    if request.workers < 1:
        raise UsageError("--workers must be at least 1", "leave it out for one a core")
    if request.seed is not None and not 0 <= request.seed < 2**31:
        raise UsageError(f"--seed {request.seed} is not within 0..2**31-1", "choose another")
    if request.storage:
        studies.parse(request.storage)
    if request.study and not _NAME.fullmatch(request.study):
        what = f"--study {request.study!r} cannot name a study"
        raise UsageError(what, "use letters, digits, '.', '_' and '-', 100 at most")


def _train_ancestors(
    recipe: Recipe, plan: Plan, given: Data, folder: Path, on_event: OnEvent
) -> dict[str, str]:
    """Train what a stage learns or goes on from; key -> fingerprint of its weights."""
    keys: list[str] = []
    waiting = [key for key in (plan.teacher, plan.start) if key]
    while waiting:
        key = waiting.pop()
        keys.append(key)
        before = one(recipe, key, recipe.seeds[0])
        waiting += [k for k in (before.teacher, before.start) if k and k not in keys]
    if not keys:
        return {}
    with locked(folder / ".lock"):  # two sweeps started at once train one teacher
        pipeline.stages(recipe, folder, given, only=keys, on_event=on_event)
        direct = [key for key in (plan.teacher, plan.start) if key]
        return {k: networks.fingerprint(export.load(folder / f"{k}.keras")) for k in direct}


class _Crew:
    """Worker processes. An error of one ends them all; a killed one leaves the rest to it."""

    def __init__(self, job: Job, count: int) -> None:
        self._members = [processes.start(main, job) for _ in range(count)]
        self._problem: HilError | None = None

    def busy(self) -> bool:
        """Whether any worker is at work."""
        for member in self._members:
            if self._problem is None and not member.process.is_alive():
                with suppress(EOFError, OSError):
                    if member.pipe.poll():
                        self._problem = member.pipe.recv()
        alive = any(member.process.is_alive() for member in self._members)
        return alive and self._problem is None

    def complain(self) -> None:
        """Raise what went wrong, if the sweep did."""
        if self._problem is not None:
            raise self._problem
        codes = [member.process.exitcode for member in self._members]
        if all(codes):
            what = f"every worker died (exit status {codes[0]})"
            fix = "the same command goes on; fewer --workers need less memory"
            raise MachineError(what, fix)

    def stop(self) -> None:
        processes.stop(self._members)


@contextmanager
def _crew(job: Job, count: int, study: optuna.Study) -> Iterator[_Crew]:
    crew = _Crew(job, count)
    try:
        yield crew
    finally:
        crew.stop()
        studies.fail_orphans(study)
