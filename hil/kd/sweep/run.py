"""A sweep from first to last: the teacher, the study, workers side by side, the report."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
import optuna

from hil.datasets import Progress
from hil.errors import HilError, MachineError, UsageError
from hil.files import alone
from hil.kd import backend, data, export, library, networks, pipeline, processes
from hil.kd.data import Data
from hil.kd.events import OnEvent, ignore
from hil.kd.library import Found
from hil.kd.plan import Plan, one
from hil.kd.recipe import Recipe, quickly
from hil.kd.sweep import figures, goal, outcome, report, space, worker
from hil.kd.sweep import study as studies
from hil.kd.sweep.goal import MEASURED, Settings
from hil.kd.sweep.outcome import Outcome
from hil.kd.sweep.worker import Job
from hil.records import Precision

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
    return found, data.load(found.recipe, found.folder, samples=samples, progress=progress)


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
    with alone(folder / ".lock"):  # two sweeps started at once train one teacher
        pipeline.stages(recipe, folder, given, only=keys, on_event=on_event)
        direct = [key for key in (plan.teacher, plan.start) if key]
        return {k: networks.fingerprint(export.load(folder / f"{k}.keras")) for k in direct}


class _Crew:
    """Worker processes. An error of one ends them all; a killed one leaves the rest to it."""

    def __init__(self, job: Job, count: int) -> None:
        self._members = [processes.start(worker.main, job) for _ in range(count)]
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
