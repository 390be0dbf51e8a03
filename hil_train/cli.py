# SPDX-License-Identifier: Apache-2.0
"""The commands `hil train`, `hil sweep` and `hil study`, which `hil` finds by entry points.

Each imports what it needs when it is called: TensorFlow and Optuna take seconds to load.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.progress import Progress, TaskID

from hil import datasets
from hil.bench.events import Building, Finished, Referencing, Streaming
from hil.bench.events import Event as BenchEvent
from hil.cli.console import Downloads, err, out, progress, say
from hil.core.errors import UsageError
from hil.core.processes import cores
from hil.firmware import find_project
from hil.runs.load import load_run
from hil.runs.log import RESULTS
from hil_train.backend import require_installed
from hil_train.training import StageEvent

if TYPE_CHECKING:
    from hil_train.outcome import Outcome

UNEXPECTED: Final = 1  # exit code


def train(
    recipe: Annotated[
        str, typer.Option("--recipe", help="A recipe's name, or a .toml file of your own.")
    ] = "",
    dataset: Annotated[
        str, typer.Option("--dataset", help="Instead: the recipe named after a data set, or auto.")
    ] = "auto",
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder for the models; default: models/<recipe>.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="Train a few epochs only, to try it out.")] = False,
    runs: Annotated[
        list[Path] | None,
        typer.Option("--run", help="A stored run, for the device figures in card.md; repeatable."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", help="Stages to train at a time; default: one per core."),
    ] = None,
) -> None:
    """Train a recipe's teacher, student alone and distilled student, and export them."""
    from hil_train.plan import find_recipe

    if jobs is not None and jobs < 1:
        raise UsageError("--jobs must be at least 1", "leave it out for one per core")
    stored = [load_run(path) for path in runs or ()]
    found = find_recipe(recipe or _choose(dataset))
    require_installed("train")
    from hil_train import pipeline

    target = folder or find_project() / "models" / found.name
    with Downloads() as downloads:  # before the bars: two live displays would mix
        given = pipeline.prepare(found, quick=quick, progress=downloads)
    with progress("epochs") as bars:
        made = pipeline.train(
            found,
            target,
            quick=quick,
            given=given,
            runs=stored,
            jobs=cores() if jobs is None else jobs,
            on_event=_Stages(bars),
        )
    for file, facts in made.files.items():
        accuracy = f"test accuracy {facts.test_accuracy:.4f}"
        out.print(f"{target / file}: {facts.nbytes:,} B, {accuracy}", soft_wrap=True)
    for sentence in made.verdict.sentences:
        out.print(sentence, soft_wrap=True)


def _choose(dataset: str) -> str:
    """The recipe for a data set, or for the best one that is installed."""
    with Downloads() as downloads:
        name, note = datasets.choose(dataset, "train", progress=downloads)
    if note:
        say(f"note: {note}")
    return name


