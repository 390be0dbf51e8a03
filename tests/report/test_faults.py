# SPDX-License-Identifier: Apache-2.0
"""Faults in a report and in comparisons: counted, and never taken for latency."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from hil.compare import compare_stored
from hil.core.errors import NotComparable
from hil.report.document import document
from hil.report.link import faults, line_share, link_words, restarts
from hil.runs.cells import Cell, cells
from hil.runs.load import StoredRun, load_run
from hil.runs.log import RunLog
from hil.runs.rows import summarise
from hil.runs.schema import Faults, Restart, Sample
from tests.support import reports

N = 200
HURT = (3, 50, 51, 199)
LATE = 10**6  # microseconds that a disturbed answer reports


def run(
    unit: str = "us",
    chaos: str | None = None,
    hurt: tuple[int, ...] = HURT,
    counted: Faults | None = None,
) -> StoredRun:
    """``hurt`` answers are disturbed, half of them by a retry, and report long times."""
    plan = reports.plan(unit=unit)  # type: ignore[arg-type]
    given = []
    for sample in reports.samples(plan, N):
        if sample.i in hurt:
            marks = {"attempts": 3} if sample.i % 2 else {"disturbed": True}
            late = {"time": LATE} if unit == "us" else {}
            sample = msgspec.structs.replace(sample, round_trip=LATE, **late, **marks)
        else:
            sample = msgspec.structs.replace(sample, round_trip=(sample.time or 0) + 90)
        given.append(sample)
    end = msgspec.structs.replace(reports.end(plan, N), retries=2 * len(hurt))
    if counted:
        end = msgspec.structs.replace(end, faults=counted)
    manifest = reports.manifest(plan, n=N, ends=(end,))
    if chaos:
        manifest = msgspec.structs.replace(manifest, chaos=chaos)
    return StoredRun(manifest, {plan.key: tuple(given)}, {}, torn=False)


def only(found: StoredRun) -> Cell:
    (cell,) = cells(found.manifest, found.samples)
    return cell


def test_a_disturbed_answer_counts_but_its_time_does_not() -> None:
    cell = only(run())
    assert cell.n == N
    assert cell.left_out == len(HURT)
    assert cell.times.size == N - len(HURT)
    assert LATE not in cell.times
    assert cell.time is not None
    assert cell.time.n == N - len(HURT)
    assert cell.timed([cell.ids[3]]) is None
    assert cell.timed([cell.ids[4]]) is not None


def test_faults_do_not_disturb_an_emulators_counts() -> None:
    cell = only(run("instructions"))
    assert cell.times.size == N
    assert cell.wall is not None
    assert cell.wall.values.size == N - len(HURT)
    assert LATE not in cell.wall.values
    assert cell.left_out == len(HURT)


def test_under_chaos_there_is_no_latency_at_all() -> None:
    board, emulator = only(run(chaos="7:flip=1e-4")), only(run("instructions", "7:flip=1e-4"))
    assert board.series is None
    assert board.time is None
    assert emulator.wall is None
    assert emulator.series is not None
    assert emulator.times.size == N


def test_the_report_counts_the_faults() -> None:
    found = document(
        run(counted=Faults(resets=2, reopenings=1, damaged_in=5, damaged_out=4, timeouts=3))
    )
    (row,) = found.table("Link faults").rows
    assert row[1:] == ("8", "4", "5", "3", "2", "1", "4", "0")
    warned = "\n".join(found.warnings)
    assert "the times of 4 answers are excluded" in warned
    assert "rebooted 2 times" in warned
    assert "had no time" not in warned


def test_a_run_without_faults_has_no_such_table() -> None:
    assert faults([only(run(hurt=()))]).rows == ()
    assert faults([only(run())]).rows[0][1] == "8"


def test_injected_faults_are_listed() -> None:
    stored = run(chaos="7:flip=1e-4")
    (end,) = stored.manifest.ends
    end = msgspec.structs.replace(end, faults=Faults(injected={"flip": 1_200, "cut": 1}))
    manifest = msgspec.structs.replace(stored.manifest, ends=(end,))
    found = document(StoredRun(manifest, stored.samples, {}, torn=False))
    assert found.table("Link faults").rows[0][-1] == "cut 1, flip 1,200"
    assert any("--chaos 7:flip=1e-4" in line for line in found.warnings)


def test_the_summary_has_faults_only_if_there_are_any() -> None:
    stored = run(counted=Faults(resets=2, damaged_in=5))
    (row,) = summarise(stored.manifest, next(iter(stored.samples.values()))).runs
    assert row.link is not None
    assert row.link.faults == Faults(resets=2, damaged_in=5)
    assert row.link.left_out == len(HURT)
    assert row.time.n == N - len(HURT)
    clean = run(hurt=())
    (row,) = summarise(clean.manifest, next(iter(clean.samples.values()))).runs
    assert b"faults" not in msgspec.json.encode(row)
    assert b"left_out" not in msgspec.json.encode(row)


def test_restarts_are_listed_with_what_they_have_in_common() -> None:
    at = ("inner (net.c:12)", "loop (main.cpp:3)")
    every = tuple(
        Restart(sample=f"s{i}", answered=40, seconds=2.0 + i, said="panic <&>", at=at)
        for i in range(4)
    )
    stored = run(counted=Faults(resets=4, restarts=every))
    found = document(stored)
    assert found.table("Restarts").rows[1][1:] == (
        "s1",
        "40",
        "3.0 s",
        "panic <&>",
        "inner (net.c:12), called from loop (main.cpp:3)",
    )
    assert any("the board restarts after every 40 inferences." in line for line in found.warnings)
    assert restarts([only(run())]).rows == ()


@pytest.mark.parametrize(
    ("seconds", "baud", "used"),
    [
        (10.0, 115200, "14% of 115,200 baud"),  # 16,128 B out in 10 s, of 115,200 B
        (1.5, 1_000_000, "11% of 1,000,000 baud"),
        (1.0, 115200, None),  # native USB: faster than its nominal rate
        (10.0, 0, None),
    ],
)
def test_the_link_beside_what_its_line_carries(seconds: float, baud: int, used: str | None) -> None:
    stored = run("us")
    (end,) = stored.manifest.ends
    end = msgspec.structs.replace(end, seconds=seconds, baud=baud, bytes_out=16_128)
    (plan,) = stored.manifest.runs
    plan = msgspec.structs.replace(plan, emulated=False)
    manifest = msgspec.structs.replace(stored.manifest, ends=(end,), runs=(plan,))
    found = document(StoredRun(manifest, stored.samples, {}, torn=False))
    (row,) = found.table("Bytes and wall time on the link").rows
    assert (row[-1] if len(row) == 8 else None) == used
    assert len(found.links) == (used is not None)
    if used:
        assert f"the link reached {used}; the rest is waiting for the device" in found.links[0]


def test_a_line_that_is_the_limit() -> None:
    cell = only(run("us"))
    assert cell.end
    end = msgspec.structs.replace(cell.end, seconds=1.0, baud=100_000, bytes_out=9_300, bytes_in=1)
    real = replace(cell, plan=msgspec.structs.replace(cell.plan, emulated=False), end=end)
    assert line_share(real) == pytest.approx(0.93)
    (line,) = link_words([real])
    assert "93% of 100,000 baud; the line is the limit" in line


def test_faults_are_stored_and_read_again(tmp_path: Path) -> None:
    stored = run(chaos="7:flip=1e-4", counted=Faults(resets=2))
    with RunLog(tmp_path, stored.manifest) as log:
        log.save(stored.manifest)
        for sample in next(iter(stored.samples.values())):
            log.append(sample)
        log.set_state("complete")
    again = load_run(tmp_path)
    assert again.samples == stored.samples
    assert again.manifest.ends == stored.manifest.ends
    assert again.manifest.chaos == "7:flip=1e-4"


def test_latencies_are_paired_over_answers_undisturbed_in_both() -> None:
    one, other = run(), run(hurt=(3, 77))
    (compared,) = compare_stored(one, other).runs
    (latency,) = (figure for figure in compared.figures if figure.name == "latency")
    assert latency.n == N - len({*HURT, 77})
    assert latency.change is not None
    assert latency.change.point == 1.0
    assert latency.word == "same"
    accuracy = next(figure for figure in compared.figures if figure.name == "accuracy")
    assert accuracy.n == N


@pytest.mark.parametrize("which", [0, 1])
def test_no_comparison_takes_times_under_chaos_for_latency(which: int) -> None:
    pair = [run(hurt=()), run(hurt=())]
    pair[which] = run(hurt=(), chaos="7:flip=1e-4")
    with pytest.raises(NotComparable, match=r"chaos.*7:flip=1e-4.*times are not latencies"):
        compare_stored(pair[0], pair[1])
    (compared,) = compare_stored(pair[0], pair[1], allow={"chaos"}).runs
    names = {figure.name: figure for figure in compared.figures}
    assert "first" not in names
    assert names["latency"].change is None
    assert names["accuracy"].word == "same"


def test_a_manifest_without_faults_has_no_such_fields() -> None:
    raw = msgspec.json.encode(run(hurt=()).manifest)
    assert b'"faults"' not in raw
    assert b'"chaos"' not in raw
    assert b"disturbed" not in msgspec.json.encode(
        Sample(run="r", i=0, id="0", label=0, device=b"\0")
    )
