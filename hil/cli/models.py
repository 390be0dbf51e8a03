# SPDX-License-Identifier: Apache-2.0
"""`hil export` and `hil headers`: convert models to .tflite files and C headers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hil import datasets
from hil.cli import plugin
from hil.cli.console import out
from hil.core.errors import UsageError
from hil.engines import model_name, write_image


def export(
    files: Annotated[list[Path], typer.Argument(help=".keras or .tflite files.")],
    folder: Annotated[Path, typer.Option("--out", help="Output folder.")] = Path("export"),
    dataset: Annotated[
        str, typer.Option("--dataset", help="Data set that calibrates int8: auto, mnist or digits.")
    ] = "auto",
    engine: Annotated[str, typer.Option("--engine", help="Inference engine.")] = "aot",
) -> None:
    """Convert .keras to .tflite (float32 and int8), and .tflite to C headers for a sketch."""
    tflite = [file for file in files if file.suffix == ".tflite"]
    keras = [file for file in files if file.suffix == ".keras"]
    if len(tflite) + len(keras) < len(files):
        raise UsageError("export takes .keras and .tflite files only", "check the file names")
    if keras:
        convert = plugin("hil.exporters", "keras", "exporting a .keras file")
        name, _ = datasets.choose(dataset)
        data = datasets.load(name, "train")
        for file in keras:
            tflite += convert(file, data, folder).values()
    named = [(model_name(file), file) for file in tflite]
    image = write_image(engine, named, folder, table=False)
    for model, header in zip(image.models, image.headers, strict=True):
        out.print(f"{header}: arena {model.arena:,} B, flash {model.flash:,} B", soft_wrap=True)


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
    for model, header in zip(image.models, image.headers, strict=True):
        out.print(f"{header}: arena {model.arena:,} B, flash {model.flash:,} B", soft_wrap=True)
