# SPDX-License-Identifier: Apache-2.0
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

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from hil.core.errors import WrongReply
from hil.mlperf.dut import Dut, Inference

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


WINDOWS: Final = 5
SHORTEST_S: Final = 10.0
WARMUPS: Final = 10
_AIM_S: Final = 10.5  # of a window, so that jitter does not make it too short
_TRIAL_S: Final = 1.0  # long enough for a clock of milliseconds
_ROUNDS: Final = 3  # of five windows, should one come out too short
_MOST: Final = 2**31 - 1  # devices read the count with atoi()
_SLACK: Final = 0.05  # two clocks, one of them perhaps an RC oscillator
_SLACK_S: Final = 0.5  # of a USB adapter and of this machine


@dataclass(frozen=True, slots=True)
class Window:
    """``iterations`` inferences in ``us`` of the device's clock; ``rate``: inferences/s."""

    iterations: int
    warmups: int
    inference: Inference

    @property
    def us(self) -> int:
        return self.inference.us

    @property
    def rate(self) -> float:
        return self.iterations / (self.us / 1e6)

    @property
    def long_enough(self) -> bool:
        return self.us >= SHORTEST_S * 1e6


@dataclass(frozen=True, slots=True)
class Performance:
    """``median``: inferences a second. ``valid``: five windows, each of 10 s or more."""

    windows: tuple[Window, ...]

    @property
    def median(self) -> float:
        return statistics.median(window.rate for window in self.windows)

    @property
    def valid(self) -> bool:
        return len(self.windows) == WINDOWS and all(one.long_enough for one in self.windows)


def measure(
    dut: Dut,
    samples: Sequence[bytes],
    done: Callable[[int, Window], None] = lambda _number, _window: None,
) -> Performance:
    """Five windows, window i with sample i (modulo their number), after a trial that finds how
    many inferences fill one. ``done`` is told of each.

    Windows that come out shorter than 10 s are all taken again with more inferences; when that
    does not help either the last five are returned, not valid.

    Raises:
        WrongReply: the device's clock stands still, or does not fit the host's.
        DeviceError: as `Dut.run`.
    """
    iterations = _fitting(dut, samples[0])
    found = Performance(())
    for _ in range(_ROUNDS):
        windows = []
        for number in range(WINDOWS):
            seconds = _AIM_S * (1 + WARMUPS / iterations) * 2
            seen = dut.run(samples[number % len(samples)], iterations, WARMUPS, seconds)
            _check(seen)
            windows.append(Window(iterations, WARMUPS, seen))
            done(number, windows[-1])
        found = Performance(tuple(windows))
        if found.valid:
            break
        iterations = _scaled(iterations, min(window.us for window in windows), _AIM_S)
    return found


def _fitting(dut: Dut, sample: bytes) -> int:
    """How many inferences take `_AIM_S`."""
    iterations, seconds = 1, 0.0
    while True:
        seen = dut.run(sample, iterations, 1, seconds)
        _check(seen)
        if seen.us >= _TRIAL_S * 1e6 or iterations == _MOST:
            break
        if not seen.us and seen.whole > 10 * _TRIAL_S:
            raise WrongReply(
                f"the device's clock did not move in {iterations:,} inferences", "mend m-lap-us"
            )
        # at most tenfold, for a short trial says little
        iterations = min(10 * iterations, _scaled(iterations, seen.us, 1.5 * _TRIAL_S))
        seconds = 20 * _TRIAL_S
    return _scaled(iterations, seen.us, _AIM_S)


def _scaled(iterations: int, us: int, seconds: float) -> int:
    """How many inferences take ``seconds``, where ``iterations`` took ``us``; more than those."""
    wanted = math.ceil(iterations * seconds * 1e6 / us) if us else 10 * iterations
    return min(_MOST, wanted)


def _check(seen: Inference) -> None:
    """WrongReply when the device's time cannot be."""
    said = seen.us / 1e6
    if said > seen.whole * (1 + _SLACK) + _SLACK_S:
        problem = f"took {said:.1f} s by the device's clock and at most {seen.whole:.1f} s by ours"
    elif seen.gap > said * (1 + _SLACK) + _SLACK_S:
        problem = f"took {said:.1f} s by the device's clock and at least {seen.gap:.1f} s by ours"
    else:
        return
    raise WrongReply(f"a window {problem}", "set right the clock behind m-lap-us")
