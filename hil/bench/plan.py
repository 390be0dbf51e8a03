# SPDX-License-Identifier: Apache-2.0
"""From what was asked to what will be run: every mistake that can be found early is found here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np

from hil import datasets
from hil.bench.cases import Case, Group, Image, Network, check_engines, fitting, place, taken
from hil.boards.config import load_board
from hil.boards.station import Station, plain
from hil.core.errors import DataError, UsageError
from hil.core.records import Dataset, DType, Encoding, Precision
from hil.datasets import Progress
from hil.engines import ENGINES, model_name
from hil.runs.schema import TooLarge
from hil.tflite import read_model

NETWORKS: Final = ("teacher", "student")
ENCODINGS: Final = {"u1": Encoding.PIXELS, "i1": Encoding.INT8, "f4": Encoding.FLOAT32}


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asked for; empty tuples mean all."""

    project: Path
    boards: tuple[str | Station, ...] = ("mps2",)  # a name stands for the only one of its kind
    models: tuple[str, ...] = ()  # teacher, student, or .tflite files
    precisions: tuple[str, ...] = ()
    engines: tuple[str, ...] = ("aot",)
    dataset: str = "auto"
    data: Path | None = None  # a .npz of the user's own
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """Cells in the order of running, the samples, why these samples, and the networks that were
    asked for and have no place on their board."""

    cases: tuple[Case, ...]
    data: Dataset
    total: int  # samples in the whole split
    note: str
    project: Path
    no_place: tuple[TooLarge, ...] = ()


def make_plan(request: Request, progress: Progress | None = None) -> BenchPlan:
    """Resolve names, read models and data, and check that all of it fits together.

    ``progress`` is told of a download, should the data set need one.
    """
    if request.limit is not None and request.limit < 1:
        raise UsageError("--limit must be at least 1", "leave it out for the whole test set")
    found = [_station(one, request.project) for one in request.boards]
    stations = {station.name: station for station in found}.values()
    for engine in set(request.engines) - set(ENGINES):
        raise UsageError(f"no engine is called {engine!r}", f"there are: {', '.join(ENGINES)}")
    for station in stations:
        check_engines(station.board, request.engines)
    whole, note = _data(request, progress)
    data = datasets.subset(whole, request.limit) if request.limit else whole
    wanted = _networks(request, _models_of(request.project, whole.name))
    cases = tuple(
        Case(Image(station.board, engine, precision, group), network, station)
        for station, engine in product(stations, dict.fromkeys(request.engines))
        for precision, group, chosen in fitting(
            station.board,
            request.models,
            request.precisions,
            taken(engine, ENGINES[engine].precisions, request.precisions, wanted),
        )
        for network in chosen
    )
    for case in cases:
        _check_fit(case.network, data)
    cases, no_place = place(cases)
    return BenchPlan(cases, data, len(whole), note, request.project, no_place)


def choose_image(request: Request) -> Image:
    """The one image of ``request`` that is flashed when nobody says which: int8 if there is one."""
    if any(name.endswith(".tflite") for name in request.models):  # needs no data to be flashed
        board = _station(request.boards[0], request.project).board
        groups = _networks(request, "")
        images = [Image(board, request.engines[0], group[0], group[1]) for group in groups]
    else:
        images = [case.image for case in make_plan(replace(request, limit=1)).cases]
    return next((image for image in images if image.precision is Precision.INT8), images[0])


def _station(one: str | Station, project: Path) -> Station:
    return plain(load_board(one, project)) if isinstance(one, str) else one


def _data(request: Request, progress: Progress | None) -> tuple[Dataset, str]:
    if request.data is not None:
        return datasets.load_npz(request.data), ""
    if any(name.endswith(".tflite") for name in request.models) and request.dataset == "auto":
        raise UsageError("a network of your own needs data", "name it: --data my.npz (arrays x, y)")
    name, note = datasets.choose(request.dataset, progress=progress)
    return datasets.load(name, progress=progress), note


def _models_of(project: Path, dataset: str) -> str:
    """Folder of ``models/`` for a data set: its own, else that of the set it stands in for."""
    own = (project / "models" / dataset).is_dir()
    return dataset if own else dataset.removesuffix("-made")


def _networks(request: Request, dataset: str) -> list[Group[Network]]:
    """(precision, networks of the image, networks to run) for every precision asked for."""
    own = [Path(name) for name in request.models if name.endswith(".tflite")]
    named = tuple(name for name in request.models if not name.endswith(".tflite"))
    for name in set(named) - set(NETWORKS):
        raise UsageError(
            f"no model is called {name!r}", "there are: teacher, student, or a .tflite file"
        )
    precisions = [_precision(name) for name in request.precisions] or list(Precision)
    if own:
        if named:
            raise UsageError("teacher/student and .tflite files do not mix", "bench them apart")
        return _own_networks(own, precisions, asked=bool(request.precisions))
    if request.data is not None:
        raise UsageError("--data needs a network of its own", "name it: --model my.tflite")
    folder = request.project / "models" / dataset
    if not folder.is_dir():
        raise UsageError(f"there are no models for {dataset}", f"hil train --recipe {dataset}")
    groups = []
    for precision in dict.fromkeys(precisions):
        group = tuple(_network(name, folder / f"{name}_{precision}.tflite") for name in NETWORKS)
        chosen = tuple(n for n in group if not named or n.name in named)
        groups.append((precision, group, chosen))
    return groups


def _own_networks(
    files: Sequence[Path], precisions: Sequence[Precision], *, asked: bool
) -> list[Group[Network]]:
    networks = [_network(model_name(file), file) for file in dict.fromkeys(files)]
    if len({n.name for n in networks}) < len(networks):
        raise UsageError("two --model files have the same name", "rename one of them")
    groups = []
    for precision in precisions:
        group = tuple(n for n in networks if n.graph.precision == precision)
        if group:
            groups.append((precision, group, group))
        elif asked:
            raise UsageError(f"no --model file computes in {precision}", "leave --precision out")
    return groups


def _network(name: str, file: Path) -> Network:
    return Network(name, file, read_model(file))


def _precision(name: str) -> Precision:
    try:
        return Precision(name)
    except ValueError:
        raise UsageError(
            f"no precision is called {name!r}", f"there are: {', '.join(Precision)}"
        ) from None


def _check_fit(network: Network, data: Dataset) -> None:
    """One sample must fill the input, and every label must name an output."""
    spec, outputs = network.graph.input, network.graph.output.elements
    if data.x[0].size != spec.elements:
        raise DataError(
            f"{data.name}: a sample has {data.x[0].size} values, "
            f"{network.path.name} takes {spec.elements} {list(spec.shape)}",
            "bench a model with data of its shape",
        )
    if data.x.dtype.str[1:] == "i1" and spec.dtype is not DType.INT8:
        raise DataError(
            f"{data.name}: int8 samples for {network.path.name}, which takes {spec.dtype.name}",
            "give float32 or uint8 samples",
        )
    if data.y.min() < 0 or data.y.max() >= outputs:
        raise DataError(
            f"{data.name}: labels run from {data.y.min()} to {data.y.max()}, "
            f"{network.path.name} has {outputs} outputs",
            "labels count from 0",
        )


def wire_inputs(data: Dataset) -> tuple[Encoding, Iterable[bytes]]:
    """How the samples travel: as they are, since the device quantises."""
    x = np.ascontiguousarray(data.x, dtype=data.x.dtype.newbyteorder("<"))
    return ENCODINGS[x.dtype.str[1:]], (sample.tobytes() for sample in x)
