# SPDX-License-Identifier: Apache-2.0
"""Answers that do not depend on the samples, and outputs that several classes share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from hil.checks import of_answers
from hil.runs.cells import Cell
from tests.support.runs import plan

N = 400
RNG = np.random.default_rng(0)


def answered(said: npt.ArrayLike, y: npt.ArrayLike, top: int = 100) -> Cell:
    """A run of two int8 outputs whose answers are ``said``; ``top``: of the larger output."""
    classes = np.asarray(said)
    device = np.full((len(classes), 2), -100, np.int8)
    device[np.arange(len(classes)), classes] = top
    return Cell(
        plan=plan(),
        end=None,
        name="student",
        board_name="student",
        asked=len(classes),
        ids=tuple(map(str, range(len(classes)))),
        labels=np.asarray(y, np.int64),
        device=device,
        litert=None,
        oracle=None,
        times=np.zeros(0, np.int64),
        repeats=0,
    )


def codes(cell: Cell, *, explained: bool = False) -> list[str]:
    return [one.code for one in of_answers(cell, explained=explained)]


Y = RNG.integers(0, 2, N)


def test_right_answers_have_no_finding() -> None:
    assert codes(answered(Y, Y)) == []


def test_a_constant_answer_is_said_even_if_a_cause_is_known() -> None:
    for explained in (True, False):
        (found,) = of_answers(answered(np.ones(N, np.int64), Y), explained=explained)
        assert found.code == "answers-constant"
        assert found.what.startswith("student: 100.0% of the answers are class 1")


def test_chance_is_said_unless_a_cause_is_known() -> None:
    cell = answered(np.random.default_rng(3).permutation(Y), Y)
    assert codes(cell) == ["answers-chance"]
    assert codes(cell, explained=True) == []


@pytest.mark.parametrize("rare", [0.02, 0.05, 0.1])
def test_a_rare_class_that_is_found_is_not_a_constant_answer(rare: float) -> None:
    y = (np.arange(N) < rare * N).astype(np.int64)
    said = y * (np.arange(N) % 4 != 0)  # three quarters of the rare ones
    assert said.mean() < 0.1
    assert codes(answered(said, y)) == []


def test_few_samples_or_one_label_say_nothing() -> None:
    assert codes(answered(np.zeros(29, np.int64), Y[:29])) == []
    assert codes(answered(np.zeros(N, np.int64), np.zeros(N))) == []


def test_outputs_at_the_same_limit_are_saturated() -> None:
    cell = answered(Y, Y, top=127)
    assert codes(cell) == []
    assert cell.device is not None
    cell.device[: N // 4] = 127
    assert "outputs-saturated" in codes(cell)
