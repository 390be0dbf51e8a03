"""One process of a sweep: trials, one after the other, until the study has enough of them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import optuna

from hil.kd import data, export, processes
from hil.kd.library import Found
from hil.kd.plan import Plan
from hil.kd.sweep import study as studies
from hil.kd.sweep.figures import Costs
from hil.kd.sweep.goal import MEASURED, Settings
from hil.kd.sweep.trial import Failed, Objective, Surplus

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
    split = data.load(job.found.recipe, job.found.folder, samples=job.samples).split
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
