# SPDX-License-Identifier: Apache-2.0
"""Parallel runs: the same answers as in sequence, and a board that fails does not affect others."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import pytest

from hil.bench import BenchPlan, run
from hil.bench.cases import Image, Program
from hil.bench.events import Event, Finished
from hil.bench.lab import Firmware
from hil.bench.lanes import lanes
from hil.bench.prepare import prepare
from hil.bench.session import Patience
from hil.boards.station import Station
from hil.core.errors import DeviceRefused, HilError, LinkError, MachineError, WrongFirmware
from hil.link import Link
from hil.report import write
from hil.runs.load import read_manifest, read_samples, verify
from hil.runs.rows import summarise
from hil.testing.lab import FakeLab
from tests.support.benches import answers, ignore, planned
from tests.support.troubled import TroubledLab

N = 12


@dataclass
class Broken(FakeLab):
    """A lab with a station ``gone`` that cannot be opened, or that kills its process; or only for
    images of the precision ``of``."""

    gone: str = "native"
    kills: bool = False
    of: str = ""
    error: HilError = field(default_factory=lambda: LinkError("port of native vanished"))

    @contextmanager
    def open(self, station: Station, image: Program, firmware: Firmware) -> Iterator[Link]:
        assert isinstance(image, Image)
        if station.name == self.gone and self.of in ("", image.precision):
            if self.kills:
                os._exit(3)
            raise self.error
        with super().open(station, image, firmware) as link:
            yield link


@pytest.fixture(scope="module")
def plan() -> BenchPlan:
    """One model in both precisions on two boards: four runs."""
    return planned(N, boards=("mps2", "native"), precisions=())


def test_parallel_runs_give_the_answers_of_sequential_ones(plan: BenchPlan, tmp_path: Path) -> None:
    events: list[Event] = []
    run(plan, tmp_path / "one", ignore, FakeLab(), jobs=1)
    run(plan, tmp_path / "two", events.append, FakeLab(), jobs=2)
    assert answers(tmp_path / "one") == answers(tmp_path / "two")
    assert len(answers(tmp_path / "two")) == 4 * N
    manifest = read_manifest(tmp_path / "two")
    assert manifest.state == "complete"
    keys = {case.key for case in plan.cases}
    assert {end.key for end in manifest.ends} == keys
    assert {event.run for event in events if isinstance(event, Finished)} == keys


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_board_that_fails_does_not_stop_the_others(
    plan: BenchPlan, tmp_path: Path, jobs: int
) -> None:
    with pytest.raises(LinkError, match="port of native vanished"):
        run(plan, tmp_path, ignore, Broken(), jobs=jobs)
    manifest = read_manifest(tmp_path)
    assert (manifest.state, manifest.error) == ("failed", "port of native vanished")
    assert {end.key.split("/")[0] for end in manifest.ends} == {"mps2"}
    assert len(answers(tmp_path)) == 2 * N
    run(plan, tmp_path, ignore, FakeLab(), jobs=jobs)
    assert read_manifest(tmp_path).state == "complete"
    assert len(answers(tmp_path)) == 4 * N


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(
    ("port", "error", "others"),
    [
        ("", LinkError("the emulator ended"), True),  # each run starts its own
        ("loop://", LinkError("the cable is out"), False),
        ("loop://", DeviceRefused("the board needs a larger arena"), True),
        ("loop://", WrongFirmware("the board runs the other image"), True),
    ],
)
def test_a_run_that_fails_leaves_the_others_that_can_run(
    plan: BenchPlan, tmp_path: Path, port: str, error: HilError, others: bool, jobs: int
) -> None:
    cases = tuple(
        replace(case, station=replace(case.station, port=port or None)) for case in plan.cases[2:]
    )
    lab = Broken(of="float32", error=error)
    with pytest.raises(type(error), match=error.what):
        run(replace(plan, cases=cases), tmp_path, ignore, lab, jobs)
    ends = [end.key for end in read_manifest(tmp_path).ends]
    assert ends == (["native/aot/student/int8"] if others else [])


@dataclass
class Dying(TroubledLab):
    """A lab with one board that is unplugged for good half-way through its first run."""

    dying: str = "native"

    @contextmanager
    def open(self, station: Station, image: Program, firmware: Firmware) -> Iterator[Link]:
        if station.name == self.dying:
            with super().open(station, image, firmware) as link:
                yield link
        else:
            with FakeLab.open(self, station, image, firmware) as link:
                yield link


@pytest.mark.parametrize(("jobs", "dying"), [(1, "mps2"), (2, "native")])
def test_a_board_that_dies_does_not_change_the_results_of_the_others(
    plan: BenchPlan, tmp_path: Path, jobs: int, dying: str
) -> None:
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    run(plan, whole, ignore, FakeLab())
    lab = Dying(outs=[5_000], away=10**9, dying=dying)
    patience = Patience(60.0, _Hours(), _no_time)
    with pytest.raises(LinkError, match="no board came back"):
        run(plan, torn, ignore, lab, jobs, patience=patience)
    survivor = {"mps2": "native", "native": "mps2"}[dying]
    got, wanted = answers(torn), answers(whole)
    kept = [sample for sample in wanted if sample.run.startswith(survivor)]
    assert [sample for sample in got if sample.run.startswith(survivor)] == kept
    assert 0 < len(got) - len(kept) < 2 * N
    assert all(sample in wanted for sample in got)
    manifest = read_manifest(torn)
    assert {end.key.split("/")[0] for end in manifest.ends} == {survivor}
    report = write(torn)
    rows = {f"{row.board}/{row.precision}": row for row in report.summary.runs}
    one, two = (summarise(read_manifest(f), read_samples(f)).runs for f in (whole, torn))
    assert [msgspec.structs.replace(r, link=None) for r in one if r.board == survivor] == [
        msgspec.structs.replace(r, link=None) for r in two if r.board == survivor
    ]
    assert rows[f"{dying}/float32"].memory is None
    assert rows[f"{dying}/float32"].n < N
    text = report.markdown.read_text()
    assert f"The run failed (port of {dying} does not exist; no board came back on" in text
    assert "**Partial.**" in text
    assert f"on {dying}: {rows[f'{dying}/float32'].n} of {N} answers." in text
    assert verify(torn).faults == ()


class _Hours:
    """A clock that advances an hour each time it is read."""

    now = 0.0

    def __call__(self) -> float:
        self.now += 3600.0
        return self.now


def _no_time(_: float) -> None:
    """Return at once."""


def test_a_process_that_dies_is_an_error_and_loses_nothing(plan: BenchPlan, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="process that ran native ended with code 3"):
        run(plan, tmp_path, ignore, Broken(kills=True), jobs=2)
    assert len(answers(tmp_path)) == 2 * N


def test_an_interruption_ends_every_process(plan: BenchPlan, tmp_path: Path) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, Finished):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(plan, tmp_path, stop, FakeLab(), jobs=2)
    assert multiprocessing.active_children() == []
    assert read_manifest(tmp_path).state == "interrupted"
    run(plan, tmp_path, ignore, FakeLab(), jobs=2)
    assert len(answers(tmp_path)) == 4 * N


def test_each_port_and_each_emulator_run_is_one_lane(plan: BenchPlan) -> None:
    ported = replace(plan.cases[0].station, port="socket://x:1")
    cases = tuple(
        replace(case, station=ported) if case.station.name == "mps2" else case
        for case in plan.cases
    )
    prepared, _ = prepare(replace(plan, cases=cases), FakeLab(), ignore)
    assert [[item.plan.key for item in lane] for lane in lanes(prepared)] == [
        ["mps2/aot/student/float32", "mps2/aot/student/int8"],
        ["native/aot/student/float32"],
        ["native/aot/student/int8"],
    ]
