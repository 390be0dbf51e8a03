# SPDX-License-Identifier: Apache-2.0
"""What the sentences say, and that they can say otherwise; against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from hil_train.card import Right, spread, verdict


def right(share: float, n: int = 1000, seed: int = 0) -> Right:
    found = np.zeros(n, np.bool_)
    found[: round(share * n)] = True
    return np.asarray(np.random.RandomState(seed).permutation(found))


def test_nothing_learnt_is_said() -> None:
    found = verdict(
        {"teacher": right(0.52, 200), "student": right(0.49, 200, 1), "alone": right(0.5, 200, 2)},
        classes=2,
        majority=0.51,
        control=True,
    )
    assert found.chance == 0.51
    assert found.beats_chance == {"teacher": False, "student": False, "alone": False}
    text = " ".join(found.sentences)
    assert "The teacher (0.5200, 95 % 0.4510 to 0.5882) does not beat chance (0.5100)." in text
    assert "neither teacher nor student beats chance, distillation has nothing to transfer" in text
    assert "labels are independent" in text
    assert "cannot be told apart" in text


def test_a_control_that_learns_is_suspected() -> None:
    found = verdict({"teacher": right(0.9), "student": right(0.5)}, classes=2, majority=0.5,
                    control=True)  # fmt: skip
    assert found.beats_chance == {"teacher": True, "student": False}
    assert "and yet teacher beat chance" in found.sentences[-1]
    assert (found.gain, found.p) == (None, None)


def test_always_saying_the_frequent_class_beats_nothing() -> None:
    """80 % of one class: 0.8 is what a guess reaches, far above 1 / classes."""
    found = verdict({"teacher": right(0.81), "student": right(0.9)}, classes=2, majority=0.8)
    assert found.chance == 0.8
    assert found.beats_chance == {"teacher": False, "student": True}


@pytest.mark.parametrize(("better", "words"), [(True, "right more often"), (False, "LESS often")])
def test_a_gain_and_a_loss_are_told_from_chance(better: bool, words: str) -> None:
    alone = right(0.9)
    student = alone.copy()
    student[np.flatnonzero(alone != better)[:30]] = better
    found = verdict({"teacher": right(0.95), "student": student, "alone": alone},
                    classes=10, majority=0.1)  # fmt: skip
    assert any(words in line for line in found.sentences)
    assert found.gain is not None
    low, high = found.gain[1:]
    assert found.gain[0] == pytest.approx(0.03 if better else -0.03)
    assert (low > 0) is better
    assert (high < 0) is not better
    assert found.p == pytest.approx(float(scipy_stats.binomtest(30, 30, 0.5).pvalue))


def test_a_small_difference_is_no_gain() -> None:
    alone = right(0.9)
    student = alone.copy()
    student[np.flatnonzero(~alone)[:4]] = True  # 4 against 0: p = 0.125
    found = verdict({"student": student, "alone": alone}, classes=10, majority=0.1)
    assert "cannot be told apart" in " ".join(found.sentences)
    assert found.p == pytest.approx(0.125)


def test_seeds_are_compared_in_pairs() -> None:
    students, alone = [0.988, 0.9871, 0.9879], [0.981, 0.9823, 0.9828]
    gains = [a - b for a, b in zip(students, alone, strict=True)]
    over = spread(gains)
    expected = scipy_stats.ttest_rel(students, alone)
    assert over is not None
    assert over.p == pytest.approx(float(expected.pvalue))
    interval = expected.confidence_interval(0.95)
    assert (over.low, over.high) == pytest.approx((float(interval.low), float(interval.high)))
    found = verdict({"student": right(0.9), "alone": right(0.9)}, classes=2, majority=0.5,
                    gains=gains)  # fmt: skip
    assert "Over 3 seeds the teacher is worth +0.56 points" in " ".join(found.sentences)
    assert spread([0.5]) is None
    same = spread([0.5, 0.5])
    assert same is not None
    assert (same.low, same.high) == (0.5, 0.5)


def test_a_dead_student_alone_is_no_proof_of_a_gain() -> None:
    found = verdict({"teacher": right(0.7), "student": right(0.4), "alone": right(0.1)},
                    classes=10, majority=0.1)  # fmt: skip
    assert "its training failed" in found.sentences[-1]


def test_a_gain_from_a_teacher_that_knows_nothing_is_not_its_knowledge() -> None:
    found = verdict({"teacher": right(0.1), "student": right(0.4), "alone": right(0.3)},
                    classes=10, majority=0.1)  # fmt: skip
    assert "the gain is not its knowledge" in found.sentences[-1]
