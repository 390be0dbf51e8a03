# SPDX-License-Identifier: Apache-2.0
"""Injected faults change no answer, and the run records them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import UNSET

from hil.bench import BenchPlan, run
from hil.bench.cases import Program
from hil.bench.events import Event
from hil.bench.lab import Firmware
from hil.bench.session import Patience
from hil.boards.station import Station
from hil.core.errors import HilError, LineHopeless, StorageError
from hil.link import Link
from hil.link.chaos import parse_chaos
from hil.runs.load import read_manifest, verify
from hil.runs.schema import Faults
from hil.testing.board import FakeLink
from hil.testing.lab import FakeLab
from hil.testing.lines import PacedLink
from tests.support.benches import answers, ignore, planned, rows

N = 60
ALL = "flip=2e-5,drop=5e-5,duplicate=5e-5,delay=5e-5,reorder=5e-5,inject=0.02,replay=0.05"
RARE = "freeze=0.01,reset=0.01,cut=0.005,cut_s=60"


@pytest.fixture(scope="module")
def plan() -> BenchPlan:
    return planned(N, precisions=())


@pytest.fixture(scope="module")
def quiet(plan: BenchPlan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an undisturbed run."""
    folder = tmp_path_factory.mktemp("quiet")
    run(plan, folder, ignore, FakeLab())
    return folder


def disturb(plan: BenchPlan, folder: Path, chaos: str) -> Faults:
    """The faults of a bench, all of its runs together."""
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


@pytest.mark.parametrize("seed", range(3))
def test_injected_faults_change_no_answer(
    plan: BenchPlan, quiet: Path, tmp_path: Path, seed: int
) -> None:
    found = disturb(plan, tmp_path, f"{seed}:{ALL},{RARE}")
    assert answers(tmp_path) == answers(quiet)
    assert rows(tmp_path) == rows(quiet)
    assert sum(found.injected.values()) > 20
    assert {"flip", "inject", "replay"} <= set(found.injected)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3, 40))
def test_injected_faults_change_no_answer_for_many_seeds(
    plan: BenchPlan, quiet: Path, tmp_path: Path, seed: int
) -> None:
    disturb(plan, tmp_path, f"{seed}:{ALL},{RARE}")
    assert answers(tmp_path) == answers(quiet)
    assert rows(tmp_path) == rows(quiet)


@pytest.mark.parametrize(("fault", "counted"), [("reset", "resets"), ("cut", "reopenings")])
def test_a_fault_of_one_kind_is_counted(
    plan: BenchPlan, quiet: Path, tmp_path: Path, fault: str, counted: str
) -> None:
    found = disturb(plan, tmp_path, f"1:{fault}=0.03")
    assert answers(tmp_path) == answers(quiet)
    assert list(found.injected) == [fault]
    assert found.injected[fault] >= 2
    assert 1 <= getattr(found, counted) <= found.injected[fault]


def test_the_manifest_names_the_injected_faults(
    plan: BenchPlan, quiet: Path, tmp_path: Path
) -> None:
    disturb(plan, tmp_path, "7:flip=1e-5")
    assert read_manifest(tmp_path).chaos == "7:flip=1e-05"
    assert read_manifest(quiet).chaos is UNSET
    assert b'"chaos":' not in (quiet / "manifest.json").read_bytes()
    assert all(end.faults is UNSET for end in read_manifest(quiet).ends)


def test_a_run_continues_only_with_the_same_faults(plan: BenchPlan, tmp_path: Path) -> None:
    def stop(_: Event) -> None:
        if list((tmp_path / "run").glob("samples.jsonl")):
            raise KeyboardInterrupt

    chaos = parse_chaos("7:flip=1e-5")
    with pytest.raises(KeyboardInterrupt):
        run(plan, tmp_path / "run", stop, FakeLab(), chaos=chaos)
    with pytest.raises(StorageError, match="differs in the faults that --chaos injects"):
        run(plan, tmp_path / "run", ignore, FakeLab())
    run(plan, tmp_path / "run", ignore, FakeLab(), chaos=chaos)


def test_a_hopeless_line_ends_the_run(plan: BenchPlan, tmp_path: Path) -> None:
    with pytest.raises(HilError) as said:
        disturb(plan, tmp_path, "3:flip=0.02")
    assert isinstance(said.value, LineHopeless)
    assert read_manifest(tmp_path).state == "failed"


class Paced(FakeLab):
    """Boards behind a line at 115200 baud with a simulated clock."""

    line: PacedLink | None = None

    @contextmanager
    def open(self, station: Station, image: Program, firmware: Firmware) -> Iterator[Link]:
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
    """At a bit error rate of 1e-4, with all repetitions."""
    taken = []
    for name, chaos in (("clean", None), ("bad", parse_chaos("1:flip=1e-4"))):
        lab = Paced()
        run(plan, tmp_path / name, ignore, lab, chaos=chaos)
        assert answers(tmp_path / name) == answers(quiet)
        taken.append(lab.clock())
    clean, bad = taken
    assert clean < bad < clean / 0.7
