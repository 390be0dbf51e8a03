# SPDX-License-Identifier: Apache-2.0
"""`hil export` and `hil headers`: convert models to .tflite files and C headers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hil import datasets
from hil.api.records import ExportedModel, ExportOutput
from hil.bench.convert import converted, find_exporter, is_source
from hil.bench.events import Calibrated, Downloading, Emit, Note
from hil.bench.loss import weigh
from hil.bench.networks import precision_called
from hil.bench.source import Source
from hil.cli.console import out
from hil.cli.data import DATA_HELP, InputOption, ResizeOption, TargetOption
from hil.cli.output import result, shown
from hil.cli.running import Bars
from hil.core.errors import UsageError
from hil.core.files import replace_file
from hil.core.records import EXPORTED, Dataset
from hil.engines import Image, model_name, write_image


def export(
    files: Annotated[
        list[Path],
        typer.Argument(help=".tflite files, or models to convert: see `hil bench --model`."),
    ],
    folder: Annotated[Path, typer.Option("--out", help="Output folder.")] = Path("export"),
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            help="Data to convert with: int8 gets its range, and is compared with float32 on it. "
            f"{DATA_HELP}",
        ),
    ] = None,
    target: TargetOption = None,
    resize: ResizeOption = None,
    input: InputOption = None,
    dataset: Annotated[
        str,
        typer.Option(
            "--dataset", help="Instead: the training data of auto, mnist, digits, ... (hil bench)."
        ),
    ] = "auto",
    precision: Annotated[
        list[str],
        typer.Option("--precision", help="float32, int8 or int16; default: the first two."),
    ] = [],
    engine: Annotated[str, typer.Option("--engine", help="Inference engine.")] = "aot",
) -> None:
    """Convert models of Keras to .tflite (float32 and int8), and .tflite to C headers for a sketch.

    A SavedModel folder of TensorFlow is converted in the same way.
    """
    sources = [file for file in files if is_source(file)]
    tflite = [file for file in files if file.suffix == ".tflite"]
    if len(tflite) + len(sources) < len(files):
        raise UsageError(
            "export takes .tflite, .keras and .h5 files and SavedModel folders only",
            "check the file names",
        )
    wanted = [precision_called(name) for name in precision] or list(EXPORTED)
    if sources:
        find_exporter(sources[0])  # before data is loaded
        with Bars() as shown:
            calibration = _calibration(Source(data, dataset, target, resize, input), shown)
            for source in sources:
                made = converted(source, calibration, shown, precisions=wanted)
                shown(Calibrated(made.record, made.folder))
                shown(weigh(made, calibration))
                for one in dict.fromkeys(wanted):
                    copy = folder / made.files[one].name
                    replace_file(copy, made.files[one].read_bytes())
                    tflite.append(copy)
    named = [(model_name(file), file) for file in tflite]
    image = write_image(engine, named, folder, table=False)
    _show(image)


def _calibration(source: Source, emit: Emit) -> Dataset:
    source = source.resolved()
    if source.data is not None:
        found, note = source.read(split="train")
        if note:
            emit(Note(note))
        return source.fed(found, ())
    name, note = datasets.choose(source.dataset, progress=lambda *done: emit(Downloading(*done)))
    if source.dataset == "auto":
        note = f"no --data was given: {name} calibrates int8; pass the data of the model's training"
    if note:
        emit(Note(note))
    found = datasets.load(name, "train", progress=lambda *done: emit(Downloading(*done)))
    return source.fed(found, ())


def headers(
    models: Annotated[
        list[str], typer.Argument(help="NAME=FILE.tflite, in the order of the image.")
    ],
    folder: Annotated[Path, typer.Option("--out", help="Output folder.")],
    engine: Annotated[str, typer.Option("--engine", help="Inference engine.")] = "aot",
    arena: Annotated[
        int | None, typer.Option("--arena", help="Arena in bytes; default: what the models need.")
    ] = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="For firmware built with HIL_LAYERS=1.")
    ] = False,
    fault: Annotated[
        str, typer.Option("--fault", help="Break a layer: weight|shift|padding:MODEL:LAYER.")
    ] = "",
) -> None:
    """Write hil_image.h, hil_image.c and one C header per model."""
    pairs = []
    for word in models:
        name, equals, file = word.partition("=")
        if not equals:
            raise UsageError(f"{word!r} is not NAME=FILE.tflite", "write e.g. student=my.tflite")
        pairs.append((name, Path(file)))
    image = write_image(engine, pairs, folder, arena, layers=layers, fault=fault)
    _show(image)


def _show(image: Image) -> None:
    """Print what was written."""
    both = list(zip(image.models, image.headers, strict=True))
    models = tuple(
        ExportedModel(name=one.name, header=shown(header), arena=one.arena, flash=one.flash)
        for one, header in both
    )
    result(ExportOutput(engine=image.engine, models=models))
    for model, header in both:
        out.print(f"{header}: arena {model.arena:,} B, flash {model.flash:,} B", soft_wrap=True)
