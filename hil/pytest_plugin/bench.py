# SPDX-License-Identifier: Apache-2.0
"""What ``hil_bench`` is: a board held open, and one bench of all its models, run when asked for."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from hil.bench import BenchPlan, Request, make_plan, run
from hil.bench.events import Event
from hil.bench.lab import HeldLab, RealLab, check_image, flash
from hil.bench.plan import Case, Image
from hil.boards.attached import Attached, choose_attached
from hil.boards.config import Board, load_board
from hil.boards.labgrid import SCHEME
from hil.boards.session import HeldBoard
from hil.boards.station import Station, only_station, stations
from hil.compare.limits import LIMITS, Limits, read_limits
from hil.core.errors import UsageError
from hil.core.records import Hello, Precision
from hil.device import Device, Timing
from hil.firmware import find_project
from hil.report import write
from hil.runs.load import read_manifest
from hil.runs.schema import Manifest, SummaryRow


@dataclass(frozen=True, slots=True)
class Chosen:
    """A station, and where it is for flashing: None for an emulator that has yet to start."""

    station: Station
    where: Attached | str | None
    project: Path

    @property
    def board(self) -> Board:
        return self.station.board


def choose(config: pytest.Config) -> Chosen:
    """The board of ``--hil-board`` and ``--hil-port``, or the one that is plugged in.

    A place of a lab is held until pytest ends. NotAttached when there is no board, UsageError
    when there is more than one.
    """
    project = find_project(config.rootpath)
    name = config.getoption("--hil-board")
    port = config.getoption("--hil-port")
    if port and not name:
        raise UsageError("--hil-port needs the board's name", "add --hil-board NAME")
    if name and (port or "@" in name or name.startswith(SCHEME)):
        held = ExitStack()
        config.add_cleanup(held.close)
        (station,) = held.enter_context(stations([name], project, port))
        return Chosen(station, station.port, project)
    if name and (board := load_board(name, project)).emulator:
        return Chosen(only_station(board), None, project)
    found, where = choose_attached(project, board=name, serial=config.getoption("--hil-serial"))
    return Chosen(only_station(found, where.port), where, project)


class HilBench:
    """A board with one image of models.

    ``device`` talks to it; ``cases`` are the models that it runs, in HELLO's order; ``run`` is
    the whole bench, done once however often it is asked for.
    """

    def __init__(self, plan: BenchPlan, lab: HeldLab, held: HeldBoard, folder: Path) -> None:
        self.plan = plan
        self.folder = folder
        self.limits: dict[str, Limits] = {}
        self._lab = lab
        self._held = held
        self._rows: tuple[SummaryRow, ...] | None = None
        self.device = self._device()

    @property
    def board(self) -> Board:
        return self._held.board

    @property
    def image(self) -> Image:
        return self.plan.cases[0].image

    @property
    def cases(self) -> tuple[Case, ...]:
        return self.plan.cases

    def hello(self) -> Hello:
        """The board's HELLO; `hil.core.errors.DeviceError` when it sends nothing valid."""
        return self.device.hello()

    def reset(self) -> Hello:
        """Restart the board and wait until it answers.

        Skips the test when nothing here can restart it.
        """
        try:
            self._held.reset()
        except UsageError as problem:
            pytest.skip(str(problem))
        self.device = self._device()
        return self.hello()

    def run(self) -> tuple[SummaryRow, ...]:
        """One row a model over all samples of the plan, as `hil bench` reports it."""
        if self._rows is None:
            run(self.plan, self.folder, _ignore, self._lab)
            self._rows = write(self.folder).summary.runs
        return self._rows

    @property
    def manifest(self) -> Manifest:
        """What the run of `run` was."""
        self.run()
        return read_manifest(self.folder)

    def close(self) -> None:
        """Let the board go."""
        self._lab.close()

    def _device(self) -> Device:
        timeouts = self.board.timeouts
        timing = Timing(timeouts.boot, timeouts.reply)
        return Device(self._held.link, timing, self.board.serial.baud)


def open_bench(chosen: Chosen, config: pytest.Config, folder: Path) -> HilBench:
    """Plan, flash or start as asked, and hold the board.

    Raises `hil.core.errors.HilError`: WrongFirmware when an attached board runs none of the images
    that are planned.
    """
    option = config.getoption
    precision = option("--hil-precision")
    plan = make_plan(
        Request(
            project=chosen.project,
            boards=(chosen.station,),
            models=tuple(option("--hil-model")),
            precisions=(precision,) if precision else (),
            engines=(option("--hil-engine"),),
            dataset=option("--hil-dataset"),
            data=option("--hil-data"),
            limit=option("--hil-limit"),
        )
    )
    images = {case.image.key: case.image for case in plan.cases}
    small = (image for image in images.values() if image.precision is Precision.INT8)
    image = next(small, plan.cases[0].image)
    station = chosen.station
    if chosen.where is not None and option("--hil-flash"):
        _, port = flash(image, chosen.project, chosen.where)
        station = replace(station, port=port)
    lab = HeldLab(RealLab(chosen.project))
    try:
        held = lab.hold(station, None if station.port else lab.build(image, chosen.project))
        hello = Device(held.link, Timing(station.board.timeouts.boot)).hello()
        image = next((one for one in images.values() if _runs(hello, one)), image)
        check_image(hello, image)
        cases = tuple(
            replace(case, station=station) for case in plan.cases if case.image.key == image.key
        )
        bench = HilBench(replace(plan, cases=cases), lab, held, folder / "run")
        bench.limits = read_limits(option("--hil-limits") or config.rootpath / LIMITS).runs
    except BaseException:
        lab.close()
        raise
    return bench


def _runs(hello: Hello, image: Image) -> bool:
    return [m.sha256 for m in hello.models] == [n.graph.sha256 for n in image.networks]


def _ignore(_: Event) -> None:
    """pytest shows how it goes."""
