# SPDX-License-Identifier: Apache-2.0
"""Top-1 and AUC against scikit-learn, which MLCommons' runner calls."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from hil.core.errors import WrongReply
from hil.mlperf.measure import Answer, auc, probabilities, score


def answers(results: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> list[Answer]:
    return [
        Answer(f"{i}.bin", int(label), (tuple(row.tolist()),))
        for i, (row, label) in enumerate(zip(results, labels, strict=True))
    ]


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("digits", [1, 3, 9])
def test_figures_are_scikit_learns(classes: int, digits: int) -> None:
    random = np.random.default_rng(classes * digits)
    labels = np.arange(300) % classes
    raw = random.random((300, classes)) + 0.4 * np.eye(classes)[labels]
    results = np.round(raw / raw.sum(axis=1, keepdims=True), digits)  # ties, and sums near 1
    # summed as the runner does, value by value: NumPy's order makes and breaks other ties
    shares = np.array([[value / sum(row) for value in row] for row in results.tolist()])
    wanted = roc_auc_score(labels, shares[:, 1] if classes == 2 else shares, multi_class="ovr")
    found = score(answers(results, labels), classes)
    assert found.auc == pytest.approx(wanted, abs=1e-12)
    assert found.correct == int((shares.argmax(axis=1) == labels).sum())
    assert found.top1 == pytest.approx(100 * found.correct / 300)
    assert (found.n, found.improper) == (300, 0) if digits > 1 else found.n == 300


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=2, max_size=60))
def test_an_area_is_scikit_learns_whatever_the_ties(pairs: list[tuple[int, bool]]) -> None:
    values = np.array([value for value, _ in pairs], np.float64)
    positive = np.array([kind for _, kind in pairs])
    if positive.all() or not positive.any():
        with pytest.raises(ValueError, match="missing"):
            auc(values, positive)
    else:
        assert auc(values, positive) == pytest.approx(roc_auc_score(positive, values), abs=1e-12)


def test_a_network_of_one_output_is_scored_as_the_runner_does() -> None:
    random = np.random.default_rng(7)
    labels = np.arange(80) % 2
    files = [
        Answer(f"{i}.bin", int(label), tuple((v,) for v in (random.random(4) + label).tolist()))
        for i, label in enumerate(labels)
    ]
    means = np.array([np.mean(one.results) for one in files])
    found = score(files, 2)
    assert found.auc == pytest.approx(roc_auc_score(labels, means))
    # the runner's own loop, in NumPy
    best = 0.0
    for threshold in means.min() + np.arange(0.0, 1.0, 0.01) * (means.max() - means.min()):
        said = means > threshold
        right, wrong = (said & (labels == 1)).sum(), (said & (labels == 0)).sum()
        missed = (~said & (labels == 1)).sum()
        best = max(best, 50 * (right / (right + wrong + 1e-8) + right / (right + missed + 1e-8)))
    assert found.top1 == pytest.approx(best)
    assert found.correct is None


def test_segments_count_by_their_mean() -> None:
    files = [
        Answer("a", 0, ((0.9, 0.1), (0.4, 0.6))),
        Answer("b", 1, ((0.6, 0.4), (0.55, 0.45), (0.0, 1.0))),
    ]
    assert score(files, 2).correct == 2


def test_logits_are_seen_for_what_they_are() -> None:
    logits = np.array([[5.0, -7.0, 1.0], [-9.0, 4.0, 1.0], [1.0, 2.0, 9.0]])
    found = score(answers(logits, np.arange(3)), 3)
    assert found.improper == 3
    assert found.correct == 1  # divided by a negative sum, the best becomes the worst
    assert probabilities((0.1, 0.9))
    assert not probabilities((-0.1, 1.1))
    assert not probabilities((0.5, 0.7))


def test_what_cannot_be_scored_is_said() -> None:
    with pytest.raises(WrongReply, match="adds up to zero"):
        score(answers(np.array([[1.0, -1.0], [0.0, 1.0]]), np.arange(2)), 2)
    with pytest.raises(WrongReply, match="results of 3 values for 2 classes"):
        score(answers(np.ones((2, 3)), np.arange(2)), 2)
    with pytest.raises(ValueError, match="every class"):
        score(answers(np.ones((2, 3)), np.arange(2)), 3)
