# SPDX-License-Identifier: Apache-2.0
"""The three rows, bytes against XNNPACK, teacher and student; and what a host may not fill."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import accuracy_score, r2_score, root_mean_squared_error

from hil import stats
from hil.report.accuracy import ROWS, figure, validations
from hil.report.blocks import Confusions
from hil.report.document import Document, document
from hil.report.draw.chart import Confusion
from hil.report.pairs import Distillation, distillations
from hil.report.references import explanations
from hil.runs.cells import Cell, cells
from hil.runs.load import StoredRun
from hil.runs.schema import RunPlan, Sample
from tests.support.reports import manifest, plan, samples

TIMING = "Time in detail"
BYTES = "Output values against the references"

XNNPACK = "LiteRT 2.3.0 with XNNPACK"


def run(plans: Sequence[RunPlan], stored: Sequence[Sample], n: int) -> StoredRun:
    by_run = {of.key: tuple(s for s in stored if s.run == of.key) for of in plans}
    return StoredRun(manifest(*plans, n=n), by_run, {}, False)


def pair(n: int = 200, **changes: Any) -> StoredRun:
    plans = [plan("teacher"), plan("student")]
    return run(plans, [s for p in plans for s in samples(p, n, **changes)], n)


def all_cells(stored: StoredRun) -> tuple[Cell, ...]:
    return cells(stored.manifest, stored.samples)


def pairs(stored: StoredRun) -> tuple[Distillation, ...]:
    return distillations(all_cells(stored))


def test_the_three_rows_are_of_what_they_say() -> None:
    stored = run([plan()], samples(plan(), 200, off_by_one=9, broken=5), 200)
    (cell,) = cells(stored.manifest, stored.samples)
    (found,) = validations([cell])
    device, host = (0.1 * (v.astype(float) - 3) for v in (cell.device, cell.litert))
    one_hot = np.eye(10)[cell.labels]
    for got, (p, r) in zip(
        found.rows, ((device, one_hot), (host, one_hot), (device, host)), strict=True
    ):
        assert got.rmse == pytest.approx(root_mean_squared_error(r.ravel(), p.ravel()), rel=1e-9)
        assert got.nse == pytest.approx(r2_score(r.ravel(), p.ravel()), rel=1e-9)
        assert got.matches == round(200 * accuracy_score(r.argmax(axis=1), p.argmax(axis=1)))
    assert found.rows[0].matches == int(cell.right.sum())
    assert found.rows[1].matches == int(cell.host_right.sum())
    assert found.rows[2].matches == cell.same_answer < 200
    table = document(stored).table("Validation")
    assert [row[1] for row in table.rows] == list(ROWS)
    assert all(len(row) == len(table.head) for row in table.rows)


def drawn(of: Document) -> tuple[Confusion, ...]:
    blocks = (block for section in of.sections for block in section.blocks)
    (found,) = (block for block in blocks if isinstance(block, Confusions))
    return found.items


def test_matrices_of_the_host_are_drawn_only_where_it_differs() -> None:
    same = document(pair())
    assert len(drawn(same)) == 2
    differs = document(run([plan()], samples(plan(), 200, broken=5), 200))
    assert [c.name for c in drawn(differs)][1:] == [
        "student int8: host by label",
        "student int8: device by host",
    ]
    assert drawn(differs)[2].caption == "5 of 200 answers differ"


def test_values_that_are_not_finite_are_said() -> None:
    of = plan("student", "float32")
    stored = samples(of, 30)
    bad = np.frombuffer(stored[4].device, "<f4").copy()
    bad[2] = np.nan
    stored[4] = msgspec.structs.replace(stored[4], device=bad.tobytes(), litert=stored[4].device)
    found = document(run([of], stored, 30)).table("Validation")
    assert "student float32: 1 sample with NaN or infinity excluded" in found.note
    assert "nan" not in str(found.rows)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1.0, "1"),
        (1 + 2e-16, "1"),
        (1 - 4.6e-7, "1 − 4.6e-07"),
        (-1145.2, "−1145"),
        (0.0123456, "0.01235"),
    ],
)
def test_figures_near_one_keep_their_distance(value: float, words: str) -> None:
    assert figure(value) == words


def with_xnnpack(flips: int, steps: int = 1) -> StoredRun:
    """The first ``flips`` answers changed by XNNPACK, another value in ten more samples."""
    of = plan(oracle="tflm")
    of = msgspec.structs.replace(of, xnnpack=XNNPACK)
    stored = samples(of, 60)
    for i in range(flips + 10):
        other = np.frombuffer(stored[i].device, "i1").copy()
        if i < flips:
            other[(other.argmax() + 1) % 10] = 127
        else:
            other[other.argmin()] += steps
        stored[i] = msgspec.structs.replace(stored[i], xnnpack=other.tobytes())
    return run([of], stored, 60)


def test_xnnpack_has_its_row_and_no_alarm() -> None:
    stored = with_xnnpack(0)
    found = document(stored)
    rows = {row[1]: row for row in found.table(BYTES).rows}
    assert rows[XNNPACK][2:] == ("10 of 600", "10 of 60", "1 step", "any", "0")
    (line,) = [line for line in explanations(all_cells(stored)) if "XNNPACK" in line]
    assert "by up to 1 step; no answer changes. This is expected" in line
    assert found.verdict.grade == "exact"
    assert found.warnings == document(run([plan()], samples(plan(), 60), 60)).warnings


def test_xnnpacks_changed_answers_are_counted() -> None:
    stored = with_xnnpack(2)
    row = next(row for row in document(stored).table(BYTES).rows if row[1] == XNNPACK)
    assert row[-1] == "2"
    assert any("2 answers changed" in line for line in explanations(all_cells(stored)))


def test_teacher_and_student() -> None:
    stored = pair()
    teacher, student = cells(stored.manifest, stored.samples)
    (found,) = distillations((teacher, student))
    both = (teacher.answers == student.answers).sum()
    assert found.agreement == stats.proportion(int(both), 200)
    assert found.pair.difference == stats.paired_difference(student.right, teacher.right)
    assert found.speed_up == stats.ratio_of_medians(teacher.times, student.times)
    assert found.speed_up.method == "BCa bootstrap, paired"
    assert found.unit == "instructions"
    assert found.arena == pytest.approx(7_936 / 2_544)
    assert found.flash == pytest.approx(228_904 / 23_480)
    lost = np.flatnonzero(teacher.right & ~student.right)
    assert [one.id for one in found.lost] == [student.ids[i] for i in lost]
    assert found.lost
    for one, i in zip(found.lost, lost, strict=True):
        assert one.teacher == one.label == student.labels[i] != one.student
        for cell, given in (
            (teacher, one.teacher_probabilities),
            (student, one.student_probabilities),
        ):
            assert given == pytest.approx(softmax(0.1 * (cell.device[i].astype(float) - 3)))


def test_pairs_are_by_sample_and_never_by_place() -> None:
    stored = pair()
    teacher, student = stored.manifest.runs
    fewer = tuple(
        msgspec.structs.replace(s, i=k) for k, s in enumerate(stored.samples[student.key][40::-1])
    )
    cut = StoredRun(stored.manifest, {**stored.samples, student.key: fewer}, {}, False)
    (found,) = distillations(cells(cut.manifest, cut.samples))
    by_id = {s.id: s.time or 0 for s in stored.samples[teacher.key]}
    assert found.n == 41
    assert found.speed_up == stats.ratio_of_medians(
        [by_id[s.id] for s in fewer], [s.time or 0 for s in fewer]
    )


def test_a_clock_too_coarse_gives_no_speed_up() -> None:
    stored = pair(30)
    zeros = {
        key: tuple(msgspec.structs.replace(s, time=0) for s in some)
        for key, some in stored.samples.items()
    }
    coarse = StoredRun(stored.manifest, zeros, {}, False)
    assert pairs(coarse)[0].speed_up is None
    assert document(coarse).table("Teacher and student").rows[0][7] == "–"


def test_the_host_never_fills_a_column_of_the_device() -> None:
    """Every figure of the device stays as it is whatever the host says."""
    stored = pair()
    plans = tuple(msgspec.structs.replace(p, xnnpack=XNNPACK) for p in stored.manifest.runs)
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
        assert pairs(lying) == pairs(stored)
        assert found.table("Validation").rows[0] == truth.table("Validation").rows[0]
        assert found.table("Validation").rows[1] != truth.table("Validation").rows[1]
        assert found.table(TIMING) == truth.table(TIMING)


HOST = ("Accuracy, host", "Same answer")


def test_a_run_without_an_answer_of_the_device_has_no_figure() -> None:
    stored = pair()
    teacher, student = stored.manifest.runs
    empty = StoredRun(stored.manifest, {**stored.samples, student.key: ()}, {}, False)
    found = document(empty)
    assert found.table("Results").rows[1] == ("student int8", "0", *["–"] * 8)
    assert pairs(empty) == ()
    assert {row[0] for row in found.table("Validation").rows} == {"teacher int8"}
    assert {row[0] for row in found.table(TIMING).rows} == {"teacher int8"}
    assert {row[0] for row in found.table(BYTES).rows} == {"teacher int8"}
    assert teacher.model == "teacher"
