# SPDX-License-Identifier: Apache-2.0
"""Section "Beside MLPerf Tiny's published results"."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TypeVar

import msgspec

from hil.league.published import results
from hil.report.blocks import Bullets, Table
from hil.report.document import document
from hil.report.draw.chart import Chart
from hil.report.league import league_section
from hil.report.page import drawn
from hil.runs.load import StoredRun
from hil.runs.schema_cycles import CycleCalibration
from tests.support import reports
from tests.support.league import plan, stored

T = TypeVar("T")
KWS = [one for one in results() if (one.network, one.precision) == ("kws", "int8")]


def blocks(run: StoredRun, kind: type[T]) -> list[T]:
    section = league_section(run, reports.cells_of(run))
    return [block for block in section.blocks if isinstance(block, kind)]


def chart(run: StoredRun) -> Chart:
    (found,) = blocks(run, Chart)
    return found


def tables(run: StoredRun) -> dict[str, Table]:
    return {table.title: table for table in blocks(run, Table)}


def estimated() -> StoredRun:
    return stored(plan(), time=3_000_000, cycles=(2_656_768,))  # 1 cycle per MAC on a Cortex-M7


def test_a_run_of_another_network_has_no_such_section() -> None:
    run = reports.run(reports.plan(), n=5)
    assert league_section(run, reports.cells_of(run)).blocks == ()
    assert "league" not in {section.key for section in document(run).sections}


def test_the_report_has_the_section_behind_the_cycles() -> None:
    keys = [section.key for section in document(estimated()).sections]
    assert keys.index("league") == keys.index("cycles") + 1


def test_an_estimate_stands_beside_the_best_result_of_its_core() -> None:
    table = tables(estimated())["Own runs"]
    (row,) = table.rows
    best = min(one.cycles_per_mac for one in KWS if one.core == "Cortex-M7")
    cells = dict(zip(table.head, row, strict=True))
    assert cells["Cycles per MAC"] == "1.00 est."
    assert cells["Instructions per MAC"] == "1.13"
    assert cells["Best published on this core"].startswith(f"{best:.2f}\nX-CUBE-AI 9.0, 280 MHz")
    assert "wait states" in table.note


def test_the_chart_has_every_result_of_the_precision_on_the_row_of_its_core() -> None:
    found = chart(estimated())
    rows = {row.label: row for row in found.rows}
    assert sum(len(row.strip) for row in found.rows) == len(KWS)
    assert len(rows["Cortex-M4"].strip) == sum(one.core == "Cortex-M4" for one in KWS)
    assert [row.label for row in found.rows if row.dots] == ["Cortex-M7"]
    (dot,) = rows["Cortex-M7"].dots
    # fewer cycles than every result of the core: left of them, right of the Cortex-M85
    assert rows["Cortex-M85"].strip[0] < dot.at < min(rows["Cortex-M7"].strip)
    assert dot.kind == "host"  # hollow: an estimate
    assert ("key-host", "own run, estimated") in found.legend


def test_a_calibrated_estimate_is_drawn_with_the_range_of_a_chip() -> None:
    run = estimated()
    calibration = CycleCalibration(
        ratio=0.8,
        spread=1.2,
        low=0.5,
        high=1.25,
        confidence=0.95,
        programs=9,
        networks=1,
        boards=2,
    )
    (one,) = run.estimates
    run = replace(run, estimates=(msgspec.structs.replace(one, calibration=calibration),))
    (row,) = tables(run)["Own runs"].rows
    assert "1.00 est.\n0.80 to 2.00 on a chip" in row
    (dot,) = (dot for row in chart(run).rows for dot in row.dots)
    assert dot.low < dot.at < dot.high


def test_the_drawing_has_a_point_for_each_result_and_run() -> None:
    svg = drawn(chart(estimated()))
    assert len(re.findall(r'<circle cx="[0-9.]+%"', svg)) == len(KWS) + 1


def test_instructions_are_not_on_the_axis_of_cycles() -> None:
    run = stored(plan(), time=3_000_000)
    assert not any(row.dots for row in chart(run).rows)
    assert chart(run).legend == (("key-few", "published"),)
    own, everything = tables(run)["Own runs"], tables(run)["All results: kws, int8"]
    assert own.rows[0][-4:] == ("–", "1.13", "–", "–")
    assert not any(row[0] == "own" for row in everything.rows)
    (bullets,) = blocks(run, Bullets)
    assert "instructions are not cycles" in bullets.items[0]


def test_a_measured_run_is_a_row_of_its_own_and_a_filled_point() -> None:
    of = plan(unit="us", board="esp32")
    clock = type(of.clock)(unit="us", detail="", hertz=240_000_000)
    run = stored(plan(unit="us", board="esp32", clock=clock), time=50_000)
    found = chart(run)
    last = found.rows[-1]
    assert (last.label, last.values, last.strip) == ("kws int8", ("4.52",), ())
    assert last.dots[0].kind == "device"
    own = next(row for row in tables(run)["All results: kws, int8"].rows if row[0] == "own")
    assert own[2:4] == ("240", "kws int8")
    assert own[6:8] == ("50.000", "4.52")


def test_int8_is_compared_with_int8_and_float32_with_float32() -> None:
    run = stored(plan("ic"), plan("ic", precision="float32"), time=30_000_000)
    titles = [found.title for found in blocks(run, Chart)]
    assert titles == ["Cycles per MAC: ic, float32", "Cycles per MAC: ic, int8"]
    float32 = blocks(run, Chart)[0]
    known = [one for one in results() if (one.network, one.precision) == ("ic", "float32")]
    assert sum(len(row.strip) for row in float32.rows) == len(known) > 0
