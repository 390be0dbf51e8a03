# SPDX-License-Identifier: Apache-2.0
"""Answers that do not depend on the samples, and outputs that several classes share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from hil.checks import Answered, late_answers, of_answers
from hil.checks.answers import constant_labels

N = 400
RNG = np.random.default_rng(0)


def answered(said: npt.ArrayLike, y: npt.ArrayLike, top: int = 100) -> Answered:
    """A run of two int8 outputs whose answers are ``said``; ``top``: of the larger output."""
    classes = np.asarray(said)
    outputs = np.full((len(classes), 2), -100, np.int8)
    outputs[np.arange(len(classes)), classes] = top
    return Answered("student", classes, np.asarray(y, np.int64), 2, outputs=outputs)


def codes(of: Answered, *, explained: bool = False) -> list[str]:
    return [one.code for one in of_answers(of, ("run",), explained=explained)]


Y = RNG.integers(0, 2, N)


def test_right_answers_have_no_finding() -> None:
    assert codes(answered(Y, Y)) == []


def test_a_constant_answer_is_said_even_if_a_cause_is_known() -> None:
    for explained in (True, False):
        of = answered(np.ones(N, np.int64), Y)
        (found,) = of_answers(of, ("run",), explained=explained)
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


def test_one_label_that_is_never_the_answer_is_said() -> None:
    (found,) = constant_labels(answered(np.ones(N, np.int64), np.zeros(N)))
    assert found.code == "labels-constant"
    assert found.what == "student: every label is 0; 0.0% of 400 answers are right"
    assert constant_labels(answered(Y, np.zeros(N))) == []


def test_few_answers_of_a_weak_network_are_not_called_chance() -> None:
    """64 samples, of which 62 % are right: too few to tell it from 50 %."""
    y = np.arange(64) % 2
    said = np.where(np.arange(64) < 40, y, 1 - y)
    assert codes(answered(said, y)) == []


def test_answers_of_the_sample_before_are_said() -> None:
    host = RNG.integers(0, 2, N)
    for steps, how in ((1, "the sample before"), (2, "2 before"), (-1, "the next sample")):
        (found,) = late_answers(answered(np.roll(host, steps), host), host, ("run",))
        assert found.code == "answers-late"
        assert how in found.what
    assert late_answers(answered(host, host), host, ("run",)) == []
    assert late_answers(answered(RNG.permutation(host), host), host, ("run",)) == []


def test_outputs_at_the_same_limit_are_saturated() -> None:
    of = answered(Y, Y, top=127)
    assert codes(of) == []
    assert of.outputs is not None
    of.outputs[: N // 4] = 127
    assert "outputs-saturated" in codes(of)
