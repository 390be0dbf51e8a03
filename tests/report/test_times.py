# SPDX-License-Identifier: Apache-2.0
"""Times in a report: their digits, their kinds, and clocks that lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from hil.core.errors import MixedUnits
from hil.report import write
from hil.report.cost import contradictions, scatters, time_chart
from hil.report.document import Document, document
from hil.report.pairs import speed_up
from hil.report.times import latency_words, step_us
from hil.report.verdict import warnings
from hil.runs.cells import Cell, cells
from hil.runs.load import StoredRun, load_run
from hil.runs.schema import Manifest, RunPlan, Sample
from tests.support.reports import end, manifest, plan, samples
from tests.support.reports import write as store

TIMING = "Time in detail"
WALLS = "Wall time of the emulators"
BYTES = "Output values against the references"


def real(times: Sequence[int], trips: Sequence[int] | None = None, **of_end: Any) -> StoredRun:
    """A run of one physical board with these times and round trips."""
    of = msgspec.structs.replace(plan(board="esp32", title="ESP32", unit="us"), emulated=False)
    stored = [
        msgspec.structs.replace(s, time=t, round_trip=trips[s.i] if trips else None)
        for s, t in zip(samples(of, len(times)), times, strict=True)
    ]
    ended = msgspec.structs.replace(end(of, len(times)), **of_end)
    return run_of(manifest(of, n=len(times), ends=(ended,)), stored)


def run_of(of: Manifest, stored: Sequence[Sample]) -> StoredRun:
    by_run: dict[str, tuple[Sample, ...]] = {one.key: () for one in of.runs}
    for sample in stored:
        by_run[sample.run] = (*by_run[sample.run], sample)
    return StoredRun(of, by_run, {}, False)


def only(run: StoredRun) -> Cell:
    (cell,) = cells(run.manifest, run.samples)
    return cell


def row(found: Document) -> dict[str, str]:
    (values,) = found.table(TIMING).rows
    return dict(zip(found.table(TIMING).head, values, strict=True))


MILLIS = [52_000] * 30 + [53_000] * 9 + [51_000]


def test_a_clock_of_milliseconds_gives_no_third_digit() -> None:
    found = document(real(MILLIS, clock_step=1000.0))
    assert row(found)["Median"] == "52 ms ± 1 ms"
    assert row(found)["Clock step"] == "1 ms"
    assert "52\nms ± 1 ms" in found.table("Results").rows[0][5]
    # and nothing finer anywhere in that row
    assert not any("52,0" in text or "52.0" in text for text in found.table(TIMING).rows[0])


def test_the_step_shows_in_the_times_where_the_device_could_not_measure() -> None:
    assert step_us(only(real(MILLIS))) == 1000
    assert step_us(only(real([52_000] * 9))) == 1000
    assert step_us(only(real([4 * k for k in range(1000, 1040)]))) == 4
    assert step_us(only(real(list(range(1000, 1040)), clock_step=40.0))) == 1  # it saw its loop
    assert step_us(only(real([52_000] * 9, clock_step=1.0))) == 1  # measured: no guess


@pytest.mark.parametrize(
    ("value", "step", "words"),
    [
        (52_104, 1, ("52,104", "µs")),
        (52_104, 4, ("52,104", "µs ± 4 µs")),
        (52_104, 40, ("52,100", "µs ± 40 µs")),
        (52_104, 1000, ("52", "ms ± 1 ms")),
        (52_104, 10_000, ("50", "ms ± 10 ms")),
        (1_234_567, 1024, ("1,235", "ms ± 1.024 ms")),
    ],
)
def test_no_digit_is_finer_than_the_step(value: float, step: float, words: tuple[str, str]) -> None:
    assert latency_words(value, step) == words


def test_the_first_inference_stands_apart() -> None:
    found = row(document(real([5_000 + k % 7 for k in range(60)], first=9_001, clock_step=1.0)))
    assert found["First inference"] == "9,001 µs"
    assert found["Median"] == "5,003 µs"
    assert row(document(real([5_000 + k % 7 for k in range(60)])))["First inference"] == "–"


def test_outliers_are_counted_and_stay() -> None:
    times = [1000 + k % 10 for k in range(100)]
    times[50], times[60] = 1020, 9000  # mild, severe
    run = real(times)
    assert row(document(run))["Outliers, mild + severe"] == "1 + 1"
    assert only(run).times.max() == 9000
    assert only(run).time == only(real(times)).time


def test_drift_is_told_and_warned_of() -> None:
    rng = np.random.default_rng(1)
    calm = (10_000 + rng.integers(0, 50, 200)).tolist()
    hot = [t + 5 * i for i, t in enumerate(calm)]
    assert row(document(real(calm)))["Drift over the run"].startswith("none shown (p = ")
    found = row(document(real(hot)))["Drift over the run"]
    assert found.startswith("+7.") or found.startswith("+8.")
    assert "p < 0.001" in found
    said = [line for line in warnings(real(hot), cells(*_of(real(hot)))) if "drifted" in line]
    assert len(said) == 1
    assert not any("drifted" in line for line in warnings(real(calm), cells(*_of(real(calm)))))
    assert row(document(real([700] * 20)))["Drift over the run"] == "none"


def _of(run: StoredRun) -> tuple[Manifest, dict[str, tuple[Sample, ...]]]:
    return run.manifest, run.samples


def lies(run: StoredRun) -> list[str]:
    return list(contradictions(cells(run.manifest, run.samples)))


HONEST = {"answered": 20, "seconds": 2.0, "baud": 115200, "idle_us": 4_000, "alone_us": 75_000}
SMALL = {"bytes_out": 20 * 300, "bytes_in": 20 * 30}  # 29 ms of line a sample


def test_an_honest_clock_is_believed() -> None:
    assert lies(real([40_000] * 20, [76_000] * 20, **HONEST, **SMALL)) == []
    # a step and a hundredth are no lie
    assert lies(real([76_700] * 20, [76_000] * 20, clock_step=1.0)) == []
    assert lies(real([77_000] * 20, [76_500] * 20, clock_step=1000.0)) == []


def test_a_clock_that_runs_fast_is_caught_by_its_round_trips() -> None:
    (line,) = lies(real([80_000] * 5 + [400_000] * 15, [90_000] * 20))
    assert "15 answers took longer by the device's clock" in line
    assert "400,000 µs in 90,000 µs" in line


def test_a_clock_that_runs_fast_is_caught_by_the_whole_run() -> None:
    (line,) = lies(real([150_000] * 20, [600_000] * 20, answered=20, seconds=2.0))
    assert "3 s in total by the device's clock, 2 s" in line
    # of a run that was cut and went on, only what the last boot answered counts
    assert lies(real([150_000] * 20, answered=10, seconds=2.0)) == []


def test_a_clock_that_runs_slow_is_noticed() -> None:
    (line,) = lies(real([4_000] * 20, [76_000] * 20, **HONEST, **SMALL))
    assert "its clock may be slow" in line


def test_a_lie_is_a_warning_in_the_report(tmp_path: Path) -> None:
    run = real([400_000] * 20, [90_000] * 20)
    folder = store(tmp_path / "run", run.manifest, list(next(iter(run.samples.values()))))
    report = write(folder)
    assert "the device's clock is wrong" in report.markdown.read_text()
    assert "the device&#39;s clock is wrong" in report.html.read_text()


def test_an_emulators_counts_are_not_held_against_any_clock() -> None:
    of = plan()
    stored = [msgspec.structs.replace(s, round_trip=1) for s in samples(of, 20)]
    assert lies(run_of(manifest(of, n=20), stored)) == []


def emulated_and_real() -> tuple[Cell, Cell]:
    plans: tuple[RunPlan, RunPlan] = (plan("teacher"), plan(board="esp32", title="E", unit="us"))
    stored = [
        msgspec.structs.replace(s, round_trip=5_000 + s.i) for p in plans for s in samples(p, 20)
    ]
    one, other = cells(*_of(run_of(manifest(*plans, n=20), stored)))
    return one, other


def test_kinds_of_time_share_no_ratio_no_chart_and_no_table() -> None:
    one, other = emulated_and_real()
    with pytest.raises(MixedUnits, match="count different things"):
        speed_up(one, other)
    mixed: list[Any] = [(one, one.series), (other, other.series)]
    with pytest.raises(MixedUnits, match="instructions and us"):
        time_chart(mixed, ["teacher", "student"])
    same_name = msgspec.structs.replace(other.plan, board="mps2")
    drawn = scatters([one, replace(other, plan=same_name)])
    assert [s.title for s in drawn] == ["Accuracy against RAM", "Accuracy against flash"]


def test_an_emulators_wall_time_has_a_table_of_its_own() -> None:
    plans = (plan("teacher"), plan(board="esp32", title="E", unit="us"))
    plans = (plans[0], msgspec.structs.replace(plans[1], emulated=False))
    stored = [
        msgspec.structs.replace(s, round_trip=5_000 + s.i) for p in plans for s in samples(p, 20)
    ]
    found = document(run_of(manifest(*plans, n=20), stored))
    assert [r[0] for r in found.table(WALLS).rows] == ["teacher int8 on mps2"]
    assert found.table(WALLS).rows[0][1] == "5.01"
    assert len(found.table(TIMING).rows) == 2
    assert not any("ms" in text and "instructions" in text for text in found.table(TIMING).rows[0])


def test_old_runs_without_any_of_this_still_load(tmp_path: Path) -> None:
    of = plan()
    folder = store(tmp_path / "old", manifest(of, n=20), samples(of, 20))
    raw = msgspec.json.decode(folder.joinpath("manifest.json").read_bytes())
    for field in ("answered", "first", "clock_step", "idle_us", "alone_us", "baud"):
        del raw["ends"][0][field]
    del raw["runs"][0]["xnnpack"]
    folder.joinpath("manifest.json").write_bytes(msgspec.json.encode(raw))
    assert b"round_trip" not in folder.joinpath("samples.jsonl").read_bytes()
    found = document(load_run(folder))
    assert row(found)["First inference"] == "–"
    assert found.table(WALLS).rows == ()
    assert "XNNPACK" not in str(found.table(BYTES))
