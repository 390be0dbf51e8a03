# SPDX-License-Identifier: Apache-2.0
"""summary.json's figures, compared with calculations by hand on small runs."""

from __future__ import annotations

import json
import math

import msgspec
import numpy as np
import pytest
from scipy.stats import binomtest

from hil.runs.agreement import LARGEST, difference
from hil.runs.rows import summarise
from hil.runs.schema import RunPlan, Sample
from hil.runs.summary import Summary
from tests.support import reports
from tests.support.runs import known


def _int8(*values: int) -> bytes:
    return np.array(values, dtype="i1").tobytes()


def _floats(*values: float) -> bytes:
    return np.array(values, dtype="<f4").tobytes()


def _sample(plan: RunPlan, i: int, label: int, device: bytes, **more: object) -> Sample:
    return msgspec.convert(
        {"run": plan.key, "i": i, "id": f"s{i}", "label": label, "device": device, **more}, Sample
    )


PLAN = reports.plan(classes=3)
SAMPLES = [
    _sample(PLAN, 0, 0, _int8(9, 1, 2), time=100),  # right on both
    _sample(PLAN, 1, 1, _int8(1, 5, 5), time=300),  # a tie: the first wins, right
    _sample(PLAN, 2, 2, _int8(7, 0, 6), litert=_int8(6, 0, 8), time=200),  # wrong; host right
    _sample(PLAN, 3, 2, _int8(-128, 0, 3), litert=_int8(127, 0, 3), oracle=_int8(-128, 1, 3)),
]


def test_by_hand() -> None:
    (row,) = summarise(reports.manifest(PLAN, n=4), SAMPLES).runs
    assert row.n == 4
    assert (known(row.accuracy).device, known(row.accuracy).host) == (3 / 4, 3 / 4)
    assert known(row.agreement).argmax == 2 / 4
    assert known(row.agreement).outputs == 2 / 4
    assert known(row.agreement).differing_litert == 3
    assert known(row.agreement).differing_oracle == 1
    assert known(row.agreement).max_abs == 255  # no wrap-around in int8
    assert (row.time.unit, row.time.median, row.time.n) == ("instructions", 200, 3)
    assert (row.time.p5, row.time.p95) == pytest.approx((110, 290))
    assert row.memory == reports.end(PLAN, 4).memory
    wilson = binomtest(3, 4).proportion_ci(method="wilson")
    accuracy = row.intervals["accuracy.device"]
    assert (accuracy.low, accuracy.high) == pytest.approx((wilson.low, wilson.high))
    assert (accuracy.method, accuracy.confidence, accuracy.n) == ("Wilson", 0.95, 4)
    time = row.intervals["time.median"]  # of three, no bootstrap: their range
    assert (time.low, time.high, time.n) == (100, 300, 3)


def test_the_contract() -> None:
    """The keys that issue 2 fixes, and what schema 2 added."""
    encoded = json.loads(msgspec.json.encode(summarise(reports.manifest(PLAN, n=4), SAMPLES)))
    (row,) = encoded["runs"]
    shape = {key: sorted(value) if isinstance(value, dict) else None for key, value in row.items()}
    assert encoded["schema"] == 2
    assert set(encoded) == {"schema", "runs"}
    assert shape == {
        "board": None,
        "engine": None,
        "model": None,
        "precision": None,
        "dataset": None,
        "n": None,
        "accuracy": ["device", "host"],
        "agreement": ["argmax", "differing_litert", "differing_oracle", "max_abs", "outputs"],
        "time": ["median", "n", "p5", "p95", "unit"],
        "memory": ["arena", "flash_code", "flash_model", "ram_static", "stack"],
        "link": ["bytes_in", "bytes_out", "retries", "seconds"],
        "marks": None,  # of schema 2; as memory and link, null before the end
        "intervals": ["accuracy.device", "accuracy.host", "agreement.argmax", "time.median"],
    }


def test_floats_are_compared_bit_for_bit() -> None:
    plan = reports.plan(precision="float32", classes=4)
    nan = math.nan
    samples = [
        _sample(plan, 0, 0, _floats(1, nan, 0.0, 2), litert=_floats(1, nan, -0.0, 2.5)),
        _sample(plan, 1, 3, _floats(1, nan, 0, 2), oracle=_floats(1, 7, 0, 2)),
    ]
    (row,) = summarise(reports.manifest(plan, n=2), samples).runs
    # the zero's sign and 2.5; equal NaNs are equal
    assert known(row.agreement).differing_litert == 2
    assert known(row.agreement).max_abs == 0.5
    assert known(row.agreement).differing_oracle == 1
    assert msgspec.json.decode(msgspec.json.encode(row), type=type(row)) == row


def test_no_tolerance_lets_a_nan_pass() -> None:
    for bad in (math.nan, math.inf):
        device = np.array([[1, bad]], dtype="<f4")
        found = difference(device, np.array([[1, 2]], dtype="<f4"))
        assert (found.elements, found.samples, found.max_abs) == (1, 1, LARGEST)


def test_without_an_oracle_its_figures_are_unknown() -> None:
    plan = reports.plan(oracle="", classes=3)
    (row,) = summarise(reports.manifest(plan, n=3), SAMPLES[:3]).runs
    assert known(row.agreement).differing_oracle is None


def test_a_board_without_a_clock_has_no_time() -> None:
    plan = reports.plan(unit="none", classes=3)
    (row,) = summarise(reports.manifest(plan, n=4), SAMPLES).runs
    assert (row.time.unit, row.time.median, row.time.p5, row.time.n) == ("none", None, None, 0)


def test_an_unfinished_run_has_no_memory_and_an_empty_one_no_row() -> None:
    other = reports.plan("teacher", classes=3)
    of = reports.manifest(PLAN, other, n=9, ends=(), state="interrupted")
    summary = summarise(of, SAMPLES)
    (row,) = summary.runs
    assert (row.n, row.memory, row.link) == (4, None, None)
    assert msgspec.json.decode(msgspec.json.encode(summary), type=Summary) == summary
