# SPDX-License-Identifier: Apache-2.0
"""One trial of a sweep: values -> a plan -> what it costs -> a training -> its accuracy on
validation."""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any, Final

import msgspec
import numpy as np
import optuna

import hil
from hil.bench import Request, make_plan, run
from hil.bench.events import Event
from hil.boards.config import load_board
from hil.boards.station import missing_tools
from hil.core import files
from hil.core.errors import BuildFailed, ModelError, ToolMissing, TrainingFailed
from hil.core.files import NO_RECORD
from hil.core.records import Dataset, Precision
from hil.datasets import subset
from hil.engines import write_image
from hil.runs.load import load_run
from hil.tflite import read_model
from hil_train import networks, storage, training
from hil_train.backend import require
from hil_train.export import export
from hil_train.networks import Network
from hil_train.plan import Split, TrainingPlan
from hil_train.recipe import OF_LOSS, WHOLE, Range, Values
from hil_train.storage import ACCURACY, MEASURED, PLANNED, Settings

# user attributes of a trial
OVER: Final = "over"  # the limits that its network exceeds
FIGURES: Final = "figures"
EPOCHS: Final = "epochs"
SEED: Final = "seed"

_BOARD: Final = "mps2"
_ENGINE: Final = "aot"
_SAMPLES: Final = 4  # on the board
_CALIBRATION: Final = 100


class FailedTrial(Exception):
    """The trial has no result; the reason is stored in the study."""


class SurplusTrial(Exception):
    """Another process started the last trial first."""


@dataclass(frozen=True)
class Objective:
    """What Optuna calls with each trial.

    ``plan`` is the stage's own; ``costs`` is None if no figure is asked for. ``worker`` names this
    process; ``ordinal`` returns that of the current trial, of which the study makes ``total``.
    """

    settings: Settings
    plan: TrainingPlan
    split: Split
    teacher: Any
    start: Any
    cache: Path
    costs: Costs | None
    total: int
    worker: str
    ordinal: Callable[[], int]

    def __call__(self, trial: optuna.Trial) -> tuple[float, ...]:
        """One value per objective; raises TrialPruned, `FailedTrial` or `SurplusTrial`."""
        place = self.ordinal()
        if place >= self.total:
            raise SurplusTrial
        trial.set_user_attr(storage.WORKER, self.worker)
        trial.set_user_attr(storage.ORDINAL, place)
        plan = varied(self.plan, _suggest_all(trial, self.settings.axes))
        plan = msgspec.structs.replace(plan, seed=(self.settings.seed + place) % 2**31)
        trial.set_user_attr(SEED, plan.seed)
        require().keras.utils.clear_session()  # frees the graphs of earlier trials
        try:
            figures = self.costs.of(plan.network) if self.costs else {}
            self._check_limits(trial, figures)
            fitted = training.fit(
                plan,
                self.split,
                teacher=self.teacher,
                start=self.start,
                cache=self.cache,
                extra=[self._reporter(trial)],
            )
        except (TrainingFailed, ModelError, BuildFailed) as problem:
            trial.set_user_attr(storage.REASON, problem.what)
            raise FailedTrial from None
        trial.set_user_attr(ACCURACY, fitted.accuracy)
        trial.set_user_attr(EPOCHS, fitted.epochs)
        return tuple(
            fitted.accuracy if name == ACCURACY else figures[name]
            for name in self.settings.objectives
        )

    def _check_limits(self, trial: optuna.Trial, figures: Mapping[str, float]) -> None:
        """Prune a trial before its training if its network exceeds a limit."""
        trial.set_user_attr(FIGURES, dict(figures))
        for name, most in self.settings.limits.items():
            trial.set_constraint(name, figures[name] / most - 1)
        over = [name for name, most in self.settings.limits.items() if figures[name] > most]
        if over:
            trial.set_user_attr(OVER, over)
            raise optuna.TrialPruned

    def _reporter(self, trial: optuna.Trial) -> Any:
        """The Keras callback that reports epochs to Optuna, which may prune the trial."""
        keras, _ = require()
        prune = len(self.settings.objectives) == 1  # Optuna prunes by one value only

        def report(epoch: int, logs: dict[str, float]) -> None:
            accuracy = float(logs["val_accuracy"])
            if not prune or not math.isfinite(accuracy):
                return
            trial.report(accuracy, epoch)
            if trial.should_prune():
                trial.set_user_attr(ACCURACY, accuracy)
                trial.set_user_attr(EPOCHS, epoch + 1)
                raise optuna.TrialPruned

        return keras.callbacks.LambdaCallback(on_epoch_end=report)


def _suggest_all(trial: optuna.Trial, axes: Mapping[str, Values]) -> dict[str, float]:
    """One value per key, as the study's sampler proposes."""
    return {key: _suggest(trial, key, values) for key, values in axes.items()}


