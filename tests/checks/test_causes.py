# SPDX-License-Identifier: Apache-2.0
"""Data that does not fit a network, each with its cause and the share that is right without it.

The shares were measured when the networks were trained; tests/bench/test_input_cases.py has the
same ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest

from hil.checks import (
    CODES,
    Answered,
    Subject,
    find_causes,
    find_label_causes,
    right_answers,
)
from hil.runs.schema_checks import CheckFinding
from tests.support.faulty_data import faults, good, pairs, unexplained

Array: TypeAlias = npt.NDArray[Any]


@cache
def fitting(network: str) -> Subject:
    return good(network, "colour" if "colour" in network else "digits")


def found_in(network: str, x: Callable[[Array], Array], rule: str = "") -> list[CheckFinding]:
    of = fitting(network)
    return find_causes(replace(of, x=np.ascontiguousarray(x(of.x)), rule=rule), ("run",))


def as_given(x: Array) -> Array:
    return x


@pytest.mark.parametrize("network", ["digits_int8", "colour_int8"])
def test_good_data_has_no_findings(network: str) -> None:
    assert right_answers(fitting(network)).mean() > 0.96
    assert find_causes(fitting(network), ("run",)) == []


@pytest.mark.parametrize(
    ("network", "fault", "code", "how", "now", "otherwise"),
    [
        ("digits_int8", lambda x: 255 - x, "input-inverted", "inverted", 0.0, 96.2),
        ("digits_int8", lambda x: x.swapaxes(1, 2), "orientation", "transposed", 12.1, 96.2),
        ("digits_int8", lambda x: x[:, ::-1], "orientation", "upside down", 37.3, 96.2),
        ("digits_int8", lambda x: x.astype("f4"), "input-range", "from 0 to 1", 80.9, 96.2),
        ("digits_int8", lambda x: x.astype("i1"), "input-cast", "-1 is 255", 7.6, 96.2),
        ("trained_on_0_255_int8", as_given, "input-range", "from 0 to 255", 10.8, 96.2),
        ("rescaling_inside_float32", as_given, "input-range", "from 0 to 255", 7.6, 96.0),
    ],
)
def test_the_cause_is_named_with_both_shares(
    network: str,
    fault: Callable[[Array], Array],
    code: str,
    how: str,
    now: float,
    otherwise: float,
) -> None:
    first, *others = found_in(network, fault)
    assert first.code == code
    assert how in first.what
    assert f"{now:.1f}% of 397" in first.what
    assert f"{otherwise:.1f}%" in first.what
    assert (round(100 * first.right, 1), round(100 * (first.otherwise or 0), 1)) == (now, otherwise)
    assert first.p is not None
    assert first.p < 1e-6
    assert all(one.code == "input-range" for one in others)


def test_a_range_that_is_hardly_used_is_said() -> None:
    (found,) = found_in("trained_on_0_255_int8", as_given)
    assert found.advice.startswith("pass --input as-is")
    assert "the samples use 2 of 256 input codes" in found.what


@pytest.mark.parametrize("change", [1, -1])
def test_labels_shifted_by_one(change: int) -> None:
    of = fitting("digits_int8")
    (found,) = find_causes(replace(of, y=(of.y + change) % 10), ("run",))
    assert found.code == "labels-shifted"
    assert ("minus 1" if change == 1 else "plus 1") in found.what
    assert found.right < 0.01
    assert round(found.otherwise or 0, 3) == 0.962


def test_a_class_for_the_background_is_told_from_a_shift() -> None:
    (found,) = find_causes(fitting("background_class_int8"), ("run",))
    assert found.code == "labels-background"
    assert "0.3% of 397" in found.what
    assert "96.2%" in found.what


def test_labels_are_explained_from_the_answers_alone() -> None:
    y = np.arange(200) % 5
    (found,) = find_label_causes(Answered("sketch", (y + 1) % 5, y, 5), ("run",))
    assert found.code == "labels-shifted"
    assert "sketch: 0.0% of 200 samples are answered right; with every label plus 1" in found.what
    assert find_label_causes(Answered("sketch", y, y, 5), ("run",)) == []


def test_two_classes_are_swapped_rather_than_shifted() -> None:
    of = replace(good("one_sigmoid_int8", "binary"), threshold=0.5)
    assert find_causes(of, ("run",)) == []
    (found,) = find_causes(replace(of, y=1 - of.y), ("run",))
    assert found.code == "labels-shifted"
    assert "swapped (0 is 1)" in found.what


def test_permuted_labels_are_judged_on_samples_that_did_not_choose_them() -> None:
    of = fitting("digits_int8")
    order = np.array([3, 1, 2, 0, 4, 6, 5, 7, 8, 9])
    (found,) = find_causes(replace(of, y=order[of.y]), ("run",))
    assert found.code == "labels-permuted"
    assert "(0 is 3, 3 is 0, 5 is 6, 6 is 5)" in found.what
    assert found.n == 397 // 2


def test_two_causes_that_explain_it_equally_are_both_named() -> None:
    """Red and blue exchanged: in the samples, or in the labels."""
    of = fitting("colour_int8")
    found = find_causes(replace(of, x=np.ascontiguousarray(of.x[..., ::-1])), ("run",))
    assert {one.code for one in found} == {"channels", "labels-reversed"}
    assert all(one.otherwise == 1 and "equally well: " in one.what for one in found)


def test_what_no_change_explains_is_not_named() -> None:
    for of in (fitting("digits_int8"), fitting("colour_int8")):
        for fault in unexplained(of):
            assert find_causes(fault.subject, ("run",)) == [], fault.kind


def test_shuffled_labels_are_not_taken_for_a_permutation() -> None:
    of = fitting("digits_int8")
    for seed in range(20):
        y = np.random.default_rng(seed).permutation(of.y)
        assert find_causes(replace(of, y=y), ("run",)) == []


def test_the_projects_networks_on_their_data_give_no_alarm() -> None:
    names = [of.name for of in pairs("digits", "tabular", parts=3)]
    assert len(names) == len(set(names)) >= 12
    assert [of.name for of in pairs("digits", "tabular", parts=3) if find_causes(of, ("r",))] == []


def test_planted_faults_are_named() -> None:
    """All but two swapped labels, which in few classes take half of the right answers along."""
    for of in (next(pairs("digits")), fitting("digits_int8")):
        before = right_answers(of).mean()
        for fault in faults(of):
            found = find_causes(fault.subject, ("run",))
            harmless = before - right_answers(fault.subject).mean() < 0.05
            named = any(one.code in fault.codes and fault.how in one.what for one in found)
            assert named or (harmless and not found), fault.kind


def test_every_finding_is_registered() -> None:
    for fault in faults(fitting("digits_int8")):
        for one in find_causes(fault.subject, ("run",)):
            assert one.code in CODES
            assert one.page == f"docs/checks.md#{one.code}"
