# SPDX-License-Identifier: Apache-2.0
"""References computed ahead in another process, which fills the cache and ends with the bench."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from multiprocessing.connection import wait
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hil.bench import BenchPlan, Request, expected, make_plan
from hil.bench import expected as ahead
from hil.bench.events import Event, Referencing
from hil.bench.expected import computed_ahead, expect, predict
from hil.bench.prepare import prepare
from hil.reference import litert, oracle, oracle_version, xnnpack
from hil.testing.lab import FakeLab
from tests.support.needs import skip_without

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def plan() -> BenchPlan:
    return make_plan(
        Request(
            project=PROJECT,
            dataset="digits",
            models=("student",),
            precisions=("int8",),
            limit=30,
        )
    )


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Thirty samples are enough to compute ahead, with an empty cache."""
    monkeypatch.setattr(ahead, "LEAST", 10)
    monkeypatch.setattr(expected, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(ahead, "cache_folder", lambda: tmp_path)


def silent(_: str, __: int, ___: int) -> None:
    """Drop progress."""


@skip_without([] if oracle_version() else ["tflite-micro"])
def test_a_process_fills_the_cache_with_the_answers_of_the_runs(
    plan: BenchPlan, tmp_path: Path
) -> None:
    network = plan.cases[0].network
    with computed_ahead([network, network], plan.data):
        (process,) = multiprocessing.active_children()
        wait([process.sentinel])
    assert len(list(tmp_path.glob("*.outputs"))) == 3
    told: list[tuple[int, int]] = []
    for make in (litert, oracle, xnnpack):
        kept = predict(make, network, plan.data, lambda _, done, all_: told.append((done, all_)))
        assert len(kept) == len(plan.data)
    assert told == [(30, 30)] * 3, "each came from the cache"


def test_the_answers_are_those_of_one_process(plan: BenchPlan, tmp_path: Path) -> None:
    (item,), _ = prepare(plan, FakeLab(), lambda _: None)
    without = replace(item, plan=msgspec.structs.replace(item.plan, oracle=""))
    network, events = plan.networks[0], list[Event]()
    with computed_ahead([network], plan.data):
        beside = expect(without, plan.data, events.append)
    alone = predict(litert, network, plan.data, silent, tmp_path / "alone")
    assert beside.litert is not None
    assert np.array_equal(beside.litert, alone)
    assert beside.oracle is None
    assert beside.xnnpack is not None
    assert Referencing(item.plan.key, "litert", 30, 30) in events


def test_the_process_ends_with_the_bench(plan: BenchPlan) -> None:
    with pytest.raises(KeyboardInterrupt), computed_ahead([plan.cases[0].network], plan.data):
        raise KeyboardInterrupt
    assert multiprocessing.active_children() == []


def test_few_samples_start_no_process(plan: BenchPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "LEAST", 31)
    with computed_ahead([plan.cases[0].network], plan.data):
        assert multiprocessing.active_children() == []


def test_a_cache_that_cannot_be_written_starts_no_process(
    plan: BenchPlan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(ahead, "cache_folder", lambda: tmp_path / "file" / "reference")
    with computed_ahead([plan.cases[0].network], plan.data):
        assert multiprocessing.active_children() == []
