# SPDX-License-Identifier: Apache-2.0
"""hil/report/cost.py: kinds of time never mix, charts are to scale, wrong clocks are caught."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hil import stats
from hil.core.errors import MixedUnits
from hil.report import write
from hil.report.cost import contradictions, scatters, time_chart, time_charts
from hil.report.document import document
from hil.report.draw.chart import Point, Scatter
from hil.report.draw.layout import width
from hil.report.draw.scatter import HEIGHT, Axis, Mark
from hil.report.draw.scatter import scatter as draw
from hil.report.pairs import speed_up
from hil.runs.load import StoredRun, load_run
from tests.support import reports

WALLS = "Wall time of the emulators"
TIMING = "Time in detail"


def test_instructions_and_time_never_share_a_chart() -> None:
    plans = (
        reports.plan(),
        reports.plan("teacher"),
        reports.plan(board="esp32", unit="us"),
        reports.plan("teacher", board="esp32", unit="us"),
        reports.plan(board="mega2560", unit="cycles"),
        reports.plan(board="native", unit="none"),
    )
    found = reports.cells_of(reports.run(*plans, n=100))
    cycles, emulated, real = time_charts(found)
    assert cycles.axis == "cycles (emulated core, timing of its data sheet)"
    assert [row.values[0].endswith(" cycles") for row in cycles.rows] == [True]
    assert emulated.axis == "instructions (emulated, not latency)"
    assert "latency" not in emulated.title.lower()
    assert real.axis == "microseconds"
    assert [len(emulated.rows), len(real.rows)] == [2, 2]
    assert not {row.label for row in emulated.rows} & {row.label for row in real.rows}
    for scatter in scatters(found):
        assert ("instructions" in scatter.x_axis) == ("instructions" in scatter.title)


def test_bars_start_at_zero_and_are_to_scale() -> None:
    found = reports.cells_of(reports.run(*reports.matrix(), n=100))
    (chart,) = time_charts(found)
    assert (chart.ticks[0].at, chart.ticks[0].label) == (0, "0")
    times = [cell.time.point for cell in found if cell.time]
    widths = [row.segments[0].width for row in chart.rows]
    assert len(widths) == 4
    assert widths == pytest.approx([widths[0] * time / times[0] for time in times], abs=0.01)


def test_a_count_that_never_varies_is_called_constant() -> None:
    plan = reports.plan()
    (chart,) = time_charts(reports.cells_of(reports.run(plan, n=50, constant=True)))
    assert chart.rows[0].values == ("412,385 instructions", "constant over 50 answers")
    assert chart.rows[0].whisker is None


def test_scatter_labels_do_not_overlap() -> None:
    crowd = [reports.plan(f"network {i}", p) for i in range(4) for p in ("int8", "float32")]
    drawn = scatters(reports.cells_of(reports.run(*crowd, n=60)))
    assert len(drawn) == 3
    for scatter in drawn:
        assert all(0 <= p.y <= HEIGHT and 0 < p.x < 100 for p in scatter.points)
        assert all(f"network {i} int8" in scatter.alt for i in range(4))
        assert sum(bool(point.label) for point in scatter.points) >= 6
        for wide in WIDTHS:
            assert touching(scatter, wide) == []


WIDTHS = (255, 460, 1200)  # of a plot on a phone, in a file and on a wide screen


def touching(scatter: Scatter, wide: float) -> list[tuple[str, str]]:
    """Pairs of labels that touch if the plot is that wide."""
    found = [point for point in scatter.points if point.label]
    pairs = itertools.combinations(found, 2)
    return [(a.label, b.label) for a, b in pairs if touch(label(a, wide), label(b, wide))]


def touch(one: tuple[float, float, float], other: tuple[float, float, float]) -> bool:
    return one[0] < other[1] and other[0] < one[1] and abs(one[2] - other[2]) < 13


def label(point: Point, wide: float) -> tuple[float, float, float]:
    """Left, right and baseline of a point's label."""
    at, size = wide / 100 * point.x + point.dx, width(point.label, 13, bold=True)
    left = at if point.anchor == "start" else at - size
    return left, left + size, point.text_y


def test_labels_between_two_points_do_not_touch_on_a_wide_screen() -> None:
    """The right point's label and the left point's would move towards each other."""
    networks = (  # of results/example-latency
        ("teacher float32", 105.8e6, 30.6e3, 99),
        ("student float32", 3.03e6, 4.63e3, 98),
        ("teacher int8", 39.8e6, 12.6e3, 99),
        ("student int8", 1.26e6, 3.72e3, 98),
    )
    marks = [
        mark
        for name, device, host, right in networks
        for share in [stats.proportion(right, 100)]
        for mark in (Mark(name, "", device, share), Mark(name, "", host, share, "host"))
    ]
    for chosen in (marks, marks[::2], marks[::-1]):
        drawn = draw("title", "", Axis("time"), chosen)
        assert sum(bool(point.label) for point in drawn.points) == 4
        for wide in WIDTHS:
            assert touching(drawn, wide) == []


