# SPDX-License-Identifier: Apache-2.0
"""Whether a network's answers are right, and what is different where they are not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from hil.boards.config import Board
from hil.conform.board import Answer
from hil.conform.cases import Case
from hil.conform.expected import Expected
from hil.core.records import Precision, unpack_rows
from hil.engines import ENGINES
from hil.runs.agreement import differing, tolerance

_Bytes: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Verdict:
    """One network on one board. ``sample``: the first wrong one. ``wrong``: values that differ, of
    ``total`` values of all samples; 0 with a ``problem``, when the board gave no answers."""

    case: Case
    answer: Answer
    expected: Expected
    sample: int = 0
    wrong: int = 0
    total: int = 0

    @property
    def failed(self) -> bool:
        return bool(self.wrong or self.answer.problem)

    @property
    def words(self) -> str:
        """What is wrong."""
        if self.answer.problem:
            return self.answer.problem
        return f"{self.wrong:,} of {self.total:,} values differ"


def judge(board: Board, engine: str, case: Case, answer: Answer, expected: Expected) -> Verdict:
    """Compare as a bench does: integers byte for byte; float32 too, unless the engine or the
    board's compiler rounds a product and its sum once, or the network computes exp().

    float32 sums are added in one order by LiteRT and in another by TFLM in some operators: there
    the answers of either are right.
    """
    if answer.problem:
        return Verdict(case, answer, expected)
    graph = case.graph
    allowed, _ = tolerance(
        graph.precision,
        near=ENGINES[engine].near,
        fma=board.fma,
        exponential=graph.transcendental,
    )
    rows = np.stack([np.frombuffer(row, np.uint8) for row in answer.outputs])
    references = [expected.rows]
    if graph.precision is Precision.FLOAT32:
        references = list(expected.answers.values())
    each = [_differing(case, rows, wanted, allowed) for wanted in references]
    found = next((one for one in each if not one.any()), each[0])
    wrong = int(found.sum())
    sample = int(found.any(axis=1).argmax()) if wrong else 0
    return Verdict(case, answer, expected, sample, wrong, found.size)


def _differing(case: Case, rows: _Bytes, wanted: _Bytes, allowed: float) -> npt.NDArray[np.bool_]:
    """(samples, values of all outputs): where they differ."""
    specs = case.graph.outputs
    pairs = zip(unpack_rows(specs, rows), unpack_rows(specs, wanted), strict=True)
    return np.concatenate([differing(got, right, allowed) for got, right in pairs], axis=1)
