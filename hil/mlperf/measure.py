# SPDX-License-Identifier: Apache-2.0
"""The figures of a session: accuracy of a whole set (`score`), inferences per second (`measure`).

Accuracy is computed as MLCommons' runner does (benchmark/runner/main.py). Each result vector is
divided by its sum; a file with several (anomaly detection sends it in segments) counts by their
mean. The AUC is the macro average over the classes, each against the rest; of two classes, it is
that of the second. A network with one output (anomaly detection) is scored by its value: its
"accuracy" is the best mean of precision and recall over a hundred thresholds, in percent.

Performance is the median of five windows of at least 10 s by the device's clock, which is checked
against the host's.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hil.core.errors import WrongReply
from hil.mlperf.dut import Dut, Inference

Reals = npt.NDArray[np.float64]
_OFF: Final = 0.1  # how far printed probabilities may be off a sum of 1: 1,000 classes, 3 decimals
_THRESHOLDS: Final = 100
WINDOWS: Final = 5
SHORTEST_S: Final = 10.0
WARMUPS: Final = 10
AIM_S: Final = 10.5  # length of a window, so that jitter does not make it too short
_TRIAL_S: Final = 1.0  # long enough for a clock of milliseconds
ROUNDS: Final = 3  # attempts at five windows that are long enough
_MOST: Final = 2**31 - 1  # devices read the count with atoi()
SLACK: Final = 0.05  # between two clocks, one of which may be an RC oscillator
SLACK_S: Final = 0.5  # delays of a USB adapter and of this machine


@dataclass(frozen=True, slots=True)
class FileResults:
    """The device's results for one file: a vector for each of its segments."""

    file: str
    label: int
    results: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Accuracy:
    """``top1`` in percent; ``correct`` of ``n`` files, None for a network with one output.

    ``improper`` files had a result that is not a list of probabilities, so that the figures mean
    little.
    """

    n: int
    correct: int | None
    top1: float
    auc: float
    improper: int


def score(answers: Sequence[FileResults], classes: int) -> Accuracy:
    """The accuracy of a whole set.

    Raises:
        WrongReply: a vector does not have one value per class, or its sum is zero.
        ValueError: a class has no file.
    """
    labels = np.array([answer.label for answer in answers])
    if set(labels.tolist()) != set(range(classes)) or classes < 2:
        raise ValueError("every class must be present")
    sizes = {len(vector) for answer in answers for vector in answer.results}
    if sizes == {1}:
        values = np.array([np.mean(answer.results) for answer in answers])
        return Accuracy(len(answers), None, _detected(values, labels), _auc(labels == 1, values), 0)
    if sizes != {classes}:
        raise WrongReply(
            f"results of {' and '.join(map(str, sorted(sizes)))} values for {classes} classes",
            "pass the data set of the device's model as --data",
        )
    shares = [np.array([_share(vector) for vector in one.results]) for one in answers]
    means = np.array([vectors.mean(axis=0) for vectors in shares])
    correct = int((np.argmax(means, axis=1) == labels).sum())
    area = (
        _auc(labels == 1, means[:, 1])
        if classes == 2
        else float(np.mean([_auc(labels == c, means[:, c]) for c in range(classes)]))
    )
    improper = sum(not all(map(probabilities, answer.results)) for answer in answers)
    return Accuracy(len(answers), correct, 100 * correct / len(answers), area, improper)


def probabilities(vector: Sequence[float]) -> bool:
    """Whether these can be a softmax's outputs as a device prints them."""
    return min(vector) >= 0 and abs(sum(vector) - 1) <= _OFF


def _auc(positive: npt.NDArray[np.bool_], values: Reals) -> float:
    """Area under the ROC curve."""
    from sklearn.metrics import roc_auc_score  # takes half a second to import

    return float(roc_auc_score(positive, values))


def _share(vector: Sequence[float]) -> Reals:
    total = sum(vector)
    if abs(total) < 1e-9:
        raise WrongReply(
            "the sum of a result vector is zero",
            "the firmware must print probabilities (a softmax)",
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
    """``median``: inferences per second. ``valid``: five windows, each of at least 10 s."""

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
    """Five windows, window i with sample i (modulo their number); ``done`` is called for each.

    A trial finds out how many inferences fill a window. If a window is shorter than 10 s, all five
    are repeated with more inferences; after three attempts the last five are returned, not valid.

    Raises:
        WrongReply: the device's clock stands still, or disagrees with the host's.
        DeviceError: as `Dut.run`.
    """
    iterations = fitting(dut, samples[0])
    found = Performance(())
    for _ in range(ROUNDS):
        windows = []
        for number in range(WINDOWS):
            seconds = AIM_S * (1 + WARMUPS / iterations) * 2
            seen = dut.run(samples[number % len(samples)], iterations, WARMUPS, seconds)
            check_time(seen)
            windows.append(Window(iterations, WARMUPS, seen))
            done(number, windows[-1])
        found = Performance(tuple(windows))
        if found.valid:
            break
        iterations = scaled(iterations, min(window.us for window in windows), AIM_S)
    return found


def check_time(seen: Inference) -> None:
    """WrongReply when the device's time contradicts the host's, or it sends none."""
    if seen.by_pin:
        raise WrongReply(
            "the device marks times on a pin: its firmware is for energy mode",
            "run --mode energy, or flash firmware for performance mode",
        )
    said = seen.us / 1e6
    if said > seen.whole * (1 + SLACK) + SLACK_S:
        problem = f"took {said:.1f} s by the device's clock but at most {seen.whole:.1f} s by ours"
    elif seen.gap > said * (1 + SLACK) + SLACK_S:
        problem = f"took {said:.1f} s by the device's clock but at least {seen.gap:.1f} s by ours"
    else:
        return
    raise WrongReply(f"a window {problem}", "fix the clock behind `m-lap-us`")


def fitting(
    dut: Dut,
    sample: bytes,
    check: Callable[[Inference], None] = check_time,
    *,
    emulated: bool = False,
) -> int:
    """How many inferences take `AIM_S`; ``check`` judges the time of each trial. ``emulated``: by
    the host's clock."""
    iterations, seconds = 1, 0.0
    while True:
        seen = dut.run(sample, iterations, 1, seconds)
        check(seen)
        seen = seen.by_host() if emulated else seen
        if seen.us >= _TRIAL_S * 1e6 or iterations == _MOST:
            break
        if not seen.us and seen.whole > 10 * _TRIAL_S:
            raise WrongReply(
                f"the device's clock stood still for {iterations:,} inferences", "fix `m-lap-us`"
            )
        # at most tenfold, because a short trial is inaccurate
        iterations = min(10 * iterations, scaled(iterations, seen.us, 1.5 * _TRIAL_S))
        seconds = 20 * _TRIAL_S
    return scaled(iterations, seen.us, AIM_S)


def scaled(iterations: int, us: int, seconds: float) -> int:
    """How many inferences take ``seconds`` when ``iterations`` took ``us``."""
    wanted = math.ceil(iterations * seconds * 1e6 / us) if us else 10 * iterations
    return min(_MOST, wanted)
