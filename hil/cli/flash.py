"""`hil flash`: firmware onto one board that is certainly the one meant, and proof that it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from hil.bench import Request
from hil.bench.flash import flash as flash_image
from hil.bench.plan import choose_image
from hil.boards.attached import Attached, choose_attached
from hil.boards.config import Board, load_board
from hil.cli.console import out, say
from hil.errors import UsageError
from hil.platformio import find_project


def flash(
    board: Annotated[
        str | None, typer.Option("--board", help="Board; default: the only one attached.")
    ] = None,
    port: Annotated[str | None, typer.Option("--port", help="Its port.")] = None,
    serial: Annotated[
        str | None, typer.Option("--serial", help="USB serial number, to tell equal boards apart.")
    ] = None,
    model: Annotated[
        list[str], typer.Option("--model", help="A .tflite file; default: teacher and student.")
    ] = [],
    precision: Annotated[
        str | None, typer.Option("--precision", help="float32 or int8; default: int8.")
    ] = None,
    engine: Annotated[str, typer.Option("--engine", help="Inference engine.")] = "aot",
    dataset: Annotated[
        str, typer.Option("--dataset", help="Whose models: auto, mnist or digits.")
    ] = "auto",
) -> None:
    """Build and upload (an emulated board is started and stays), then wait for the right HELLO.

    Nothing is flashed unless it is clear which board is meant.
    """
    project = find_project()
    found, where = _target(project, board, port, serial)
    request = Request(
        project=project,
        boards=(found.name,),
        models=tuple(model),
        precisions=(precision,) if precision else (),
        engines=(engine,),
        dataset=dataset,
    )
    image = choose_image(request)
    names = ", ".join(network.name for network in image.networks)
    say(f"flashing {names} ({image.precision}, engine {engine}) onto {where or found.title}")
    hello, now = flash_image(image, project, where)
    out.print(f"{escape(found.name)} on {escape(now)} runs {escape(hello.firmware)}:")
    for one in hello.models:
        out.print(f"  {escape(one.name)} {one.sha256[:12]} by {escape(one.engine)}")
    out.print(f"bench it: hil bench --board {escape(found.name)} --port {escape(now)}")


def _target(
    project: Path, board: str | None, port: str | None, serial: str | None
) -> tuple[Board, Attached | str | None]:
    """The board and where it is; None for an emulated one."""
    if port and serial:
        raise UsageError("--port and --serial both name the board", "leave one of them out")
    if port and not board:
        raise UsageError("--port does not say which board is there", "add --board NAME")
    known = load_board(board, project) if board else None
    if known and known.emulator:
        if port or serial:
            raise UsageError(
                f"board {known.name} is emulated and makes its own port",
                "leave --port and --serial out",
            )
        return known, None
    if known and port:
        return known, port
    return choose_attached(project, board=board, serial=serial)
