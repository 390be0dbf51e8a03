# SPDX-License-Identifier: Apache-2.0
"""From a `Request` to a `BenchPlan`: resolve names, read files, and check that everything fits.

Every mistake that can be found before a build is found here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from hil import datasets
from hil.bench.calibration import convert_all
from hil.bench.cases import USER, Case, Image, Network, Sketch
from hil.bench.checking import order_of
from hil.bench.convert import is_source
from hil.bench.events import Emit
from hil.bench.fit import fit_memory, nothing_fits
from hil.bench.inputs import Taken, check_data, taken_by
from hil.bench.matrix import Asked, Group, check_engine, combine
from hil.bench.networks import (
    NETWORKS,
    check_pairs,
    example_networks,
    is_own,
    models_of,
    own_networks,
    precision_called,
    read_network,
    with_role,
)
from hil.bench.preprocessing import in_words
from hil.bench.source import Source
from hil.bench.task import Criterion, choose, targets_of
from hil.boards.config import load_board
from hil.boards.station import Station, only_station
from hil.checks import Order
from hil.core.errors import ModelError, UsageError, unknown
from hil.core.files import did_you_mean
from hil.core.records import EXPORTED, Dataset, DType, Precision
from hil.datasets import Progress
from hil.engines import ENGINES, model_name
from hil.runs.schema import AbsentBoard, Refused, TooLarge

_PLAIN: Final = {DType.FLOAT32, DType.INT8, DType.UINT8}


@dataclass(frozen=True, slots=True)
class Request:
    """What the user requested; an empty tuple means all."""

    project: Path
    boards: tuple[str | Station, ...] = ("mps2",)
    models: tuple[str, ...] = ()  # teacher, student, .tflite files, or models to convert
    precisions: tuple[str, ...] = ()
    teachers: tuple[str, ...] = ()  # of `models`: these are compared with `students`
    students: tuple[str, ...] = ()
    engines: tuple[str, ...] = ("aot",)
    dataset: str = "auto"
    data: datasets.Given | None = None
    target: str | None = None  # column of a .csv
    resize: str | None = None  # HEIGHTxWIDTH[xCHANNELS] of pictures
    input: str | None = None  # pixels, scaled[:LOW:HIGH] or as-is
    calibrate: datasets.Given | None = None  # as ``data``, for models to convert
    limit: int | None = None
    sketch: Path | None = None  # of --engine user: a folder or an .ino file to build
    firmware: Path | None = None  # of --engine user: an ELF file that the user built
    tolerance: float | None = None  # of --engine user
    flash: bool = False  # boards on ports are flashed first
    command: tuple[str, ...] | None = None  # to store with the run; None: this process's arguments
    all_boards: bool = False  # ``boards`` are all that there are, except those that are ``absent``
    absent: tuple[AbsentBoard, ...] = ()


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """What will run, in order, and on which samples.

    ``note``: why this data set, when it was not the first choice. ``no_place``: requested runs that
    do not fit their board. ``refused``: those whose engine cannot take them. ``absent``: boards
    without their tools. ``sketches``: runs of sketches that only their HELLO describes.
    """

    cases: tuple[Case, ...]
    data: Dataset
    total: int  # samples in the whole split
    note: str
    project: Path
    no_place: tuple[TooLarge, ...] = ()
    sketches: tuple[tuple[Station, Sketch], ...] = ()
    refused: tuple[Refused, ...] = ()
    absent: tuple[AbsentBoard, ...] = ()
    command: tuple[str, ...] | None = None  # of the request
    fed: str = ""  # what the samples' numbers stand for, in words
    drawing: datasets.Drawing | None = None  # of samples whose type only a sketch tells
    criteria: Mapping[str, Criterion] = field(default_factory=dict)  # by the network's SHA-256
    order: Order | None = None  # of the samples in their file; None if they were drawn

    def criterion(self, network: Network) -> Criterion:
        """What the runs of ``network`` are judged by; as chosen for the whole data set."""
        return self.criteria.get(network.graph.sha256) or criterion_of(network, self.data)

    @property
    def networks(self) -> tuple[Network, ...]:
        """Every network that the host runs, once."""
        of_sketches = (sketch.model for _, sketch in self.sketches if sketch.model)
        every = (*(case.network for case in self.cases), *of_sketches)
        return tuple({network.graph.sha256: network for network in every}.values())

    @property
    def runs(self) -> int:
        """The number of runs."""
        return len(self.cases) + len(self.sketches)


def _ignore(_: object) -> None:
    """For a caller who does not show what a plan does."""


def make_plan(
    request: Request, progress: Progress | None = None, emit: Emit = _ignore
) -> BenchPlan:
    """Resolve names, read models and data, convert models, and check that all of it fits together.

    ``progress`` is called while a data set is downloaded, ``emit`` when a model is converted.
    """
    if request.limit is not None and request.limit < 1:
        raise UsageError("--limit must be at least 1", "omit it to use the whole test set")
    every = [_station(one, request.project) for one in request.boards]
    stations = {station.name: station for station in every}.values()
    ours = tuple(dict.fromkeys(name for name in request.engines if name != USER))
    for engine in set(ours) - set(ENGINES):
        raise unknown(f"no engine is called {engine!r}", engine, [*ENGINES, USER])
    if USER in request.engines:
        for station in stations:
            check_engine(station.board, USER)
    sketches = _sketches(request, tuple(stations))
    source = _source(request).resolved()
    request = replace(request, data=source.data, dataset=source.dataset)
    later: datasets.Drawing | None = None
    if source.drawn:  # for the networks' inputs, so these come first
        made = _converted(request, None, progress, emit)
        own = _has_own(request) or not ours
        example = "" if own else datasets.choose(source.dataset, progress=progress)[0]
        wanted = _networks(request, models_of(request.project, example), made) if ours else []
        takers = _takers(wanted, sketches)
        later = source.drawing if sketches and not takers else None
        whole, note = (later.undrawn(), "") if later else source.read(takers, progress=progress)
    else:
        _check_has_data(request)
        whole, note = source.read(progress=progress)
        if any(map(is_source, request.models)):  # calibrated on what it will get
            whole = source.fed(whole, ())
        made = _converted(request, whole, progress, emit)
        wanted = _networks(request, models_of(request.project, whole.name), made) if ours else []
    data = whole
    if request.limit:
        sequence = any(network.graph.stateful for group in wanted for network in group.run)
        few = datasets.first if sequence else datasets.subset
        data = few(whole, request.limit)
    data = data if later else source.fed(data, _takers(wanted, sketches))
    named = tuple(name for name in request.models if not is_own(name))
    asked = Asked(named, named != request.models, request.precisions, request.all_boards)
    found = combine(stations, ours, wanted, asked, alone=not sketches)
    plan = BenchPlan(
        found.cases,
        data,
        len(whole),
        note,
        request.project,
        sketches=sketches,
        command=request.command,
        drawing=later,
        order=None if source.drawn else order_of(data, whole),
    )
    for network in plan.networks:
        check_data(data, taken_by(network))
    fed = "" if source.drawn else in_words(data, source.rule, _takers(wanted, sketches))
    criteria = {network.graph.sha256: criterion_of(network, whole) for network in plan.networks}
    targets_of(data, [(criteria[n.graph.sha256].task, taken_by(n)) for n in plan.networks])
    cases, no_place = fit_memory(found.cases)
    return replace(
        plan,
        cases=cases,
        no_place=(*found.no_place, *no_place),
        refused=found.refused,
        absent=request.absent,
        criteria=criteria,
        fed=fed,
    )


def networks_of(
    request: Request, progress: Progress | None = None, emit: Emit = _ignore
) -> tuple[Network, ...]:
    """The user's own networks of ``request``, converted where they need it.

    Nothing else is checked. UsageError for a model to convert without ``data``, and for a name
    that is not a file.
    """
    for name in request.models:
        if not is_own(name):
            raise UsageError(
                f"{name} is not a model file",
                "give .tflite files, or models to convert (.keras, .h5, or a SavedModel folder)",
            )
    whole = None
    if any(map(is_source, request.models)):
        _check_has_data(request)
        source = _source(request).resolved()
        request = replace(request, data=source.data, dataset=source.dataset)
        if not source.drawn:
            whole = source.fed(source.read(progress=progress)[0], ())
    made = _converted(request, whole, progress, emit)
    groups = _networks(request, "", made)
    return tuple(network for group in groups for network in group.run)


def criterion_of(network: Network, data: Dataset) -> Criterion:
    """`hil.bench.task.choose` for a .tflite file."""
    graph = network.graph
    return choose(network.path.name, graph.output, taken_by(network), data, graph)


def choose_image(request: Request) -> Image:
    """The one image of ``request`` to flash when several are possible: int8 if there is one."""
    if USER in request.engines:
        raise UsageError(
            "--engine user: the project has no image of your own sketch",
            "upload it with your own tool, or with `hil bench --engine user --sketch FOLDER "
            "--port PORT --flash`",
        )
    if sources := [name for name in request.models if is_source(name)]:
        raise UsageError(
            f"{sources[0]} is not converted yet, and that needs data",
            "hil export it with --data my.npz and flash the .tflite file, or bench it with --flash",
        )
    if any(map(is_own, request.models)):  # flashing needs no data
        cases = _all_cases(request)
    else:
        cases = make_plan(replace(request, limit=1)).cases
    images = [case.image for case in cases]
    return next((image for image in images if image.precision is Precision.INT8), images[0])


def _all_cases(request: Request) -> tuple[Case, ...]:
    """A case for each of the user's own files; ModelError or DoesNotFit if one cannot run."""
    station = _station(request.boards[0], request.project)
    asked = Asked((), own=True, precisions=request.precisions)
    found = combine([station], request.engines, _networks(request, ""), asked, alone=True)
    if found.refused:
        raise ModelError(found.refused[0].reason, "leave that file out")
    cases, no_place = fit_memory(found.cases)
    if no_place:
        raise nothing_fits(no_place)
    return cases


