# SPDX-License-Identifier: Apache-2.0
"""A study as plain records: what its trials gave, which are best, what mattered."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from hil_train.sweep import study as studies
from hil_train.sweep.study import ACCURACY, Settings
from hil_train.sweep.trial import FIGURES, OVER

State: TypeAlias = Literal["running", "complete", "pruned", "over", "failed"]
_STATES: Final[dict[TrialState, State]] = {
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
_ENOUGH: Final = 8  # complete trials, below which importances are noise


@dataclass(frozen=True)
class Row:
    """One trial. ``accuracy``: at its last epoch where it was pruned; ``reason``: why it failed,
    or the limits that it is over."""

    number: int
    state: State
    seed: int
    values: dict[str, float]
    accuracy: float | None = None
    figures: dict[str, float] = field(default_factory=dict)
    epochs: int = 0
    seconds: float = 0.0
    reason: str = ""
    worker: int = 0  # which of the study's processes made it, counted from 1


@dataclass(frozen=True)
class Outcome:
    """``importance``: value -> share of the accuracy's variance, empty where it is not known."""

    settings: Settings
    rows: tuple[Row, ...]
    cut_off: int  # trials that were, and do not count
    importance: dict[str, float]

    def of(self, *states: State) -> list[Row]:
        """The rows in one of these states."""
        return [row for row in self.rows if row.state in states]

    @property
    def ended(self) -> int:
        """Trials that are over, however."""
        return sum(row.state != "running" for row in self.rows)

    @property
    def best(self) -> Row | None:
        """The most accurate within the limits; the first of equals."""
        done = self.of("complete")
        return max(done, key=lambda row: (_accuracy(row), -row.number)) if done else None

    def front(self, figures: Sequence[str]) -> list[Row]:
        """Complete rows that no other beats in accuracy and in each figure, best first."""
        done = self.of("complete")
        points = np.array([[-_accuracy(row), *(row.figures[f] for f in figures)] for row in done])
        kept = [
            row
            for row, point in zip(done, points, strict=True)
            if not ((points <= point).all(axis=1) & (points < point).any(axis=1)).any()
        ]
        return sorted(kept, key=lambda row: (-_accuracy(row), row.number))


def read(study: optuna.Study, settings: Settings, *, importance: bool = False) -> Outcome:
    """What the study holds now; importances take a second and are left out unless asked for."""
    trials = study.get_trials(deepcopy=False)
    made_by = dict.fromkeys(trial.user_attrs.get(studies.PROCESS, "") for trial in trials)
    workers = {process: number for number, process in enumerate(made_by, 1)}
    rows = tuple(_row(trial, workers) for trial in trials if studies.counted(trial))
    done = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    varied = len({trial.user_attrs[ACCURACY] for trial in done}) > 1
    known = importance and varied and len(done) >= _ENOUGH
    return Outcome(
        settings=settings,
        rows=rows,
        cut_off=sum(
            trial.state is TrialState.FAIL
            and not studies.counted(trial)
            and studies.ORDINAL in trial.user_attrs
            for trial in trials
        ),
        importance=_importance(study, settings.seed) if known else {},
    )


def _importance(study: optuna.Study, seed: int) -> dict[str, float]:
    """fANOVA (Hutter et al. 2014) over the complete trials."""
    with warnings.catch_warnings():
        # scikit-learn and Optuna warn of each other's versions
        warnings.simplefilter("ignore")
        return optuna.importance.get_param_importances(
            study,
            evaluator=optuna.importance.FanovaImportanceEvaluator(seed=seed),
            target=lambda trial: float(trial.user_attrs[ACCURACY]),
        )


def _row(trial: FrozenTrial, workers: Mapping[str, int]) -> Row:
    said = trial.user_attrs
    over = said.get(OVER, ())
    began, ended = trial.datetime_start, trial.datetime_complete
    return Row(
        number=trial.number,
        state="over" if over else _STATES[trial.state],
        seed=said.get("seed", 0),
        values=dict(trial.params),
        accuracy=said.get(ACCURACY),
        figures=said.get(FIGURES, {}),
        epochs=said.get("epochs", 0),
        seconds=(ended - began).total_seconds() if began and ended else 0.0,
        worker=workers[said.get(studies.PROCESS, "")],
        reason=said.get(studies.REASON, "") or ("over " + ", ".join(over) if over else ""),
    )


def _accuracy(row: Row) -> float:
    assert row.accuracy is not None
    return row.accuracy
