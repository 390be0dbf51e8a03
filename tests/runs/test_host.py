# SPDX-License-Identifier: Apache-2.0
"""host.json: it reads back, damage is refused, and its figures equal a calculation by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec import UNSET
from msgspec.structs import replace

import hil
from hil import report
from hil.core.errors import DamagedRun, StorageError
from hil.runs.cells import cells
from hil.runs.load import load_run, verify
from hil.runs.log import RunLog
from hil.runs.rows import summarise
from hil.runs.schema import (
    HOST,
    Manifest,
    Sample,
)
from hil.runs.schema_host import HostLatencies
from hil.runs.seal import check_data
from tests.support import reports

N = 12
BOARD = reports.plan(board="esp32", unit="us")
EMULATOR = reports.plan()
OTHER = reports.plan("teacher", board="esp32", unit="us")


def _stored(folder: Path, of: Manifest, samples: list[Sample], host: HostLatencies) -> Path:
    with RunLog(folder, replace(of, state="running", ends=())) as log:
        log.save(log.manifest)
        for one in samples:
            log.append(one)
        log.save(replace(log.manifest, ends=of.ends))
        log.save_host(host)
        log.set_state("complete")
    return folder


def _example(folder: Path) -> Path:
    of = reports.manifest(BOARD, EMULATOR, OTHER, n=N)
    samples = [one for plan in of.runs for one in reports.samples(plan, N)]
    return _stored(folder, of, samples, reports.host(of, 9))


def test_it_comes_back_and_is_sealed(tmp_path: Path) -> None:
    folder = _example(tmp_path / "run")
    run = load_run(folder)
    assert run.host == reports.host(run.manifest, 9)
    assert HOST in run.manifest.files
    assert not verify(folder).faults
    (folder / HOST).write_bytes((folder / HOST).read_bytes().replace(b"Example", b"Exemple"))
    assert verify(folder).faults[0].startswith("host.json: changed: SHA-256")
    with pytest.raises(DamagedRun, match=r"host\.json"):
        check_data(folder, run.manifest)


def test_a_killed_bench_has_not_sealed_it(tmp_path: Path) -> None:
    of = reports.manifest(BOARD, n=N, state="running", ends=())
    with RunLog(tmp_path / "run", of) as log:
        log.save(of)
        log.save_host(reports.host(of))
    faults = dict(fault.split(": ", 1) for fault in verify(tmp_path / "run").faults)
    assert set(faults) == {"samples.jsonl", HOST}
    assert faults[HOST].startswith("not sealed: the bench is running or was killed")
    (tmp_path / "run" / HOST).write_bytes(b"{")
    (fault, _) = verify(tmp_path / "run").faults
    assert "damaged: " in fault
    assert "host.json is corrupt" in fault


def test_a_run_without_it_has_no_host_latency(tmp_path: Path) -> None:
    run = load_run(reports.full(tmp_path / "run", 5))
    assert run.host is None
    assert all(not cell.host_times for cell in cells(run.manifest, run.samples, run.host))
    rows = summarise(run.manifest, (s for some in run.samples.values() for s in some)).runs
    assert all(row.host_latency is UNSET for row in rows)
    assert b"host_latency" not in msgspec.json.encode(rows)


def test_figures_by_hand(tmp_path: Path) -> None:
    run = hil.load(_example(tmp_path / "run"))
    board, emulator, other = run.summary.runs
    assert run.stored.host
    assert board.host_latency
    assert emulator.host_latency
    assert other.host_latency
    by_kernels = {one.kernels: one for one in run.stored.host.times if one.model == "student"}
    assert set(by_kernels) == set(board.host_latency) == {"xnnpack", "reference"}
    for kernels, times in by_kernels.items():
        row = board.host_latency[kernels]
        assert row.ratio
        assert (row.median, row.n, row.first) == (np.median(times.times), 9, times.first)
        assert (row.p5, row.p95) == pytest.approx(tuple(np.percentile(times.times, (5, 95))))
        assert row.threads == 1
        interval = board.intervals[f"host_latency.{kernels}.median"]
        assert min(times.times) <= interval.low <= row.median <= interval.high <= max(times.times)
        device = np.median([s.time or 0 for s in run.stored.samples[BOARD.key]])
        assert row.ratio == pytest.approx(1000 * device / row.median)
        interval = board.intervals[f"host_latency.{kernels}.ratio"]
        assert interval.low < row.ratio < interval.high
        # the same measurement, beside an emulator's count: no ratio
        assert emulator.host_latency[kernels] == replace(row, ratio=None)
        assert f"host_latency.{kernels}.ratio" not in emulator.intervals
        assert f"host_latency.{kernels}.median" in emulator.intervals
    assert other.host_latency["xnnpack"].median != board.host_latency["xnnpack"].median
    assert run.results["host_latency.xnnpack.ratio"].count() == 2


def test_a_report_stores_the_figures(tmp_path: Path) -> None:
    folder = _example(tmp_path / "run")
    assert report.write(folder).summary == hil.load(folder).summary
    assert not verify(folder).faults


def test_a_coarse_clock_forms_no_ratio() -> None:
    of = reports.manifest(BOARD, n=N)
    still = [replace(one, time=0) for one in reports.samples(BOARD, N)]
    (row,) = summarise(of, still, reports.host(of)).runs
    assert row.host_latency
    assert row.host_latency["xnnpack"].ratio is None
    assert set(row.intervals) >= {"time.median", "host_latency.xnnpack.median"}
    assert "host_latency.xnnpack.ratio" not in row.intervals


def test_faults_injected_on_purpose_form_no_ratio() -> None:
    of = reports.manifest(BOARD, n=N, chaos="7:flip=1e-4")
    (row,) = summarise(of, reports.samples(BOARD, N), reports.host(of)).runs
    assert row.host_latency
    assert row.host_latency["xnnpack"].ratio is None


def test_a_run_without_a_model_file_has_no_host_latency() -> None:
    of = reports.manifest(replace(BOARD, litert=False), replace(EMULATOR, model="x"), n=N)
    own, other = cells(of, {}, reports.host(of))
    assert not own.host_times
    assert set(other.host_times) == {"xnnpack", "reference"}


def test_the_frame_has_one_row_per_timed_invoke(tmp_path: Path) -> None:
    run = hil.load(_example(tmp_path / "run"))
    frame = run.host_times
    assert len(frame) == 2 * 2 * 9  # teacher and student, not once more per board
    assert list(frame.columns) == ["model", "precision", "kernels", "threads", "i", "id", "time"]
    some = frame.query("model == 'student' and kernels == 'xnnpack'")
    cell = run.cell("student", "int8", board="mps2")
    assert tuple(some["time"]) == cell.host_times["xnnpack"].times
    assert tuple(some["id"]) == cell.ids[:9]
    assert hil.load(reports.full(tmp_path / "none", 3)).host_times.empty


Change = Callable[[dict[str, Any]], None]


def _time(**change: Any) -> Change:
    return lambda raw: raw["times"][0].update(change)


def _machine(**change: Any) -> Change:
    return lambda raw: raw["machine"].update(change)


DAMAGE: dict[str, tuple[Change, str]] = {
    "another model": (_time(model_sha256="00" * 32), r"student int8 \(xnnpack\) do not fit any"),
    "twice": (lambda raw: raw["times"].append(raw["times"][1]), "stored twice"),
    "too many": (_time(times=[5] * (N + 1)), f"{N + 1} times of student int8"),
    "none": (_time(times=[]), "0 times of student int8"),
    "a negative time": (_time(times=[5, -5]), "is negative"),
    "a negative first": (_time(first=-1), "is negative"),
    "no thread": (_time(threads=0), "has no thread"),
    "a huge time": (_time(times=[1 << 60]), "too large"),
    "kernels of another library": (_time(kernels="cuda"), "is corrupt"),
    "a time that is not whole": (_time(times=[1.5]), "is corrupt"),
    "no cores": (_machine(cores=0), "has no cores"),
    "a negative load": (_machine(load=-1.0), "not a positive number"),
    "a surprise": (_machine(surprise=1), "is corrupt"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_refused(tmp_path: Path, case: str) -> None:
    of = reports.manifest(BOARD, n=N)
    folder = reports.write(tmp_path / "run", of, reports.samples(BOARD, N))
    raw = msgspec.to_builtins(reports.host(of))
    raw["times"] = list(raw["times"])
    (folder / HOST).write_bytes(msgspec.json.encode(raw))
    assert load_run(folder).host is not None
    change, message = DAMAGE[case]
    change(raw)
    (folder / HOST).write_bytes(msgspec.json.encode(raw))
    with pytest.raises(StorageError, match=message) as caught:
        load_run(folder)
    assert "host.json" in caught.value.what


def test_an_infinite_load_is_refused(tmp_path: Path) -> None:
    of = reports.manifest(BOARD, n=N)
    folder = reports.write(tmp_path / "run", of, reports.samples(BOARD, N))
    content = msgspec.json.encode(reports.host(of))
    for number in (b"1e999", b"NaN", b"Infinity"):
        (folder / HOST).write_bytes(content.replace(b'"load":0.25', b'"load":' + number))
        with pytest.raises(StorageError, match=r"host\.json"):
            load_run(folder)
    assert math.isfinite(msgspec.json.decode(content)["machine"]["load"])