class _Stages:
    """Shows trainings: one bar per stage, or lines if the output is not a terminal."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, event: StageEvent) -> None:
        if event.kind == "warning":
            say(f"warning: {event.text}")
        elif event.kind in ("kept", "done") or not err.is_terminal:
            accuracy = event.metrics.get("val_accuracy")
            shown = f", validation accuracy {accuracy:.4f}" if accuracy is not None else ""
            epochs = f" {event.epoch}/{event.epochs}" if event.kind == "epoch" else ""
            say(f"{event.stage}: {event.kind}{epochs}{shown}")
        if event.epochs:
            if event.stage not in self._tasks:
                self._tasks[event.stage] = self._bars.add_task(event.stage, total=event.epochs)
            self._bars.update(self._tasks[event.stage], completed=event.epoch)


def sweep(
    recipe: Annotated[str, typer.Argument(help="A recipe's name, or a .toml file of your own.")],
    trials: Annotated[
        int, typer.Option("--trials", help="Total number of trials in the study.")
    ] = 50,
    storage: Annotated[
        str,
        typer.Option(
            "--storage",
            envvar="HIL_SWEEP_STORAGE",
            help="URL of a database that several machines share, postgresql://...; default: a "
            "file in the folder.",
        ),
    ] = "",
    study: Annotated[
        str, typer.Option("--study", help="Name of the study; default: the recipe's.")
    ] = "",
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes; default: one per core.")
    ] = None,
    objective: Annotated[
        list[str],
        typer.Option(
            "--objective",
            help="accuracy, instructions, arena, flash, macs or parameters; repeatable.",
        ),
    ] = [],
    at_most: Annotated[
        list[str],
        typer.Option("--at-most", help="A limit, as in instructions=100000; repeatable."),
    ] = [],
    seed: Annotated[
        int | None, typer.Option("--seed", help="Seed of the search and of each trial.")
    ] = None,
    quick: Annotated[
        bool, typer.Option(help="Use the recipe's quick limits, to try it out.")
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the results; default: results/sweeps/<recipe>."),
    ] = None,
) -> None:
    """Search T, alpha, learning rate and width of a recipe's student for the best on validation.

    The same command resumes an interrupted sweep, and joins others that share the study.
    """
    require_installed("train", "sweep")
    from hil_train import outcome
    from hil_train import sweep as sweeps  # this function has its name
    from hil_train.plan import find_recipe

    project = find_project()
    request = sweeps.SweepRequest(
        recipe=recipe,
        folder=folder or RESULTS / "sweeps" / find_recipe(recipe).name,
        project=project,
        trials=trials,
        storage=storage,
        study=study,
        workers=cores() if workers is None else workers,
        objectives=tuple(objective),
        limits=tuple(at_most),
        seed=seed,
        quick=quick,
    )
    with Downloads() as downloads:  # before the bars: two live displays would mix
        found, given = sweeps.load(request, downloads)
    with progress("epochs") as bars:
        job = sweeps.prepare(request, found, given, on_event=_Stages(bars))
    try:
        with progress("trials") as bars:
            result, files = sweeps.run(job, request.workers, _Trials(bars, trials))
    except KeyboardInterrupt:
        say("complete trials are kept; run the same command to continue")
        raise
    best = result.best
    if best is None:
        out.print("no trial completed within the limits", soft_wrap=True)
    else:
        out.print(f"best: trial {best.number}, validation accuracy {best.accuracy:.4f}")
        for line in outcome.recipe_lines(best):
            out.print(f"  {line}", soft_wrap=True)
    for path in files:
        out.print(str(path), soft_wrap=True)
    if best is None:
        raise typer.Exit(1)


class _Trials:
    """Shows a growing study: one bar with the best so far, or one line per trial."""

    def __init__(self, bars: Progress, total: int) -> None:
        self._bars, self._total = bars, total
        self._task: TaskID | None = None
        self._told: set[int] = set()

    def __call__(self, outcome: Outcome) -> None:
        ended = [row for row in outcome.rows if row.state != "running"]
        best = f"best {outcome.best.accuracy:.4f}" if outcome.best else "no result yet"
        if self._task is None:  # earlier trials do not tell the time left
            self._task = self._bars.add_task(best, total=self._total, completed=len(ended))
            self._told = {row.number for row in ended}
            if ended:
                say(f"{len(ended)} of {self._total} trials are complete")
        self._bars.update(self._task, description=best, completed=len(ended))
        for row in ended:
            if row.number not in self._told and not err.is_terminal:
                shown = f", {row.accuracy:.4f}" if row.accuracy is not None else ""
                why = f" ({row.reason})" if row.reason else ""
                say(f"trial {row.number}: {row.state}{shown}{why}; {best}")
            self._told.add(row.number)


app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Compare methods by measuring their networks on a board.",
)


@app.callback()
def _studies() -> None:
    """Compare methods by measuring their networks on a board."""


@app.command()
def compression(
    recipe: Annotated[
        str, typer.Option("--recipe", help="A recipe's name, or a .toml file of your own.")
    ] = "mnist",
    board: Annotated[str, typer.Option("--board", help="The board to measure on.")] = "mps2",
    limit: Annotated[
        int | None,
        typer.Option("--limit", help="Samples per network; default: the whole test set."),
    ] = None,
    epochs: Annotated[
        int,
        typer.Option("--epochs", help="Most epochs of any training; default: the recipe's."),
    ] = 0,
    teacher: Annotated[
        Path | None,
        typer.Option(
            "--teacher", help="A trained .keras file to use instead of training the teacher."
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the results; complete ones in it are kept."),
    ] = None,
    quick: Annotated[bool, typer.Option(help="Use few epochs and samples, to try it out.")] = False,
) -> None:
    """Compare quantisation, pruning, distillation, fine-tuning and combinations of them.

    Each network is trained, exported and run on the board. Exit code 1: an unexpected output.
    """
    from hil_train.plan import find_recipe

    found = find_recipe(recipe)
    require_installed("train")
    from hil_train import figures, pipeline, study_pages
    from hil_train.study import StudyRequest, study

    project = find_project()
    target = folder or RESULTS / f"compression-{found.name}"
    with Downloads() as downloads:
        data = pipeline.prepare(found, quick=quick, progress=downloads)
    request = StudyRequest(found, project, target, board, limit, epochs, quick, teacher)
    with progress() as bars:
        made = study(request, data, on_event=_Bars(bars))
    out.print(study_pages.table(made))
    for line in figures.advice(made):
        out.print(line, soft_wrap=True, markup=False)
    say(f"pages: {target / 'study.html'}")
    problems = figures.unexpected(made)
    for line in problems:
        out.print(f"not as expected: {line}", soft_wrap=True, markup=False)
    if problems:
        raise typer.Exit(UNEXPECTED)


class _Bars:
    """Shows trainings and runs."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._stages = _Stages(bars)
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, event: StageEvent | BenchEvent) -> None:
        match event:
            case StageEvent():
                self._stages(event)
            case Building(board, precision, engine):
                say(f"building {precision} firmware for {board}, engine {engine}")
            case Referencing(key, reference, done, total):
                self._update(f"{key} on the host ({reference})", done, total)
            case Streaming(key, done, total, _):
                self._update(key, done, total)
            case Finished(key, seconds) if not err.is_terminal:
                say(f"{key}: done in {seconds:.1f} s")

    def _update(self, name: str, done: int, total: int) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total)
        self._bars.update(self._tasks[name], completed=done, total=total)
