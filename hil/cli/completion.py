# SPDX-License-Identifier: Apache-2.0
"""What a shell completes after an option: names that hil knows, and files that the option takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias, get_args

from typer.models import ParameterInfo

from hil.core.errors import HilError

Found: TypeAlias = Iterable[str | tuple[str, str]]  # values, or values with a description
Complete: TypeAlias = Callable[[str], Found]

_MODELS: Final = (".tflite", ".keras", ".h5")
_DATA: Final = (".npz", ".npy", ".csv")


def _starting(names: Found) -> Complete:
    """Completes the names that start with what was typed."""

    def complete(incomplete: str) -> Found:
        for one in names:
            if (one if isinstance(one, str) else one[0]).startswith(incomplete):
                yield one

    return complete


def boards(incomplete: str) -> Found:
    """Boards, with their titles."""
    from hil.boards.config import board_files, load_board
    from hil.boards.station import ALL, AUTO
    from hil.firmware import find_project

    project = find_project()
    for name in (AUTO, ALL, *sorted(board_files(project))):
        if name.startswith(incomplete):
            try:
                yield name, "" if name in (AUTO, ALL) else load_board(name, project).title
            except HilError:  # a board file that is being written
                yield name


def engines(incomplete: str) -> Found:
    """Engines, and that of a user's own sketch."""
    from hil.bench.cases import USER
    from hil.engines import ENGINES

    return _starting((*ENGINES, USER))(incomplete)


def kernels(incomplete: str) -> Found:
    """Kernels of `hil conform`."""
    from hil.conform.catalogue import KERNELS

    return _starting(tuple(KERNELS))(incomplete)


def sources(incomplete: str) -> Found:
    """Engines and kernels with sources to download."""
    from hil.engines.sources import NEEDED

    return _starting(NEEDED)(incomplete)


def league_networks(incomplete: str) -> Found:
    """Networks of MLPerf Tiny."""
    from hil.league.published import NETWORKS

    return _starting(NETWORKS)(incomplete)


def league_cores(incomplete: str) -> Found:
    """Cores with published results."""
    from hil.league.published import results

    return _starting(sorted({one.core for one in results()}))(incomplete)


def league_sorts(incomplete: str) -> Found:
    """Orders of `hil league`."""
    from hil.league.entries import SORTS

    return _starting(SORTS)(incomplete)


def instruments(incomplete: str) -> Found:
    """Instruments, as far as their colon."""
    from hil.energy.opened import KINDS

    return _starting(tuple(f"{kind}:" for kind in KINDS))(incomplete)


def datasets(incomplete: str) -> Found:
    """Data sets."""
    from hil.datasets import NAMES

    return _starting(("auto", *NAMES))(incomplete)


def data(incomplete: str) -> Found:
    """Data sets, and files with samples."""
    yield from datasets(incomplete)
    yield from files(incomplete, _DATA)


def models(incomplete: str) -> Found:
    """The example networks, and files with models."""
    yield from _starting(("teacher", "student"))(incomplete)
    yield from files(incomplete, _MODELS)


def files(incomplete: str, suffixes: tuple[str, ...]) -> Iterator[str]:
    """Files with one of ``suffixes``, and folders, that start with what was typed."""
    typed, _, name = incomplete.rpartition("/")
    folder = f"{typed}/" if typed or incomplete.startswith("/") else ""
    try:
        inside = sorted(Path(folder or ".").iterdir())
    except OSError:
        return
    for path in inside:
        if path.name.startswith(name) and not (path.name.startswith(".") and not name):
            if path.is_dir():
                yield f"{folder}{path.name}/"
            elif path.suffix in suffixes:
                yield f"{folder}{path.name}"


VALUES: Final[Mapping[str, Complete]] = {
    "--board": boards,
    "BOARD": boards,  # an argument
    "--engine": engines,
    "--kernel": kernels,
    "--dataset": datasets,
    "--data": data,
    "--calibrate": data,
    "--model": models,
    "--teacher": models,
    "--student": models,
    "--precision": _starting(("float32", "int8", "int16")),
    "--protocol": _starting(("frames", "text")),
    "--mode": _starting(("accuracy", "performance", "energy")),
    "--power": instruments,
    "--format": _starting(("md", "json", "junit", "github")),
    "--send": _starting(("csv", "json", "bytes")),
    "--network": league_networks,
    "--core": league_cores,
    "--sort": league_sorts,
    "--send-type": _starting(("float32", "uint8", "int8")),
}
_OTHER: Final[Mapping[tuple[str, str], Complete | None]] = {
    ("doctor", "--engine"): sources,
    ("mlperf", "--data"): None,  # a folder
}


def with_completion(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Command ``name`` with a completion for each of its options in `VALUES`."""
    signature = inspect.signature(function, eval_str=True)
    for parameter in signature.parameters.values():
        for info in get_args(parameter.annotation)[1:]:
            if isinstance(info, ParameterInfo):
                # typer.Option takes the first name as its default, until it sees Annotated
                words = (info.default, *(info.param_decls or ()), info.metavar)
                for word in (one for one in words if isinstance(one, str)):
                    found = _OTHER.get((name, word), VALUES.get(word))
                    info.autocompletion = found or info.autocompletion
    # typer would evaluate the annotations once more, without what was set here
    completed: Any = function
    completed.__signature__ = signature
    return function
