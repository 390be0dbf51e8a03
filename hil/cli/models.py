"""`hil train` and `hil export`: from data to .tflite files and C headers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TaskID

from hil import datasets
from hil.cli.console import Downloads, err, out, progress, say
from hil.engines import model_name, write_image
from hil.errors import UsageError
from hil.kd.events import Event
from hil.platformio import find_project
from hil.runlog.load import load


def train(
    recipe: Annotated[
        str, typer.Option("--recipe", help="A recipe's name, or a .toml file of your own.")
    ] = "",
    dataset: Annotated[
        str, typer.Option("--dataset", help="Instead: the recipe called after a data set, or auto.")
    ] = "auto",
    folder: Annotated[
        Path | None, typer.Option("--out", help="Where models go; default: models/<recipe>.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="A few epochs only: to try it out.")] = False,
    runs: Annotated[
        list[Path] | None,
        typer.Option("--run", help="A stored run, whose device figures go into card.md."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", help="Stages trained at once; default: one a core."),
    ] = None,
) -> None:
    """Train a recipe's teacher, student alone and distilled student, and export them."""
    from hil.kd import library, pipeline, processes  # TensorFlow takes seconds to load

    if jobs is not None and jobs < 1:
        raise UsageError("--jobs must be at least 1", "leave it out for one a core")

    stored = [load(path) for path in runs or ()]
    found = library.find(recipe or _choose(dataset))
    target = folder or find_project() / "models" / found.name
    with Downloads() as downloads:  # before the bars: two live drawings would mix
        given = pipeline.prepare(found, quick=quick, progress=downloads)
    with progress("epochs") as bars:
        made = pipeline.train(
            found,
            target,
            quick=quick,
            given=given,
            runs=stored,
            jobs=processes.cores() if jobs is None else jobs,
            on_event=Stages(bars),
        )
    for file, facts in made.files.items():
        accuracy = f"test accuracy {facts.test_accuracy:.4f}"
        out.print(f"{target / file}: {facts.nbytes:,} B, {accuracy}", soft_wrap=True)
    for sentence in made.verdict.sentences:
        out.print(sentence, soft_wrap=True)


def _choose(dataset: str) -> str:
    """The recipe for a data set, or for the best one that is here."""
    with Downloads() as downloads:
        name, note = datasets.choose(dataset, "train", progress=downloads)
    if note:
        say(f"note: {note}")
    return name


class Stages:
    """Draws training: a bar a stage, with time left and the latest accuracy on validation."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, event: Event) -> None:
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


def export(
    files: Annotated[list[Path], typer.Argument(help=".keras or .tflite files.")],
    folder: Annotated[Path, typer.Option("--out", help="Where the results go.")] = Path("export"),
    dataset: Annotated[
        str, typer.Option("--dataset", help="Calibrates int8: auto, mnist or digits.")
    ] = "auto",
    engine: Annotated[str, typer.Option("--engine", help="Inference engine.")] = "aot",
) -> None:
    """.keras -> .tflite (float32 and int8), and .tflite -> C headers for your own sketch."""
    tflite = [file for file in files if file.suffix == ".tflite"]
    keras = [file for file in files if file.suffix == ".keras"]
    if len(tflite) + len(keras) < len(files):
        raise UsageError("export takes .keras and .tflite files", "check their endings")
    if keras:
        from hil.kd import export as exporter  # TensorFlow takes seconds to load

        name, _ = datasets.choose(dataset)
        data = datasets.load(name, "train")
        for file in keras:
            tflite += exporter.export(file, data, folder).values()
    named = [(model_name(file), file) for file in tflite]
    image = write_image(engine, named, folder, table=False)
    for model, header in zip(image.models, image.headers, strict=True):
        out.print(f"{header}: arena {model.arena:,} B, flash {model.flash:,} B", soft_wrap=True)
