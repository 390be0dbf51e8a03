# SPDX-License-Identifier: Apache-2.0
"""One trial: values -> a plan -> what it costs -> a training -> its accuracy on validation."""

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
from hil_train import export, networks, training
from hil_train.backend import require
from hil_train.networks import Network, widened
from hil_train.plan import Plan
from hil_train.recipe import WHOLE, Axis, Values
from hil_train.sweep import study
from hil_train.sweep.study import ACCURACY, MEASURED, PLANNED, Settings
from hil_train.training import Split

BOARD: Final = "mps2"
ENGINE: Final = "aot"
SAMPLES: Final = 4  # on the board
_CALIBRATION: Final = 100


@dataclass(frozen=True)
class Costs:
    """Figures of networks for one kind of sample.

    ``data``: samples to calibrate with and to run, never of the test set. ``folder`` keeps a
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
            BuildFailed: it has no place on the board.
        """
        path = self.folder / f"{self._key(network)}.json"
        self.folder.mkdir(parents=True, exist_ok=True)
        with files.locked(path.with_suffix(".lock")):  # another worker may be measuring it
            found = _read(path)
            wanted = (*PLANNED, MEASURED) if self.measured else PLANNED
            if not set(wanted) <= set(found):
                found |= self._take(network)
                files.replace_file(path, msgspec.json.encode(found))
        return {name: found[name] for name in wanted}

    def _key(self, network: Network) -> str:
        shape = self.data.x.shape[1:]
        what = (hil.__version__, ENGINE, BOARD, self.precision, self.data.x.dtype.str, shape)
        text = msgspec.json.encode((what, network))
        return hashlib.sha256(text).hexdigest()[:24]

    def _take(self, network: Network) -> dict[str, float]:
        keras, _ = require()
        keras.utils.set_random_seed(1)
        model = networks.build(network, self.data.x.shape[1:], "student")
        # engines leave out biases that are all 0, as no trained network's are
        random = np.random.default_rng(1)
        model.set_weights(
            [w if w.any() else random.normal(0, 0.05, w.shape) for w in model.get_weights()]
        )
        with tempfile.TemporaryDirectory(prefix="hil-sweep-") as made:
            folder = Path(made)
            model.save(folder / "student.keras")
            file = export.export(
                folder / "student.keras",
                self.data,
                folder,
                calibration=_CALIBRATION,
                precisions=(self.precision,),
            )[self.precision]
            graph = read_model(file)
            (info,) = write_image(ENGINE, [("student", graph)], folder / "image").models
            found: dict[str, float] = {
                "parameters": model.count_params(),
                "macs": graph.macs,
                "arena": info.arena,
                "flash": info.flash,
            }
            if self.measured:
                found[MEASURED] = instructions(file, self.precision, self.data, self.project)
        return found


def instructions(file: Path, precision: Precision, data: Dataset, project: Path) -> float:
    """Mean instructions of an inference of a .tflite file on the emulated Cortex-M7."""
    with tempfile.TemporaryDirectory(prefix="hil-sweep-") as made:
        few, folder = subset(data, SAMPLES), Path(made)
        np.savez(folder / "few.npz", x=few.x, y=few.y)
        request = Request(
            project=project,
            boards=(BOARD,),
            models=(str(file),),
            precisions=(precision.value,),
            engines=(ENGINE,),
            data=folder / "few.npz",
        )
        run(make_plan(request), folder / "run", _unheard)
        (samples,) = load_run(folder / "run").samples.values()
    return mean(sample.time for sample in samples if sample.time is not None)


def require_board(project: Path) -> None:
    """Raise ToolMissing when the board cannot be had."""
    missing = missing_tools(load_board(BOARD, project))
    if missing:
        what = f"{' and '.join(missing)} not installed, and instructions are counted on {BOARD}"
        raise ToolMissing(what, f"install them with: hil doctor --install --board {BOARD}")


def _read(path: Path) -> dict[str, float]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, float])
    except (OSError, *NO_RECORD):
        return {}


def _unheard(_: Any) -> None:
    pass


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
        trial.set_user_attr(study.PROCESS, study.this_process())
        trial.set_user_attr(study.ORDINAL, place)
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
            trial.set_user_attr(study.REASON, problem.what)
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
