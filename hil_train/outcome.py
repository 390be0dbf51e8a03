# SPDX-License-Identifier: Apache-2.0
"""What a sweep found: its trials as plain records, and report.md, trials.json and drawings."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec
import numpy as np
import optuna
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from optuna.trial import FrozenTrial, TrialState
from optuna.visualization import matplotlib as charts

from hil import stats
from hil.core import files
from hil.report.draw.templates import environment
from hil_train import storage, trial
from hil_train.drawing import settings as drawing_settings
from hil_train.drawing import svg
from hil_train.recipe import Range, Values
from hil_train.storage import ACCURACY, UNITS, Settings, formatted

State: TypeAlias = Literal["running", "complete", "pruned", "over", "failed"]

_STATES: Final[dict[TrialState, State]] = {
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
_ENOUGH: Final = 8  # complete trials; with fewer, importances are noise
_TOP: Final = 10  # trials in the table of the best


@dataclass(frozen=True)
class TrialRecord:
    """One trial. ``accuracy``: at its last epoch if it was pruned. ``reason``: why it failed, or
    the limits that it exceeds."""

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
    """The trials that count, in order. ``front``: numbers of those on the Pareto front of the
    objectives. ``interrupted``: trials that do not count, because another one replaces them."""

    settings: Settings
    rows: tuple[TrialRecord, ...]
    front: frozenset[int]
    interrupted: int

    def of(self, *states: State) -> list[TrialRecord]:
        """The trials in one of these states."""
        return [row for row in self.rows if row.state in states]

    @property
    def ended(self) -> int:
        """Trials that have ended in any way."""
        return sum(row.state != "running" for row in self.rows)

    @property
    def ranked(self) -> list[TrialRecord]:
        """The complete trials, most accurate first; of equals, the first one first."""
        return sorted(self.of("complete"), key=lambda row: (-_accuracy(row), row.number))

    @property
    def best(self) -> TrialRecord | None:
        """The most accurate complete trial."""
        return self.ranked[0] if self.ranked else None


def read(study: optuna.Study, settings: Settings) -> Outcome:
    """What the study holds now."""
    trials = study.get_trials(deepcopy=False)
    made_by = dict.fromkeys(each.user_attrs.get(storage.WORKER, "") for each in trials)
    workers = {name: number for number, name in enumerate(made_by, 1)}
    return Outcome(
        settings=settings,
        rows=tuple(_record(each, workers) for each in trials if storage.counts(each)),
        front=frozenset(each.number for each in study.best_trials),
        interrupted=sum(
            each.state is TrialState.FAIL
            and not storage.counts(each)
            and storage.ORDINAL in each.user_attrs
            for each in trials
        ),
    )


def _record(made: FrozenTrial, workers: Mapping[str, int]) -> TrialRecord:
    attributes = made.user_attrs
    over = attributes.get(trial.OVER, ())
    began, ended = made.datetime_start, made.datetime_complete
    reason = attributes.get(storage.REASON, "")
    return TrialRecord(
        number=made.number,
        state="over" if over else _STATES[made.state],
        seed=attributes.get(trial.SEED, 0),
        values=dict(made.params),
        accuracy=attributes.get(ACCURACY),
        figures=attributes.get(trial.FIGURES, {}),
        epochs=attributes.get(trial.EPOCHS, 0),
        seconds=(ended - began).total_seconds() if began and ended else 0.0,
        worker=workers[attributes.get(storage.WORKER, "")],
        reason=reason or ("over " + ", ".join(over) if over else ""),
    )


def _accuracy(row: TrialRecord) -> float:
    assert row.accuracy is not None
    return row.accuracy


def write_report(study: optuna.Study, outcome: Outcome, folder: Path) -> list[Path]:
    """Describe a study in ``folder``, and draw what can be drawn; the paths, report.md first.

    Raises:
        StorageError: the folder cannot be written.
    """
    drawings = draw(study, outcome)
    for name in {path.name for path in folder.glob("*.svg")} - set(drawings):
        (folder / name).unlink()  # of an earlier report
    for name, (_, document) in drawings.items():
        files.replace_file(folder / name, document.encode())
    table = msgspec.json.format(msgspec.json.encode(outcome.rows), indent=1)
    files.replace_file(folder / "trials.json", table)
    titles = {name: title for name, (title, _) in drawings.items()}
    text = markdown(outcome, study.study_name, titles)
    files.replace_file(folder / "report.md", text.encode())
    return [folder / name for name in ("report.md", "trials.json", *drawings)]


def markdown(outcome: Outcome, study: str, drawings: Mapping[str, str]) -> str:
    """report.md; ``drawings``: file -> title."""
    settings, best, ranked = outcome.settings, outcome.best, outcome.ranked
    validation, figures = settings.samples[1], settings.figures
    several = len(settings.objectives) > 1
    shown = [row for row in ranked if row.number in outcome.front] if several else ranked[:_TOP]
    interval = None
    if best is not None:
        interval = stats.proportion(round(_accuracy(best) * validation), validation)
    return (
        environment("hil_train")
        .get_template("sweep.md.j2")
        .render(
            study=study,
            settings=settings,
            axes=[(key, _values(values)) for key, values in settings.axes.items()],
            counts=[
                (len(outcome.of("complete")), "complete"),
                (len(outcome.of("pruned")), "pruned during training"),
                (len(outcome.of("over")), "over a limit, so not trained"),
                (len(outcome.of("failed")), "failed"),
                (outcome.interrupted, "interrupted and repeated"),
            ],
            total=len(outcome.rows),
            seconds=sum(row.seconds for row in outcome.rows),
            epochs=sum(row.epochs for row in outcome.rows),
            limits=[(name, formatted(name, most)) for name, most in settings.limits.items()],
            best=best,
            interval=interval,
            step=1 / validation,
            ties=sum(row.accuracy == best.accuracy for row in ranked) if best else 0,
            lines=recipe_lines(best) if best else [],
            caption="The Pareto front, most accurate first"
            if several
            else f"The best {min(_TOP, len(ranked))}",
            header=["trial", *settings.axes, "accuracy", *figures, "epochs"],
            rows=[_cells(row, tuple(settings.axes), figures) for row in shown],
            failures=[(row.number, row.reason) for row in outcome.of("failed")],
            drawings=drawings,
        )
    )


def recipe_lines(row: TrialRecord) -> list[str]:
    """A trial's values as a recipe spells them."""
    places = {"temperature": "loss", "alpha": "loss"}
    found: dict[str, list[str]] = {}
    for key, value in row.values.items():
        if key != "width":
            found.setdefault(places.get(key, "schedule"), []).append(f"{key} = {value:.6g}")
    lines = [f"{place}: {', '.join(parts)}" for place, parts in found.items()]
    if "width" in row.values:
        width = f"{row.values['width']:g}"
        lines.append(f"layers: {width} times the filters and units, except in the last layer")
    return lines


