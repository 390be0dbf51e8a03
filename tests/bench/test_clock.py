# SPDX-License-Identifier: Apache-2.0
"""`hil bench --clock` is refused where no time can be estimated, before anything is built."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hil.api.bench import run_bench
from hil.api.options import DEFAULTS
from hil.bench import cycles as module
from hil.bench.cycles import check_calibrated
from hil.boards.config import load_board
from hil.boards.station import only_station
from hil.core.errors import UsageError
from tests.support.benches import ignore


@pytest.fixture(autouse=True)
def llvm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "llvm_major", lambda: 14)


@pytest.mark.parametrize("board", ["mps2", "cortex-m4"])
def test_calibrated_cores_are_accepted(board: str) -> None:
    check_calibrated([only_station(load_board(board))])


@pytest.mark.parametrize(
    ("board", "why"),
    [
        ("cortex-m3", "cortex-m3 are uncalibrated: no programs with published cycles on no boards"),
        ("cortex-m33", "cortex-m33 are uncalibrated: 4 programs with published cycles on 1 board"),
        ("native", "LLVM has no model of the core of board native"),
        ("rv32", "LLVM has no model of the core of board rv32"),
    ],
)
def test_other_boards_are_refused(board: str, why: str) -> None:
    found = [only_station(load_board("mps2")), only_station(load_board(board))]
    with pytest.raises(UsageError, match=f"no time can be estimated for board {board}: .*{why}"):
        check_calibrated(found)


def test_a_physical_board_is_refused() -> None:
    """It measures its latency, which needs no estimate."""
    station = only_station(load_board("mps2"), "/dev/ttyACM0")
    with pytest.raises(UsageError, match="for board mps2: board mps2 is not emulated"):
        check_calibrated([station])


def test_another_version_of_llvm_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "llvm_major", lambda: 40)
    with pytest.raises(UsageError, match="uncalibrated: .*this is LLVM 40"):
        check_calibrated([only_station(load_board("mps2"))])


def test_a_clock_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--clock 480MHz needs --cycles"):
        run_bench(replace(DEFAULTS, clock="480MHz", out=tmp_path / "run"), ignore)
    options = replace(DEFAULTS, clock="fast", cycles=True, out=tmp_path / "run")
    with pytest.raises(UsageError, match="--clock fast is not a clock"):
        run_bench(options, ignore)
    assert not (tmp_path / "run").exists()


def test_a_clock_for_a_sketch_is_refused() -> None:
    with pytest.raises(UsageError, match="--clock and --engine user contradict"):
        replace(DEFAULTS, clock="480MHz", cycles=True, engine=("user",)).check()


def test_the_bench_refuses_it_before_it_builds(tmp_path: Path) -> None:
    options = replace(DEFAULTS, clock="64MHz", cycles=True, board=("native",), out=tmp_path / "run")
    with pytest.raises(UsageError, match="no time can be estimated for board native"):
        run_bench(options, ignore)
    assert not (tmp_path / "run").exists()
