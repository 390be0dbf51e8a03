# SPDX-License-Identifier: Apache-2.0
"""Answers that do not depend on the samples, outputs at their limit, and answers to other samples
than the last one."""

from __future__ import annotations

from typing import Final

import numpy as np

from hil import stats
from hil.checks.codes import CODES, page_of
from hil.checks.subject import Answered, Ints
from hil.runs.schema_checks import CheckFinding
from hil.runs.task import class_name

FEW: Final = 30  # fewer answers tell nothing
_MOST: Final = 0.9  # share of one answer, from which on it counts as constant
_TIED: Final = 0.1  # share of answers in which several outputs are at the limit
_LEVEL: Final = 0.01  # of the test that answers depend on the labels
_ABOVE: Final = 0.15  # share above chance that has to be ruled out
_LATE: Final = 3  # answers by which a device may be late
_EXPLAINED: Final = "correct what the check before this one names"
_SAME: Final = 0.9  # share of equal answers, from which on they are the same


def of_answers(of: Answered, runs: tuple[str, ...], *, explained: bool) -> list[CheckFinding]:
    """Findings about answers. ``explained``: a cause was found, so that answers at chance level
    need no words; a constant answer is said anyway."""
    if len(of.y) < FEW or len(np.unique(of.y)) < 2:
        return []
    found = []
    independent = _chance(of.said, of.y)
    if independent is not None:
        most = int(np.bincount(of.said).argmax())
        share = float(np.mean(of.said == most))
        if share >= _MOST:
            name = class_name(of.names, most)
            words = {"share": f"{share:.1%}", "name": name}
            advice = _EXPLAINED if explained else ""
            found.append(_finding(of, runs, "answers-constant", advice, **words))
        elif not explained and _no_better(of, independent):
            found.append(_finding(of, runs, "answers-chance", expected=f"{independent:.1%}"))
    tied = _saturated(of)
    if tied >= _TIED:
        found.append(_finding(of, runs, "outputs-saturated", share=f"{tied:.1%}"))
    return found


def constant_labels(of: Answered) -> list[CheckFinding]:
    """A finding if all labels are the same, and hardly an answer is."""
    if len(of.y) < FEW or len(np.unique(of.y)) > 1 or of.right.mean() >= 1 - _MOST:
        return []
    return [_finding(of, (), "labels-constant", name=class_name(of.names, int(of.y[0])))]


def late_answers(of: Answered, host: Ints, runs: tuple[str, ...]) -> list[CheckFinding]:
    """A finding if the device's answers are the ``host``'s to samples before or after theirs."""
    if len(of.said) < FEW or float(np.mean(of.said == host)) >= _SAME:
        return []
    for steps in range(1, _LATE + 1):
        for how, said, meant in (
            (_before(steps), of.said[steps:], host[:-steps]),
            (_after(steps), of.said[:-steps], host[steps:]),
        ):
            share = float(np.mean(said == meant))
            if share >= _SAME and len(np.unique(host)) > 1:
                found = _finding(of, runs, "answers-late", share=f"{share:.1%}", how=how)
                return [found]
    return []


def _before(steps: int) -> str:
    return "to the sample before" if steps == 1 else f"to the sample {steps} before"


def _after(steps: int) -> str:
    return "to the next sample" if steps == 1 else f"to the sample {steps} after"


def _chance(said: Ints, y: Ints) -> float | None:
    """The share that answers like these would get right if they were independent of the labels;
    None if they get more right.

    The share is Cohen's expected agreement, so that a rare class is no reason for an alarm.
    """
    from scipy.stats import binomtest

    most = int(max(said.max(), y.max())) + 1
    shares = (np.bincount(values, minlength=most) / len(y) for values in (said, y))
    expected = min(1.0, float(np.dot(*shares)))
    right = int((said == y).sum())
    test = binomtest(right, len(y), expected, alternative="greater")
    return None if test.pvalue < _LEVEL else expected


def _no_better(of: Answered, chance: float) -> bool:
    """Whether there are enough answers to say that they are hardly better than ``chance``."""
    found = stats.proportion(int(of.right.sum()), len(of.y))
    return found.high < chance + _ABOVE


def _saturated(of: Answered) -> float:
    """The share of answers in which several quantised outputs are at their upper limit."""
    if of.outputs is None or of.outputs.dtype.kind not in "iu" or of.outputs.shape[1] < 2:
        return 0.0
    top = np.iinfo(of.outputs.dtype.name).max
    return float(np.mean((of.outputs == top).sum(axis=1) > 1))


def _finding(
    of: Answered, runs: tuple[str, ...], code: str, advice: str = "", **fields: str
) -> CheckFinding:
    right = float(of.right.mean())
    words = CODES[code].what.format(**fields)
    return CheckFinding(
        code=code,
        severity=CODES[code].severity,
        runs=runs,
        what=f"{of.name}: {words}; {right:.1%} of {len(of.y):,} answers are right",
        advice=advice or CODES[code].advice,
        page=page_of(code),
        n=len(of.y),
        right=right,
    )
