# SPDX-License-Identifier: Apache-2.0
"""hil/report/document.py: sections, and what a host may never fill."""

from __future__ import annotations

from pathlib import Path

import msgspec

from hil.report.blocks import Facts, Gallery, Table
from hil.report.document import document
from hil.report.pairs import distillations
from hil.runs.load import StoredRun, load_run
from tests.support import reports

PAIR = reports.plan("teacher"), reports.plan("student")
TIMING = "Time in detail"
BYTES = "Output values against the references"
HOST = ("Accuracy, host", "Same answer")  # columns that are about the host


def test_tables_are_rectangular(tmp_path: Path) -> None:
    for make in (reports.full, reports.on_board, reports.interrupted, reports.hostile):
        run = load_run(make(tmp_path / make.__name__, 30))
        blocks = [block for section in document(run).sections for block in section.blocks]
        tables = [block for block in blocks if isinstance(block, Table)]
        tables += [block.table for block in blocks if isinstance(block, Facts)]
        tables += [block.listed for block in blocks if isinstance(block, Gallery)]
        assert len(tables) > 5
        for table in tables:
            assert {len(row) for row in table.rows} == {len(table.head)}, table.title


def test_the_host_never_fills_a_column_of_the_device() -> None:
    """Whatever the host says, every figure of the device is the same."""
    stored = reports.run(*PAIR)
    plans = tuple(
        msgspec.structs.replace(p, xnnpack="LiteRT 2.3.0 with XNNPACK")
        for p in stored.manifest.runs
    )
    of = msgspec.structs.replace(stored.manifest, runs=plans)

    def host_says(nothing: bytes) -> StoredRun:
        changed = {
            key: tuple(
                msgspec.structs.replace(s, litert=nothing, oracle=nothing, xnnpack=nothing)
                for s in some
            )
            for key, some in stored.samples.items()
        }
        return StoredRun(of, changed, {}, False)

    truth = document(stored)
    for values in ([0] * 10, [9] + [0] * 9):
        lying = host_says(bytes(values))
        found = document(lying)
        for got, want in zip(found.table("Results").rows, truth.table("Results").rows, strict=True):
            kept = [i for i, head in enumerate(found.table("Results").head) if head not in HOST]
            assert [got[i] for i in kept] == [want[i] for i in kept]
        assert distillations(reports.cells_of(lying)) == distillations(reports.cells_of(stored))
        assert found.table("Validation").rows[0] == truth.table("Validation").rows[0]
        assert found.table("Validation").rows[1] != truth.table("Validation").rows[1]
        assert found.table(TIMING) == truth.table(TIMING)


def test_a_run_without_an_answer_has_no_figure() -> None:
    stored = reports.run(*PAIR)
    _, student = stored.manifest.runs
    empty = StoredRun(stored.manifest, {**stored.samples, student.key: ()}, {}, False)
    found = document(empty)
    assert found.table("Results").rows[1] == ("student int8", "0", *["–"] * 8)
    assert distillations(reports.cells_of(empty)) == ()
    assert {row[0] for row in found.table("Validation").rows} == {"teacher int8"}
    assert {row[0] for row in found.table(TIMING).rows} == {"teacher int8"}
    assert {row[0] for row in found.table(BYTES).rows} == {"teacher int8"}
