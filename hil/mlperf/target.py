"""What a session talks to: a port that is named, or an emulated board of ours that is started."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hil.bench.plan import Request, choose_image
from hil.boards.config import Board
from hil.boards.session import open_board, open_port
from hil.errors import UsageError
from hil.link import Link
from hil.link.serial_port import SerialLink
from hil.platformio import build

BAUD: Final = 115_200  # of MLCommons' reference devices
_PTY: Final = re.compile("/dev/(pts/|ttys[0-9]+$)")  # Linux, macOS


@dataclass(frozen=True, slots=True)
class Target:
    """``emulated``: no time it tells is a measurement."""

    link: Link
    emulated: bool


def is_pty(port: str) -> bool:
    """Whether a program of this computer is behind ``port``, and not a device."""
    return bool(_PTY.match(str(Path(port).resolve())))


@contextmanager
def on_port(
    port: str, baud: int | None, board: Board | None, *, emulated: bool
) -> Iterator[Target]:
    """Whatever is on ``port``; ``board`` says how its port is set."""
    link = open_port(board, port) if board else SerialLink(port, baud or BAUD)
    try:
        if baud and link.baud != baud:
            link.set_baud(baud)
        yield Target(link, emulated)
    finally:
        link.close()


@contextmanager
def on_board(
    board: Board,
    project: Path,
    model: str,
    precision: str | None,
    engine: str,
    dataset: str,
) -> Iterator[Target]:
    """An emulated board that runs ``model`` (a name, or a .tflite file) alone; built and started.

    UsageError for a board that is not emulated.
    """
    if board.emulator is None:
        raise UsageError(
            f"board {board.name} is not emulated",
            f"flash it (hil flash --board {board.name}), then give its --port too",
        )
    request = Request(
        project=project,
        boards=(board.name,),
        models=(model,),
        precisions=(precision,) if precision else (),
        engines=(engine,),
        dataset=dataset,
    )
    image = choose_image(request)
    networks = [one for one in image.networks if one.name == model] or list(image.networks)
    models = [(one.name, one.graph) for one in networks]
    firmware = build(board.pio_env, models, image.engine, project)
    with open_board(board, firmware.elf) as link:
        yield Target(link, emulated=True)
