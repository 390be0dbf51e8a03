"""One trial: values -> a plan -> what it costs -> a training -> its accuracy on validation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import optuna

from hil.errors import BuildFailed, ModelError, TrainingFailed
from hil.kd import training
from hil.kd.backend import require
from hil.kd.layers import widened
from hil.kd.plan import Plan
from hil.kd.sweep import study as studies
from hil.kd.sweep.figures import Costs
from hil.kd.sweep.goal import ACCURACY, Settings
from hil.kd.sweep.space import WHOLE, Axis, Values
from hil.kd.training import Split

OVER = "over"  # the limits that a trial's network exceeds
FIGURES = "figures"


class Failed(Exception):
    """The trial gave no result; its reason is stored."""


class Surplus(Exception):
    """Another process began the last trial first."""


@dataclass(frozen=True)
class Objective:
    """What Optuna calls with each trial.

    ``plan`` is the stage's own; ``costs`` is None where no figure is asked for.
    """

    settings: Settings
    plan: Plan
    split: Split
    teacher: Any
    start: Any
    cache: Path
    costs: Costs | None
    total: int
    ordinal: Callable[[], int]

    def __call__(self, trial: optuna.Trial) -> tuple[float, ...]:
        """One value an objective; raises TrialPruned, `Failed` or `Surplus`."""
        place = self.ordinal()
        if place >= self.total:
            raise Surplus
        trial.set_user_attr(studies.PROCESS, studies.this_process())
        trial.set_user_attr(studies.ORDINAL, place)
        plan = varied(self.plan, suggest(trial, self.settings.axes))
        plan = msgspec.structs.replace(plan, seed=(self.settings.seed + place) % 2**31)
        trial.set_user_attr("seed", plan.seed)
        require().keras.utils.clear_session()  # else every trial's graphs stay
        try:
            figures = self.costs.of(plan.network) if self.costs else {}
            self._within(trial, figures)
            fitted = training.fit(
                plan,
                self.split,
                teacher=self.teacher,
                start=self.start,
                cache=self.cache,
                extra=[self._reporting(trial)],
            )
        except (TrainingFailed, ModelError, BuildFailed) as problem:
            trial.set_user_attr(studies.REASON, problem.what)
            raise Failed from None
        trial.set_user_attr(ACCURACY, fitted.accuracy)
        trial.set_user_attr("epochs", fitted.epochs)
        trial.set_user_attr("parameters", fitted.network.count_params())
        return tuple(
            fitted.accuracy if name == ACCURACY else figures[name]
            for name in self.settings.objectives
        )

    def _within(self, trial: optuna.Trial, figures: Mapping[str, float]) -> None:
        """Hold a network against the limits: one beyond them is not worth a training."""
        trial.set_user_attr(FIGURES, dict(figures))
        for name, most in self.settings.limits.items():
            trial.set_constraint(name, figures[name] / most - 1)
        over = [name for name, most in self.settings.limits.items() if figures[name] > most]
        if over:
            trial.set_user_attr(OVER, over)
            raise optuna.TrialPruned

    def _reporting(self, trial: optuna.Trial) -> Any:
        keras, _ = require()
        prune = len(self.settings.objectives) == 1  # Optuna prunes by one value alone

        def tell(epoch: int, logs: dict[str, float]) -> None:
            accuracy = float(logs["val_accuracy"])
            if not prune or not math.isfinite(accuracy):
                return
            trial.report(accuracy, epoch)
            if trial.should_prune():
                trial.set_user_attr(ACCURACY, accuracy)
                trial.set_user_attr("epochs", epoch + 1)
                raise optuna.TrialPruned

        return keras.callbacks.LambdaCallback(on_epoch_end=tell)


def suggest(trial: optuna.Trial, axes: Mapping[str, Values]) -> dict[str, float]:
    """A value an axis, as the study's sampler proposes."""
    return {key: _suggest(trial, key, values) for key, values in axes.items()}


def _suggest(trial: optuna.Trial, key: str, values: Values) -> float:
    if not isinstance(values, Axis):
        return float(trial.suggest_categorical(key, values))
    if key in WHOLE:
        low, high, step = int(values.low), int(values.high), int(values.step or 1)
        return trial.suggest_int(key, low, high, step=step, log=values.log)
    return trial.suggest_float(key, values.low, values.high, step=values.step, log=values.log)


def varied(plan: Plan, values: Mapping[str, float]) -> Plan:
    """The plan with these values in place of its own."""
    schedule, loss, network = plan.schedule, plan.loss, plan.network
    for key, value in values.items():
        if key in ("temperature", "alpha"):
            assert loss is not None
            loss = msgspec.structs.replace(loss, **{key: value})
        elif key == "width":
            network = widened(network, value)
        else:
            number = int(value) if key in WHOLE else value
            schedule = msgspec.structs.replace(schedule, **{key: number})
    return msgspec.structs.replace(plan, schedule=schedule, loss=loss, network=network)
