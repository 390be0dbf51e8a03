# SPDX-License-Identifier: Apache-2.0
"""Real emulators that are stopped, and a real `hil bench` that is killed, in the midst of a run."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from hil.bench import Request, make_plan, run
from hil.bench.events import Event, Restarted
from hil.link.faults import parse_chaos
from hil.runs.load import read_manifest, read_samples, verify
from hil.runs.schema import MANIFEST, Faults, Sample

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(900)]

PROJECT = Path(__file__).parents[2]
N = 60


def ignore(_: Event) -> None:
    """Nobody looks."""


def same(folder: Path) -> list[Sample]:
    """All that a run stored, but for what the line and this computer did to it."""
    return [
        msgspec.structs.replace(s, round_trip=None, attempts=1, disturbed=False)
        for s in read_samples(folder)
    ]


@pytest.mark.parametrize("board", ["native", pytest.param("mps2", marks=pytest.mark.slow)])
def test_an_emulator_that_starts_anew_changes_nothing(tmp_path: Path, board: str) -> None:
    request = Request(
        project=PROJECT,
        boards=(board,),
        models=("student",),
        precisions=("int8",),
        dataset="digits",
        limit=N,
    )
    plan = make_plan(request)
    events: list[Event] = []
    run(plan, tmp_path / "quiet", ignore)
    run(plan, tmp_path / "reset", events.append, chaos=parse_chaos("4:reset=0.03"))
    assert same(tmp_path / "reset") == same(tmp_path / "quiet")
    (quiet,), (end,) = (read_manifest(tmp_path / name).ends for name in ("quiet", "reset"))
    assert isinstance(end.faults, Faults)
    assert end.faults.injected["reset"] >= 2
    # one that comes while the board is greeted is a port to open once more, and no reset to tell
    assert 1 <= end.faults.resets <= end.faults.reopenings == end.faults.injected["reset"]
    assert sum(isinstance(event, Restarted) for event in events) == end.faults.resets
    assert (end.memory, end.first) == (quiet.memory, quiet.first)
    assert end.marks == quiet.marks
    assert verify(tmp_path / "reset").faults == ()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_hil_bench_killed_at_a_hundred_random_moments_goes_on(tmp_path: Path) -> None:
    """The whole command with its emulator, killed after a random time, until it is whole."""
    kills = int(os.environ.get("HIL_KILLS", "100"))
    assert whole_bench(tmp_path / "built") == 0
    began = time.monotonic()
    assert whole_bench(tmp_path / "quiet") == 0
    most = time.monotonic() - began
    whole = same(tmp_path / "quiet")
    chance = random.Random(0)
    runs = (tmp_path / f"run{number}" for number in itertools.count())
    folder, done, had = next(runs), 0, 0
    while done < kills:
        process = bench(folder)
        try:
            # mostly while it answers, which is the end of it
            _, said = process.communicate(timeout=chance.uniform(0.3, 1.1) * most)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            _, said = process.communicate()
            done += 1
        found = same(folder) if (folder / MANIFEST).exists() else []
        assert found == [one for one in whole if one in found]
        assert process.returncode in (0, -signal.SIGKILL), said.decode()
        assert len(found) >= had, "a digit was lost"
        had = len(found)
        if found and read_manifest(folder).state == "complete":  # the pages may be missing
            assert found == whole
            assert verify(folder).faults == ()
            folder, had = next(runs), 0
    if had:
        assert whole_bench(folder) == 0
        assert same(folder) == whole


def bench(folder: Path) -> subprocess.Popen[bytes]:
    """`hil bench` of two runs into ``folder``; one that is complete is not an error to go on."""
    words = ["bench", "--board", "native", "--model", "student", "--dataset", "digits"]
    return subprocess.Popen(
        [sys.executable, "-m", "hil", *words, "--limit", "500", "--no-open", "--out", str(folder)],
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def whole_bench(folder: Path) -> int:
    """The same, to its end."""
    process = bench(folder)
    process.communicate()
    return process.returncode