def _values(values: Values) -> str:
    if not isinstance(values, Range):
        return ", ".join(f"{value:g}" for value in values)
    how = ", logarithmic" if values.log else f", step {values.step:g}" if values.step else ""
    return f"{values.low:g} to {values.high:g}{how}"


def _cells(row: TrialRecord, axes: Sequence[str], figures: Sequence[str]) -> list[str]:
    return [
        str(row.number),
        *(f"{row.values[key]:.4g}" for key in axes),
        formatted(ACCURACY, _accuracy(row)),
        *(formatted(name, row.figures[name]) for name in figures),
        str(row.epochs),
    ]


def draw(study: optuna.Study, outcome: Outcome) -> dict[str, tuple[str, str]]:
    """File -> title and SVG, of the drawings that there are enough trials for."""
    makers: dict[str, tuple[str, Callable[[], Axes | None]]] = {
        "importance.svg": ("What affected the accuracy", partial(importance, study, outcome)),
        "contour.svg": ("Accuracy over T and alpha", partial(contour, study, outcome)),
    }
    for figure in outcome.settings.figures:
        title = f"Accuracy against {figure}"
        makers[f"pareto-{figure}.svg"] = (title, partial(pareto, study, figure))
    found = {}
    # Optuna's drawings are pyplot's, which keeps each figure until it is closed
    with drawing_settings(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they are experimental, and Optuna and scikit-learn
        for name, (title, make) in makers.items():  # warn about each other's versions
            if (axes := make()) is not None:
                axes.set_title("")  # Optuna's
                axes.set_title(title, loc="left")
                whole = axes.get_figure(root=True)
                assert whole is not None
                found[name] = (title, svg(whole))
                pyplot.close(whole)
    return found


def importance(study: optuna.Study, outcome: Outcome) -> Axes | None:
    """Share of the accuracy's variance that each value explains: fANOVA (Hutter et al. 2014)."""
    done = outcome.of("complete")
    if len(done) < _ENOUGH or len({row.accuracy for row in done}) < 2:
        return None
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=outcome.settings.seed)
    axes = charts.plot_param_importances(
        study, evaluator, target=_stored_accuracy, target_name="accuracy"
    )
    axes.set(xlabel=f"share of the variance (fANOVA, {len(done)} complete trials)", ylabel="")
    if legend := axes.get_legend():
        legend.remove()
    return axes


def contour(study: optuna.Study, outcome: Outcome) -> Axes | None:
    """Accuracy over T and alpha, interpolated; None unless the complete trials span a plane."""
    wanted = ["alpha", "temperature"]  # Optuna's order: the first one is horizontal
    if not set(wanted) <= set(outcome.settings.axes):
        return None
    points = [[row.values[key] for key in wanted] for row in outcome.ranked]
    if len(points) < 4 or np.linalg.matrix_rank(np.subtract(points, points[0])) < 2:
        return None
    axes = charts.plot_contour(study, wanted, target=_stored_accuracy, target_name="accuracy")
    assert isinstance(axes, Axes)
    axes.set_ylabel("temperature T")
    if axes.get_yscale() == "log":
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:g}")
    axes.plot(*points[0], "o", mfc="none", mec="#c4541c", ms=10, mew=2)
    return axes


def pareto(study: optuna.Study, figure: str) -> Axes | None:
    """Accuracy against a figure, with the front of the two marked; None below two trials."""
    done = [
        each
        for each in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if figure in each.user_attrs.get(trial.FIGURES, {})
    ]
    if len(done) < 2:
        return None
    # a study of these two objectives: Optuna marks the front of all objectives otherwise
    pair = optuna.create_study(directions=["minimize", "maximize"])
    pair.add_trials(
        [
            optuna.create_trial(
                params=each.params,
                distributions=each.distributions,
                values=(each.user_attrs[trial.FIGURES][figure], _stored_accuracy(each)),
            )
            for each in done
        ]
    )
    unit = f", {UNITS[figure]}" if figure in UNITS else ""
    axes = charts.plot_pareto_front(pair, target_names=[f"{figure}{unit}", "accuracy"])
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    return axes


def _stored_accuracy(made: FrozenTrial) -> float:
    return float(made.user_attrs[ACCURACY])
