# SPDX-License-Identifier: Apache-2.0
"""hil/report/pairs.py: teacher and student over the samples that both answered."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from scipy.special import softmax

from hil import stats
from hil.report.document import document
from hil.report.pairs import distillations
from hil.runs.load import StoredRun
from tests.support import reports
from tests.support.runs import known

PAIR = reports.plan("teacher"), reports.plan("student")


def test_every_figure_of_teacher_and_student() -> None:
    stored = reports.run(*PAIR)
    teacher, student = reports.cells_of(stored)
    (found,) = distillations((teacher, student))
    both = (teacher.answers == student.answers).sum()
    assert found.agreement == stats.proportion(int(both), 200)
    assert known(found.pair).difference == stats.paired_difference(
        known(student.right), known(teacher.right)
    )
    assert found.speed_up == stats.ratio_of_medians(teacher.times, student.times)
    assert found.speed_up.method == "BCa bootstrap, paired"
    assert found.unit == "instructions"
    assert found.arena == pytest.approx(7_936 / 2_544)
    assert found.flash == pytest.approx(228_904 / 23_480)
    lost = np.flatnonzero(known(teacher.right) & ~known(student.right))
    assert [one.id for one in found.lost] == [student.ids[i] for i in lost]
    assert found.lost
    for one, i in zip(found.lost, lost, strict=True):
        assert one.teacher == one.label == known(student.labels)[i] != one.student
        for cell, given in (
            (teacher, one.teacher_probabilities),
            (student, one.student_probabilities),
        ):
            assert given == pytest.approx(softmax(0.1 * (known(cell.device)[i].astype(float) - 3)))


def test_pairs_are_by_sample_and_not_by_position() -> None:
    stored = reports.run(*PAIR)
    teacher, student = stored.manifest.runs
    fewer = tuple(
        msgspec.structs.replace(s, i=k) for k, s in enumerate(stored.samples[student.key][40::-1])
    )
    cut = StoredRun(stored.manifest, {**stored.samples, student.key: fewer}, {}, False)
    (found,) = distillations(reports.cells_of(cut))
    by_id = {s.id: s.time or 0 for s in stored.samples[teacher.key]}
    assert found.n == 41
    assert found.speed_up == stats.ratio_of_medians(
        [by_id[s.id] for s in fewer], [s.time or 0 for s in fewer]
    )


def test_a_clock_too_coarse_gives_no_speed_up() -> None:
    stored = reports.run(*PAIR, n=30)
    zeros = {
        key: tuple(msgspec.structs.replace(s, time=0) for s in some)
        for key, some in stored.samples.items()
    }
    coarse = StoredRun(stored.manifest, zeros, {}, False)
    assert distillations(reports.cells_of(coarse))[0].speed_up is None
    assert document(coarse).table("Teacher and student").rows[0][6] == "–"
