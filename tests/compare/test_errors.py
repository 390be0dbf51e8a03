# SPDX-License-Identifier: Apache-2.0
"""Comparisons of regressions, autoencoders and binary networks, and their limits."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from hil.compare import compare_stored
from hil.compare.compare import FIELDS
from hil.compare.formats import markdown
from hil.compare.limits import Growth, Limits, LimitsFile, exceeded
from hil.compare.records import ComparedFigure
from hil.core.errors import NotComparable
from hil.core.records import Task
from hil.runs.load import StoredRun
from hil.runs.rows import summarise
from hil.runs.summary import SummaryRow
from hil.stats.errors import ratios
from tests.support.compared import figure
from tests.support.judged import N, Reals, judged, line
from tests.support.runs import known


def regression(factor: float = 1.0, noise: float = 0.0) -> tuple[StoredRun, Reals, Reals]:
    """A run with errors ``factor`` times as large, and their predictions and targets."""
    targets, outputs = line()
    extra = np.random.default_rng(9).normal(0, 1, outputs.shape) * noise
    given = (targets + factor * (outputs - targets) + extra).astype(np.float32)
    run = judged(Task.REGRESSION, given.astype(np.float64), targets=targets)
    return run, given.astype(np.float64), targets


def compared(base: StoredRun, new: StoredRun, name: str, **growth: float) -> ComparedFigure:
    limits = LimitsFile(compare=Growth(outputs=float("inf"), **growth))
    return figure(compare_stored(base, new, limits), name)


def row_of(run: StoredRun) -> SummaryRow:
    samples = (one for some in run.samples.values() for one in some)
    (row,) = summarise(run.manifest, samples, targets=run.targets).runs
    return row


def test_a_run_is_the_same_as_itself() -> None:
    run, _, _ = regression()
    found = compare_stored(run, run)
    assert not found.regression
    names = {one.name for one in found.runs[0].figures}
    assert {"rmse", "mae"} <= names
    assert not {"accuracy", "answers", "auc"} & names
    assert {one.word for one in found.runs[0].figures} == {"same"}


@pytest.mark.parametrize(
    ("factor", "word", "beyond"),
    [(1.005, "same", False), (1.02, "worse", True), (0.9, "better", False)],
)
def test_errors_are_compared_by_their_ratio(factor: float, word: str, beyond: bool) -> None:
    (base, *_), (new, *_) = regression(), regression(factor)
    for name in ("rmse", "mae"):
        found = compared(base, new, name)
        assert known(found.change).point == pytest.approx(factor, rel=1e-4)
        assert (found.word if word != "same" else word, found.beyond) == (word, beyond)
        assert found.limit == 1
    assert compared(base, new, "rmse", rmse=3).beyond is False


def test_noise_raises_no_alarm() -> None:
    (base, *one), (new, *other) = regression(), regression(noise=0.02)
    found = compared(base, new, "rmse")
    assert not found.beyond
    wanted = known(ratios((other[0], other[1]), (one[0], one[1]))["rmse"])
    change = known(found.change)
    assert (change.low, change.high, change.method) == (wanted.low, wanted.high, wanted.method)


def test_an_error_that_was_zero_has_no_ratio() -> None:
    targets, outputs = line()
    base = judged(Task.REGRESSION, targets, targets=targets)
    new = judged(Task.REGRESSION, outputs, targets=targets)
    found = compared(base, new, "rmse")
    assert (found.base, found.word, found.beyond) == (0, "worse", True)


def binary(noise: float, seed: int = 1) -> tuple[StoredRun, Reals]:
    rng = np.random.default_rng(seed)
    labels = np.arange(N) % 2
    values = (0.5 + (labels - 0.5) * 0.3 + rng.normal(0, noise, N)).astype(np.float32)
    outputs = values.astype(np.float64)
    return judged(Task.BINARY, outputs[:, None], labels=labels), outputs


def test_areas_are_compared_by_their_difference() -> None:
    (base, first), (new, second) = binary(0.1), binary(0.6)
    found = compared(base, new, "auc")
    labels = np.arange(N) % 2
    wanted = roc_auc_score(labels, second) - roc_auc_score(labels, first)
    change = known(found.change)
    assert change.point == pytest.approx(wanted)
    assert change.method == "DeLong (paired)"
    assert (found.word, found.beyond, found.limit) == ("worse", True, 0.005)
    back = compared(new, base, "auc")
    assert (back.word, back.beyond) == ("better", False)
    text = markdown(compare_stored(base, new))
    assert (
        f"| AUC | {roc_auc_score(labels, first):.3f} | {roc_auc_score(labels, second):.3f}" in text
    )
    assert "worse, beyond 0.005" in text


def test_other_tasks_are_not_compared() -> None:
    run, _, _ = regression()
    (plan,) = run.manifest.runs

    def taken_as(task: Task) -> StoredRun:
        plain = msgspec.structs.replace(plan, task=task)
        return replace(run, manifest=msgspec.structs.replace(run.manifest, runs=(plain,)))

    with pytest.raises(NotComparable, match="task of .*: regression and class.*--allow task"):
        compare_stored(run, taken_as(Task.CLASSIFICATION))
    assert "task" in FIELDS
    # a run without a task lacks figures, which is a regression, and not a reason to refuse
    for found in (
        compare_stored(run, taken_as(Task.CLASSIFICATION), allow={"task"}),
        compare_stored(run, taken_as(Task.NONE)),
    ):
        assert figure(found, "rmse").word == "missing"
        assert found.regression


def test_only_samples_that_both_answered_count() -> None:
    run, _, _ = regression()
    (key,) = run.samples
    some = replace(run, samples={key: run.samples[key][::2]})
    found = compared(run, some, "rmse")
    assert (found.n, known(found.change).point) == (N // 2, 1.0)


def test_absolute_limits_of_other_figures() -> None:
    run, _, _ = regression()
    row = row_of(run)
    assert row.rmse is not msgspec.UNSET
    rmse = known(row.rmse.device)
    assert exceeded(row, Limits(rmse=rmse)) == []
    (said,) = exceeded(row, Limits(rmse=0.9 * rmse))
    assert said == f"{row.key}: rmse is {rmse:g}, limit {0.9 * rmse:g}"
    (said,) = exceeded(row, Limits(accuracy_min=0.5))
    assert said.endswith("accuracy is limited to 0.5 but was not measured")
    area = row_of(binary(0.1)[0])
    assert area.auc is not msgspec.UNSET
    assert exceeded(area, Limits(auc_min=known(area.auc.device), accuracy_min=0.5)) == []
    (said,) = exceeded(area, Limits(auc_min=1.0))
    assert "limit at least 1" in said