def _suggest(trial: optuna.Trial, key: str, values: Values) -> float:
    if not isinstance(values, Range):
        return float(trial.suggest_categorical(key, values))
    if key in WHOLE:
        low, high, step = int(values.low), int(values.high), int(values.step or 1)
        return trial.suggest_int(key, low, high, step=step, log=values.log)
    return trial.suggest_float(key, values.low, values.high, step=values.step, log=values.log)


def varied(plan: TrainingPlan, values: Mapping[str, float]) -> TrainingPlan:
    """The plan with these values instead of its own."""
    schedule, loss, network = plan.schedule, plan.loss, plan.network
    for key, value in values.items():
        if key in OF_LOSS:
            assert loss is not None
            loss = msgspec.structs.replace(loss, **{key: value})
        elif key == "width":
            network = networks.widened(network, value)
        else:
            number = int(value) if key in WHOLE else value
            schedule = msgspec.structs.replace(schedule, **{key: number})
    return msgspec.structs.replace(plan, schedule=schedule, loss=loss, network=network)


@dataclass(frozen=True)
class Costs:
    """Figures of untrained networks, cached in ``folder``.

    ``data``: samples to calibrate with and to run, never of the test set. ``measured``: whether to
    count instructions on the board as well.
    """

    folder: Path
    project: Path
    data: Dataset
    precision: Precision
    measured: bool

    def of(self, network: Network) -> dict[str, float]:
        """Figure -> value.

        Raises:
            ModelError: it cannot be converted.
            BuildFailed: it does not fit on the board.
        """
        path = self.folder / f"{self._key(network)}.json"
        wanted = (*PLANNED, MEASURED) if self.measured else PLANNED
        with files.locked(path.with_suffix(".lock")):  # another worker may be measuring it
            found = read_costs(path)
            if not set(wanted) <= set(found):
                found |= self._take(network)
                files.replace_file(path, msgspec.json.encode(found))
        return {name: found[name] for name in wanted}

    def _key(self, network: Network) -> str:
        shape = self.data.x.shape[1:]
        what = (hil.__version__, _ENGINE, _BOARD, self.precision, self.data.x.dtype.str, shape)
        text = msgspec.json.encode((what, network))
        return hashlib.sha256(text).hexdigest()[:24]

    def _take(self, network: Network) -> dict[str, float]:
        keras, _ = require()
        keras.utils.set_random_seed(1)
        model = networks.build(network, self.data.x.shape[1:], "student")
        # engines drop biases that are all 0, which a trained network does not have
        random = np.random.default_rng(1)
        model.set_weights(
            [w if w.any() else random.normal(0, 0.05, w.shape) for w in model.get_weights()]
        )
        with tempfile.TemporaryDirectory(prefix="hil-sweep-") as made:
            folder = Path(made)
            model.save(folder / "student.keras")
            file = export(
                folder / "student.keras",
                self.data,
                folder,
                calibration=_CALIBRATION,
                precisions=(self.precision,),
            )[self.precision]
            graph = read_model(file)
            (info,) = write_image(_ENGINE, [("student", graph)], folder / "image").models
            found: dict[str, float] = {
                "parameters": model.count_params(),
                "macs": graph.macs,
                "arena": info.arena,
                "flash": info.flash,
            }
            if self.measured:
                found[MEASURED] = self._instructions(file)
        return found

    def _instructions(self, file: Path) -> float:
        """Mean instructions of an inference on the emulated Cortex-M7."""
        with tempfile.TemporaryDirectory(prefix="hil-sweep-") as made:
            few, folder = subset(self.data, _SAMPLES), Path(made)
            np.savez(folder / "few.npz", x=few.x, y=few.y)
            request = Request(
                project=self.project,
                boards=(_BOARD,),
                models=(str(file),),
                precisions=(self.precision.value,),
                engines=(_ENGINE,),
                data=folder / "few.npz",
            )
            run(make_plan(request), folder / "run", _ignore)
            (samples,) = load_run(folder / "run").samples.values()
        return mean(sample.time for sample in samples if sample.time is not None)


def read_costs(path: Path) -> dict[str, float]:
    """The figures in a cache file; none if it is missing or damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, float])
    except (OSError, *NO_RECORD):
        return {}


def require_board(project: Path) -> None:
    """Raise ToolMissing if instructions cannot be counted here."""
    missing = missing_tools(load_board(_BOARD, project))
    if missing:
        what = f"{' and '.join(missing)} not installed, but instructions are counted on {_BOARD}"
        raise ToolMissing(what, f"install them with: hil doctor --install --board {_BOARD}")


def _ignore(event: Event) -> None:
    del event
