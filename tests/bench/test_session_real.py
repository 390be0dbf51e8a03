# SPDX-License-Identifier: Apache-2.0
"""Emulators stopped and `hil bench` killed during a run change no answer."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hil.bench import run
from hil.bench.events import Event, Restarted
from hil.link.chaos import parse_chaos
from hil.runs.load import read_manifest, verify
from hil.runs.schema import MANIFEST, Faults
from tests.support.benches import PROJECT, answers, ignore, planned

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(900)]

N = 60


@pytest.mark.parametrize("board", ["native", pytest.param("mps2", marks=pytest.mark.slow)])
def test_an_emulator_that_restarts_changes_no_answer(tmp_path: Path, board: str) -> None:
    plan = planned(N, boards=(board,))
    events: list[Event] = []
    run(plan, tmp_path / "quiet", ignore)
    run(plan, tmp_path / "reset", events.append, chaos=parse_chaos("4:reset=0.03"))
    assert answers(tmp_path / "reset") == answers(tmp_path / "quiet")
    (quiet,), (end,) = (read_manifest(tmp_path / name).ends for name in ("quiet", "reset"))
    assert isinstance(end.faults, Faults)
    assert end.faults.injected["reset"] >= 2
    # a reset during initialisation only opens the port again, and is not counted as one
    assert 1 <= end.faults.resets <= end.faults.reopenings == end.faults.injected["reset"]
    assert sum(isinstance(event, Restarted) for event in events) == end.faults.resets
    assert (end.memory, end.first) == (quiet.memory, quiet.first)
    assert end.marks == quiet.marks
    assert verify(tmp_path / "reset").faults == ()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_hil_bench_killed_at_a_hundred_random_moments_can_be_continued(tmp_path: Path) -> None:
    """The command with its emulator, killed at random times, until the run is complete."""
    kills = int(os.environ.get("HIL_KILLS", "100"))
    assert whole_bench(tmp_path / "built") == 0
    began = time.monotonic()
    assert whole_bench(tmp_path / "quiet") == 0
    most = time.monotonic() - began
    whole = answers(tmp_path / "quiet")
    chance = random.Random(0)
    runs = (tmp_path / f"run{number}" for number in itertools.count())
    folder, done, had = next(runs), 0, 0
    while done < kills:
        process = bench(folder)
        try:
            # mostly while it answers, towards its end
            _, said = process.communicate(timeout=chance.uniform(0.3, 1.1) * most)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            _, said = process.communicate()
            done += 1
        found = answers(folder) if (folder / MANIFEST).exists() else []
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
        assert answers(folder) == whole


def bench(folder: Path) -> subprocess.Popen[bytes]:
    """`hil bench` of two runs into ``folder``; it is not an error if one is already complete."""
    words = ["bench", "--board", "native", "--model", "student", "--dataset", "digits"]
    words += ["--host-samples", "0"]
    return subprocess.Popen(
        [sys.executable, "-m", "hil", *words, "--limit", "500", "--no-open", "--out", str(folder)],
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def whole_bench(folder: Path) -> int:
    """The same, until it ends."""
    process = bench(folder)
    process.communicate()
    return process.returncode
