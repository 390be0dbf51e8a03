# SPDX-License-Identifier: Apache-2.0
"""An outcome -> report.md, trials.json and drawings in one folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import msgspec

from hil import stats
from hil.core import files
from hil_train.pages import render
from hil_train.recipe import Axis, Values
from hil_train.sweep import charts
from hil_train.sweep.outcome import Outcome, Row
from hil_train.sweep.study import ACCURACY, words

State: TypeAlias = Literal["running", "complete", "pruned", "over", "failed"]
_TOP: Final = 10


def write(outcome: Outcome, folder: Path, study: str) -> list[Path]:
    """Draw what can be drawn, and describe all of it; the paths, report.md first.

    Raises:
        StorageError: the folder cannot be written.
    """
    figures = outcome.settings.figures
    drawn = {
        "importance.svg": charts.importance(outcome),
        "contour.svg": charts.contour(outcome),
        **{f"pareto-{figure}.svg": charts.pareto(outcome, figure) for figure in figures},
    }
    pictures = {name: chart for name, chart in drawn.items() if chart is not None}
    for name in set(drawn) - set(pictures):
        (folder / name).unlink(missing_ok=True)  # of an earlier report
    for name, chart in pictures.items():
        files.replace_file(folder / name, chart.svg().encode())
    table = msgspec.json.format(msgspec.json.encode(outcome.rows), indent=1)
    files.replace_file(folder / "trials.json", table)
    text = page(outcome, study, {name: chart.title for name, chart in pictures.items()})
    files.replace_file(folder / "report.md", text.encode())
    return [folder / name for name in ("report.md", "trials.json", *pictures)]


def page(outcome: Outcome, study: str, pictures: dict[str, str]) -> str:
    """report.md; ``pictures``: file -> title."""
    settings = outcome.settings
    best, validation = outcome.best, settings.samples[1]
    figures = settings.figures
    other = [name for name in settings.objectives if name != ACCURACY]
    ranked = sorted(outcome.of("complete"), key=lambda row: (-(row.accuracy or 0), row.number))
    shown = outcome.front(other) if other else ranked[:_TOP]
    interval = None
    if best is not None and best.accuracy is not None:
        interval = stats.proportion(round(best.accuracy * validation), validation)
    return render(
        "sweep.md.j2",
        study=study,
        settings=settings,
        axes=[(key, _axis(values)) for key, values in settings.axes.items()],
        counts=[
            (len(outcome.of("complete")), "complete"),
            (len(outcome.of("pruned")), "pruned on the way"),
            (len(outcome.of("over")), "over a limit, so not trained"),
            (len(outcome.of("failed")), "failed"),
            (outcome.cut_off, "cut off and made again"),
        ],
        total=len(outcome.rows),
        seconds=sum(row.seconds for row in outcome.rows),
        epochs=sum(row.epochs for row in outcome.rows),
        limits=[(name, words(name, most)) for name, most in settings.limits.items()],
        best=best,
        interval=interval,
        step=1 / validation,
        ties=sum(row.accuracy == best.accuracy for row in ranked) if best else 0,
        lines=toml(best) if best else [],
        caption="The front, best first" if other else f"The best {min(_TOP, len(ranked))}",
        header=["trial", *settings.axes, "accuracy", *figures, "epochs"],
        rows=[_cells(row, settings.axes, figures) for row in shown],
        failures=[(row.number, row.reason) for row in outcome.of("failed")],
        pictures=pictures,
    )


def toml(row: Row) -> list[str]:
    """The values as a recipe spells them."""
    places = {"temperature": "loss", "alpha": "loss", "width": ""}
    found: dict[str, list[str]] = {}
    for key, value in row.values.items():
        if key != "width":
            found.setdefault(places.get(key, "schedule"), []).append(f"{key} = {value:.6g}")
    lines = [f"{place}: {', '.join(parts)}" for place, parts in found.items()]
    if "width" in row.values:
        lines.append(f"layers: {row.values['width']:g} times the filters and units, the last apart")
    return lines


def _axis(values: Values) -> str:
    if not isinstance(values, Axis):
        return ", ".join(f"{value:g}" for value in values)
    how = ", logarithmic" if values.log else f", step {values.step:g}" if values.step else ""
    return f"{values.low:g} to {values.high:g}{how}"


def _cells(row: Row, axes: Sequence[str] | dict[str, Any], figures: Sequence[str]) -> list[str]:
    return [
        str(row.number),
        *(f"{row.values[key]:.4g}" for key in axes),
        words(ACCURACY, row.accuracy or 0.0),
        *(words(name, row.figures[name]) for name in figures),
        str(row.epochs),
    ]
