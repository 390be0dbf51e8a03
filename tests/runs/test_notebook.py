# SPDX-License-Identifier: Apache-2.0
"""`hil.load`: records, frames and arrays contain what the run stores."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hil
from hil.core.errors import StorageError, UsageError
from hil.report import write
from hil.runs.log import RunLog
from tests.support import reports
from tests.support.runs import known, manifest, sample


def test_records_frames_and_arrays(tmp_path: Path) -> None:
    folder = reports.full(tmp_path / "run", 60)
    run = hil.load(folder)
    assert run.manifest.run_id == "20260102-030405-mps2"
    assert run.summary == write(folder).summary
    assert len(run.samples) == 4 * 60
    right = run.samples.assign(right=run.samples["device"] == run.samples["label"])
    shares = right.groupby(["model", "precision"])["right"].mean().to_dict()
    assert shares == {(c.plan.model, c.plan.precision): known(c.right).mean() for c in run.cells}
    assert run.cell("student", "int8") is run.cells[3]
    assert list(run.results["accuracy.device"]) == [
        known(r.accuracy).device for r in run.summary.runs
    ]
    assert list(run.results["memory.arena"]) == [28_544, 7_936, 5_472, 2_544]
    assert [cell.plan.key for cell in run.cells] == [plan.key for plan in run.manifest.runs]


def test_a_frame_has_one_row_per_sample(tmp_path: Path) -> None:
    with RunLog(tmp_path, manifest()) as log:
        log.save(manifest())
        log.append(sample(0))
        log.append(sample(1, litert=b"\x02\x01", oracle=b"\x02\x02", attempts=3, round_trip=80))
    frame = hil.load(tmp_path).samples
    assert list(frame["device"]) == [1, 1]
    assert list(frame["host"]) == [1, 0]
    assert list(frame["equals_litert"]) == [True, False]
    assert list(frame["equals_oracle"]) == [True, False]
    assert list(frame["attempts"]) == [1, 3]
    assert list(frame["disturbed"]) == [False, True]
    assert list(frame["equals_xnnpack"]) == [None, None]  # it was not run
    assert frame["round_trip"][1] == 80
    assert set(frame["unit"]) == {"instructions"}
    assert frame.groupby("model")["time"].median().to_dict() == {"student": 7.0}


def test_outputs_are_the_stored_bytes(tmp_path: Path) -> None:
    plan = reports.plan()
    stored = reports.samples(plan, 30, off_by_one=4)
    run = hil.load(reports.write(tmp_path / "run", reports.manifest(plan, n=30), stored))
    device = run.outputs("student", "int8")
    assert device.dtype == np.int8
    assert [row.tobytes() for row in device] == [sample.device for sample in stored]
    litert = run.outputs("student", "int8", "litert")
    assert int((device != litert).sum()) == 4
    real = run.outputs("student", "int8", real=True)
    assert real == pytest.approx(0.1 * (device.astype(float) - 3))
    assert run.outputs("student", "int8", "oracle").shape == (30, 10)
    with pytest.raises(UsageError, match="xnnpack was not run for mps2/aot/student/int8"):
        run.outputs("student", "int8", "xnnpack")


def test_an_ambiguous_run_is_refused(tmp_path: Path) -> None:
    plans = [reports.plan(), reports.plan(board="esp32", unit="us")]
    stored = [sample for plan in plans for sample in reports.samples(plan, 5)]
    run = hil.load(reports.write(tmp_path / "run", reports.manifest(*plans, n=5), stored))
    with pytest.raises(UsageError, match="has 2 runs of student int8"):
        run.cell("student", "int8")
    assert run.cell("student", "int8", board="esp32").plan.key == plans[1].key
    with pytest.raises(UsageError, match="has no runs of teacher int8") as error:
        run.cell("teacher", "int8")
    assert "mps2/aot/student/int8" in error.value.hint


def test_pictures_are_arrays(tmp_path: Path) -> None:
    run = hil.load(reports.full(tmp_path / "run", 20))
    key, picture = next(iter(run.pictures.items()))
    assert run.picture(key).shape == (28, 28)
    assert run.picture(key).tobytes() == picture.pixels


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="has no manifest.json"):
        hil.load(tmp_path)


def test_import_hil_loads_no_heavy_package() -> None:
    heavy = "pandas scipy jinja2 numpy msgspec"
    code = f"import sys, hil; print([m for m in {heavy.split()!r} if m in sys.modules], hil.load)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[] <function load")
