# SPDX-License-Identifier: Apache-2.0
"""Reports of runs that are not classifications: what they say, draw, and leave out."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import mean_squared_error, r2_score, roc_auc_score

from hil.core.records import Task
from hil.report.accuracy import accuracy_section, validations
from hil.report.blocks import Clouds, Table
from hil.report.document import Document, document
from hil.report.draw.cloud import MOST, cloud
from hil.report.errors import binary_table, clouds, error_table, spread_table, worst_table
from hil.report.markdown import markdown
from hil.report.page import drawn, figures, page
from hil.runs.load import StoredRun
from hil.runs.rows import summarise
from tests.support import reports
from tests.support.judged import N, Reals, judged, line
from tests.support.runs import known


def words(run: StoredRun) -> tuple[Document, str]:
    found = document(run)
    return found, markdown(found) + page(found)


def test_a_regression_shows_its_errors_and_no_accuracy() -> None:
    targets, outputs = line()
    run = judged(Task.REGRESSION, outputs, targets=targets, host=outputs + 0.5)
    (cell,) = reports.cells_of(run)
    device, host = error_table([cell], Task.REGRESSION).rows
    rmse = mean_squared_error(targets, outputs) ** 0.5
    assert device[:2] == ("net float32", "device / target")
    assert device[2].startswith(f"{rmse:.4g}\n(")
    assert device[4].startswith(f"{r2_score(targets, outputs):.4g}\n(")
    wanted = mean_squared_error(targets, outputs + 0.5) ** 0.5
    assert float(host[2].split("\n")[0]) == pytest.approx(wanted, rel=1e-3)
    found, text = words(run)
    assert f"predicts the targets with an rmse of {rmse:.4g}" in found.verdict.sentence
    assert "is right on" not in text
    assert "Accuracy" not in text
    assert "same answer" not in text.lower()
    assert [section.key for section in found.sections][:2] == ["summary", "errors"]
    head = known(found.table("Results")).head
    assert {"rmse, device", "rmse, host", "R², device", "Equal outputs"} <= set(head)


def test_the_verdict_names_the_best_of_several() -> None:
    targets, outputs = line()
    one = judged(Task.REGRESSION, outputs, targets=targets, model="one")
    other = judged(Task.REGRESSION, targets, targets=targets, model="other")
    runs = (*one.manifest.runs, *other.manifest.runs)
    both = replace(
        one,
        manifest=msgspec.structs.replace(
            one.manifest, runs=runs, ends=(*one.manifest.ends, *other.manifest.ends)
        ),
        samples=one.samples | other.samples,
    )
    said = document(both).verdict.sentence
    assert "at best other float32 predicts the targets with an rmse of 0 (0 to 0), R² 1" in said


def test_the_verdict_has_a_student_beside_its_teacher() -> None:
    targets, outputs = line()
    one = judged(Task.REGRESSION, targets + 0.5, targets=targets, model="teacher")
    other = judged(Task.REGRESSION, outputs, targets=targets, model="student")
    both = replace(
        one,
        manifest=msgspec.structs.replace(
            one.manifest,
            runs=(*one.manifest.runs, *other.manifest.runs),
            ends=(*one.manifest.ends, *other.manifest.ends),
        ),
        samples=one.samples | other.samples,
    )
    rmse = mean_squared_error(targets, outputs) ** 0.5
    said = document(both).verdict.sentence
    assert f"student float32 has an rmse of {rmse:.4g} (" in said
    assert "the teacher 0.5 (" in said


def test_outputs_are_shown_one_by_one_and_drawn() -> None:
    targets, outputs = line(3)
    run = judged(Task.REGRESSION, outputs, targets=targets)
    found = document(run)
    table = found.table("Errors of each output")
    assert [row[1] for row in table.rows] == ["0", "1", "2"]
    for i, row in enumerate(table.rows):
        rmse = mean_squared_error(targets[:, i], outputs[:, i]) ** 0.5
        assert row[2].startswith(f"{rmse:.4g}\n(")
        assert row[3] == row[2]  # the host's
    (drawings,) = (b for s in found.sections for b in s.blocks if isinstance(b, Clouds))
    assert len(drawings.items) == 2
    names = [name for name in figures(found) if name.startswith("errors-")]
    assert names == [
        "errors-predicted-against-target-net-float32.svg",
        "errors-residuals-net-float32.svg",
    ]


def test_points_lie_where_their_values_are() -> None:
    targets, outputs = line()
    run = judged(Task.REGRESSION, outputs, targets=targets)
    first, second = clouds(reports.cells_of(run))
    assert len(first.points) == N
    slope, start = np.polyfit(targets[:, 0], [x for x, _ in first.points], 1)
    drawn_x = slope * outputs[:, 0] + start  # both axes have one scale: the line is the diagonal
    height = np.array([y for _, y in first.points])
    assert np.corrcoef(drawn_x, height)[0, 1] == pytest.approx(-1, abs=1e-4)
    assert (first.line.x1, first.line.x2) == (0, 100)
    assert first.line.y1 > first.line.y2
    assert second.line.y1 == second.line.y2
    above = np.array([y < second.line.y1 for _, y in second.points])
    assert (above == ((outputs - targets)[:, 0] > 0)).mean() > 0.97  # pixels are rounded


def test_a_large_run_draws_some_of_its_points() -> None:
    values = np.linspace(0, 1, 3 * MOST)
    found = cloud("t", "c.", ("x", "y"), values, values, "hue-third full", line="equal")
    assert len(found.points) == MOST
    assert f"Drawn: {MOST} of {3 * MOST:,} values" in found.caption
    assert drawn(found).count("<circle") == MOST
    one = cloud("t", "c.", ("x", "y"), values[:1], values[:1], "", line="zero")
    assert len(one.points) == 1


def reconstruction() -> tuple[Reals, Reals, npt.NDArray[np.int64]]:
    """Inputs, outputs that miss anomalous ones by more, and labels."""
    rng = np.random.default_rng(2)
    labels = np.arange(N) % 2
    inputs = rng.random((N, 4)).astype(np.float32).astype(np.float64)
    outputs = inputs + rng.normal(0, 0.1, (N, 4)) * (1 + labels[:, None])
    return inputs, outputs.astype(np.float32).astype(np.float64), labels


def test_a_reconstruction_tells_anomalies_apart() -> None:
    inputs, outputs, labels = reconstruction()
    run = judged(Task.RECONSTRUCTION, outputs, targets=inputs, labels=labels)
    (cell,) = reports.cells_of(run)
    errors = ((outputs - inputs) ** 2).mean(axis=1)
    area = roc_auc_score(labels, errors)
    assert known(cell.scores["auc"].device).point == pytest.approx(area)
    found, text = words(run)
    assert f"with an AUC of {area:.3f} (" in found.verdict.sentence
    assert "Accuracy" not in text
    assert "is right on" not in text
    assert not any("No sample of class" in line for line in found.warnings)
    normal, anomalous = spread_table([cell]).rows
    assert normal[:3] == ("net float32", "normal", "30")
    assert float(normal[4]) == pytest.approx(np.median(errors[labels == 0]), rel=1e-3)
    assert float(anomalous[4]) == pytest.approx(np.median(errors[labels == 1]), rel=1e-3)
    worst = worst_table([cell])
    assert worst.head == ("Run", "Sample", "Label", "mse")
    assert worst.rows[0][1] == f"s{int(errors.argmax()):03d}"


def test_a_reconstruction_without_labels_has_its_error() -> None:
    inputs, outputs, labels = reconstruction()
    found, text = words(judged(Task.RECONSTRUCTION, outputs, targets=inputs))
    assert "reconstructs its inputs with an mse of" in found.verdict.sentence
    assert "AUC" not in text
    one_kind = judged(Task.RECONSTRUCTION, outputs, targets=inputs, labels=0 * labels)
    assert any("so there is no AUC" in line for line in document(one_kind).warnings)


@pytest.mark.parametrize("threshold", [0.5, 0.0])
def test_two_classes_by_one_output(threshold: float) -> None:
    rng = np.random.default_rng(3)
    labels = np.arange(N) % 2
    outputs = (threshold + (labels - 0.5) * 0.2 + rng.normal(0, 0.1, N))[:, None]
    outputs = outputs.astype(np.float32).astype(np.float64)
    run = judged(Task.BINARY, outputs, labels=labels, threshold=threshold, classes=("cat", "dog"))
    (cell,) = reports.cells_of(run)
    right = (outputs[:, 0] >= threshold) == labels
    assert known(cell.accuracy).point == pytest.approx(right.mean())
    (row,) = binary_table([cell]).rows
    assert row[1] == f"{threshold:g}"
    assert row[3].startswith(f"{roc_auc_score(labels, outputs[:, 0]):.3f}\n(")
    (checked,) = validations([cell])
    assert checked.rows["device / label"].confusion.tolist() == [
        [int(((labels == a) & ((outputs[:, 0] >= threshold) == b)).sum()) for b in (0, 1)]
        for a in (0, 1)
    ]
    tables = {b.title: b for b in accuracy_section(run, [cell]).blocks if isinstance(b, Table)}
    assert tables["Names of the classes"].rows == (("0", "cat"), ("1", "dog"))
    _, text = words(run)
    assert "cat taken for dog" in text or "dog taken for cat" in text
    assert "| cat | net float32 dog |" in text
    assert f"class 1 from {threshold:g} on" in text


def test_without_a_task_only_agreement_time_and_memory_are_said() -> None:
    _, outputs = line()
    found, text = words(judged(Task.NONE, outputs, labels=np.zeros(N, np.int64)))
    assert "is right on" not in text
    assert "Accuracy" not in text
    assert "100" not in found.verdict.sentence
    assert any("is not judged by the data: made for a test" in line for line in found.warnings)
    head = found.table("Results").head
    assert "Equal outputs" in head
    assert "Same answer" not in head
    assert "Answers changed" not in found.table("Output values against the references").head


def test_agreement_without_answers_is_of_bytes_in_real_units() -> None:
    targets, outputs = line()
    host = outputs.copy()
    host[:6] += 0.25
    run = judged(Task.REGRESSION, outputs, targets=targets, host=host)
    samples = [one for some in run.samples.values() for one in some]
    (row,) = summarise(run.manifest, samples, targets=run.targets).runs
    agreement = known(row.agreement)
    assert (agreement.argmax, agreement.outputs) == (None, 0.9)
    assert agreement.max_real == pytest.approx(0.25, abs=1e-6)
    assert row.accuracy is None
    assert not any("answers" in line for line in document(run).verdict.sentence.split(";"))


def test_outputs_that_are_not_finite_are_named() -> None:
    targets, outputs = line()
    outputs[4] = np.nan
    run = judged(Task.REGRESSION, outputs, targets=targets)
    (cell,) = reports.cells_of(run)
    assert known(cell.scores["rmse"].device).n == N - 1
    note = error_table([cell], Task.REGRESSION).note
    assert "net float32: 1 sample with NaN or infinity excluded" in note
    words(run)


def test_old_runs_of_one_output_have_no_accuracy() -> None:
    """Before tasks were stored, the largest of one output was always right."""
    _, outputs = line()
    run = judged(Task.NONE, outputs, labels=np.zeros(N, np.int64))
    (plan,) = run.manifest.runs
    old = msgspec.structs.replace(plan, task=msgspec.UNSET, task_why=msgspec.UNSET)
    run = replace(run, manifest=msgspec.structs.replace(run.manifest, runs=(old,)))
    (cell,) = reports.cells_of(run)
    assert cell.task is Task.NONE
    assert cell.accuracy is None
    assert "is right on" not in document(run).verdict.sentence


def test_the_same_run_gives_the_same_page() -> None:
    targets, outputs = line()
    run = judged(Task.REGRESSION, outputs, targets=targets)
    assert words(run)[1] == words(run)[1]
