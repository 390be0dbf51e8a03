# SPDX-License-Identifier: Apache-2.0
"""Runs that measured different things are refused with the name of the field, unless allowed."""

from __future__ import annotations

import msgspec
import pytest

from hil.compare import compare_stored
from hil.compare.compare import FIELDS, check_fields
from hil.core.errors import NotComparable, UsageError
from hil.runs.load import StoredRun
from hil.runs.schema import Clock, Tensor
from tests.support import reports
from tests.support.compared import run, with_manifest

PLAN = reports.plan()
FLOAT = reports.plan(precision="float32")


def planned(**changes: object) -> StoredRun:
    return run(msgspec.structs.replace(PLAN, **changes))


def dataset(**changes: object) -> StoredRun:
    stored = run()
    return with_manifest(
        stored, dataset=msgspec.structs.replace(stored.manifest.dataset, **changes)
    )


OTHERS = [
    (dataset(name="digits"), "dataset", "mnist/test and digits/test"),
    (dataset(fingerprint="00" * 32), "dataset", "mnist with other content"),
    (run(n=100), "samples", "200 and 100"),
    (planned(key="rv32/aot/student/int8", board="rv32"), "board", "mps2 and rv32"),
    (run(FLOAT), "precision", "int8 and float32"),
    (run(reports.plan("teacher")), "model", "student and teacher"),
    (planned(emulated=False), "board", "emulated and real"),
    (
        planned(clock=Clock(unit="instructions", detail="-icount shift=9")),
        "clock",
        "shift=6) and instructions (-icount shift=9)",
    ),
    (planned(tolerance=0.5), "tolerance", "0 and 0.5"),
    (
        run(reports.plan(classes=7)),
        "outputs",
        "(1, 10) and (1, 7)",
    ),
]


@pytest.mark.parametrize(("other", "field", "says"), OTHERS)
def test_a_difference_is_refused_by_name(other: StoredRun, field: str, says: str) -> None:
    with pytest.raises(NotComparable) as caught:
        compare_stored(run(), other)
    said = str(caught.value)
    assert f"{field} " in said
    assert says in said
    assert said.endswith(f"to compare them anyway: --allow {field}")
    assert "\n" not in said


@pytest.mark.parametrize(("other", "field", "says"), OTHERS)
def test_a_difference_may_be_allowed(other: StoredRun, field: str, says: str) -> None:  # noqa: ARG001
    found = compare_stored(run(), other, allow=(field,))
    assert found.allowed == (field,)
    assert len(found.runs) == 1


def test_an_incomplete_base_is_refused() -> None:
    with pytest.raises(NotComparable, match="state of BASE is interrupted"):
        compare_stored(run(state="interrupted"), run())
    compare_stored(run(), run(state="interrupted"))


def test_all_fields_are_named_at_once() -> None:
    other = run(reports.plan(unit="us"), n=100)
    with pytest.raises(NotComparable, match="--allow samples --allow board --allow clock$"):
        compare_stored(run(), other)


def test_instructions_and_microseconds_are_never_compared() -> None:
    found = compare_stored(run(), run(reports.plan(unit="us")), allow=("board", "clock"))
    names = {figure.name for figure in found.runs[0].figures}
    assert not names & {"instructions", "total", "latency", "first"}


def test_ambiguous_runs_stay_unpaired() -> None:
    new = run(reports.plan("one"), reports.plan("two"))
    with pytest.raises(NotComparable, match="have no run in common"):
        compare_stored(run(reports.plan("three"), reports.plan("four")), new, allow=("model",))


def test_equal_keys_are_matched_first() -> None:
    both = run(reports.plan("teacher"), reports.plan("student"))
    found = compare_stored(both, both, allow=("model",))
    assert [(one.base, one.key) for one in found.runs] == [
        (plan.key, plan.key) for plan in both.manifest.runs
    ]


def test_an_unknown_field_is_refused() -> None:
    assert check_fields(FIELDS) == set(FIELDS)
    with pytest.raises(UsageError, match="--allow weather: unknown field; choose from dataset"):
        check_fields(["weather"])


def test_the_quantisation_of_the_outputs_may_differ() -> None:
    other = Tensor(dtype=9, shape=(1, 10), scale=0.7, zero_point=1)
    assert not compare_stored(run(), planned(output=other)).regression
