"""`hil sweep`: search a recipe's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TaskID

from hil.cli.console import Downloads, err, out, progress, say
from hil.cli.models import Stages
from hil.kd.sweep import needs
from hil.platformio import find_project


def sweep(
    recipe: Annotated[str, typer.Argument(help="A recipe's name, or a .toml file of your own.")],
    trials: Annotated[int, typer.Option("--trials", help="Trials in the whole study.")] = 50,
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
        str, typer.Option("--study", help="Its name there; default: the recipe's.")
    ] = "",
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes; default: one a core.")
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
        int | None, typer.Option("--seed", help="Of the search and of each trial.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="Within the recipe's quick limits.")] = False,
    folder: Annotated[
        Path | None,
        typer.Option("--out", help="Where all of it goes; default: results/sweeps/<recipe>."),
    ] = None,
) -> None:
    """Search T, alpha, learning rate and width of a recipe's student for the best on validation.

    The same command goes on where it was cut off, and joins others that share the study.
    """
    needs.require()
    from hil.kd import library, processes
    from hil.kd.sweep import report, run  # Optuna and TensorFlow take seconds to load

    project = find_project()
    request = run.Request(
        recipe=recipe,
        folder=folder or project / "results" / "sweeps" / library.find(recipe).name,
        project=project,
        trials=trials,
        storage=storage,
        study=study,
        workers=processes.cores() if workers is None else workers,
        objectives=tuple(objective),
        limits=tuple(at_most),
        seed=seed,
        quick=quick,
    )
    with Downloads() as downloads:  # before the bars: two live drawings would mix
        found, given = run.load(request, downloads)
    with progress("epochs") as bars:
        job = run.prepare(request, found, given, on_event=Stages(bars))
    try:
        with progress("trials") as bars:
            outcome, made = run.run(job, request.workers, _Trials(bars, trials))
    except KeyboardInterrupt:
        say("the study keeps what has ended; the same command goes on")
        raise
    best = outcome.best
    if best is None:
        out.print("no trial came to an end within the limits", soft_wrap=True)
    else:
        out.print(f"best: trial {best.number}, validation accuracy {best.accuracy:.4f}")
        for line in report.toml(best):
            out.print(f"  {line}", soft_wrap=True)
    for path in made:
        out.print(str(path), soft_wrap=True)
    if best is None:
        raise typer.Exit(1)


class _Trials:
    """Draws a study that grows: one bar with the best so far, or a line a trial."""

    def __init__(self, bars: Progress, total: int) -> None:
        self._bars, self._total = bars, total
        self._task: TaskID | None = None
        self._told: set[int] = set()

    def __call__(self, outcome: object) -> None:
        from hil.kd.sweep.outcome import Outcome

        assert isinstance(outcome, Outcome)
        ended = [row for row in outcome.rows if row.state != "running"]
        best = f"best {outcome.best.accuracy:.4f}" if outcome.best else "no result yet"
        if self._task is None:  # what was there already says nothing about the time left
            self._task = self._bars.add_task(best, total=self._total, completed=len(ended))
            self._told = {row.number for row in ended}
            if ended:
                say(f"{len(ended)} of {self._total} trials are there already")
        self._bars.update(self._task, description=best, completed=len(ended))
        for row in ended:
            if row.number not in self._told and not err.is_terminal:
                shown = f", {row.accuracy:.4f}" if row.accuracy is not None else ""
                why = f" ({row.reason})" if row.reason else ""
                say(f"trial {row.number}: {row.state}{shown}{why}; {best}")
            self._told.add(row.number)