def _station(one: str | Station, project: Path) -> Station:
    return only_station(load_board(one, project)) if isinstance(one, str) else one


def _takers(
    wanted: Sequence[Group], sketches: Sequence[tuple[Station, Sketch]]
) -> tuple[Taken, ...]:
    """The inputs of every network that gets the samples."""
    networks = [one for group in wanted for one in group.run]
    networks += [sketch.model for _, sketch in sketches if sketch.model]
    return tuple(map(taken_by, networks))


def _source(request: Request) -> Source:
    return Source(request.data, request.dataset, request.target, request.resize, request.input)


def _check_has_data(request: Request) -> None:
    """UsageError for models of the user's own without data."""
    if request.data is None and _has_own(request) and request.dataset == "auto":
        raise UsageError(
            "a model of your own needs data",
            "pass --data my.npz (arrays x and y), or --data random for time and memory alone",
        )


def _has_own(request: Request) -> bool:
    return any(map(is_own, request.models))


def _converted(
    request: Request, whole: Dataset | None, progress: Progress | None, emit: Emit
) -> list[Network]:
    """The networks of all models that are to be converted; ``whole``: see `convert_all`."""
    sources = [Path(name) for name in dict.fromkeys(request.models) if is_source(name)]
    if not sources and request.calibrate is not None:
        raise UsageError("--calibrate is for a model to convert", "pass --model my.keras")
    samples = _source(request)
    asked = [precision_called(name) for name in request.precisions] or EXPORTED
    found = convert_all(
        sources, samples, request.calibrate, whole, asked, progress=progress, emit=emit
    )
    return [
        with_role(source, network, request.teachers, request.students) for source, network in found
    ]


