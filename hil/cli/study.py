"""`hil study`: comparisons of several ways to one end, measured on a board."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TaskID

from hil.bench.events import Building, Finished, Referencing, Streaming
from hil.bench.events import Event as BenchEvent
from hil.cli.console import Downloads, err, out, progress, say
from hil.cli.models import Stages
from hil.kd.events import Event
from hil.platformio import find_project

UNEXPECTED = 1

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Compare several ways to one end, measured on a board.",
)


@app.callback()
def _studies() -> None:
    """Compare several ways to one end, measured on a board."""


@app.command()
def compression(
    recipe: Annotated[
        str, typer.Option("--recipe", help="A recipe's name, or a .toml file of your own.")
    ] = "mnist",
    board: Annotated[str, typer.Option("--board", help="Where networks are measured.")] = "mps2",
    limit: Annotated[
        int | None, typer.Option("--limit", help="Samples a network; default: the whole test set.")
    ] = None,
    epochs: Annotated[
        int,
        typer.Option("--epochs", help="At most so many in any training; default: the recipe's."),
    ] = 0,
    teacher: Annotated[
        Path | None,
        typer.Option("--teacher", help="A trained .keras file instead of training the teacher."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--out", help="Where everything goes, and what is there is kept."),
    ] = None,
    quick: Annotated[bool, typer.Option(help="Little of everything: to try it out.")] = False,
) -> None:
    """Quantisation, pruning, distillation, fine-tuning and combinations of them, side by side.

    Each network is trained, exported and run on the board; exit code 1 when one of its outputs
    is not what it must be.
    """
    from hil.kd import library, pipeline  # TensorFlow takes seconds to load
    from hil.study.compression import Wanted, study

    found = library.find(recipe)
    project = find_project()
    target = folder or project / "results" / f"compression-{found.name}"
    with Downloads() as downloads:
        data = pipeline.prepare(found, quick=quick, progress=downloads)
    wanted = Wanted(found, project, target, board, limit, epochs, quick, teacher)
    with progress() as bars:
        made = study(wanted, data, on_event=_Bars(bars))
    from hil.study import advice, pages

    out.print(pages.table(made))
    for line in advice.advice(made):
        out.print(line, soft_wrap=True, markup=False)
    say(f"pages: {target / 'study.html'}")
    problems = advice.unexpected(made)
    for line in problems:
        out.print(f"not as expected: {line}", soft_wrap=True, markup=False)
    if problems:
        raise typer.Exit(UNEXPECTED)


class _Bars:
    """Draws trainings and runs."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._stages = Stages(bars)
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, event: Event | BenchEvent) -> None:
        match event:
            case Event():
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
