"""`hil headers`: what PlatformIO's pre-build script calls to write an image's C sources."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hil.cli.console import out
from hil.engines import write_image
from hil.errors import UsageError


def headers(
    models: Annotated[list[str], typer.Argument(help="NAME=FILE.tflite, in the image's order.")],
    folder: Annotated[Path, typer.Option("--out", help="Where the sources go.")],
    engine: Annotated[str, typer.Option("--engine", help="Inference engine.")] = "aot",
    arena: Annotated[
        int | None, typer.Option("--arena", help="Bytes of RAM to reserve; default: enough.")
    ] = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="For firmware built with HIL_LAYERS=1.")
    ] = False,
    fault: Annotated[
        str, typer.Option("--fault", help="Break a layer: weight|shift|padding:MODEL:LAYER.")
    ] = "",
) -> None:
    """Write hil_image.h, hil_image.c and one C header a model."""
    pairs = []
    for word in models:
        name, equals, file = word.partition("=")
        if not equals:
            raise UsageError(f"{word!r} is not NAME=FILE.tflite", "write e.g. student=my.tflite")
        pairs.append((name, Path(file)))
    image = write_image(engine, pairs, folder, arena, layers=layers, fault=fault)
    for model, header in zip(image.models, image.headers, strict=True):
        out.print(f"{header}: arena {model.arena:,} B, flash {model.flash:,} B", soft_wrap=True)