def _networks(request: Request, dataset: str, made: Sequence[Network] = ()) -> list[Group]:
    """One group for every precision that was requested; ``made``: the converted networks."""
    own = [Path(name) for name in request.models if name.endswith(".tflite")]
    named = tuple(name for name in request.models if not is_own(name))
    for name in set(named) - set(NETWORKS):
        raise unknown(
            f"no model is called {name!r}",
            name,
            NETWORKS,
            "give a .tflite file, or a model to convert (.keras, .h5, or a SavedModel folder)",
        )
    precisions = [precision_called(name) for name in request.precisions]
    precisions = precisions or list(Precision if own or made else EXPORTED)
    if own or made:
        if named:
            raise UsageError(
                "one bench cannot run both teacher/student and models of your own",
                "run two benches",
            )
        given = [
            with_role(f, read_network(model_name(f), f), request.teachers, request.students)
            for f in dict.fromkeys(own)
        ]
        networks = [*given, *made]
        if request.teachers or request.students:
            check_pairs([n for n in networks if n.graph.precision in precisions])
        return own_networks(networks, precisions, asked=bool(request.precisions))
    mine = request.data
    known = isinstance(mine, Dataset) and mine.name in datasets.NAMES
    if mine is not None and not known and not datasets.is_random(mine):
        raise UsageError("--data needs a model of your own", "pass --model my.tflite")
    return example_networks(request.project, dataset, named, precisions)


