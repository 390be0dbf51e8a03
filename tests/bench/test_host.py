# SPDX-License-Identifier: Apache-2.0
"""The host's times of a bench: what is timed, when, what is kept, and what counts as noise."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import msgspec
import numpy as np
import pytest
from msgspec import UNSET

from hil.bench import BenchPlan, run
from hil.bench.cases import Case, Program
from hil.bench.events import Event, Finished, NoisyHost, TimingHost, Untimed
from hil.bench.host import SAMPLES, HostTiming, noise, time_host
from hil.bench.lab import Firmware
from hil.bench.prepare import Prepared, prepare
from hil.boards.station import Station
from hil.core.errors import StorageError
from hil.core.host import cpu_name
from hil.core.processes import cores
from hil.link import Link
from hil.runs.load import load_run, read_manifest, verify
from hil.runs.schema import (
    HOST,
)
from hil.runs.schema_host import HostLatencies, HostMachine
from hil.testing.lab import FakeLab
from tests.support.benches import ignore, planned, rows

N = 8
STEP = 10_000_000  # nanoseconds between two looks at the clock, so that warm-up is short


@dataclass
class Quiet:
    """Other processes that keep ``busy`` cores busy."""

    busy: float | None = 0.0

    def cores(self) -> float | None:
        return self.busy


def timing(samples: int = SAMPLES, threads: int = 1, busy: float | None = 0.0) -> HostTiming:
    """Every invoke takes ``STEP``."""
    ticks = count(0, STEP)
    return HostTiming(samples, threads, lambda: next(ticks), lambda: Quiet(busy))


@pytest.fixture(scope="module")
def plan() -> BenchPlan:
    """The student in both precisions on two emulated boards."""
    return planned(N, precisions=(), boards=("mps2", "rv32"))


@pytest.fixture(scope="module")
def prepared(plan: BenchPlan) -> tuple[Prepared, ...]:
    return prepare(plan, FakeLab(), ignore)[0]


def stop_at(kernels: str, problem: BaseException) -> Callable[[Event], None]:
    """Raise ``problem`` when the first model was timed with ``kernels``."""

    def emit(event: Event) -> None:
        if isinstance(event, TimingHost) and event.kernels == kernels:
            raise problem

    return emit


def test_every_model_is_timed_once_with_each_set_of_kernels(
    plan: BenchPlan, tmp_path: Path
) -> None:
    events: list[Event] = []
    run(plan, tmp_path, events.append, FakeLab(), host=timing(threads=2))
    stored = load_run(tmp_path)
    assert stored.host
    assert [(t.model, t.precision, t.kernels, t.threads) for t in stored.host.times] == [
        ("student", precision, kernels, threads)
        for precision in ("float32", "int8")
        for kernels, threads in (("xnnpack", 2), ("reference", 1))
    ]
    assert all(t.times == (STEP,) * N and t.first == STEP for t in stored.host.times)
    machine = stored.host.machine
    assert (machine.cpu, machine.cores, machine.busy) == (cpu_name(), cores(), 0)
    assert HOST in read_manifest(tmp_path).files
    assert not verify(tmp_path).faults
    # four runs, which share two models
    summary = [row.host_latency for row in rows(tmp_path)]
    assert len(summary) == 4
    for found in summary:
        assert found is not UNSET
        assert found["xnnpack"].median == STEP
        assert found["reference"].ratio is None
    told = [event for event in events if isinstance(event, TimingHost)]
    assert [(e.model, e.precision, e.kernels, e.done, e.total) for e in told] == [
        ("student", precision, kernels, N, N)
        for precision in ("float32", "int8")
        for kernels in ("xnnpack", "reference")
    ]


def test_nothing_else_of_the_bench_runs_meanwhile(
    plan: BenchPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running: list[str] = []

    class Watched(FakeLab):
        @contextmanager
        def open(self, station: Station, image: Program, firmware: Firmware) -> Iterator[Link]:
            running.append(station.name)
            with super().open(station, image, firmware) as link:
                yield link
            running.remove(station.name)

    @contextmanager
    def ahead(*_: object) -> Iterator[None]:
        running.append("answers computed ahead")
        try:
            yield
        finally:
            running.remove("answers computed ahead")

    finished, seen = [], []

    def emit(event: Event) -> None:
        if isinstance(event, Finished):
            finished.append(event.run)
        if isinstance(event, TimingHost):
            seen.append((list(running), len(finished)))

    # by its name, since `hil.bench.run` is the function
    monkeypatch.setattr(sys.modules["hil.bench.run"], "computed_ahead", ahead)
    run(plan, tmp_path, emit, Watched(), host=timing())
    assert seen == [([], len(plan.cases))] * 4


def test_at_most_so_many_samples_are_timed(prepared: tuple[Prepared, ...], plan: BenchPlan) -> None:
    saved: list[HostLatencies] = []
    time_host(prepared, plan.data, timing(3), None, saved.append, ignore)
    assert [len(found.times) for found in saved] == [1, 2, 3, 4]  # stored after each
    assert {len(times.times) for times in saved[-1].times} == {3}


def test_the_samples_are_the_first_of_the_run(
    prepared: tuple[Prepared, ...], plan: BenchPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []

    def encoded(x: np.ndarray[tuple[int, ...], np.dtype[np.generic]], spec: object) -> object:
        del spec
        given.append(x)
        raise StorageError("enough")

    monkeypatch.setattr("hil.bench.inputs.encode_inputs", encoded)
    with pytest.raises(StorageError, match="enough"):
        time_host(prepared, plan.data, timing(3), None, lambda _: None, ignore)
    assert np.array_equal(given[0], plan.data.x[:3])


@pytest.mark.parametrize("host", [None, timing(0)])
def test_none_may_be_requested(plan: BenchPlan, tmp_path: Path, host: HostTiming | None) -> None:
    run(plan, tmp_path, ignore, FakeLab(), host=host)
    assert not (tmp_path / HOST).exists()
    assert read_manifest(tmp_path).state == "complete"
    assert all(row.host_latency is UNSET for row in rows(tmp_path))


def test_a_run_without_a_model_file_is_not_timed(
    prepared: tuple[Prepared, ...], plan: BenchPlan
) -> None:
    own = [
        replace(item, plan=msgspec.structs.replace(item.plan, litert=item.plan.precision == "int8"))
        for item in prepared
    ]
    saved: list[HostLatencies] = []
    time_host(own, plan.data, timing(), None, saved.append, ignore)
    assert {times.precision for times in saved[-1].times} == {"int8"}


@pytest.mark.parametrize("problem", [KeyboardInterrupt(), StorageError("the disk is full")])
def test_what_is_missing_is_measured_on_resume(
    plan: BenchPlan, tmp_path: Path, problem: BaseException
) -> None:
    with pytest.raises(type(problem)):
        run(plan, tmp_path, stop_at("reference", problem), FakeLab(), host=timing(busy=0.3))
    stored = load_run(tmp_path)
    assert stored.manifest.state in ("interrupted", "failed")
    assert not verify(tmp_path).faults
    assert stored.host
    assert [t.kernels for t in stored.host.times] == ["xnnpack"]
    lab, events = FakeLab(), list[Event]()
    run(plan, tmp_path, events.append, lab, host=timing(busy=0.05))
    assert lab.opened == []  # every board had answered
    told = [(e.precision, e.kernels) for e in events if isinstance(e, TimingHost)]
    assert told == [("float32", "reference"), ("int8", "xnnpack"), ("int8", "reference")]
    again = load_run(tmp_path).host
    assert again
    assert again.times[0] == stored.host.times[0]
    assert len(again.times) == 4
    assert again.machine.busy == 0.3  # the earlier times were disturbed
    assert "other processes kept 0.3 cores busy" in again.machine.noisy


def _whole(prepared: tuple[Prepared, ...], plan: BenchPlan) -> HostLatencies:
    saved: list[HostLatencies] = []
    time_host(prepared, plan.data, timing(busy=0.3), None, saved.append, ignore)
    return saved[-1]


def test_complete_times_are_kept(prepared: tuple[Prepared, ...], plan: BenchPlan) -> None:
    events: list[Event] = []
    saved: list[HostLatencies] = []
    whole = _whole(prepared, plan)
    time_host(prepared, plan.data, timing(), whole, saved.append, events.append)
    assert (saved, events) == ([], [])


def test_times_that_do_not_hold_any_more_are_measured_again(
    prepared: tuple[Prepared, ...], plan: BenchPlan
) -> None:
    whole = _whole(prepared, plan)

    def measured(wanted: HostTiming, stored: HostLatencies) -> tuple[int, HostMachine]:
        events: list[Event] = []
        saved: list[HostLatencies] = []
        time_host(prepared, plan.data, wanted, stored, saved.append, events.append)
        assert len(saved[-1].times) == 4
        return sum(isinstance(e, TimingHost) for e in events), saved[-1].machine

    other = msgspec.structs.replace(whole.machine, cpu="Another CPU")
    assert measured(timing(5), whole)[0] == 4
    assert measured(timing(threads=2), whole)[0] == 2  # the reference kernels use one anyway
    strangers = msgspec.structs.replace(whole, machine=other)
    again, machine = measured(timing(busy=None), strangers)
    assert again == 4
    assert (machine.cpu, machine.busy) == (cpu_name(), None)
    old = tuple(msgspec.structs.replace(t, version="LiteRT 0.1") for t in whole.times)
    assert measured(timing(), msgspec.structs.replace(whole, times=old))[0] == 4


def test_a_model_that_cannot_be_timed_fails_no_bench(
    prepared: tuple[Prepared, ...], plan: BenchPlan, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"no model")
    first = prepared[0]
    assert isinstance(first.case, Case)
    case = replace(first.case, network=replace(first.case.network, path=broken))
    events: list[Event] = []
    saved: list[HostLatencies] = []
    time_host(
        (replace(first, case=case), prepared[1]),
        plan.data,
        timing(),
        None,
        saved.append,
        events.append,
    )
    untimed = [event for event in events if isinstance(event, Untimed)]
    assert [(one.model, one.precision) for one in untimed] == [("student", "float32")] * 2
    assert "broken.tflite" in untimed[0].why
    assert [times.precision for times in saved[-1].times] == ["int8", "int8"]


def test_noise_is_told_once(prepared: tuple[Prepared, ...], plan: BenchPlan) -> None:
    events: list[Event] = []
    time_host(prepared, plan.data, timing(busy=1.26), None, lambda _: None, events.append)
    (found,) = (event for event in events if isinstance(event, NoisyHost))
    assert "other processes kept 1.3 cores busy" in found.why
    assert events[-1] == found


@pytest.mark.parametrize(
    ("busy", "rule", "virtual", "wanted"),
    [
        (None, "", False, ""),
        (0.0, "performance", False, ""),
        (0.1, "performance", False, ""),
        (0.11, "", False, "other processes kept 0.1 cores busy"),
        (2.04, "", False, "other processes kept 2.0 cores busy"),
        (0.0, "powersave", False, "the governor powersave changes the processor's clock"),
        (None, "schedutil", False, "the governor schedutil changes the processor's clock"),
        (None, "", True, "it is a virtual machine"),
        (
            0.5,
            "ondemand",
            True,
            "other processes kept 0.5 cores busy; the governor ondemand changes the processor's "
            "clock; it is a virtual machine",
        ),
    ],
)
def test_noise_in_words(busy: float | None, rule: str, virtual: bool, wanted: str) -> None:
    assert noise(busy, rule, virtual=virtual) == wanted
