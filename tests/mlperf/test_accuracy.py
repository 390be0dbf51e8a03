# SPDX-License-Identifier: Apache-2.0
"""Top-1 and AUC, compared with their definitions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from hil.core.errors import WrongReply
from hil.mlperf.measure import FileResults, probabilities, score


def answers(results: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> list[FileResults]:
    return [
        FileResults(f"{i}.bin", int(label), (tuple(row.tolist()),))
        for i, (row, label) in enumerate(zip(results, labels, strict=True))
    ]


def area(positive: npt.NDArray[np.bool_], values: npt.NDArray[np.float64]) -> float:
    """AUC as a probability: that a positive has the larger value than a negative; ties count half
    (Mann and Whitney, Ann. Math. Stat. 18, 50, 1947)."""
    ones, zeros = values[positive], values[~positive]
    return float(np.mean(np.sign(ones[:, None] - zeros[None]) / 2 + 0.5))


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("digits", [1, 3, 9])
def test_accuracy_and_area_are_as_defined(classes: int, digits: int) -> None:
    random = np.random.default_rng(classes * digits)
    labels = np.arange(300) % classes
    raw = random.random((300, classes)) + 0.4 * np.eye(classes)[labels]
    results = np.round(raw / raw.sum(axis=1, keepdims=True), digits)  # ties, and sums near 1
    # summed as the runner does, value by value: NumPy's order makes and breaks other ties
    shares = np.array([[value / sum(row) for value in row] for row in results.tolist()])
    areas = [area(labels == c, shares[:, c]) for c in range(classes)]
    wanted = areas[1] if classes == 2 else np.mean(areas)
    found = score(answers(results, labels), classes)
    assert found.auc == pytest.approx(wanted, abs=1e-12)
    assert found.correct == int((shares.argmax(axis=1) == labels).sum())
    assert found.top1 == pytest.approx(100 * found.correct / 300)
    assert (found.n, found.improper) == (300, 0) if digits > 1 else found.n == 300


def test_a_network_of_one_output_is_scored_as_the_runner_does() -> None:
    random = np.random.default_rng(7)
    labels = np.arange(80) % 2
    files = [
        FileResults(
            f"{i}.bin", int(label), tuple((v,) for v in (random.random(4) + label).tolist())
        )
        for i, label in enumerate(labels)
    ]
    means = np.array([np.mean(one.results) for one in files])
    found = score(files, 2)
    assert found.auc == pytest.approx(area(labels == 1, means))
    # the runner's loop
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
        FileResults("a", 0, ((0.9, 0.1), (0.4, 0.6))),
        FileResults("b", 1, ((0.6, 0.4), (0.55, 0.45), (0.0, 1.0))),
    ]
    assert score(files, 2).correct == 2


def test_logits_are_reported_as_improper() -> None:
    logits = np.array([[5.0, -7.0, 1.0], [-9.0, 4.0, 1.0], [1.0, 2.0, 9.0]])
    found = score(answers(logits, np.arange(3)), 3)
    assert found.improper == 3
    assert found.correct == 1  # divided by a negative sum, the best becomes the worst
    assert probabilities((0.1, 0.9))
    assert not probabilities((-0.1, 1.1))
    assert not probabilities((0.5, 0.7))


def test_results_that_cannot_be_scored_are_an_error() -> None:
    with pytest.raises(WrongReply, match="sum of a result vector is zero"):
        score(answers(np.array([[1.0, -1.0], [0.0, 1.0]]), np.arange(2)), 2)
    with pytest.raises(WrongReply, match="results of 3 values for 2 classes"):
        score(answers(np.ones((2, 3)), np.arange(2)), 2)
    with pytest.raises(ValueError, match="every class"):
        score(answers(np.ones((2, 3)), np.arange(2)), 3)
