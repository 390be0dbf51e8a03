# SPDX-License-Identifier: Apache-2.0
"""Runs that measured different things are refused by the field's name, unless told."""

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
    (dataset(name="digits"), "dataset", "mnist/test against digits/test"),
    (dataset(fingerprint="00" * 32), "dataset", "mnist of other content"),
    (run(n=100), "samples", "200 against 100"),
    (planned(key="rv32/aot/student/int8", board="rv32"), "board", "mps2 against rv32"),
    (run(FLOAT), "precision", "int8 against float32"),
    (run(reports.plan("teacher")), "model", "student against teacher"),
    (planned(emulated=False), "board", "emulated against real"),
    (
        planned(clock=Clock(unit="instructions", detail="-icount shift=9")),
        "clock",
        "shift=6) against instructions (-icount shift=9)",
    ),
    (planned(tolerance=0.5), "tolerance", "0 against 0.5"),
    (
        run(reports.plan(classes=7)),
        "outputs",
        "(1, 10) against (1, 7)",
    ),
]


@pytest.mark.parametrize(("other", "field", "says"), OTHERS)
def test_what_differs_is_named(other: StoredRun, field: str, says: str) -> None:
    with pytest.raises(NotComparable) as caught:
        compare_stored(run(), other)
    said = str(caught.value)
    assert f"{field} " in said
    assert says in said
    assert said.endswith(f"--allow {field} compares them all the same")
    assert "\n" not in said


@pytest.mark.parametrize(("other", "field", "says"), OTHERS)
def test_what_differs_may_be_let_pass(other: StoredRun, field: str, says: str) -> None:  # noqa: ARG001
    found = compare_stored(run(), other, allow=(field,))
    assert found.allowed == (field,)
    assert len(found.runs) == 1


def test_a_base_that_was_cut_short_is_refused() -> None:
    with pytest.raises(NotComparable, match="state of BASE is interrupted"):
        compare_stored(run(state="interrupted"), run())
    compare_stored(run(), run(state="interrupted"))


def test_all_fields_are_named_at_once() -> None:
    other = run(reports.plan(unit="us"), n=100)
    with pytest.raises(NotComparable, match="--allow samples --allow board --allow clock comp"):
        compare_stored(run(), other)


def test_instructions_and_microseconds_are_never_put_together() -> None:
    found = compare_stored(run(), run(reports.plan(unit="us")), allow=("board", "clock"))
    names = {figure.name for figure in found.runs[0].figures}
    assert not names & {"instructions", "total", "latency", "first"}


def test_what_fits_two_is_fitted_to_none() -> None:
    new = run(reports.plan("one"), reports.plan("two"))
    with pytest.raises(NotComparable, match="no run of the one|model"):
        compare_stored(run(reports.plan("three"), reports.plan("four")), new, allow=("model",))


def test_equal_keys_go_before_what_is_let_pass() -> None:
    both = run(reports.plan("teacher"), reports.plan("student"))
    found = compare_stored(both, both, allow=("model",))
    assert [(one.base, one.key) for one in found.runs] == [
        (plan.key, plan.key) for plan in both.manifest.runs
    ]


def test_an_unknown_field_is_refused() -> None:
    assert check_fields(FIELDS) == set(FIELDS)
    with pytest.raises(UsageError, match="--allow weather: there is no such field; one of dataset"):
        check_fields(["weather"])


def test_another_quantisation_of_the_outputs_is_no_obstacle() -> None:
    other = Tensor(dtype=9, shape=(1, 10), scale=0.7, zero_point=1)
    assert not compare_stored(run(), planned(output=other)).regression
