# SPDX-License-Identifier: Apache-2.0
"""The fixture ``hil_bench``: an open board, and one bench of all its models, run on demand."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest

from hil.bench import BenchPlan, Request, make_plan, run
from hil.bench.cases import USER, Case, Image
from hil.bench.events import Event
from hil.bench.lab import HeldLab, RealLab, check_image, flash
from hil.boards.attached import Attached, choose_attached
from hil.boards.config import Board, load_board
from hil.boards.labgrid import SCHEME
from hil.boards.session import HeldBoard
from hil.boards.station import Station, only_station, stations
from hil.compare.limits import (
    LIMITS,
    Limits,
    LimitsFile,
    exceeded,
    project_limits,
    read_limits,
)
from hil.core.errors import UsageError
from hil.core.records import Hello, Precision
from hil.core.settings import bench_options
from hil.device import Device, Timing
from hil.firmware import find_project
from hil.report import write
from hil.runs.load import read_manifest
from hil.runs.schema import Manifest
from hil.runs.summary import SummaryRow

SAMPLES: Final = 100  # per model, unless an option or `hil.toml` says otherwise


@dataclass(frozen=True, slots=True)
class Chosen:
    """A station, and its place for flashing: None for an emulator that is not running yet."""

    station: Station
    where: Attached | str | None
    project: Path

    @property
    def board(self) -> Board:
        return self.station.board


def choose(config: pytest.Config) -> Chosen:
    """The board of ``--hil-board`` and ``--hil-port``, or the attached one.

    A lab place is held until pytest ends. NotAttached if there is no board, UsageError if there is
    more than one.
    """
    project = find_project(config.rootpath)
    name = config.getoption("--hil-board") or board_of_settings(project)
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

    ``device`` talks to it; ``cases`` are its models, in the order of HELLO; ``run`` is the whole
    bench, which runs once per session.
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
        """The board's HELLO; `hil.core.errors.DeviceError` if it sends nothing valid."""
        return self.device.hello()

    def reset(self) -> Hello:
        """Restart the board and wait until it answers. Skips the test if it cannot be restarted."""
        try:
            self._held.reset()
        except UsageError as problem:
            pytest.skip(str(problem))
        self.device = self._device()
        return self.hello()

    def run(self) -> tuple[SummaryRow, ...]:
        """One row per model over all samples of the plan, as in the report of `hil bench`."""
        if self._rows is None:
            run(self.plan, self.folder, _ignore, self._lab)
            self._rows = write(self.folder).summary.runs
        return self._rows

    def exceeded(self) -> list[str]:
        """One line per limit that a run exceeds; a run without limits exceeds none."""
        every = ((row, self.limits.get(row.key)) for row in self.run())
        return [line for row, limits in every if limits for line in exceeded(row, limits)]

    @property
    def manifest(self) -> Manifest:
        """The manifest of the bench."""
        self.run()
        return read_manifest(self.folder)

    def close(self) -> None:
        """Release the board."""
        self._lab.close()

    def _device(self) -> Device:
        timeouts = self.board.timeouts
        timing = Timing(timeouts.boot, timeouts.reply)
        return Device(self._held.link, timing, self.board.serial.baud)


def open_bench(chosen: Chosen, config: pytest.Config, folder: Path) -> HilBench:
    """Plan the bench, flash or start the board as the options say, and open it.

    Raises `hil.core.errors.HilError`: WrongFirmware if an attached board runs none of the planned
    images.
    """
    option, own = config.getoption, bench_options(chosen.project)
    engines = [name for name in own.get("engine", ["aot"]) if name != USER]
    if option("--hil-engine") == USER or not engines:
        raise UsageError(
            "--hil-engine user: the fixtures need networks of this project on the board",
            "bench your own sketch with `hil bench --engine user`",
        )
    precision = option("--hil-precision")
    samples = {name: option(f"--hil-{name}") for name in ("data", "target", "resize", "input")}
    if samples["data"] is None and option("--hil-dataset") is None:
        samples = {name: given or own.get(name) for name, given in samples.items()}
    networks = {name: tuple(own.get(name, ())) for name in ("model", "teacher", "student")}
    if option("--hil-model"):
        networks = {"model": tuple(option("--hil-model")), "teacher": (), "student": ()}
    plan = make_plan(
        Request(
            project=chosen.project,
            boards=(chosen.station,),
            models=tuple(file for files in networks.values() for file in files),
            teachers=networks["teacher"],
            students=networks["student"],
            calibrate=own.get("calibrate"),
            precisions=(precision,) if precision else tuple(own.get("precision", ())),
            engines=(option("--hil-engine") or engines[0],),
            dataset=option("--hil-dataset") or own.get("dataset", "auto"),
            **samples,
            limit=option("--hil-limit") or own.get("limit", SAMPLES),
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
        check_image(hello, image, station.port)
        cases = tuple(
            replace(case, station=station) for case in plan.cases if case.image.key == image.key
        )
        bench = HilBench(replace(plan, cases=cases), lab, held, folder / "run")
        bench.limits = _limits(config, chosen.project).runs
    except BaseException:
        lab.close()
        raise
    return bench


def board_of_settings(project: Path) -> str | None:
    """The board that the project's `hil.toml` names; the first of several."""
    return next(iter(bench_options(project).get("board", ())), None)


def _limits(config: pytest.Config, project: Path) -> LimitsFile:
    """Those of ``--hil-limits``, of `limits.toml` in the rootdir, or of the project."""
    given: Path | None = config.getoption("--hil-limits")
    if given or (config.rootpath / LIMITS).exists():
        return read_limits(given or config.rootpath / LIMITS)
    return project_limits(project)


def _runs(hello: Hello, image: Image) -> bool:
    return [m.sha256 for m in hello.models] == [n.graph.sha256 for n in image.networks]


def _ignore(_: Event) -> None:
    """pytest shows the progress."""
