# SPDX-License-Identifier: Apache-2.0
"""A bench on lines where things go wrong on purpose: the same result, and word of what was done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from msgspec import UNSET

from hil.bench import BenchPlan, Request, make_plan, run
from hil.bench.events import Event
from hil.bench.lab import Firmware
from hil.bench.plan import Image
from hil.bench.session import Patience
from hil.boards.station import Station
from hil.core.errors import HilError, LineHopeless, StorageError
from hil.link import Link
from hil.link.faults import parse_chaos
from hil.runs.cells import summarise
from hil.runs.load import read_manifest, read_samples, verify
from hil.runs.schema import Faults, Sample, SummaryRow
from hil.testing.board import FakeLink
from hil.testing.lab import FakeLab
from hil.testing.lines import PacedLink

PROJECT = Path(__file__).parents[2]
N = 60
ALL = "flip=2e-5,drop=5e-5,duplicate=5e-5,delay=5e-5,reorder=5e-5,inject=0.02,replay=0.05"
RARE = "freeze=0.01,reset=0.01,cut=0.005,cut_s=60"


@pytest.fixture(scope="module")
def plan() -> BenchPlan:
    return make_plan(Request(project=PROJECT, models=("student",), dataset="digits", limit=N))


@pytest.fixture(scope="module")
def quiet(plan: BenchPlan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an undisturbed run."""
    folder = tmp_path_factory.mktemp("quiet")
    run(plan, folder, ignore, FakeLab())
    return folder


def ignore(_: Event) -> None:
    """Nobody looks."""


def disturb(plan: BenchPlan, folder: Path, chaos: str) -> Faults:
    """What befell a bench, all of its runs together."""
    lab = FakeLab()
    patience = Patience(0.25, lab.clock, lab.sleep)
    run(plan, folder, ignore, lab, patience=patience, chaos=parse_chaos(chaos))
    assert verify(folder).faults == ()
    found: dict[str, int] = {}
    resets = reopenings = 0
    for end in read_manifest(folder).ends:
        if isinstance(end.faults, Faults):
            resets, reopenings = resets + end.faults.resets, reopenings + end.faults.reopenings
            for name, count in end.faults.injected.items():
                found[name] = found.get(name, 0) + count
    return Faults(resets=resets, reopenings=reopenings, injected=found)


def same(folder: Path) -> list[Sample]:
    """All that a run stored, but for what the line did to it."""
    return [
        msgspec.structs.replace(s, round_trip=None, attempts=1, disturbed=False)
        for s in read_samples(folder)
    ]


def rows(folder: Path) -> list[SummaryRow]:
    """The summary without what it says of the link."""
    found = summarise(read_manifest(folder), read_samples(folder)).runs
    return [msgspec.structs.replace(row, link=None) for row in found]


@pytest.mark.parametrize("seed", range(3))
def test_whatever_befalls_the_line_the_result_is_the_same(
    plan: BenchPlan, quiet: Path, tmp_path: Path, seed: int
) -> None:
    found = disturb(plan, tmp_path, f"{seed}:{ALL},{RARE}")
    assert same(tmp_path) == same(quiet)
    assert rows(tmp_path) == rows(quiet)
    assert sum(found.injected.values()) > 20
    assert {"flip", "inject", "replay"} <= set(found.injected)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3, 40))
def test_whatever_befalls_the_line_many_times(
    plan: BenchPlan, quiet: Path, tmp_path: Path, seed: int
) -> None:
    disturb(plan, tmp_path, f"{seed}:{ALL},{RARE}")
    assert same(tmp_path) == same(quiet)
    assert rows(tmp_path) == rows(quiet)


@pytest.mark.parametrize(("fault", "counted"), [("reset", "resets"), ("cut", "reopenings")])
def test_a_fault_of_one_kind_is_counted(
    plan: BenchPlan, quiet: Path, tmp_path: Path, fault: str, counted: str
) -> None:
    found = disturb(plan, tmp_path, f"1:{fault}=0.03")
    assert same(tmp_path) == same(quiet)
    assert list(found.injected) == [fault]
    assert found.injected[fault] >= 2
    assert 1 <= getattr(found, counted) <= found.injected[fault]


def test_the_manifest_says_what_was_done(plan: BenchPlan, quiet: Path, tmp_path: Path) -> None:
    disturb(plan, tmp_path, "7:flip=1e-5")
    assert read_manifest(tmp_path).chaos == "7:flip=1e-05"
    assert read_manifest(quiet).chaos is UNSET
    assert b'"chaos":' not in (quiet / "manifest.json").read_bytes()
    assert all(end.faults is UNSET for end in read_manifest(quiet).ends)


def test_a_run_goes_on_with_the_same_chaos_or_not_at_all(plan: BenchPlan, tmp_path: Path) -> None:
    def stop(_: Event) -> None:
        if list((tmp_path / "run").glob("samples.jsonl")):
            raise KeyboardInterrupt

    chaos = parse_chaos("7:flip=1e-5")
    with pytest.raises(KeyboardInterrupt):
        run(plan, tmp_path / "run", stop, FakeLab(), chaos=chaos)
    with pytest.raises(StorageError, match="differs in the faults that --chaos injects"):
        run(plan, tmp_path / "run", ignore, FakeLab())
    run(plan, tmp_path / "run", ignore, FakeLab(), chaos=chaos)


def test_a_hopeless_line_ends_the_run_with_what_it_has(plan: BenchPlan, tmp_path: Path) -> None:
    with pytest.raises(HilError) as said:
        disturb(plan, tmp_path, "3:flip=0.02")
    assert isinstance(said.value, LineHopeless)
    assert read_manifest(tmp_path).state == "failed"


class Paced(FakeLab):
    """Boards behind a line of 115200 baud, on a clock of its own."""

    line: PacedLink | None = None

    @contextmanager
    def open(self, station: Station, image: Image, firmware: Firmware) -> Iterator[Link]:
        began = self.clock()
        with super().open(station, image, firmware) as link:
            assert isinstance(link, FakeLink)
            link.board.hello = replace(link.board.hello, unpacks=True, room=None)
            self.line = PacedLink(link.board, now=began)
            yield self.line

    def clock(self) -> float:
        return self.line.now if self.line else 0.0


def test_a_bench_on_a_bad_line_keeps_seven_tenths_of_its_speed(
    plan: BenchPlan, quiet: Path, tmp_path: Path
) -> None:
    """At a bit error rate of 1e-4, whatever is looked after and asked again included."""
    taken = []
    for name, chaos in (("clean", None), ("bad", parse_chaos("1:flip=1e-4"))):
        lab = Paced()
        run(plan, tmp_path / name, ignore, lab, chaos=chaos)
        assert same(tmp_path / name) == same(quiet)
        taken.append(lab.clock())
    clean, bad = taken
    assert clean < bad < clean / 0.7
