# SPDX-License-Identifier: Apache-2.0
"""hil/report/references.py: what differs from a reference is counted and explained."""

from __future__ import annotations

import msgspec
import numpy as np

from hil.report.document import document
from hil.report.references import explanations, published
from hil.runs.load import StoredRun
from tests.support import reports

PAIR = reports.plan("teacher"), reports.plan("student")
BYTES = "Output values against the references"
XNNPACK = "LiteRT 2.3.0 with XNNPACK"


def test_differences_are_explained() -> None:
    found = reports.cells_of(reports.run(*PAIR, off_by_one=2, broken=1))
    teacher_oracle, teacher_litert, *_ = explanations(found)
    assert "1 of 2,000 output values differs from the oracle" in teacher_oracle
    assert "This is not expected. First: sample mnist/test/00002, output" in teacher_oracle
    assert "Rounding twice explains one step, not this" in teacher_litert
    found = reports.cells_of(reports.run(*PAIR, off_by_one=2))
    for line in explanations(found):
        assert "each by one step; no answer changes. This is expected: LiteRT rounds once" in line
    plan = reports.plan(precision="float32")
    found = reports.cells_of(reports.run(plan, off_by_one=2))
    assert "This is not expected: float32 must be equal bit for bit" in explanations(found)[0]
    found = reports.cells_of(reports.run(plan))
    assert explanations(found) == ("student float32: every output equals LiteRT's, bit for bit.",)


def with_xnnpack(flips: int, steps: int = 1) -> StoredRun:
    """The first ``flips`` answers changed by XNNPACK, another value in ten more samples."""
    of = reports.plan(oracle="tflm")
    of = msgspec.structs.replace(of, xnnpack=XNNPACK)
    stored = reports.samples(of, 60)
    for i in range(flips + 10):
        other = np.frombuffer(stored[i].device, "i1").copy()
        if i < flips:
            other[(other.argmax() + 1) % 10] = 127
        else:
            other[other.argmin()] += steps
        stored[i] = msgspec.structs.replace(stored[i], xnnpack=other.tobytes())
    return reports.run_of(reports.manifest(of, n=60), stored)


def test_xnnpack_has_a_row_and_no_warning() -> None:
    stored = with_xnnpack(0)
    found = document(stored)
    rows = {row[1]: row for row in found.table(BYTES).rows}
    assert rows[XNNPACK][2:] == ("10 of 600", "10 of 60", "1 step", "any", "0")
    (line,) = [line for line in explanations(reports.cells_of(stored)) if "XNNPACK" in line]
    assert "by up to 1 step; no answer changes. This is expected" in line
    assert found.verdict.grade == "exact"
    assert found.warnings == document(reports.run(reports.plan(), n=60)).warnings


def test_xnnpacks_changed_answers_are_counted() -> None:
    stored = with_xnnpack(2)
    row = next(row for row in document(stored).table(BYTES).rows if row[1] == XNNPACK)
    assert row[-1] == "2"
    assert any("2 answers changed" in line for line in explanations(reports.cells_of(stored)))


def test_published_figures_say_why_they_are_not_comparable() -> None:
    plans = reports.plan("teacher", "float32"), reports.plan("student", "float32")
    found = reports.cells_of(reports.run(*plans))
    table = published(reports.manifest(*plans), found)
    assert table is not None
    assert [row[3] for row in table.rows if row[1].startswith("tutorial")] == ["99.04%", "92.81%"]
    assert "an emulator has no latency" in table.note
    of = reports.manifest(*plans)
    of = msgspec.structs.replace(of, dataset=msgspec.structs.replace(of.dataset, name="digits"))
    other = published(of, found)
    assert other is not None
    assert "not on MNIST" in other.note
    assert published(of, reports.cells_of(reports.run_of(of, []))) is None