def _sketches(request: Request, places: Sequence[Station]) -> tuple[tuple[Station, Sketch], ...]:
    """The sketch of each station, if the request has the engine `USER`."""
    if USER not in request.engines:
        for option, value in (
            ("--sketch", request.sketch),
            ("--firmware", request.firmware),
            ("--tolerance", request.tolerance),
        ):
            if value is not None:
                raise UsageError(f"{option} is for a sketch of your own", "add --engine user")
        return ()
    if request.data is None and request.dataset == "auto":
        raise UsageError(
            "--engine user needs to know which samples to send",
            "pass --data my.npz (array x, and y with labels if you have them), or --data mnist",
        )
    if request.precisions and set(request.engines) == {USER}:
        raise UsageError(
            "--precision does not apply to --engine user", "leave it out: the sketch decides"
        )
    if request.sketch and request.firmware:
        raise UsageError("--sketch and --firmware both say what the board runs", "give one of them")
    for file in (request.sketch, request.firmware):
        if file is not None and not file.exists():
            raise UsageError(f"{file} does not exist", f"{did_you_mean(file)}check the path")
    model = _own_model(request)
    if request.tolerance is not None and not (model and 0 <= request.tolerance < math.inf):
        raise UsageError(
            f"--tolerance {request.tolerance:g} needs a --model to compare with, and is at least 0",
            "pass --model my.tflite, or leave out --tolerance",
        )
    for station in places:
        _check_source(request, station)
    return tuple(
        (
            station,
            Sketch(station.board, request.sketch, request.firmware, model, request.tolerance),
        )
        for station in places
    )


def _own_model(request: Request) -> Network | None:
    """The .tflite file that a sketch should compute; None if none was named."""
    if not request.models:
        return None
    name = request.models[0]
    if is_source(name):
        raise UsageError(
            f"--engine user: a sketch runs a .tflite file, not {name}",
            "hil export it, and pass the .tflite file that your sketch was built with",
        )
    if len(request.models) > 1 or not name.endswith(".tflite"):
        raise UsageError(
            "--engine user compares a sketch with one .tflite file, "
            f"not with {' and '.join(request.models)}",
            "pass one --model my.tflite, or leave out --model to compare with labels alone",
        )
    network = read_network(model_name(Path(name)), Path(name))
    one_of_each(network, "a sketch of your own")
    return network


def one_of_each(network: Network, who: str) -> None:
    """UsageError for a network that ``who`` cannot carry: one input, one output, no state, and
    values of 8 bits or float32."""
    graph = network.graph
    wide = {one.dtype for one in (graph.input, graph.output)} - _PLAIN
    found = [
        f"{len(graph.inputs)} inputs" if len(graph.inputs) > 1 else "",
        f"{len(graph.outputs)} outputs" if len(graph.outputs) > 1 else "",
        "state" if graph.stateful else "",
        *(f"{one.name.lower()} values" for one in sorted(wide)),
    ]
    if any(found):
        raise UsageError(
            f"{network.path.name} has {' and '.join(filter(None, found))}, {who} has one input, "
            "one output and no state, in float32, int8 or uint8",
            "bench the network with firmware of this project: hil bench --engine aot",
        )


def _check_source(request: Request, station: Station) -> None:
    """UsageError unless it is clear what the board of ``station`` runs."""
    name = station.board.name
    if not station.port:
        if not request.sketch and not request.firmware:
            raise UsageError(
                f"board {name} is emulated, and there is no sketch for it to run",
                "pass --sketch FOLDER to build one, --firmware ELF to run one that you built, "
                "or --port PORT of a board that runs it",
            )
    elif request.flash and not request.sketch:
        raise UsageError(
            "--flash with --engine user needs the sketch to upload",
            "pass --sketch FOLDER, or leave out --flash if the board runs it already",
        )
    elif request.sketch and not request.flash:
        raise UsageError(
            f"--sketch for board {name} on {station.port} has no effect without --flash",
            "add --flash to build and upload it, or leave out --sketch if the board runs it "
            "already",
        )
