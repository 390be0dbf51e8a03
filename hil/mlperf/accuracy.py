"""Top-1 and AUC of a device's results, as MLCommons' runner (benchmark/runner/main.py) has them.

Each result vector is divided by its sum; a file with several (anomaly detection sends it in
segments) counts by their mean. The AUC is the macro average of one class against the rest; of
two classes, that of the second. A network of one output (anomaly detection) is scored by its
value: its "accuracy" is the best mean of precision and recall over a hundred thresholds, in
percent.

AUC = (R - n1 (n1 + 1) / 2) / (n1 n0), R the sum of the ranks of the n1 positives: Mann and Whitney,
Ann. Math. Stat. 18, 50 (1947). Tests hold it to scikit-learn's `roc_auc_score`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from hil.errors import WrongReply

Reals = npt.NDArray[np.float64]
_OFF = 0.1  # by which printed probabilities may miss a sum of 1: a thousand classes, three decimals
_THRESHOLDS = 100


@dataclass(frozen=True, slots=True)
class Answer:
    """What the device said of one file: a result vector for each of its segments."""

    file: str
    label: int
    results: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Accuracy:
    """``top1`` in percent; ``correct`` of ``n`` files, None for a network of one output.

    ``improper`` files had a result that is no list of probabilities: their figures say little.
    """

    n: int
    correct: int | None
    top1: float
    auc: float
    improper: int


def score(answers: Sequence[Answer], classes: int) -> Accuracy:
    """The figures of a whole set.

    Raises:
        WrongReply: a vector has not one value a class, or adds up to zero.
        ValueError: there is no answer, or a class has none.
    """
    labels = np.array([answer.label for answer in answers])
    if set(labels.tolist()) != set(range(classes)) or classes < 2:
        raise ValueError("every class must be present")
    sizes = {len(vector) for answer in answers for vector in answer.results}
    if sizes == {1}:
        values = np.array([np.mean(answer.results) for answer in answers])
        return Accuracy(len(answers), None, _detected(values, labels), auc(values, labels == 1), 0)
    if sizes != {classes}:
        raise WrongReply(
            f"results of {' and '.join(map(str, sorted(sizes)))} values for {classes} classes",
            "give --data the set of the model that the device runs",
        )
    shares = [np.array([_share(vector) for vector in one.results]) for one in answers]
    means = np.array([vectors.mean(axis=0) for vectors in shares])
    correct = int((np.argmax(means, axis=1) == labels).sum())
    area = (
        auc(means[:, 1], labels == 1)
        if classes == 2
        else float(np.mean([auc(means[:, c], labels == c) for c in range(classes)]))
    )
    improper = sum(not all(map(probabilities, answer.results)) for answer in answers)
    return Accuracy(len(answers), correct, 100 * correct / len(answers), area, improper)


def probabilities(vector: Sequence[float]) -> bool:
    """Whether these may be a softmax's outputs as a device prints them."""
    return min(vector) >= 0 and abs(sum(vector) - 1) <= _OFF


def auc(values: Reals, positive: npt.NDArray[np.bool_]) -> float:
    """Area under the ROC curve; ValueError when all are positive or none is."""
    ones = int(positive.sum())
    zeros = len(positive) - ones
    if not ones or not zeros:
        raise ValueError("one of the two kinds is missing")
    ranks = rankdata(values)
    return float((ranks[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def _share(vector: Sequence[float]) -> Reals:
    total = sum(vector)
    if abs(total) < 1e-9:
        raise WrongReply(
            "a result vector adds up to zero", "the firmware must print probabilities (a softmax)"
        )
    return np.array(vector) / total


def _detected(values: Reals, labels: npt.NDArray[np.int64]) -> float:
    low, high = values.min(), values.max()
    best = 0.0
    for step in range(_THRESHOLDS):
        found = values > low + step / _THRESHOLDS * (high - low)
        right = int((found & (labels == 1)).sum())
        wrong = int((found & (labels == 0)).sum())
        missed = int((~found & (labels == 1)).sum())
        precision, recall = right / (right + wrong + 1e-8), right / (right + missed + 1e-8)
        best = max(best, 100 * (precision + recall) / 2)
    return best