def test_one_point_is_not_plotted() -> None:
    assert scatters(reports.cells_of(reports.run(reports.plan(), n=100))) == ()


def wrong_clocks(run: StoredRun) -> list[str]:
    return list(contradictions(reports.cells_of(run)))


HONEST = {"answered": 20, "seconds": 2.0, "baud": 115200, "idle_us": 4_000, "alone_us": 75_000}
SMALL = {"bytes_out": 20 * 300, "bytes_in": 20 * 30}  # 29 ms on the line per sample


def test_an_honest_clock_is_believed() -> None:
    assert wrong_clocks(reports.physical([40_000] * 20, [76_000] * 20, **HONEST, **SMALL)) == []
    # within a step and 1% it is believed
    assert wrong_clocks(reports.physical([76_700] * 20, [76_000] * 20, clock_step=1.0)) == []
    assert wrong_clocks(reports.physical([77_000] * 20, [76_500] * 20, clock_step=1000.0)) == []


def test_a_clock_that_runs_fast_is_caught_by_its_round_trips() -> None:
    (line,) = wrong_clocks(reports.physical([80_000] * 5 + [400_000] * 15, [90_000] * 20))
    assert "15 answers took longer by the device's clock" in line
    assert "400,000 µs in 90,000 µs" in line


def test_a_clock_that_runs_fast_is_caught_by_the_whole_run() -> None:
    (line,) = wrong_clocks(
        reports.physical([150_000] * 20, [600_000] * 20, answered=20, seconds=2.0)
    )
    assert "3 s in total by the device's clock, 2 s" in line
    # after a resume, only the answers since the last boot count
    assert wrong_clocks(reports.physical([150_000] * 20, answered=10, seconds=2.0)) == []


def test_a_clock_that_runs_slow_is_noticed() -> None:
    (line,) = wrong_clocks(reports.physical([4_000] * 20, [76_000] * 20, **HONEST, **SMALL))
    assert "its clock may be slow" in line


def test_a_wrong_clock_is_a_warning_in_the_report(tmp_path: Path) -> None:
    run = reports.physical([400_000] * 20, [90_000] * 20)
    (samples,) = run.samples.values()
    folder = reports.write(tmp_path / "run", run.manifest, list(samples))
    report = write(folder)
    assert "the device's clock is wrong" in report.markdown.read_text()
    assert "the device&#39;s clock is wrong" in report.html.read_text()


def test_an_emulators_counts_are_not_compared_with_any_clock() -> None:
    of = reports.plan()
    stored = [msgspec.structs.replace(s, round_trip=1) for s in reports.samples(of, 20)]
    assert wrong_clocks(reports.run_of(reports.manifest(of, n=20), stored)) == []


def two_clocks() -> StoredRun:
    """An emulator that counts instructions, and a physical board."""
    board = reports.plan(board="esp32", title="E", unit="us")
    plans = (reports.plan("teacher"), msgspec.structs.replace(board, emulated=False))
    stored = (
        msgspec.structs.replace(s, round_trip=5_000 + s.i)
        for p in plans
        for s in reports.samples(p, 20)
    )
    return reports.run_of(reports.manifest(*plans, n=20), stored)


def test_kinds_of_time_never_share_a_ratio_or_a_chart() -> None:
    one, other = reports.cells_of(two_clocks())
    with pytest.raises(MixedUnits, match="count different things"):
        speed_up(one, other)
    mixed: list[Any] = [(one, one.series), (other, other.series)]
    with pytest.raises(MixedUnits, match="instructions and us"):
        time_chart(mixed, ["teacher", "student"])
    same_name = msgspec.structs.replace(other.plan, board="mps2")
    drawn = scatters([one, replace(other, plan=same_name)])
    assert [s.title for s in drawn] == ["Accuracy against RAM", "Accuracy against flash"]


def test_an_emulators_wall_time_has_its_own_table() -> None:
    found = document(two_clocks())
    assert [r[0] for r in found.table(WALLS).rows] == ["teacher int8 on mps2"]
    assert found.table(WALLS).rows[0][1] == "5.01"
    assert len(found.table(TIMING).rows) == 2
    assert not any("ms" in text and "instructions" in text for text in found.table(TIMING).rows[0])


def test_runs_without_the_newer_fields_still_load(tmp_path: Path) -> None:
    of = reports.plan()
    folder = reports.write(tmp_path / "old", reports.manifest(of, n=20), reports.samples(of, 20))
    raw = msgspec.json.decode(folder.joinpath("manifest.json").read_bytes())
    for field in ("answered", "first", "clock_step", "idle_us", "alone_us", "baud"):
        del raw["ends"][0][field]
    del raw["runs"][0]["xnnpack"]
    folder.joinpath("manifest.json").write_bytes(msgspec.json.encode(raw))
    assert b"round_trip" not in folder.joinpath("samples.jsonl").read_bytes()
    found = document(load_run(folder))
    assert "–" in found.table(TIMING).rows[0]
    assert found.table(WALLS).rows == ()
    assert "XNNPACK" not in str(found.table("Output values against the references"))
