# SPDX-License-Identifier: Apache-2.0
"""hil/report/memory.py: bytes by owner, in use and predicted, and warnings."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from hil import report
from hil.report.memory import (
    marks_table,
    memory_charts,
    memory_warnings,
    owner_tables,
    prediction_table,
)
from hil.runs.agreement import unexpected
from hil.runs.cells import Cell, cells
from hil.runs.rows import summarise
from hil.runs.schema import Identity, Marks, Predicted, RunEnd, RunPlan, Sample, Share
from tests.support import reports

N = 30
SHARES = (
    Share(section=".text", owner="model student", flash=23_480, ram=0),
    Share(section=".text", owner="model teacher", flash=228_904, ram=0),
    Share(section=".text", owner="engine", flash=4_500, ram=0),
    Share(section=".text", owner="padding", flash=60, ram=0),
    Share(section=".data", owner="C library", flash=100, ram=100),
    Share(section=".bss", owner="arena", flash=0, ram=7_936),
    Share(section=".bss", owner="firmware", flash=0, ram=3_000),
)
MARKS = Marks(
    arena_reserved=7_936,
    ram_static=11_036,
    stack=944,
    stack_size=65_536,
    heap_start=0,
    heap_end=0,
    allocator=False,
)
SAID = Predicted(arena=2_544, flash_model=23_480, arena_reserved=7_936, peak=2_544 + 784 + 10)


def made(
    marks: Marks | None = MARKS,
    shares: tuple[Share, ...] = SHARES,
    said: Predicted | None = SAID,
    engine: str = "aot",
) -> tuple[RunPlan, RunEnd, list[Sample]]:
    plan = replace(reports.plan(), predicted=said, engine=engine)
    end = replace(reports.end(plan, N), marks=marks, shares=shares)
    return plan, end, reports.samples(plan, N)


def cell(**changes: object) -> Cell:
    plan, end, samples = made(**changes)  # type: ignore[arg-type]
    (found,) = cells(reports.manifest(plan, n=N, ends=(end,)), {plan.key: samples})
    return found


def test_owners_add_up_to_sections_and_sections_to_the_image() -> None:
    (table,) = owner_tables([cell()])
    assert table.head == (
        *("Section", "model student", "model teacher", "arena", "engine", "firmware"),
        *("C library", "padding", "All"),
    )
    rows = {
        row[0]: [int(c.replace(",", "").replace("–", "0")) for c in row[1:]] for row in table.rows
    }
    assert list(rows) == [
        *("Flash, .text", "Flash, .data", "Flash, all"),
        *("RAM, .data", "RAM, .bss", "RAM, all"),
    ]
    assert all(sum(row[:-1]) == row[-1] for row in rows.values())
    for memory, parts in (("Flash", (".text", ".data")), ("RAM", (".data", ".bss"))):
        columns = zip(*(rows[f"{memory}, {part}"] for part in parts), strict=True)
        assert [sum(column) for column in columns] == rows[f"{memory}, all"]
    assert rows["Flash, all"][-1] == 257_044
    assert rows["RAM, all"][-1] == 11_036


def test_ram_other_than_the_arenas_has_its_own_rows() -> None:
    iram = Share(section=".iram0.text", owner="board's core", flash=58_000, ram=0, other_ram=58_000)
    (table,) = owner_tables([cell(shares=(*SHARES, iram))])
    rows = {row[0]: row[-1] for row in table.rows}
    assert list(rows)[-3:] == ["RAM, all", "Other RAM, .iram0.text", "Other RAM, all"]
    assert rows["RAM, all"] == "11,036"
    assert rows["Flash, .iram0.text"] == rows["Other RAM, all"] == "58,000"


def test_one_image_has_one_table() -> None:
    plan, end, samples = made()
    other = replace(plan, key="mps2/aot/teacher/int8", model="teacher")
    ends = (end, replace(end, key=other.key))
    of = reports.manifest(plan, other, n=N, ends=ends)
    found = cells(of, {plan.key: samples})
    assert len(owner_tables(found)) == 1
    apart = replace(other, firmware_sha256="00" * 32)
    assert len(owner_tables(cells(replace(of, runs=(plan, apart)), {}))) == 2
    assert owner_tables([cell(shares=())]) == ()


def test_bars_show_the_owners() -> None:
    ram, flash = memory_charts([cell()])
    names = [name for _, name in ram.legend]
    assert names == ["arena", "for a larger network", "firmware", "C library", "stack"]
    assert ram.rows[0].values == ("11,980 B", "2,544 + 5,392 + 3,000 + 100 + 944")
    assert [name for _, name in flash.legend] == ["model", "engine", "C library", "padding"]
    assert flash.rows[0].values == ("28,140 B", "23,480 + 4,500 + 100 + 60")
    assert len({css for css, _ in ram.legend}) == len(ram.legend)


def test_bars_add_up_and_are_adjacent() -> None:
    ram, flash = memory_charts(reports.cells_of(reports.run(*reports.matrix(), n=100)))
    assert ram.rows[3].values == ("6,608 B", "2,544 + 3,120 + 944")
    assert flash.rows[3].values == ("34,744 B", "23,480 + 11,264")
    for chart in (ram, flash):
        for row in chart.rows:
            ends = [piece.start + piece.width for piece in row.segments]
            starts = [piece.start for piece in row.segments]
            assert starts[0] == 0
            assert starts[1:] == pytest.approx(ends[:-1], abs=0.02)
            assert ends[-1] <= 100


def test_what_a_board_cannot_tell_is_unknown() -> None:
    nothing = Marks(
        arena_reserved=None,
        ram_static=None,
        stack=None,
        stack_size=None,
        heap_start=None,
        heap_end=None,
        allocator=None,
    )
    (row,) = marks_table([cell(marks=nothing)]).rows
    assert row[1:] == ("2,544 B", *["unknown"] * 6)
    (row,) = marks_table([cell()]).rows
    assert row[-2:] == ("none", "0 B")
    (row,) = marks_table([cell(marks=replace(MARKS, heap_start=4_768, heap_end=4_700))]).rows
    assert row[-2:] == ("4,768 B", "0 B")  # shrinking is not a fault
    assert marks_table([cell(marks=None)]).rows == ()
    assert list(memory_warnings([cell(marks=nothing), cell(marks=None)])) == []


def test_predictions_are_right_or_explained() -> None:
    rows = prediction_table([cell()]).rows
    assert [row[1:] for row in rows] == [
        ("arena", "2,544 B", "2,544 B", "0", "as predicted"),
        ("constants in flash", "23,480 B", "23,480 B", "0", "as predicted"),
        ("arena reserved", "7,936 B", "7,936 B", "0", "as predicted"),
        (
            "RAM, at least",
            "3,338 B",
            "11,980 B",
            "+8,642",
            "stack 944, arena of a larger network 5,392, "
            "protocol's buffers and all other static data 2,306",
        ),
    ]
    assert 944 + 5_392 + 2_306 == 8_642
    assert list(memory_warnings([cell()])) == []


def test_a_wrong_prediction_without_a_reason_is_a_warning() -> None:
    off = cell(said=replace(SAID, flash_model=23_000))
    assert prediction_table([off]).rows[1][-2:] == ("+480", "not explained")
    (line,) = memory_warnings([off])
    assert line.endswith("nothing explains it: constants in flash of student int8.")
    folded = cell(said=replace(SAID, flash_model=23_520, folded=40))
    assert prediction_table([folded]).rows[1][-2] == "−40"
    assert "compiler put into the engine's code" in prediction_table([folded]).rows[1][-1]
    assert list(memory_warnings([folded])) == []
    tflm = cell(said=replace(SAID, arena=9_000), engine="tflm")
    assert "pointers are larger" in prediction_table([tflm]).rows[0][-1]
    assert list(memory_warnings([tflm])) == []


@pytest.mark.parametrize(
    ("marks", "line"),
    [
        (replace(MARKS, heap_end=16), "the heap grew by 16 bytes while it answered (expected: 0)"),
        (replace(MARKS, heap_start=9, heap_end=10), "the heap grew by 1 bytes"),
        (replace(MARKS, stack=65_536), "all 65536 bytes of stack were used"),
    ],
)
def test_a_growing_heap_and_a_used_up_stack_are_not_as_expected(marks: Marks, line: str) -> None:
    plan, end, samples = made(marks)
    of = reports.manifest(plan, n=N, ends=(end,))
    (problem,) = unexpected(of, summarise(of, samples))
    assert line in problem
    assert len(list(memory_warnings([cell(marks=marks)]))) == 1


@pytest.mark.parametrize(
    "marks",
    [MARKS, replace(MARKS, heap_start=None, heap_end=None), replace(MARKS, heap_start=5), None],
)
def test_no_growth_is_as_expected(marks: Marks | None) -> None:
    plan, end, samples = made(marks)
    of = reports.manifest(plan, n=N, ends=(end,))
    assert unexpected(of, summarise(of, samples)) == []


def test_memory_is_in_both_formats_and_escaped(tmp_path: Path) -> None:
    hostile = tuple(replace(share, owner=reports.HOSTILE) for share in SHARES)
    who = Identity(
        board=reports.HOSTILE,
        firmware=reports.HOSTILE,
        toolchain="gcc",
        protocol=1,
        port="/dev/ttyUSB0",
        usb="10c4:ea60",
        serial=reports.HOSTILE,
    )
    plan, end, samples = made(shares=hostile)
    of = reports.manifest(plan, n=N, ends=(replace(end, identity=who),))
    written = report.write(reports.write(tmp_path / "run", of, samples))
    page, text = written.html.read_text(), written.markdown.read_text()
    for content in (page, text):
        assert "<script>alert" not in content
        assert "Memory in use" in content
        assert "Predicted and found" in content
        assert "10c4:ea60" in content
