# SPDX-License-Identifier: Apache-2.0
"""A board during a run: how samples are sent, and that reboots and disconnects change no answer."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hil.bench import BenchPlan, Request, make_plan, run
from hil.bench.events import Event, Restarted, Returned, Waiting
from hil.bench.inputs import Inputs, Taken
from hil.core.errors import DeviceError, LinkError, WrongFirmware
from hil.core.records import Dataset, DType, Encoding, TensorSpec
from hil.runs.load import load_run, read_manifest, read_samples, verify
from hil.runs.schema import Faults
from hil.testing.board import PANIC
from hil.testing.lab import FakeLab
from tests.support.benches import PROJECT, answers, ignore, planned, rows
from tests.support.troubled import TroubledLab, Watch


def taken(x: np.ndarray) -> Taken:
    """A model whose input is converted from such samples, or is of their type."""
    own = DType.INT8 if x.dtype == np.int8 else DType.FLOAT32
    return Taken("model.tflite", (TensorSpec(own, x.shape[1:], 1.0),))


@pytest.mark.parametrize(
    ("kind", "encoding"),
    [("u1", Encoding.PIXELS), ("i1", Encoding.INT8), ("<f4", Encoding.FLOAT32)],
)
def test_samples_travel_as_they_are(kind: str, encoding: Encoding) -> None:
    x = np.arange(24).reshape(4, 2, 3, 1).astype(kind)
    inputs = Inputs(Dataset("d", "test", tuple("abcd"), x, np.zeros(4, np.int64), ""), taken(x))
    assert (inputs.encoding, len(inputs)) == (encoding, 4)
    assert [inputs[i] for i in range(4)] == [sample.tobytes() for sample in x]


def test_floats_travel_little_endian() -> None:
    x = np.array([[1.0, 2.0]], ">f4")
    inputs = Inputs(Dataset("d", "test", ("a",), x, np.zeros(1, np.int64), ""), taken(x))
    assert (inputs.encoding, inputs[0].hex()) == (Encoding.FLOAT32, "0000803f00000040")


N = 60


@pytest.fixture(scope="module")
def plan() -> BenchPlan:
    """One small model on sixty digits."""
    return planned(N)


def faults(folder: Path) -> Faults:
    """The counts of the only run."""
    (end,) = read_manifest(folder).ends
    assert isinstance(end.faults, Faults)
    return end.faults


def length(plan: BenchPlan, folder: Path) -> int:
    """Bytes that an undisturbed run writes."""
    lab = TroubledLab()
    run(plan, folder, ignore, lab)
    return lab.written


def disturb(plan: BenchPlan, folder: Path, lab: TroubledLab) -> list[Event]:
    """Run a plan in a lab with faults, without waiting; its events."""
    events: list[Event] = []
    run(plan, folder, events.append, lab, patience=Watch().patience())
    assert verify(folder).faults == ()
    for found in load_run(folder).samples.values():
        assert [one.i for one in found] == list(range(len(plan.data)))
    lines = (folder / "samples.jsonl").read_text().splitlines()
    assert len(lines) == len(plan.data) * len(plan.cases), "a digit was stored twice"
    return events


def resets(plan: BenchPlan, tmp_path: Path, seed: int, count: int) -> None:
    """``count`` resets at random moments of a bench."""
    total = length(plan, tmp_path / "quiet")
    chance = random.Random(seed)
    moments = [chance.randrange(total) for _ in range(count)]
    lab = TroubledLab(resets=list(moments), says=b"" if seed % 2 else TroubledLab().says)
    disturb(plan, tmp_path / "reset", lab)
    assert not lab.resets, "the run was over before"
    assert answers(tmp_path / "reset") == answers(tmp_path / "quiet")
    assert rows(tmp_path / "reset") == rows(tmp_path / "quiet")


@pytest.mark.parametrize("seed", range(4))
def test_resets_at_random_moments_change_no_answer(
    plan: BenchPlan, tmp_path: Path, seed: int
) -> None:
    resets(plan, tmp_path, seed, 5)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_two_hundred_resets_at_random_moments(tmp_path: Path, seed: int) -> None:
    """Both models in both precisions, 2,000 answers."""
    every = make_plan(Request(project=PROJECT, dataset="digits", limit=500))
    resets(every, tmp_path, seed, 200)


def test_every_reset_is_recognised(plan: BenchPlan, tmp_path: Path) -> None:
    total = length(plan, tmp_path / "quiet")
    lab = TroubledLab(resets=[total * i // 6 for i in range(1, 6)])
    events = disturb(plan, tmp_path / "reset", lab)
    restarts = [event for event in events if isinstance(event, Restarted)]
    assert [event.run for event in restarts] == ["mps2/aot/student/int8"] * 5
    found = faults(tmp_path / "reset")
    assert msgspec.structs.replace(found, restarts=()) == Faults(resets=5, damaged_in=5, timeouts=5)
    for event, restart in zip(restarts, found.restarts, strict=True):
        assert f"the last request was sample {restart.sample} for student int8 (" in event.said
    affected = [s for s in read_samples(tmp_path / "reset") if s.disturbed]
    assert 5 <= len(affected) <= 5 * 4  # what was in flight, four at most


def test_no_answer_of_another_image_is_kept(plan: BenchPlan, tmp_path: Path) -> None:
    """After its reset the board runs other weights: none of its answers is stored."""
    total = length(plan, tmp_path / "quiet")
    lab = TroubledLab(resets=[total // 2], says_then="11" * 32)
    with pytest.raises(WrongFirmware, match=r"runs student 111111111111 \(aot\)"):
        run(plan, tmp_path / "reset", ignore, lab, patience=Watch().patience())
    kept = answers(tmp_path / "reset")
    assert 10 < len(kept) < N
    assert kept == answers(tmp_path / "quiet")[: len(kept)]


@pytest.mark.parametrize("at", range(1, 8))
def test_a_cable_that_is_out_and_back_changes_no_answer(
    plan: BenchPlan, tmp_path: Path, at: int
) -> None:
    total = length(plan, tmp_path / "quiet")
    lab = TroubledLab(outs=[total * at // 8], away=240)  # looks, four a second
    watch = Watch()
    events: list[Event] = []
    run(plan, tmp_path / "out", events.append, lab, patience=watch.patience())
    assert answers(tmp_path / "out") == answers(tmp_path / "quiet")
    assert rows(tmp_path / "out") == rows(tmp_path / "quiet")
    assert watch.now == pytest.approx(60)
    (gone,) = (event for event in events if isinstance(event, Waiting))
    assert (gone.port, gone.seconds, gone.why) == (
        "fake",
        120,
        "port fake vanished (no such device)",
    )
    assert Returned("mps2/aot/student/int8", "fake", 60.0) in events
    # a fake that is opened again is a new board
    assert faults(tmp_path / "out") == Faults(resets=1, reopenings=1)


def test_a_cable_that_stays_out_ends_the_run_with_what_it_has(
    plan: BenchPlan, tmp_path: Path
) -> None:
    total = length(plan, tmp_path / "quiet")
    lab = TroubledLab(outs=[total // 2], away=10**6)
    watch = Watch()
    with pytest.raises(LinkError, match="no board came back on fake within 120 s") as said:
        run(plan, tmp_path / "out", ignore, lab, patience=watch.patience())
    assert "run the same command with the same --out" in said.value.hint
    assert said.value.exit_code == 2
    assert 120 <= watch.now < 121
    manifest = read_manifest(tmp_path / "out")
    assert (manifest.state, manifest.ends) == ("failed", ())
    assert "no board came back on fake" in manifest.error
    assert verify(tmp_path / "out").faults == ()
    kept = answers(tmp_path / "out")
    assert kept == answers(tmp_path / "quiet")[: len(kept)]
    assert 10 < len(kept) < N
    run(plan, tmp_path / "out", ignore, FakeLab())
    assert answers(tmp_path / "out") == answers(tmp_path / "quiet")


def test_a_board_that_keeps_rebooting_ends_the_run(plan: BenchPlan, tmp_path: Path) -> None:
    total = length(plan, tmp_path / "quiet")
    lab = TroubledLab(resets=list(range(total // 2, 100 * total, 250)))
    with pytest.raises(DeviceError):
        run(plan, tmp_path / "reset", ignore, lab, patience=Watch().patience(20))
    kept = answers(tmp_path / "reset")
    assert kept == answers(tmp_path / "quiet")[: len(kept)]


def test_a_board_that_keeps_panicking_is_quoted(plan: BenchPlan, tmp_path: Path) -> None:
    total = length(plan, tmp_path / "quiet")
    lab = TroubledLab(resets=list(range(total // 2, 100 * total, 250)), says=PANIC)
    events: list[Event] = []
    with pytest.raises(DeviceError, match="Stack canary watchpoint triggered") as said:
        run(plan, tmp_path / "reset", events.append, lab, patience=Watch().patience(20))
    assert "flash" not in str(said.value)
    assert said.value.exit_code == 2
    kept = answers(tmp_path / "reset")
    assert kept == answers(tmp_path / "quiet")[: len(kept)]


def test_one_panic_is_quoted_and_the_run_continues(plan: BenchPlan, tmp_path: Path) -> None:
    total = length(plan, tmp_path / "quiet")
    lab = TroubledLab(resets=[total // 2], says=PANIC)
    events = disturb(plan, tmp_path / "reset", lab)
    (restart,) = (event for event in events if isinstance(event, Restarted))
    assert "crashed: it printed" in restart.said
    assert "Stack canary" in restart.said
    assert answers(tmp_path / "reset") == answers(tmp_path / "quiet")


def test_a_port_that_is_not_there_at_the_start_is_not_waited_for(
    plan: BenchPlan, tmp_path: Path
) -> None:
    watch = Watch()
    with pytest.raises(LinkError, match="does not exist"):
        run(plan, tmp_path, ignore, TroubledLab(is_out=True), patience=watch.patience())
    assert watch.now == 0
