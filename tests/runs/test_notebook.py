# SPDX-License-Identifier: Apache-2.0
"""`hil.load`: what a notebook gets of a stored run is what the run holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hil
from hil.core.errors import StorageError, UsageError
from hil.report import write
from tests.support import reports


def test_records_frames_and_arrays(tmp_path: Path) -> None:
    folder = reports.full(tmp_path / "run", 60)
    run = hil.load(folder)
    assert run.manifest.run_id == "20260102-030405-mps2"
    assert run.summary == write(folder).summary
    assert len(run.samples) == 4 * 60
    right = run.samples.assign(right=run.samples["device"] == run.samples["label"])
    shares = right.groupby(["model", "precision"])["right"].mean().to_dict()
    assert shares == {(c.plan.model, c.plan.precision): c.right.mean() for c in run.cells}
    assert run.cell("student", "int8") is run.cells[3]
    assert list(run.results["accuracy.device"]) == [r.accuracy.device for r in run.summary.runs]
    assert list(run.results["memory.arena"]) == [28_544, 7_936, 5_472, 2_544]
    assert [cell.plan.key for cell in run.cells] == [plan.key for plan in run.manifest.runs]


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


def test_which_run_is_meant_must_be_clear(tmp_path: Path) -> None:
    plans = [reports.plan(), reports.plan(board="esp32", unit="us")]
    stored = [sample for plan in plans for sample in reports.samples(plan, 5)]
    run = hil.load(reports.write(tmp_path / "run", reports.manifest(*plans, n=5), stored))
    with pytest.raises(UsageError, match="2 runs of student int8"):
        run.cell("student", "int8")
    assert run.cell("student", "int8", board="esp32").plan.key == plans[1].key
    with pytest.raises(UsageError, match="no runs of teacher int8") as error:
        run.cell("teacher", "int8")
    assert "mps2/aot/student/int8" in error.value.hint


def test_pictures_are_arrays(tmp_path: Path) -> None:
    run = hil.load(reports.full(tmp_path / "run", 20))
    key, picture = next(iter(run.pictures.items()))
    assert run.picture(key).shape == (28, 28)
    assert run.picture(key).tobytes() == picture.pixels


def test_no_run_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="holds no manifest"):
        hil.load(tmp_path)


def test_import_hil_stays_light() -> None:
    heavy = "pandas scipy jinja2 numpy msgspec"
    code = f"import sys, hil; print([m for m in {heavy.split()!r} if m in sys.modules], hil.load)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[] <function load")
