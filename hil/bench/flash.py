"""Flash one image, then believe only HELLO."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from hil.bench.cells import Image
from hil.boards import detached
from hil.boards.attached import Attached, find_attached
from hil.boards.config import Board
from hil.boards.session import open_port
from hil.device import Device, Timing
from hil.errors import HilError, LinkError, NoAnswer, WrongFirmware
from hil.link import Deadline
from hil.platformio import build, upload
from hil.records import Hello

_POLL_S: Final = 0.1


def flash(image: Image, project: Path, where: Attached | str | None = None) -> tuple[Hello, str]:
    """Put ``image`` on its board; what the board then says of itself, and its port.

    ``where`` is a port, or an attached board that is looked for by its serial number
    afterwards; None starts an emulated board, which stays. Raises what `upload` raises, and
    WrongFirmware, which says what runs instead; a board that panics, or that its loader does not
    start, is quoted (`hil.diagnosis`).
    """
    board = image.board
    models = [(network.name, network.graph) for network in image.networks]
    if where is None:
        built = build(board.pio_env, models, image.engine, project, layers=image.layers)
        running = detached.start(project, board, built.elf)
        return _hello(image, project, running.port), running.port
    port = where.port if isinstance(where, Attached) else where
    needs = board.memory.flash if board.memory else 0
    upload(board.pio_env, models, image.engine, project, port, layers=image.layers, needs=needs)
    deadline = Deadline.after(board.timeouts.boot)
    while True:  # a board with USB of its own leaves and comes back, perhaps under another name
        found = _port_now(where, project)
        try:
            return _hello(image, project, found), found
        except LinkError:
            if deadline.expired:
                raise
            time.sleep(_POLL_S)


def ask(board: Board, port: str, seconds: float) -> Hello:
    """What the board on ``port`` says of itself within ``seconds``; a `DeviceError` if nothing."""
    link = open_port(board, port)
    try:
        return Device(link, Timing(boot=seconds)).hello()
    finally:
        link.close()


def check_image(hello: Hello, image: Image) -> None:
    """WrongFirmware unless the board runs ``image``: its models, in order, by its engine."""
    if hello.has_layers and not image.layers:
        raise observed(hello)
    runs = [(model.name, model.sha256, model.engine) for model in hello.models]
    wanted = [(n.name, n.graph.sha256, image.engine) for n in image.networks]
    if runs != wanted:
        raise WrongFirmware(
            f"board {hello.board} runs {_words(runs)}, expected {_words(wanted)}",
            f"flash it: hil flash --board {image.board.name}",
        )


def observed(hello: Hello) -> WrongFirmware:
    """The board runs firmware to look into, not the one to measure."""
    return WrongFirmware(
        f"board {hello.board} runs firmware that was built to show its layers",
        "flash the one to measure: `hil flash`, or the same command with --flash",
    )


def _hello(image: Image, project: Path, port: str) -> Hello:
    try:
        hello = ask(image.board, port, image.board.timeouts.boot)
        check_image(hello, image)
    except NoAnswer as silent:
        raise type(silent)(
            f"{image.board.name} was flashed, and then {silent.what}", silent.hint
        ) from silent
    except HilError:
        if image.board.emulator:
            detached.stop(project, image.board.name)
        raise
    return hello


def _port_now(where: Attached | str, project: Path) -> str:
    if isinstance(where, str) or not where.serial:
        return where if isinstance(where, str) else where.port
    again = [one for one in find_attached(project) if one.serial == where.serial and one.boards]
    return again[0].port if again else where.port


def _words(models: list[tuple[str, str, str]]) -> str:
    return ", ".join(f"{name} {sha[:12]} by {by}" for name, sha, by in models) or "no model"
