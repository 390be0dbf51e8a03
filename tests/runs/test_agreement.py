# SPDX-License-Identifier: Apache-2.0
"""Which answers count as equal, as expected, and as undisturbed."""

import math
from typing import Any

import msgspec
import numpy as np
import pytest

from hil.runs.agreement import (
    NEAR_TOLERANCE,
    compare_layer,
    differing,
    is_disturbed,
    is_timed,
    is_wrong,
    tolerance,
    unexpected,
)
from hil.runs.cells import cells
from hil.runs.rows import summarise
from hil.runs.schema import SCHEMA, Clock, RunPlan
from hil.runs.summary import Accuracy, Agreement, Summary, SummaryRow, Time
from tests.support.runs import manifest, plan, sample

FLOAT = "fake/aot/student/float32"


def summary(key: str, n: int = 3, **agreement: float) -> Summary:
    board, engine, model, precision = key.split("/")
    fields = {
        "argmax": 1.0,
        "outputs": 1.0,
        "differing_litert": 0,
        "differing_oracle": 0,
        "max_abs": 0.0,
    }
    row = SummaryRow(
        board=board,
        engine=engine,
        model=model,
        precision=precision,
        dataset="digits",
        n=n,
        accuracy=Accuracy(device=1, host=1),
        agreement=Agreement(**{**fields, **agreement}),  # type: ignore[arg-type]
        time=Time(unit="none", median=None, p5=None, p95=None, n=0),
        memory=None,
        link=None,
    )
    return Summary(schema=SCHEMA, runs=(row,))


def test_int8_must_equal_the_oracle_but_not_litert() -> None:
    run, key = manifest(), plan().key
    assert unexpected(run, summary(key, differing_litert=5, max_abs=1.0)) == []
    (line,) = unexpected(run, summary(key, differing_oracle=1))
    assert "1 outputs differ from the oracle" in line


def test_float32_must_equal_litert() -> None:
    run = manifest(plan(FLOAT))
    assert unexpected(run, summary(FLOAT)) == []
    (line,) = unexpected(run, summary(FLOAT, differing_litert=2, max_abs=1e-7))
    assert "2 outputs differ from LiteRT, by up to 1e-07" in line


def test_differences_up_to_the_stated_tolerance_are_accepted() -> None:
    run = manifest(plan(FLOAT, tolerance=1e-6))
    assert unexpected(run, summary(FLOAT, differing_litert=2, max_abs=9e-7)) == []
    assert len(unexpected(run, summary(FLOAT, differing_litert=2, max_abs=2e-6))) == 1


def test_missing_samples_are_not_as_expected() -> None:
    (line,) = unexpected(manifest(), summary(plan().key, n=2))
    assert "2 samples of 3 were answered" in line


def test_a_run_without_an_answer_is_not_as_expected() -> None:
    run = manifest(plan(), plan(FLOAT))
    (line,) = unexpected(run, summary(plan().key))
    assert line == f"{FLOAT}: no sample was answered"


def test_an_engine_that_fuses_stays_within_its_tolerance() -> None:
    assert tolerance("float32", near=False, fma=False, exponential=False) == (0, "")
    assert tolerance("float32", near=True, fma=True, exponential=True) == (
        NEAR_TOLERANCE,
        "the engine rounds a*b+c once (FMA)",
    )
    assert tolerance("int8", near=True, fma=True, exponential=True) == (0, "")


def floats(*values: float) -> np.ndarray:
    return np.array(values, dtype="<f4")


def test_values_differ_in_bits_or_by_more_than_allowed() -> None:
    device = floats(1, math.nan, 0.0, 2, math.inf, math.nan)
    litert = floats(1, math.nan, -0.0, 2.5, 3e38, 1)
    assert differing(device, litert).tolist() == [False, False, True, True, True, True]
    assert differing(device, litert, 0.5).tolist() == [False, False, False, False, True, True]
    assert differing(device, litert, 0.4).tolist() == [False, False, False, True, True, True]


def test_a_layer_with_an_infinity_allows_no_other_value_there() -> None:
    """A layer's tolerance is relative to its largest finite value."""
    seen = compare_layer("conv", "CONV_2D", floats(1.05, 7), floats(1, math.inf), 0.1)
    assert (seen.differing, seen.element, seen.expected) == (1, (1,), "inf")
    assert compare_layer("conv", "CONV_2D", floats(1.05), floats(1), 0.1).differing == 0


@pytest.mark.parametrize(
    ("run", "answer", "wrong"),
    [
        (plan(), {"litert": b"\x00\x00"}, False),
        (plan(), {"oracle": b"\x01\x03"}, True),
        (plan(oracle=""), {"litert": b"\x00\x00"}, False),
        (plan(FLOAT), {"oracle": b"\x00\x00"}, False),
        (plan(FLOAT), {"litert": b"\x01\x03"}, True),
        (plan(FLOAT, tolerance=1.0), {"litert": b"\x01\x03"}, False),
        (plan(FLOAT, tolerance=1.0), {"litert": b"\x01\x04"}, True),
    ],
)
def test_one_rule_judges_an_answer_a_run_and_its_summary(
    run: RunPlan, answer: dict[str, Any], wrong: bool
) -> None:
    given = sample(0, key=run.key, **answer)
    of = manifest(run, n=1)
    (cell,) = cells(of, {run.key: [given]})
    assert is_wrong(given, run) == wrong
    assert bool(cell.unexpected) == wrong
    assert bool(unexpected(of, summarise(of, [given]))) == wrong


@pytest.mark.parametrize(
    ("unit", "chaos", "answer", "timed"),
    [
        ("us", "", {}, True),
        ("us", "", {"disturbed": True}, False),
        ("us", "", {"attempts": 2}, False),
        ("us", "", {"time": None}, False),
        ("us", "7:drop=0.1", {}, False),
        ("instructions", "7:drop=0.1", {"attempts": 2, "disturbed": True}, True),
        ("instructions", "", {"time": None}, False),
    ],
)
def test_a_disturbed_time_is_not_a_latency_but_still_a_count(
    unit: str, chaos: str, answer: dict[str, Any], timed: bool
) -> None:
    run = plan(clock=Clock(unit=unit, detail=""))  # type: ignore[arg-type]
    given = sample(0, **answer)
    assert is_disturbed(given) == bool(answer.get("disturbed") or given.attempts > 1)
    assert is_timed(given, run, chaos=chaos) == timed
    of = msgspec.structs.replace(manifest(run, n=1), chaos=chaos)
    (cell,) = cells(of, {run.key: [given]})
    assert cell.times.size == timed
