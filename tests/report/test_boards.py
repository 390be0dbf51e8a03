# SPDX-License-Identifier: Apache-2.0
"""The matrices of a run on several boards: one per figure and kind of time."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from hil.report import write
from hil.report.blocks import Entry, Matrix
from hil.report.boards import boards_section, core_of
from hil.runs.cells import cells
from hil.runs.load import StoredRun, load_run
from hil.runs.schema import Refused, Room, RunPlan, TooLarge
from tests.support import reports

N = 20
M7, M33, M4 = (
    ("mps2", "QEMU mps2-an500 (emulated Cortex-M7)"),
    ("far", "QEMU mps2-an505 (emulated Cortex-M33)"),
    ("cortex-m4", "QEMU mps2-an386 (emulated Cortex-M4)"),
)
ROOM = Room(flash=100_000, ram=20_000, stack=1_000)


def planned(board: tuple[str, str], unit: str = "instructions", model: str = "student") -> RunPlan:
    found = reports.plan(model, board=board[0], title=board[1], unit=unit)  # type: ignore[arg-type]
    return msgspec.structs.replace(found, room=ROOM)


def stored(folder: Path, *plans: RunPlan, **changes: object) -> StoredRun:
    answers = [one for i, plan in enumerate(plans) for one in reports.samples(plan, N, seed=i)]
    reports.write(folder, reports.manifest(*plans, n=N, **changes), answers)
    return load_run(folder)


def matrices(run: StoredRun) -> dict[str, Matrix]:
    found = cells(run.manifest, run.samples, run.host, run.targets)
    blocks = boards_section(run, found).blocks
    return {block.title: block for block in blocks if isinstance(block, Matrix)}


def column(matrix: Matrix, number: int = 0) -> dict[str, Entry]:
    return {name: entries[number] for name, _, entries in matrix.rows}


def test_a_run_on_one_board_has_no_matrix(tmp_path: Path) -> None:
    run = stored(tmp_path, planned(M7), planned(M7, model="teacher"))
    assert matrices(run) == {}


def test_cores_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    found = matrices(stored(tmp_path, planned(M33), planned(M7), planned(M4)))
    assert [name for name, _, _ in found["RAM"].rows] == ["Cortex-M4", "Cortex-M7", "Cortex-M33"]
    assert set(found) == {"Instructions per inference", "RAM", "Flash", "Differing outputs"}


def test_kinds_of_time_never_share_a_matrix(tmp_path: Path) -> None:
    plans = [planned(M7), planned(M4, "cycles"), planned(("own", "desk (board)"), "none")]
    found = matrices(stored(tmp_path, *plans))
    assert list(column(found["Instructions per inference"])) == ["Cortex-M7"]
    assert list(column(found["Cycles per inference"])) == ["Cortex-M4"]
    assert len(found["Differing outputs"].rows) == 3


def test_the_least_is_the_measure_of_a_column(tmp_path: Path) -> None:
    run = stored(tmp_path, planned(M7), planned(M4), planned(M33))
    times = column(matrices(run)["Instructions per inference"])
    medians = {
        cell.plan.board: cell.time.point
        for cell in cells(run.manifest, run.samples, run.host, run.targets)
        if cell.time
    }
    least = min(medians, key=lambda name: medians[name])
    core = {"mps2": "Cortex-M7", "cortex-m4": "Cortex-M4", "far": "Cortex-M33"}[least]
    assert times[core].beside == "×1"
    assert times[core].shade == 0
    assert max(one.shade for one in times.values()) == pytest.approx(1)


def test_what_is_left_of_a_boards_memory(tmp_path: Path) -> None:
    """`reports.end`: 23,480 bytes of model and 11,264 of code; 2,544 of arena in 5,664 of static
    RAM, and a stack of 944."""
    found = matrices(stored(tmp_path, planned(M7), planned(M4)))
    flash, ram = column(found["Flash"])["Cortex-M7"], column(found["RAM"])["Cortex-M7"]
    assert (flash.text, flash.beside) == ("34,744 B", "65,256 B left")
    assert flash.gauge == pytest.approx(0.34744)
    assert (ram.text, ram.beside) == ("6,608 B", "arena 2,544 B, 13,336 B left")
    assert ram.gauge == pytest.approx(6_608 / 20_000)


def test_what_does_not_fit_is_in_the_matrix_of_that_memory(tmp_path: Path) -> None:
    gone = TooLarge(
        board="tiny",
        board_title="Tiny (emulated Cortex-M0)",
        engine="aot",
        model="student",
        precision="int8",
        memory="ram",
        needs=20_000,
        has=16_384,
        linked=True,
    )
    broken = Refused(
        board="bad",
        board_title="Bad (emulated Z80)",
        engine="aot",
        model="student",
        precision="int8",
        why="no",
        failed=True,
    )
    run = stored(tmp_path, planned(M7), planned(M4), no_place=(gone,), refused=(broken,))
    found = matrices(run)
    ram, flash = column(found["RAM"]), column(found["Flash"])
    assert ram["Cortex-M0"] == Entry("does not fit", "RAM −3,616 B", bad=True)
    assert flash["Cortex-M0"].text == "–"
    assert ram["Z80"] == Entry("failed", bad=True)
    assert "Cortex-M0" not in column(found["Instructions per inference"])


def test_both_pages_have_the_matrices(tmp_path: Path) -> None:
    stored(tmp_path, planned(M7), planned(M4))
    written = write(tmp_path)
    page = written.html.read_text(encoding="utf-8")
    assert page.count('<table class="cores">') == 4
    assert page.count('<svg class="gauge"') == 4
    assert "style=" not in page  # the page's policy allows none
    text = written.markdown.read_text(encoding="utf-8")
    assert "## Instructions per inference" in text
    assert "Cortex-M4 (cortex-m4)" in text
    assert [table.title for table in written.boards] == ["Instructions per inference"]


@pytest.mark.parametrize(
    ("title", "core"),
    [
        ("QEMU mps2-an500 (emulated Cortex-M7)", "Cortex-M7"),
        ("Arduino Mega 2560 (simavr, emulated ATmega2560)", "ATmega2560"),
        ("QEMU virt (emulated RISC-V, rv32imc)", "RISC-V, rv32imc"),
        ("host process on a pty", "host process on a pty"),
        ("ESP32 devkit, on /dev/ttyUSB0", "ESP32 devkit, on /dev/ttyUSB0"),
        ("((", "(("),
    ],
)
def test_the_core_is_named_in_parentheses(title: str, core: str) -> None:
    assert core_of(title) == core
