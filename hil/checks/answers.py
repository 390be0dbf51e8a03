# SPDX-License-Identifier: Apache-2.0
"""Answers that do not depend on the samples, and outputs at their limit."""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from hil.checks.codes import CODES, page_of
from hil.core.records import DType
from hil.runs.cells import Cell
from hil.runs.schema_checks import CheckFinding

Ints: TypeAlias = npt.NDArray[np.int64]

FEW: Final = 30  # fewer answers tell nothing
_MOST: Final = 0.9  # share of one answer, from which on it counts as constant
_TIED: Final = 0.1  # share of answers in which several outputs are at the limit
_LEVEL: Final = 0.01  # of the test that answers depend on the labels


def of_answers(cell: Cell, *, explained: bool) -> list[CheckFinding]:
    """Findings about the device's answers. ``explained``: a cause was found, so that answers at
    chance level need no words; a constant answer is said anyway."""
    if cell.labels is None or cell.right is None or cell.n < FEW:
        return []
    found = []
    independent = _chance(cell.answers, cell.labels)
    if independent is not None:
        most = int(np.bincount(cell.answers).argmax())
        share = float(np.mean(cell.answers == most))
        if share >= _MOST:
            name = cell.class_name(most)
            found.append(_finding(cell, "answers-constant", share=f"{share:.1%}", name=name))
        elif not explained:
            found.append(_finding(cell, "answers-chance", expected=f"{independent:.1%}"))
    tied = _saturated(cell)
    if tied >= _TIED:
        found.append(_finding(cell, "outputs-saturated", share=f"{tied:.1%}"))
    return found


def _chance(said: Ints, y: Ints) -> float | None:
    """The share that answers like these would get right if they were independent of the labels;
    None if they get more right, or if there is only one label.

    The share is Cohen's expected agreement, so that a rare class is no reason for an alarm.
    """
    if len(np.unique(y)) < 2:
        return None
    most = int(max(said.max(), y.max())) + 1
    shares = (np.bincount(values, minlength=most) / len(y) for values in (said, y))
    expected = min(1.0, float(np.dot(*shares)))
    right = int((said == y).sum())
    test = binomtest(right, len(y), expected, alternative="greater")
    return None if test.pvalue < _LEVEL else expected


def _saturated(cell: Cell) -> float:
    """The share of answers in which several quantised outputs are at their upper limit."""
    if cell.device is None or cell.plan.output.dtype == DType.FLOAT32 or cell.device.shape[1] < 2:
        return 0.0
    if cell.device.dtype.kind not in "iu":
        return 0.0
    top = np.iinfo(cell.device.dtype.name).max
    return float(np.mean((cell.device == top).sum(axis=1) > 1))


def _finding(cell: Cell, code: str, **fields: str) -> CheckFinding:
    assert cell.right is not None
    right = float(cell.right.mean())
    words = CODES[code].what.format(**fields)
    return CheckFinding(
        code=code,
        severity=CODES[code].severity,
        runs=(cell.plan.key,),
        what=f"{cell.name}: {words}; {right:.1%} of {cell.n:,} answers are right",
        advice=CODES[code].advice,
        page=page_of(code),
        n=cell.n,
        right=right,
    )
