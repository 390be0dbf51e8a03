# SPDX-License-Identifier: Apache-2.0
"""hil/report/accuracy.py: the chart, the validation metrics and the confusion matrices."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, r2_score, root_mean_squared_error

from hil.report.accuracy import ROWS, accuracy_chart, confused, confusions, figure, validations
from hil.report.blocks import Confusions
from hil.report.document import Document, document
from hil.report.draw.chart import Confusion
from hil.report.memory import memory_charts
from hil.runs.load import load_run
from hil.runs.schema import Sample
from tests.support import reports
from tests.support.runs import known


def test_the_chart_shows_device_and_host_inside_its_axis() -> None:
    found = reports.cells_of(reports.run(*reports.matrix(), n=100))
    chart = accuracy_chart(found)
    assert chart is not None
    assert [row.label for row in chart.rows] == [
        "teacher float32",
        "teacher int8",
        "student float32",
        "student int8",
    ]
    for row, cell in zip(chart.rows, found, strict=True):
        assert [dot.kind for dot in row.dots] == ["device", "host"]
        for dot in row.dots:
            assert 0 <= dot.low <= dot.at <= dot.high <= 100
        assert f"{100 * known(cell.right).mean():.1f}%" in row.values[0]
    assert accuracy_chart(reports.cells_of(reports.run(*reports.matrix(), n=0))) is None


def test_hue_is_the_model_and_shade_the_precision() -> None:
    chart = accuracy_chart(reports.cells_of(reports.run(*reports.matrix(), n=100)))
    assert chart is not None
    assert [row.css for row in chart.rows] == [
        "hue-teacher soft",
        "hue-teacher full",
        "hue-student soft",
        "hue-student full",
    ]
    mine = accuracy_chart(
        reports.cells_of(
            reports.run(reports.plan("mine"), reports.plan("student"), reports.plan("other"), n=100)
        )
    )
    assert mine is not None
    assert len({row.css for row in mine.rows}) == 3


def test_a_confusion_matrix_equals_a_count_by_hand() -> None:
    cell = reports.only(reports.run(reports.plan(), n=300))
    (matrix,) = confusions([cell])
    for i in range(10):
        for j in range(10):
            pairs = zip(known(cell.labels), cell.answers, strict=True)
            times = sum(label == i and answer == j for label, answer in pairs)
            assert matrix.rows[i][j].text == (str(times) if times else "")
    assert sum(times for _, _, times in confused(cell)) == 300 - known(cell.right).sum()
    assert [t for _, _, t in confused(cell)] == sorted((t for *_, t in confused(cell)))[::-1]


def test_labels_that_no_output_stands_for_are_in_no_square() -> None:
    plan = reports.plan(classes=3)
    samples = [
        Sample(run=plan.key, i=i, id=str(i), label=label, device=bytes([1, 2, 3]))
        for i, label in enumerate([-1, 2, 3, 99])
    ]
    cell = reports.only(reports.run_of(reports.manifest(plan, n=4), samples))
    (matrix,) = confusions([cell])
    assert sum(int(s.text or 0) for row in matrix.rows for s in row) == 1
    assert known(cell.accuracy).point == 0.25


def test_one_class_and_over_twenty_have_no_matrix() -> None:
    for classes in (1, 21):
        plan = reports.plan(classes=classes)
        device = bytes(classes)
        sample = Sample(run=plan.key, i=0, id="a", label=0, device=device)
        one = reports.run_of(reports.manifest(plan, n=1), [sample])
        assert confusions(reports.cells_of(one)) == ()


def test_the_three_validation_rows_agree_with_scikit_learn() -> None:
    stored = reports.run(reports.plan(), off_by_one=9, broken=5)
    cell = reports.only(stored)
    (found,) = validations([cell])
    device, host = (0.1 * (known(v).astype(float) - 3) for v in (cell.device, cell.litert))
    one_hot = np.eye(10)[known(cell.labels)]
    for got, (p, r) in zip(
        found.rows.values(), ((device, one_hot), (host, one_hot), (device, host)), strict=True
    ):
        assert got.rmse == pytest.approx(root_mean_squared_error(r.ravel(), p.ravel()), rel=1e-9)
        assert got.nse == pytest.approx(r2_score(r.ravel(), p.ravel()), rel=1e-9)
        assert got.matches == round(200 * accuracy_score(r.argmax(axis=1), p.argmax(axis=1)))
    assert found.rows[ROWS[0]].matches == int(known(cell.right).sum())
    assert found.rows[ROWS[1]].matches == int(known(cell.host_right).sum())
    assert found.rows[ROWS[2]].matches == 200 - known(cell.changed) < 200
    table = document(stored).table("Validation")
    assert [row[1] for row in table.rows] == list(ROWS)
    assert all(len(row) == len(table.head) for row in table.rows)


def drawn(of: Document) -> tuple[Confusion, ...]:
    blocks = (block for section in of.sections for block in section.blocks)
    (found,) = (block for block in blocks if isinstance(block, Confusions))
    return found.items


def test_the_hosts_matrices_are_drawn_only_if_it_differs() -> None:
    same = document(reports.run(reports.plan("teacher"), reports.plan("student")))
    assert len(drawn(same)) == 2
    differs = document(reports.run(reports.plan(), broken=5))
    assert [c.name for c in drawn(differs)][1:] == [
        "student int8: host by label",
        "student int8: device by host",
    ]
    assert drawn(differs)[2].caption == "5 of 200 answers differ"
    assert [c.row_name for c in drawn(differs)] == ["label", "label", "host"]


def test_samples_that_are_not_finite_are_counted_in_the_note() -> None:
    of = reports.plan("student", "float32")
    stored = reports.samples(of, 30)
    bad = np.frombuffer(stored[4].device, "<f4").copy()
    bad[2] = np.nan
    stored[4] = msgspec.structs.replace(stored[4], device=bad.tobytes(), litert=stored[4].device)
    found = document(reports.run_of(reports.manifest(of, n=30), stored)).table("Validation")
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
def test_values_near_one_are_shown_by_their_distance(value: float, words: str) -> None:
    assert figure(value) == words


def test_an_interrupted_run_shows_every_run_that_answered(tmp_path: Path) -> None:
    found = reports.cells_of(load_run(reports.interrupted(tmp_path / "run", 30)))
    chart = accuracy_chart(found)
    assert chart is not None
    assert [row.label for row in chart.rows] == ["teacher int8", "student int8"]
    assert [row.label for row in memory_charts(found)[0].rows] == ["teacher int8"]
