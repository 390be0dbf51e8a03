# SPDX-License-Identifier: Apache-2.0
"""The commands that hints and `hil flash` suggest: they name the user's own networks, so that they
build and bench what is on the board, or should be."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hil.bench.cases import USER, Image
from hil.bench.networks import NETWORKS
from hil.boards.config import Board
from hil.core.files import sha256
from hil.core.records import EXPORTED, Hello
from hil.firmware import firmware_tree

_DATA: Final = ("--data", "DATA.npz")  # a network says nothing about where its samples are
_ENGINE: Final = "aot"  # the default of --engine


def bench_command(image: Image, port: str) -> str:
    """How to bench the board on ``port``, which runs ``image``, without flashing it again."""
    data = () if _trained_on(image) else _DATA
    return _words("bench", image.board, port, (*options(image), *data))


def flash_command(image: Image, port: str | None = None) -> str:
    """How to put ``image`` on its board. An emulated board opens its own port."""
    return _words("flash", image.board, port, options(image))


def bench_whatever_runs(hello: Hello, board: Board, port: str, project: Path) -> str:
    """How to bench the board on ``port``, of which only its HELLO is known."""
    engines = {model.engine for model in hello.models}
    if USER in engines:
        return _words("bench", board, port, ("--engine", USER, *_DATA))
    found = tuple(_engine(next(iter(engines), _ENGINE)))
    models = firmware_tree(project) / "models"
    runs = [model.sha256 for model in hello.models]
    for precision in EXPORTED:
        for folder in sorted(one for one in models.glob("*") if one.is_dir()):
            ours = {name: sha256(folder / f"{name}_{precision}.tflite") for name in NETWORKS}
            names = [name for name in NETWORKS if ours[name] in runs]
            if runs and len(names) == len(runs):
                known = _of_ours(folder.name, precision, names)
                return _words("bench", board, port, (*known, *found))
    files = [word for model in hello.models for word in ("--model", f"{model.name}.tflite")]
    return _words("bench", board, port, (*files, *found, *_DATA))


def options(image: Image) -> tuple[str, ...]:
    """The options of `hil flash` and `hil bench` that choose ``image``."""
    engine = _engine(image.engine)
    if dataset := _trained_on(image):
        names = [network.name for network in image.networks]
        return (*_of_ours(dataset, image.precision, names), *engine)
    files = [word for one in image.networks for word in ("--model", str(one.path))]
    return (*files, *engine)


def _trained_on(image: Image) -> str:
    """The data set whose example networks the image embeds; empty for files of the user's own."""
    (*_, dataset) = {network.trained_on for network in image.networks}
    return dataset


def _of_ours(dataset: str, precision: str, names: Sequence[str]) -> tuple[str, ...]:
    some = [word for name in names for word in ("--model", name)]
    every = len(names) == len(NETWORKS)
    return ("--dataset", dataset, *(() if every else some), "--precision", precision)


def _engine(name: str) -> tuple[str, ...]:
    return () if name == _ENGINE else ("--engine", name)


def _words(command: str, board: Board, port: str | None, more: Sequence[str]) -> str:
    where = ("--port", port) if port and not (command == "flash" and board.emulator) else ()
    return shlex.join(["hil", command, "--board", board.name, *where, *more])
