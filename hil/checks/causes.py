# SPDX-License-Identifier: Apache-2.0
"""Which change of samples or labels makes a network's answers right, by an exact test.

Every change is tried on the host with the first samples; those that help are tried with all. A
change counts if it adds `GAIN`, closes half of the distance to 100 %, and McNemar's exact test,
multiplied by the number of changes tried (Bonferroni), has p < `LEVEL`. Of those, the best is a
cause, and so is every other that is not worse than it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from hil import stats
from hil.checks.codes import CODES, page_of
from hil.checks.inputs import Array, Change, Floats, changes, real_values
from hil.checks.labels import in_words, renaming, shifts
from hil.core.records import DType
from hil.reference import Reference, encode_inputs, host_interpreter
from hil.runs.schema_checks import CheckFinding
from hil.stats.metrics import dequantised
from hil.tflite import Graph

Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]

SAMPLES: Final = 500  # at most
GAIN: Final = 0.05  # share of right answers that a change adds, at least
LEVEL: Final = 0.01
_FIRST: Final = 100  # samples of the first try
_LEAST: Final = 64  # samples of a large network
_WORK: Final = 300_000_000  # multiply-accumulates of one change: about a quarter of a second
_EQUAL: Final = 0.05  # p from which on two changes explain the answers equally well
_NEAR: Final = 0.02  # shares of right answers that count as equal
_MOST_VALUES: Final = 20_000_000  # of all samples


@dataclass(frozen=True, slots=True)
class Subject:
    """A network with one input and one output, and samples ``x`` with labels ``y``.

    ``name``: of the network, in texts. ``rule``: of --input. ``threshold``: the real value from
    which on a single output is class 1; None if the largest output is the class.
    """

    name: str
    file: Path
    graph: Graph
    x: Array
    y: Ints
    rule: str = ""
    threshold: float | None = None

    @property
    def classes(self) -> int:
        return 2 if self.threshold is not None else self.graph.output.elements


@dataclass(frozen=True, slots=True)
class Answered:
    """Answers ``said`` to samples with labels ``y``, of ``classes`` in all; ``name``: whose."""

    name: str
    said: Ints
    y: Ints
    classes: int

    @property
    def right(self) -> Bools:
        return np.asarray(self.said == self.y)


def samples_for(graph: Graph) -> int:
    """How many samples to try a network with, so that all changes take two seconds or less."""
    by_work = max(_LEAST, _WORK // max(1, graph.macs))
    return max(1, min(SAMPLES, by_work, _MOST_VALUES // graph.input.elements))


@dataclass(frozen=True, slots=True)
class _Tried:
    """A change that was tried: whether each answer is right then. ``half``: of every second sample,
    since the others chose the change."""

    code: str
    how: str
    advice: str
    right: Bools
    half: bool = False

    def of(self, answers: Bools) -> Bools:
        """The answers to its samples."""
        return answers[1::2] if self.half else answers

    @property
    def share(self) -> float:
        return float(self.right.mean())


def find_causes(of: Subject, runs: tuple[str, ...]) -> list[CheckFinding]:
    """What explains wrong answers, best first; empty if nothing does, or if they are right.

    Raises DataError or ModelError if the host cannot run the network on the samples.
    """
    host = host_interpreter(of.file)
    now = encode_inputs(of.x, of.graph.input)
    said = _classes(of, host, now)
    right = said == of.y
    if right.mean() > 1 - GAIN:
        return []
    count, tried = _inputs(of, host, now, right)
    return _explained(Answered(of.name, said, of.y, of.classes), runs, count, tried)


def find_label_causes(of: Answered, runs: tuple[str, ...]) -> list[CheckFinding]:
    """The same from the answers alone, without a network that could be given other samples."""
    if of.right.mean() > 1 - GAIN or max(of.said.max(), of.y.max()) >= of.classes:
        return []
    if len(np.unique(of.y)) < 2:  # one sample, over and over
        return []
    return _explained(of, runs, 0, [])


def _explained(
    of: Answered, runs: tuple[str, ...], count: int, tried: Sequence[_Tried]
) -> list[CheckFinding]:
    """The changes that explain the answers: of the samples, which were ``tried``, or of labels."""
    every = [*tried]
    for code, how, labels in shifts(of.y, of.classes):
        count += 1
        every.append(_Tried(code, how, "", of.said == labels))
    count += 1
    good = [one for one in every if _helps(one, of.right, count)]
    if not any(one.code.startswith("labels") for one in good):  # a shift renames labels, too
        found = _renamed(of.said, of.y, of.classes)
        good += [found] if found and _helps(found, of.right, count) else []
    good.sort(key=lambda one: -one.share)
    causes = [one for one in good if _as_good(one, good[0])]
    texts = [_words(one) for one in causes]
    return [
        _finding(of, one, count, runs, [text for text in texts if text != _words(one)])
        for one in causes
    ]


def right_answers(of: Subject) -> Bools:
    """(n,) whether the host answers each sample right; raises as `find_causes`."""
    return np.asarray(
        _classes(of, host_interpreter(of.file), encode_inputs(of.x, of.graph.input)) == of.y
    )


def _classes(of: Subject, host: Reference, values: Array) -> Ints:
    found = host.predict(values)
    if of.threshold is None:
        return np.asarray(found.argmax(axis=1), np.int64)
    output = of.graph.output
    real = dequantised(found[:, :1], output.scale or 1.0, output.zero_point)[:, 0]
    return np.asarray(real >= of.threshold, np.int64)


def _inputs(of: Subject, host: Reference, now: Array, right: Bools) -> tuple[int, list[_Tried]]:
    """The number of changes of the samples, and the results of those worth more than a glance."""
    spec, seen = of.graph.input, [now]
    if spec.dtype not in (DType.FLOAT32, DType.INT8, DType.UINT8, DType.INT16):
        return 0, []
    tried: list[_Tried] = []
    real = _reals(of.x, of)
    for change in changes(of.x, real, of.rule, spec.shape):
        values = encode_inputs(change.x, spec)
        if any(np.array_equal(values, one) for one in seen):
            continue
        seen.append(values)
        first = _classes(of, host, values[:_FIRST]) == of.y[:_FIRST]
        if first.mean() <= right[:_FIRST].mean():
            continue
        rest = _classes(of, host, values[_FIRST:]) == of.y[_FIRST:] if len(of.y) > _FIRST else []
        every = np.concatenate([first, np.asarray(rest, np.bool_)])
        tried.append(_Tried(change.code, change.how, _advice(change, now), every))
    return len(seen) - 1, tried


def _reals(x: Array, of: Subject) -> Floats:
    """The real numbers that the network gets for ``x``."""
    spec = of.graph.input
    if x.dtype == spec.dtype.numpy and spec.dtype is not DType.FLOAT32:
        return dequantised(x, spec.scale or 1.0, spec.zero_point).astype(np.float32)
    return real_values(x)


def _advice(change: Change, now: Array) -> str:
    """What to do; for other values of a quantised input, with what these use of its range."""
    advice = change.advice or CODES[change.code].advice
    if change.code != "input-range" or now.dtype.kind not in "iu":
        return advice
    limits = np.iinfo(now.dtype.name)
    at_limit = float(np.mean((now == limits.min) | (now == limits.max)))
    used = len(np.unique(now))
    return (
        f"{advice}; now the samples use {used:,} of {limits.max - limits.min + 1:,} input codes, "
        f"{at_limit:.1%} of the values at a limit of the range"
    )


def _renamed(said: Ints, y: Ints, classes: int) -> _Tried | None:
    """Labels renamed as one half of the samples suggests, tried on the other half."""
    if len(y) < 4 or classes < 2:
        return None
    new = renaming(said[::2], y[::2], classes)
    if np.array_equal(new[y], y):
        return None
    right = said[1::2] == new[y[1::2]]
    return _Tried("labels-permuted", in_words(new, y), "", right, half=True)


def _helps(one: _Tried, right: Bools, count: int) -> bool:
    now = float(one.of(right).mean())
    gained = one.share - now
    closes = one.share >= (1 + now) / 2
    return gained >= GAIN and closes and _p(one, right) * count < LEVEL


def _p(one: _Tried, right: Bools) -> float:
    return stats.mcnemar(one.right, one.of(right)).p


def _as_good(one: _Tried, best: _Tried) -> bool:
    """Whether ``one`` explains the answers as well as the best change, on the samples of both."""
    if one is best or best.share - one.share <= _NEAR:
        return True
    half = best.half or one.half
    first, second = (x.right[1::2] if half and not x.half else x.right for x in (best, one))
    return stats.mcnemar(first, second).p >= _EQUAL


def _words(one: _Tried) -> str:
    return CODES[one.code].what.format(how=one.how)


def _finding(
    of: Answered,
    one: _Tried,
    count: int,
    runs: tuple[str, ...],
    others: Sequence[str],
) -> CheckFinding:
    right = of.right
    now, n = float(one.of(right).mean()), len(one.right)
    also = f" (equally well: {' or '.join(others)})" if others else ""
    return CheckFinding(
        code=one.code,
        severity=CODES[one.code].severity,
        runs=runs,
        what=f"{of.name}: {now:.1%} of {n:,} samples are answered right; {_words(one)}, "
        f"{one.share:.1%}{also}",
        advice=one.advice or CODES[one.code].advice,
        page=page_of(one.code),
        n=n,
        right=now,
        otherwise=one.share,
        p=min(1.0, _p(one, right) * count),
        hypotheses=count,
    )
